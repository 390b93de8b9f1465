"""What the core's calls return: plain values that the reports are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from dm_memory.errors import ServiceError
from dm_memory.findings import Finding, Severity

__all__ = [
    "Action",
    "Capacity",
    "Check",
    "CheckpointState",
    "Counts",
    "Failure",
    "GuardHit",
    "Health",
    "ItemOutcome",
    "NextSync",
    "PrepareResult",
    "ServiceResult",
    "ServiceStatus",
    "StatusResult",
    "StoreResult",
    "Suggestion",
    "SyncResult",
    "Version",
]


class Action(StrEnum):
    """What the plan says about an item."""

    NEW = "new"
    MODIFIED = "modified"
    METADATA = "metadata"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    EXCLUDED = "excluded"
    RESUMED = "resumed"
    RETRY = "retry"
    FORCED = "forced"
    """Unchanged, stored again because ``force`` was given, or because the service's model or chunking changed."""
    LEARNED = "learned"
    """Stored by another machine: the durable store has it, and this machine's other services get it."""
    ADDED = "added"
    """In memory already; stored in a service that is new, or configured again."""
    RESTORED = "restored"
    """Retired before, and stated again by its source."""
    RETIRED = "retired"
    """No file states it any more: kept, and found after every current entry."""
    MISSING = "missing"
    """A service turned out not to have it any more."""
    REFUSED = "refused"
    """Never stored: credentials in the text, or nothing that could be stored."""
    FORGOTTEN = "forgotten"
    """Not stored: a user had this text forgotten. It stays out until it changes or is restored."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a service answers right now. ``detail`` is one sentence for a person; ``error`` is why it does not."""

    ok: bool
    engine: str
    detail: str
    error: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """How full a service is, in the unit its provider counts. ``limit`` None: no limit is known.

    Attributes:
        entries: Entries stored for this brand, or None if the service can't count them.
        setting: The variable that states the limit, because the service does not; "" if there is none.
    """

    used: int
    limit: int | None
    unit: str
    entries: int | None = None
    setting: str = ""

    @property
    def percent(self) -> float | None:
        """Used in percent of the limit, or None without one."""
        return None if not self.limit else 100.0 * self.used / self.limit


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item or a service failed. Message and ``remedy`` are a sentence each; ``code`` is the provider's."""

    error_class: str
    message: str
    remedy: str
    code: str = ""
    service: str = ""
    attempts: int = 1
    next_attempt_at: str = ""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """One item's line in the report.

    Attributes:
        title: The first 100 characters of the text, one line, not yet escaped.
        stored: Whether it is in memory since this run.
        planned: True in a dry run for what a real run would store.
        batch_tags: Those among ``tags`` that the caller gave.
        before: What a changed entry said, its type and its tags, if they changed: for "old -> new".
        reason: Why it was skipped, or what made it due; "" if the action says it all.
        author: Who handed it in, if that is known.
    """

    key: str
    title: str
    content_hash: str
    action: Action
    content_type: str
    tags: tuple[str, ...] = ()
    batch_tags: tuple[str, ...] = ()
    storage_id: str = ""
    stored: bool = False
    planned: bool = False
    reason: str = ""
    before: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    author: str = ""


@dataclass(slots=True)
class Counts:
    """How many items met each fate in one run. An item has one action; the rest counts what came of it.

    Attributes:
        learned: Entries that another machine stored or changed in the durable store.
        retired: Entries that no file states any more; ``restored`` ones are stated again.
        held_back: Entries that would have been retired, had they not been too many at once.
        stored: Entries written to memory in this run.
        failed: Entries that a connected service refused; ``queued`` ones wait for a service.
        embedded: Texts embedded in this run.
        excluded: Left out by the caller's patterns.
    """

    new: int = 0
    modified: int = 0
    metadata: int = 0
    unchanged: int = 0
    duplicate: int = 0
    excluded: int = 0
    retired: int = 0
    restored: int = 0
    held_back: int = 0
    forced: int = 0
    learned: int = 0
    refused: int = 0
    forgotten: int = 0
    stored: int = 0
    failed: int = 0
    queued: int = 0
    embedded: int = 0


