"""What a run has to do: a pure function of the cache's state and one answer of the durable store."""

from __future__ import annotations

from dataclasses import dataclass

from dm_memory.cache.results import Moved, StorageSyncRequest
from dm_memory.cache.state import CacheState, Mark, source_name
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.protocol import START, Survey
from dm_memory.services.turso.schema import EMPTY, NATIVE, Table

__all__ = ["FULL_EVERY", "Plan", "expected", "forecast", "has_silent_edits", "make_plan"]

FULL_EVERY = 10
"""In databases of other programs an edit or a deletion can leave no trace in time; every so many runs all is compared,
and at once where the rows that each run samples show one.

What that costs is a full read: about as much as the first run.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        full: Read all, compare all, remove what is not in the store.
        hold: True where nothing may be done: the store is suddenly empty.
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
        """True where the cache is what it should be."""
        return self.hold or not (self.full or self.tombstones or self.episodes or self.patterns or self.embeddings)


def expected(survey: Survey, request: StorageSyncRequest) -> int:
    """Return how many episodes the cache should hold."""
    return min(request.max_episodes_cache, survey.counts[Table.EPISODES])


def make_plan(request: StorageSyncRequest, state: CacheState, survey: Survey, engine: str) -> Plan:
    """Compare what the store says with what the cache holds."""
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
    """Tell whether another program's database has to be compared as a whole: its turn has come, or rows went."""
    if not has_silent_edits(survey.layout) or Mark.RUNS not in state.marks:
        return False
    gone = state.counts[Table.EPISODES] > survey.counts[Table.EPISODES]
    gone = gone or (request.sync_patterns and state.counts[Table.PATTERNS] > survey.counts[Table.PATTERNS])
    return gone or state.marks[Mark.RUNS].updated_at % FULL_EVERY == FULL_EVERY - 1


def has_silent_edits(layout: str) -> bool:
    """Tell whether a database is another program's, whose edits and deletions need not leave a trace in time."""
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
    message="The durable store is empty while the cache holds entries, so the cache was left as it is.",
    remedy="Check TURSO_DATABASE_URL; if the store was emptied on purpose, run storage_sync with full.",
)
_OTHER_STORE = Finding(
    code="store-changed",
    severity=Severity.INFO,
    message="The cache was filled from another durable store, so everything is read again.",
)
