"""What the local cache says by itself, while the durable store can't be asked, or need not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dm_memory.cache.cache import Cache
from dm_memory.cache.engine import CacheError
from dm_memory.cache.opening import CachePlace, open_cache
from dm_memory.cache.plan import Mark
from dm_memory.cache.records import Record, row_of
from dm_memory.services.turso.schema import Table

__all__ = ["CacheView", "CachedPattern", "view_cache"]

_PATTERNS = 3
_DEADLINE = 1.0
"""Seconds to wait for a process that fills the cache: a status is asked for by somebody who waits."""


@dataclass(frozen=True, slots=True)
class CachedPattern:
    """Something that worked or failed in several campaigns; ``success_rate`` is 0 to 1."""

    text: str
    outcome: str
    occurrence_count: int
    success_rate: float


@dataclass(frozen=True, slots=True)
class CacheView:
    """The cache as a reader finds it.

    Attributes:
        engine: ``redb`` or ``sqlite``.
        counts: Rows per table.
        synced_at: When it last reached the durable store's present, ISO-8601 in UTC, or "".
        patterns: Those met most often.
        problem: Why it could not be read and what to do, or "".
    """

    engine: str = ""
    counts: Mapping[Table, int] | None = None
    synced_at: str = ""
    patterns: tuple[CachedPattern, ...] = ()
    problem: str = ""


def view_cache(place: CachePlace) -> CacheView | None:
    """Look at the cache, changing nothing; None if there is none. Blocks, for a second at most. Never raises."""
    if not place.exists:
        return None
    try:
        with open_cache(place.folder, place.engine, deadline=_DEADLINE, verify=False, set_aside=False) as cache:
            return _view(cache)
    except CacheError as error:
        return CacheView(problem=f"{error.problem} {error.remedy}")


def _view(cache: Cache) -> CacheView:
    synced = cache.watermark(Mark.SYNCED.value)
    moment = datetime.fromtimestamp(synced.updated_at / 1_000_000, UTC).isoformat(timespec="seconds") if synced else ""
    found = [
        pattern for page in cache.scan(Table.PATTERNS) for record in page if (pattern := _pattern(record)) is not None
    ]
    found.sort(key=lambda pattern: (-pattern.occurrence_count, pattern.text))
    return CacheView(cache.engine, cache.stats().counts, moment, tuple(found[:_PATTERNS]))


def _pattern(record: Record) -> CachedPattern | None:
    """Return a pattern of ours; another program's rows have other columns and say nothing here."""
    try:
        row = row_of(Table.PATTERNS, record)
        return CachedPattern(
            str(row["text"]),
            str(row["outcome"]),
            int(row["occurrence_count"] or 0),
            float(row["success_rate"] or 0),
        )
    except (ValueError, KeyError, TypeError):
        return None
