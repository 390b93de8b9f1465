"""What the maintenance of a memory returns: verify, migrate, doctor, export, import, backup, restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dm_memory.findings import Finding, Severity
from dm_memory.results.sync import (
    Failure,
    ServiceResult,
)

__all__ = [
    "AllowResult",
    "BackupResult",
    "Check",
    "Drift",
    "ExportResult",
    "ImportResult",
    "MigrateResult",
    "RestoreResult",
    "VerifyResult",
]


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
class AllowResult:
    """What became of something that the guard changes.

    Attributes:
        found: What it looks like, in the guard's words.
        status: ``allowed`` | ``undone`` | ``nothing`` (it was so already).
        total: How much is allowed in the brand now.
    """

    brand: str
    found: tuple[str, ...]
    status: str
    total: int
    findings: tuple[Finding, ...] = ()


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
