"""Numbers, sizes, times and lists in words, the same way in every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from dm_memory.report.escape import inline
from dm_memory.services.protocol import Capacity

__all__ = [
    "ago",
    "amount",
    "counted",
    "duration",
    "listed",
    "number",
    "percent",
    "role_of",
    "sentence_end",
    "short_hash",
    "size",
    "tally",
    "when",
]

_KILO = 1000
_DAY = 86_400
_HOUR = 3_600
_MINUTE = 60


def role_of(layer: str) -> str:
    """Return what a layer is to the brand, out of its name: ``vector`` of ``vector@qdrant:host/collection``."""
    return inline(layer.partition("@")[0], 40)


def number(value: int) -> str:
    """Return ``10500`` as ``10,500``."""
    return f"{value:,}"


def counted(value: int, singular: str, plural: str = "") -> str:
    """Return ``1 thing``, ``10,500 things``; ``plural`` where an s is not enough."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def entries(value: int) -> str:
    """Return ``1 entry``, ``10,500 entries``: what memory consists of."""
    return counted(value, "entry", "entries")


def size(value: int) -> str:
    """Return bytes in the unit a person reads: ``512 bytes``, ``1.4 MB`` (1 MB is 1,000,000 bytes, as plans count)."""
    if value < _KILO:
        return counted(value, "byte")
    amount_left, unit = value / _KILO, "KB"
    for larger in ("MB", "GB", "TB"):
        if amount_left < _KILO:
            break
        amount_left, unit = amount_left / _KILO, larger
    return f"{amount_left:,.1f} {unit}"


def amount(value: int, unit: str) -> str:
    """Return ``value`` of a capacity's unit: bytes as a size, anything else counted as the provider names it."""
    return size(value) if unit in {"byte", "bytes"} else f"{number(value)} {inline(unit, 30)}"


def percent(capacity: Capacity) -> str:
    """Return how full a layer is, ``83 %``; a layer that is not full never reads as 100 %."""
    value = capacity.percent or 0.0
    if 0 < value < 1:
        return "less than 1 %"
    return f"{int(value)} %"


def duration(seconds: float) -> str:
    """Return seconds as the largest unit that makes sense: ``20 ms``, ``3.4 seconds``, ``2 minutes``, ``5 hours``."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 10:  # noqa: PLR2004  # one decimal says something only below ten
        return f"{seconds:.1f} seconds"
    for unit_seconds, unit in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= unit_seconds:
            return counted(int(seconds // unit_seconds), unit)
    return f"{int(seconds)} seconds"


def ago(seconds: float) -> str:
    """Return an age: ``just now``, ``2 minutes ago``. A negative age (a clock that went back) reads as now."""
    return "just now" if seconds < _MINUTE else f"{duration(seconds)} ago"


def when(moment: str) -> str:
    """Return an ISO-8601 time as ``2026-11-21 01:45``, with its zone where it names one; a mere day stays a day.

    Text that is no time is shown escaped, as it stands.
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return inline(moment, 40)
    if len(moment) == len("2026-11-21"):
        return moment
    offset = parsed.utcoffset()
    zone = "" if offset is None else " UTC" if offset == timedelta(0) else f" {parsed:%z}"
    return f"{parsed:%Y-%m-%d %H:%M}{zone}"


def listed(parts: Iterable[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last


def tally(counts: Mapping[str, int]) -> str:
    """Return counts per name, the largest first: ``120 campaign-learning, 90 performance-insight``."""
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{number(count)} {inline(name, 40)}" for name, count in ranked if count)


def short_hash(value: str) -> str:
    """Return the first 12 digits of a hash, as Markdown shows it."""
    return value[:12]


def sentence_end(text: str) -> str:
    """Return ``text`` with a full stop where it has no end of its own; escaped where ``1.`` would begin a list."""
    if text.isdigit():
        return f"{text}\\."
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
