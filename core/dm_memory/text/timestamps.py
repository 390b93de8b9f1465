"""Moments as text: UTC in memory, naive local time where the plugin's own script reads along."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "day_of", "from_iso", "to_iso", "to_local_iso", "utc_now"]

Clock = Callable[[], datetime]
"""Returns the present moment, with a time zone."""


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def to_iso(moment: datetime) -> str:
    """Write a moment as memory keeps it: ISO-8601, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_local_iso(text: str) -> str:
    """Turn a moment of memory into what the plugin's script writes: ISO-8601 local time without a zone."""
    moment = from_iso(text)
    return "" if moment is None else moment.astimezone().replace(tzinfo=None).isoformat()


def from_iso(text: str) -> datetime | None:
    """Read an ISO-8601 moment; naive means local time. Returns None for anything else."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # the latter two: a day too near the calendar's ends to be moved
        return None


def day_of(moment: str) -> int | None:
    """Return the day of an ISO-8601 date or time as yyyymmdd, as it is written; None for anything else."""
    digits = moment[:10].replace("-", "")
    return int(digits) if len(digits) == len("yyyymmdd") and digits.isascii() and digits.isdigit() else None
