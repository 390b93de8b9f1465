"""What the cache says of itself, and what a run has to do: a pure function of that and one answer of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from dm_memory.cache.cache import Cache
from dm_memory.cache.records import Page, Watermark
from dm_memory.cache.results import Moved, StorageSyncRequest
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.protocol import START, Key, Survey
from dm_memory.services.turso.schema import EMPTY, NATIVE, Table

__all__ = [
    "EXAMINE_EVERY",
    "FULL_EVERY",
    "CacheState",
    "Mark",
    "Plan",
    "asked_for",
    "conclude",
    "expected",
    "forecast",
    "make_plan",
    "mark_of",
    "note_examination",
    "read_state",
    "source_name",
]

EXAMINE_EVERY = 100
"""Runs after which the whole cache is read again; so it costs each run a hundredth of that."""

_EXAMINE_AFTER = 7 * 24 * 3600 * 1_000_000
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
    """Return what distinguishes one durable store from another: places in one mean nothing in the other."""
    return f"{layout}|{engine}"


@dataclass(frozen=True, slots=True)
class CacheState:
    """The cache at the beginning of a run; ``engine`` is "" if there is none yet."""

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
        """Which store the cache was filled from; "" if from none."""
        return self.marks[Mark.SOURCE].id if Mark.SOURCE in self.marks else ""

    def after(self, table: Table) -> Key:
        """Return above which key a table is to be read.

        Clocks of other programs tick in seconds: what they wrote in the last second known is read again.
        """
        key = self.key(Mark(table.value)) or START
        return key if key == START or self.source.startswith(f"{NATIVE.name}|") else (key[0], "")

    def asked(self, request: StorageSyncRequest) -> StorageSyncRequest:
        """Return the request with what the cache was last asked to keep, if it ever was."""
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
        return not 0 <= age <= _EXAMINE_AFTER or runs[0] - int(examined[1] or 0) >= EXAMINE_EVERY

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.counts.values())


def asked_for(request: StorageSyncRequest) -> dict[Mark, Watermark]:
    """Return what the cache keeps of a request for runs that nobody asked for."""
    wanted = [Table.PATTERNS.value] * request.sync_patterns + [Table.EMBEDDINGS.value] * request.sync_embeddings
    most = min(request.max_episodes_cache, _MOST)
    return {Mark.ASKED: Watermark(most, " ".join(wanted))}


_MOST = 2**62
"""How long a place in the cache's file may be."""


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


# The plan ------------------------------------------------------------------------------------------------------------

FULL_EVERY = 10
"""In databases of other programs an edit or a deletion can leave no trace in time; every so many runs all is compared,
and at once if the rows that each run samples show one.

What that costs is a full read: about as much as the first run.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        full: Read all, compare all, remove what is not in the store.
        hold: Nothing may be done: the store is suddenly empty.
        episodes: Episodes have to be read, filled up or evicted.
    """

    full: bool
    hold: bool
    tombstones: bool
    episodes: bool
    patterns: bool
    embeddings: bool
    findings: tuple[Finding, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the cache is what it should be."""
        return self.hold or not (self.full or self.tombstones or self.episodes or self.patterns or self.embeddings)


def expected(survey: Survey, request: StorageSyncRequest) -> int:
    """Return how many episodes the cache should have."""
    return min(request.max_episodes_cache, survey.counts[Table.EPISODES])


def make_plan(request: StorageSyncRequest, state: CacheState, survey: Survey, engine: str) -> Plan:
    """Compare what the store says with what the cache has."""
    findings: list[Finding] = []
    if not sum(survey.counts.values()) and state.rows and not survey.tombstones and not request.full:
        return Plan(
            full=False,
            hold=True,
            tombstones=False,
            episodes=False,
            patterns=False,
            embeddings=False,
            findings=(_EMPTY,),
        )
    full = request.full
    known = state.source and survey.layout != EMPTY.name
    if known and state.source != source_name(engine, survey.layout):
        findings.append(_OTHER_STORE)
        full = True
    full = full or _due_in_full(request, state, survey)
    changed = survey.changed
    return Plan(
        full=full,
        hold=False,
        tombstones=bool(survey.tombstones) and Mark.TOMBSTONES in state.marks,
        episodes=bool(changed[Table.EPISODES])
        or state.half_filled
        or state.counts[Table.EPISODES] != expected(survey, request),
        patterns=request.sync_patterns and bool(changed[Table.PATTERNS]),
        embeddings=request.sync_embeddings and bool(changed[Table.EMBEDDINGS]),
        findings=tuple(findings),
    )


def _due_in_full(request: StorageSyncRequest, state: CacheState, survey: Survey) -> bool:
    """Return whether another program's database has to be compared as a whole: its turn has come, or rows went."""
    if not _has_silent_edits(survey.layout) or Mark.RUNS not in state.marks:
        return False
    gone = state.counts[Table.EPISODES] > survey.counts[Table.EPISODES]
    gone = gone or (request.sync_patterns and state.counts[Table.PATTERNS] > survey.counts[Table.PATTERNS])
    return gone or state.marks[Mark.RUNS].updated_at % FULL_EVERY == FULL_EVERY - 1


def _has_silent_edits(layout: str) -> bool:
    """Return whether a database is another program's, whose edits and deletions need not leave a trace in time."""
    return layout not in {NATIVE.name, EMPTY.name}


def forecast(request: StorageSyncRequest, state: CacheState, survey: Survey, plan: Plan) -> Moved:
    """Return at most how many rows a run would write and evict; what it would remove has to be read."""
    wanted = expected(survey, request)
    if plan.hold:
        return Moved()
    counts = survey.counts if plan.full else survey.changed
    cached = state.counts[Table.EPISODES]
    episodes = wanted if plan.full else max(min(counts[Table.EPISODES], wanted), wanted - cached)
    written = {
        Table.EPISODES: episodes,
        Table.PATTERNS: counts[Table.PATTERNS] if request.sync_patterns else 0,
        Table.EMBEDDINGS: counts[Table.EMBEDDINGS] if request.sync_embeddings else 0,
    }
    known = 0 if state.key(Mark.EPISODES) in {None, START} else cached
    evicted = max(0, known + min(counts[Table.EPISODES], wanted) - request.max_episodes_cache)
    return Moved(written=written, evicted=min(evicted, cached))


_EMPTY = Finding(
    code="durable-empty",
    severity=Severity.ERROR,
    message="The durable store is empty while the cache has entries, so the cache was left as it is.",
    remedy="Check TURSO_DATABASE_URL; if the store was emptied on purpose, run storage_sync with full.",
)
_OTHER_STORE = Finding(
    code="store-changed",
    severity=Severity.INFO,
    message="The cache was filled from another durable store, so everything is read again.",
)
