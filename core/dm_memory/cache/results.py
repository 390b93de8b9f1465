"""What a storage sync takes and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dm_memory.errors import ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.schema import Table

__all__ = ["CacheFacts", "Mode", "Moved", "Status", "StorageSyncRequest", "StorageSyncResult", "StoreFacts"]


@dataclass(frozen=True, slots=True)
class StorageSyncRequest:
    """The arguments of a storage sync.

    Attributes:
        max_episodes_cache: How many episodes the cache keeps: those that changed last in the durable store.
        batch_size: Rows of a page; a page is fetched in one request and cached in one transaction.
        full: Read everything again, and remove what the store does not have.
        validate_only: Compare cache and store, change nothing.
        repair: Check, and repair what the check found.
        as_before: Cache as much as the cache was last asked to; what is said here counts for a new one only.
    """

    brand: str | None = None
    max_episodes_cache: int = 1000
    batch_size: int = 100
    sync_patterns: bool = True
    sync_embeddings: bool = True
    full: bool = False
    dry_run: bool = False
    validate_only: bool = False
    repair: bool = False
    as_before: bool = False


class Mode(StrEnum):
    """How a run went about it."""

    INCREMENTAL = "incremental"
    FULL = "full"
    DRY_RUN = "dry-run"
    CHECK = "check"


class Status(StrEnum):
    """How a run ended."""

    SYNCED = "synced"
    UNCHANGED = "unchanged"
    PLANNED = "planned"
    CHECKED = "checked"
    SKIPPED = "skipped"
    """The durable store did not answer; the cache is as it was."""
    INTERRUPTED = "interrupted"
    """It stopped answering on the way; what was read is in the cache, the next run goes on from there."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Rows per table that were written to the cache and removed from it; in a dry run, that would be."""

    written: Mapping[Table, int] = field(default_factory=lambda: dict.fromkeys(Table, 0))
    removed: Mapping[Table, int] = field(default_factory=lambda: dict.fromkeys(Table, 0))
    evicted: int = 0
    pages: int = 0


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The durable store, as it answered; without counts if it did not."""

    engine: str
    layout: str = ""
    counts: Mapping[Table, int] = field(default_factory=dict)
    error: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """The cache after the run. ``synced_at``: the last run that reached the store's present, in microseconds, or 0."""

    engine: str = ""
    file_bytes: int = 0
    counts: Mapping[Table, int] = field(default_factory=lambda: dict.fromkeys(Table, 0))
    synced_at: int = 0


@dataclass(frozen=True, slots=True)
class StorageSyncResult:
    """What a storage sync did.

    Attributes:
        mode: ``full`` also if the run found that only a full one would do.
        behind: Changes in the durable store that the cache does not have yet, or None if the store did not say.
        retry_after: Seconds after which to try again, if the store failed and that can help.
        findings: What was met and what the validation found, in that order.
        validated: The cache was compared with the store at the end.
        asked: The request, as it was carried out.
    """

    brand: str
    status: Status
    mode: Mode
    started_at: str
    duration: float
    store: StoreFacts
    cache: CacheFacts
    moved: Moved = field(default_factory=Moved)
    behind: int | None = None
    retry_after: float | None = None
    findings: tuple[Finding, ...] = ()
    validated: bool = False
    asked: StorageSyncRequest = StorageSyncRequest()

    @property
    def hints(self) -> tuple[str, ...]:
        """What to change if this was too slow, or took too much memory."""
        asked = self.asked
        slow = (
            f"Too slow? Use a larger batch_size (now {asked.batch_size:,}: fewer requests) or a smaller"
            f" max_episodes_cache (now {asked.max_episodes_cache:,}: less to read)."
        )
        large = f"Too much memory? Use a smaller batch_size (now {asked.batch_size:,}): less is read at once."
        return slow, large

    @property
    def exit_code(self) -> int:
        """1 if the store failed or the cache is not what it should be, else 0."""
        unwell = any(finding.severity is Severity.ERROR for finding in self.findings)
        return 1 if unwell or self.status in {Status.SKIPPED, Status.INTERRUPTED} else 0
