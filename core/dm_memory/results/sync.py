"""What a sync and a status return, and what other results are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dm_memory.errors import ServiceError
from dm_memory.findings import Finding

__all__ = [
    "Action",
    "Capacity",
    "CheckpointState",
    "Counts",
    "Failure",
    "GuardHit",
    "Health",
    "ItemOutcome",
    "NextSync",
    "ServiceResult",
    "ServiceStatus",
    "StatusResult",
    "StoreResult",
    "SyncResult",
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
        buried: Entries that another computer had forgotten, removed here as well.
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
    buried: int = 0


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
        waited / added: How many of those stored were due since an earlier run, or in memory already when the service
            was connected.
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
    waited: int = 0
    added: int = 0


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