@dataclass(frozen=True, slots=True)
class GuardHit:
    """What the privacy guard did to one item: masked personal data, or refused credentials. Never the data itself.

    Attributes:
        what: ``e-mail address``, ``phone number``, ``card number``, ``API key``, ...
        count: How often.
        refused: Whether the item was not stored because of it.
        removed: Whether the lines it stood in were left out; otherwise it was masked.
        lines: The lines of the original text, from 1.
    """

    key: str
    what: str
    count: int
    refused: bool
    removed: bool = False
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreResult:
    """The memory of a brand itself after a run.

    Attributes:
        entries: Current entries; ``retired`` ones are kept besides.
        without_vectors: Entries that have no vectors of the model in use.
        model: The embedding model's name, "" if there is none and search runs on words alone.
        entities / facts: What the knowledge graph has; ``new_entities`` and ``new_facts`` came in this run.
        bytes: The size of memory.db with its log.
    """

    entries: int
    retired: int
    without_vectors: int
    model: str
    entities: int
    facts: int
    new_entities: int
    new_facts: int
    patterns: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """How one connected service fared in a run.

    Attributes:
        stored / failed / removed: Entries of this run in this service.
        queued: Entries that still wait for it.
        entries: Entries it is known to have after the run.
        counted: How many it says it has, None if it can't count or was not asked.
        missing: Entries it confirmed and turned out not to have.
        asked: Whether it was asked anything in this run.
        needed: In a dry run, about how much of the capacity storing would use, in its unit.
        preview: In a dry run, some payloads as the service would get them.
    """

    name: str
    role: str
    engine: str
    stored: int
    failed: int
    removed: int
    queued: int
    entries: int
    counted: int | None
    missing: int
    asked: bool
    capacity: Capacity | None = None
    failure: Failure | None = None
    needed: int | None = None
    preview: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """The brand's sync state after a run, as ``memory/sync-state.json`` contains it.

    Attributes:
        moved: False if a file could not be read or an item failed, so that the checkpoint stayed.
        last_complete_sync_at: When everything was last known to be stored, ISO-8601, or "".
        total_items: Distinct entries in memory.
        delta: Entries more than before the run.
        by_content_type: Entries per content type.
        pending / failed: Entries still to store, and those among them that failed at least once.
    """

    moved: bool
    last_complete_sync_at: str
    total_items: int
    delta: int
    by_content_type: Mapping[str, int]
    pending: int
    failed: int
    path: str


