"""What calls about single texts return: prepared, forgotten, corrected, recalled; their history and patterns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dm_memory.findings import Finding
from dm_memory.results.sync import (
    Failure,
    GuardHit,
)

__all__ = [
    "Contradiction",
    "ForgetItem",
    "ForgetPlaces",
    "ForgetProof",
    "ForgetResult",
    "HistoryResult",
    "LastSyncResult",
    "PatternLine",
    "PatternsResult",
    "PrepareResult",
    "RecallResult",
    "Remembered",
    "ServiceProof",
    "Suggestion",
    "Version",
]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A type or a tag that a caller left out, as it was detected.

    Attributes:
        what: ``content type`` or ``tag``.
        reason: What speaks for it.
        words: What the text says, where it is that.
    """

    what: str
    value: str
    reason: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What ``prepare_store`` did with one payload.

    Attributes:
        status: ``prepared`` (in memory; services get it with the next sync), ``duplicate`` (known already; new tags
            merged), ``corrected`` (it replaced another text), ``refused``.
        existing_key: The entry that has the same text, if there is one.
        merged_tags: Tags that the existing entry gained.
        changed: What else of it changed: ``priority``, ``expires_at``.
        replaced_title / replaced_hash: The beginning of the text that was corrected, and its content hash.
        purged: What became of that text, if it was to be forgotten; else it is a revision.
        suggested: Why it has its type and its tags, of each only if the caller gave none.
        questions: They find the entry: each was asked, and it was among the first five answers.
        author: Who handed it in, or corrected it, if that is known.
        delivering: The team's stores that get it at once.
    """

    brand: str
    status: str
    key: str
    content_hash: str
    content_type: str
    tags: tuple[str, ...]
    title: str
    existing_key: str = ""
    existing_stored_at: str = ""
    existing_tags: tuple[str, ...] = ()
    merged_tags: tuple[str, ...] = ()
    priority: str = "normal"
    expires_at: str = ""
    guard_hits: tuple[GuardHit, ...] = ()
    findings: tuple[Finding, ...] = ()
    replaced_title: str = ""
    replaced_hash: str = ""
    purged: ForgetResult | None = None
    suggested: tuple[Suggestion, ...] = ()
    questions: tuple[str, ...] = ()
    author: str = ""
    delivering: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 prepared or known, 2 refused."""
        return 2 if self.status == "refused" else 0


@dataclass(frozen=True, slots=True)
class ForgetItem:
    """A text that goes, or went.

    Attributes:
        what: ``entry``, ``duplicate`` (the same text under another key) or ``revision`` (a text it had before).
        origin: The brand's file that states it, or "".
    """

    key: str
    title: str
    what: str
    content_type: str
    state: str
    recorded_at: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ForgetPlaces:
    """Where what goes is found: numbers of rows, records and files.

    Attributes:
        patterns: Those that it counts for, which are counted again without it.
        services: By engine, the entries that are known to be there.
    """

    entries: int = 0
    revisions: int = 0
    vectors: int = 0
    facts: int = 0
    patterns: int = 0
    journal: int = 0
    files: int = 0
    services: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceProof:
    """What a look by ids found in a connected service.

    Attributes:
        looked: Ids that were looked for.
        left: Those that it still has.
        due: Deletions that wait for it.
    """

    name: str
    engine: str
    looked: int = 0
    left: int = 0
    due: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ForgetProof:
    """What was looked at after forgetting, and what was found.

    Attributes:
        files / bytes: What was searched below ``memory/``.
        left: Files that still contain a text, relative to ``memory/``.
        cleaned: Files that were removed or written again.
        short: Texts too short to be recognised by their bytes; they were looked for by rows and ids only.
        services: One per connected service.
        parked: Services that are not configured at present and have entries: they are deleted there once they are.
    """

    files: int
    bytes: int
    left: tuple[str, ...] = ()
    cleaned: tuple[str, ...] = ()
    short: int = 0
    services: tuple[ServiceProof, ...] = ()
    parked: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left anywhere."""
        return not self.left and not any(each.left or each.due or each.failure for each in self.services)


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """What ``forget_memory`` would do, or did.

    Attributes:
        status: ``preview``, ``nothing`` (nothing matches), ``changed`` (another token is needed: this is the new
            preview), ``forgotten`` (all of it, proven), ``partial`` (see ``proof``) or ``restored``.
        token: Of the preview; to be passed with ``dry_run=False``.
        unknown: Keys that were asked for and are not in memory, or were never forgotten.
        returning: The brand's own files that still state it, with keys: it stays out until its text changes there.
        reach: How far it goes: which machines and services.
        restored: How many of those that were named may be stored again.
    """

    brand: str
    status: str
    token: str = ""
    items: tuple[ForgetItem, ...] = ()
    places: ForgetPlaces = field(default_factory=ForgetPlaces)
    unknown: tuple[str, ...] = ()
    returning: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reach: str = ""
    proof: ForgetProof | None = None
    restored: int = 0
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 done or shown, 1 something is left or due, 2 nothing was done."""
        return {"partial": 1, "changed": 2, "nothing": 2}.get(self.status, 0)


