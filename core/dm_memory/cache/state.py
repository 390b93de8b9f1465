"""What the cache says of itself: how far it was filled, from where, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from dm_memory.cache.protocol import Cache, Page, Watermark
from dm_memory.cache.results import StorageSyncRequest
from dm_memory.findings import Finding
from dm_memory.services.turso.protocol import START, Key
from dm_memory.services.turso.schema import NATIVE, Table

__all__ = [
    "EXAMINE_EVERY",
    "CacheState",
    "Mark",
    "asked_for",
    "conclude",
    "mark_of",
    "note_examination",
    "read_state",
    "source_name",
]


EXAMINE_EVERY = 100
"""Runs after which the whole cache is read again; so it costs each run a hundredth of that."""

EXAMINE_AFTER = 7 * 24 * 3600 * 1_000_000
"""Microseconds after which it is in any case."""


class Mark(StrEnum):
    """The streams whose places the cache keeps. All pages up to a place were committed together with it.

    Every episode of the store in the stretch (``LOW``, ``EPISODES``] is in the cache, with its embeddings as of
    ``EMBEDDINGS``. ``START`` as the place of the embeddings means that they were left out.
    """

    EPISODES = "episodes"
    PATTERNS = "patterns"
    EMBEDDINGS = "embeddings"
    TOMBSTONES = "tombstones"
    LOW = "episodes-from"
    BACKFILL = "backfill"
    BACKFILL_FROM = "backfill-from"
    SOURCE = "source"
    SYNCED = "synced"
    EXAMINED = "examined"
    RUNS = "runs"
    ASKED = "asked"


def mark_of(key: Key) -> Watermark:
    """Return a place in the form in which the cache keeps it."""
    return Watermark(*key)


def source_name(engine: str, layout: str) -> str:
    """Return what tells one durable store from another: places in one mean nothing in the other."""
    return f"{layout}|{engine}"


@dataclass(frozen=True, slots=True)
class CacheState:
    """The cache at the beginning of a run; ``engine`` is "" where there is none yet."""

    engine: str
    file_bytes: int
    counts: Mapping[Table, int]
    marks: Mapping[Mark, Watermark]
    findings: tuple[Finding, ...] = ()

    def key(self, mark: Mark) -> Key | None:
        """Return a place, or None."""
        found = self.marks.get(mark)
        return None if found is None else (found.updated_at, found.id)

    @property
    def source(self) -> str:
        """Which store the cache was filled from; "" where from none."""
        return self.marks[Mark.SOURCE].id if Mark.SOURCE in self.marks else ""

    def after(self, table: Table) -> Key:
        """Return above which key a table is to be read.

        Clocks of other programs tick in seconds: what they wrote in the last second known is read again.
        """
        key = self.key(Mark(table.value)) or START
        return key if key == START or self.source.startswith(f"{NATIVE.name}|") else (key[0], "")

    def asked(self, request: StorageSyncRequest) -> StorageSyncRequest:
        """Return the request with what the cache was last asked to keep, where it ever was."""
        asked = self.marks.get(Mark.ASKED)
        if asked is None:
            return request
        return replace(
            request,
            max_episodes_cache=asked.updated_at,
            sync_patterns=Table.PATTERNS.value in asked.id,
            sync_embeddings=Table.EMBEDDINGS.value in asked.id,
        )

    @property
    def half_filled(self) -> bool:
        """Whether a run was interrupted that had cached episodes below the stretch: there may be holes between."""
        return self.key(Mark.BACKFILL) not in {None, START}

    def due_for_examination(self, now: int) -> bool:
        """Whether a file that was always closed in order has not been read whole for long: a bit may rot on a disk.

        Args:
            now: Microseconds since 1970. A clock that was put back makes it due, too.
        """
        examined, runs = self.key(Mark.EXAMINED), self.key(Mark.RUNS)
        if runs is None:
            return False
        if examined is None:
            return True
        age = now - examined[0]
        return not 0 <= age <= EXAMINE_AFTER or runs[0] - int(examined[1] or 0) >= EXAMINE_EVERY

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(self.counts.values())


def asked_for(request: StorageSyncRequest) -> dict[Mark, Watermark]:
    """Return what the cache keeps of a request for runs that nobody asked for."""
    wanted = [Table.PATTERNS.value] * request.sync_patterns + [Table.EMBEDDINGS.value] * request.sync_embeddings
    most = min(request.max_episodes_cache, _MOST)
    return {Mark.ASKED: Watermark(most, " ".join(wanted))}


_MOST = 2**62
"""What a place in the cache's file has room for."""


def read_state(cache: Cache) -> CacheState:
    """Read a cache's state. Raises ``CacheError``."""
    stats = cache.stats()
    marks = {mark: found for mark in Mark if (found := cache.watermark(mark.value)) is not None}
    return CacheState(stats.engine, stats.file_bytes, stats.counts, marks, cache.findings)


def note_examination(cache: Cache, moment: int) -> None:
    """Note that the whole cache was read at ``moment`` (microseconds)."""
    runs = cache.watermark(Mark.RUNS.value)
    cache.apply(Page(watermarks={Mark.EXAMINED.value: Watermark(moment, str(runs.updated_at if runs else 0))}))


def conclude(cache: Cache, moment: int, request: StorageSyncRequest) -> CacheState:
    """Note that the store's present was reached at ``moment`` (microseconds), count the runs, return the new state."""
    runs = cache.watermark(Mark.RUNS.value)
    marks = {Mark.SYNCED: Watermark(moment, ""), Mark.RUNS: Watermark(runs.updated_at + 1 if runs else 1, "")}
    marks |= asked_for(request)
    if runs is None:  # the file is new
        marks[Mark.EXAMINED] = Watermark(moment, "1")
    cache.apply(Page(watermarks={mark.value: place for mark, place in marks.items()}))
    return read_state(cache)