@dataclass(frozen=True, slots=True)
class NextSync:
    """What to expect of the next run: how many items are due, and one sentence of advice."""

    due: int
    advice: str
    estimated_items: int = 0


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Everything a run did.

    Attributes:
        status: ``complete`` (all stored), ``partial`` (some failed or wait) or ``cancelled``.
        items: Outcomes of items that were not simply unchanged, failures first, at most ``settings.data_items``.
        items_omitted: How many outcomes were left out of ``items``.
        waited: Seconds spent waiting for another sync of the brand.
    """

    brand: str
    brand_name: str
    run_id: str
    dry_run: bool
    scope: str
    force: bool
    status: str
    started_at: str
    seconds: float
    counts: Counts
    items: tuple[ItemOutcome, ...]
    items_omitted: int
    findings: tuple[Finding, ...]
    guard_hits: tuple[GuardHit, ...]
    store: StoreResult
    services: tuple[ServiceResult, ...]
    checkpoint: CheckpointState
    next_sync: NextSync
    waited: float = 0.0
    compliance_note: str = ""

    @property
    def exit_code(self) -> int:
        """0 all stored, 1 some failed or wait."""
        return int(self.status != "complete")


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

    @property
    def exit_code(self) -> int:
        """0 prepared or known, 2 refused."""
        return 2 if self.status == "refused" else 0


@dataclass(frozen=True, slots=True)
class Drift:
    """How the memory itself, or a connected service, differs from what it should be.

    Attributes:
        name: ``memory``, or the service's.
        checked: Entries that were looked at.
        missing / stale: Those that are not there (in memory: without vectors, words or facts), or are there with
            another text or other metadata.
        unknown: Entries that only the service has; None if it can't list what it has.
        examples: Keys of some that differ.
        repaired: Entries repaired.
    """

    name: str
    engine: str
    checked: int
    missing: int
    stale: int
    unknown: int | None
    examples: tuple[str, ...] = ()
    repaired: int = 0
    failure: Failure | None = None

    @property
    def differing(self) -> int:
        """How many entries differ."""
        return self.missing + self.stale + (self.unknown or 0)


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a comparison of memory with itself and with the services found, and repaired if that was asked for."""

    brand: str
    repair: bool
    parts: tuple[Drift, ...]
    seconds: float
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if everything agrees, or was repaired; else 1."""
        damaged = any(finding.severity is Severity.ERROR for finding in self.findings)
        return int(damaged or any(part.failure or part.differing > part.repaired for part in self.parts))


@dataclass(frozen=True, slots=True)
class MigrateResult:
    """What a migration did.

    Attributes:
        source / target: Engines.
        due: Entries the target lacked, or had otherwise, when it began.
        stored: Entries the target confirmed: stored now, or found there as they should be.
        expected: Entries that should be in the target afterwards.
        counted: Entries the target counts, or None if it can't count them.
        sampled / differing: Entries read back afterwards, and those among them that are not as they should be.
    """

    brand: str
    source: str
    target: str
    due: int
    stored: int
    failed: int
    expected: int
    counted: int | None
    sampled: int
    differing: int
    stopped: bool
    seconds: float
    failure: Failure | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True if everything is in the target, and what was read back is as it should be."""
        short = self.counted is not None and self.counted < self.expected
        return not (self.failure or self.failed or self.differing or self.stopped or short)

    @property
    def exit_code(self) -> int:
        """0 complete, 1 something is missing."""
        return 0 if self.is_complete else 1


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One connected service in the status report.

    Attributes:
        entries: Entries it is known to have; ``counted`` is what it says it has, None if it can't count.
        pending / failed: Entries that wait for it, and those it refused at the last attempt.
        shared: Whether other machines store there too.
    """

    name: str
    role: str
    engine: str
    entries: int
    counted: int | None
    pending: int
    failed: int
    health: Health
    capacity: Capacity | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class StatusResult:
    """What is in memory and whether it is well.

    Attributes:
        status: ``ready``, ``never-synced``, ``attention`` (something failed or differs), ``syncing`` (a run is active).
        counts: Entries per content type.
        prepared: Payloads and learnings that were handed in and are not in memory yet.
        services: One per connected service.
        sync_age_seconds: Seconds since the last complete sync, or None.
        failures: The failed items, at most ``settings.report_items``.
        advice: What to do next, one sentence each, the most important first.
        cache: The local cache of the durable store, or None if there is none.
        cache_is_stale: True if the cache is older than the time between two storage syncs.
    """

    brand: str
    brand_name: str
    status: str
    total_items: int
    counts: Mapping[str, int]
    pending: int
    failed: int
    prepared: int
    last_sync_at: str
    last_complete_sync_at: str
    sync_age_seconds: float | None
    last_run_status: str
    store: StoreResult
    services: tuple[ServiceStatus, ...]
    failures: tuple[ItemOutcome, ...]
    findings: tuple[Finding, ...]
    advice: tuple[str, ...]
    active_run: str = ""
    cache: Any = None
    cache_is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that ``doctor`` looked at.

    Attributes:
        name: What was checked, in two or three words.
        detail: What was found, one sentence.
        remedy: What to do, one sentence, or "".
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


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
class ExportResult:
    """What an export wrote; ``path`` "" for a dry run. ``entries`` by brand."""

    path: str
    format: str
    entries: Mapping[str, int]
    retired: int
    revisions: int
    bytes: int
    dry_run: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import stored, or would store.

    Attributes:
        new / changed / unchanged: Entries by what memory had of them.
        duplicates: Keys of entries whose text another entry here stands for, with that entry's key.
        forgotten: Entries that were left out because their texts were forgotten here.
        refused: Lines that could not be read, or contain what must not be stored, with why.
    """

    path: str
    brands: Mapping[str, int]
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: Mapping[str, str] = field(default_factory=dict)
    forgotten: int = 0
    refused: tuple[str, ...] = ()
    dry_run: bool = False
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 all of it, 1 something was left out."""
        return int(bool(self.refused))


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A backup that was made, and checked."""

    brand: str
    path: str
    entries: int
    bytes: int
    made_at: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """A backup that was put back.

    Attributes:
        aside: Where the memory that was there before is now, "" if there was none.
        kept_out: Texts of the backup that were forgotten since it was made, and stayed out.
        services: One per connected service: what differed by hash and is stored or deleted there now.
    """

    brand: str
    path: str
    entries: int
    aside: str = ""
    kept_out: int = 0
    services: tuple[ServiceResult, ...] = ()
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 everything agrees, 1 a service has yet to follow."""
        return int(any(each.failure or each.queued or each.failed for each in self.services))


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