@dataclass(frozen=True, slots=True)
class Version:
    """What an entry said from one moment to another ("" for now), where that came from, and why it ended.

    Attributes:
        reason: ``changed`` (its source), ``corrected`` (a user), ``retired``, or what another machine did; "" for now.
    """

    number: int
    content: str
    since: str
    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """What an entry said when, and what changed it; the oldest text first, the present one last.

    Attributes:
        asked: The key that was asked for; another one than ``key`` if it is a duplicate.
        origin: The file that states it, or "".
        facts: What it stated besides, with the times of validity: text, valid at, invalid at.
    """

    brand: str
    asked: str
    key: str
    content_type: str
    state: str
    origin: str
    author: str
    tags: tuple[str, ...]
    versions: tuple[Version, ...]
    facts: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """An entry as a recall or the record of a sync shows it.

    Attributes:
        moment: When it was recorded; of a retired one, when that happened.
    """

    id: str
    key: str
    content: str
    content_type: str
    moment: str
    priority: str = "normal"
    state: str = "current"


@dataclass(frozen=True, slots=True)
class RecallResult:
    """What matters now for a brand. Nothing here was asked of a service.

    Attributes:
        banned_words / restricted_claims / avoid_words: What the brand's files forbid, restrict and avoid.
        preferred: What to write instead of what: pairs.
        compliance: What applies to the brand, in sentences; "" for nothing.
        learnings: The latest, those of high priority first.
        patterns: What worked and what failed over campaigns, the most frequent first.
        retired: What no file states any more since a few weeks.
        contradictions: Sources that do not agree.
        entries: How many are in memory.
        pending / failed: What waits for a connected service, and how much of it failed at its last attempt.
        prepared: What was handed in and waits for the next sync.
        problem: Why memory could not be read; then only what the brand's files say is here.
    """

    brand: str
    brand_name: str
    banned_words: tuple[str, ...] = ()
    restricted_claims: tuple[str, ...] = ()
    avoid_words: tuple[str, ...] = ()
    preferred: tuple[tuple[str, str], ...] = ()
    compliance: str = ""
    learnings: tuple[Remembered, ...] = ()
    patterns: tuple[PatternLine, ...] = ()
    retired: tuple[Remembered, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    entries: int = 0
    pending: int = 0
    failed: int = 0
    prepared: int = 0
    last_sync_at: str = ""
    last_run_status: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PatternLine:
    """What worked or failed over campaigns: how often, where, and when."""

    text: str
    outcome: str
    worked: int
    failed: int
    success_rate: float
    campaigns: tuple[str, ...]
    channels: tuple[str, ...]
    first_seen: str
    last_seen: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two sources that do not agree; nothing is overwritten.

    Attributes:
        what: The point, or the metric with its campaign, channel and period.
        first / second: What each says.
        first_key / second_key: Their entries.
    """

    what: str
    first: str
    first_key: str
    second: str
    second_key: str


@dataclass(frozen=True, slots=True)
class PatternsResult:
    """A brand's patterns, the most frequent first, and what contradicts itself."""

    brand: str
    patterns: tuple[PatternLine, ...]
    total: int
    contradictions: tuple[Contradiction, ...] = ()


@dataclass(frozen=True, slots=True)
class LastSyncResult:
    """The last sync of a brand as memory has it on record; ``started_at`` "" if there was none.

    Attributes:
        entries: What it wrote and nothing has changed since; at most some fifty.
    """

    brand: str
    started_at: str = ""
    finished_at: str = ""
    status: str = ""
    scope: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    entries: tuple[Remembered, ...] = ()
