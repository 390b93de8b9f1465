"""What parsing a brand file results in, and the collector that builds it under the rules for keys and sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from dm_memory.brand.files import Limits
from dm_memory.brand.text import bounded_key
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Facts, Item, Kind

__all__ = ["Collector", "ParsedFile", "SourceFile", "SourceKind"]


class SourceKind(StrEnum):
    """The kinds of brand files that items are read from."""

    INSIGHTS = "insights"
    CAMPAIGN = "campaign"
    PERFORMANCE = "performance"
    GUIDELINE = "guideline"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read items from; ``path`` is posix and relative to the brand's folder."""

    path: str
    kind: SourceKind

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix."""
        return PurePosixPath(self.path).stem


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What one file holds: its items, what a person should know, and how many entries it has in all."""

    items: list[Item]
    findings: list[Finding]
    entries: int


@dataclass(slots=True)
class Collector:
    """Builds the items of one file: keys of at most 512 characters, unique but for insights; texts within the limit."""

    origin: str
    kind: Kind
    limits: Limits
    items: list[Item] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)

    def add(  # noqa: PLR0917  # called once per item, in the order of Item's own fields
        self,
        key: str,
        content: str,
        content_type: ContentType,
        recorded_at: str,
        facts: Facts,
        tags: tuple[str, ...] = (),
        *,
        shared_key: bool = False,
    ) -> None:
        """Add an item; ``shared_key`` leaves ties alone, for keys that get their ordinals elsewhere."""
        if len(content) > self.limits.max_content_chars:
            self._too_long(key, len(content))
            return
        key = bounded_key(key) if shared_key else self._unique(bounded_key(key))
        self.items.append(Item(key, content, self.kind, content_type, recorded_at, facts, tags, self.origin))

    def malformed(self, position: str, what: str) -> None:
        """Report that the entry at ``position`` was left out; ``what`` completes "the entry ..."."""
        message = f"{self.origin}: the entry at {position[:200]} {what} and was left out."
        self.findings.append(
            Finding("malformed-entry", Severity.WARNING, message, "Correct this entry, then sync again.", self.origin)
        )

    def empty(self, position: str) -> None:
        """Report an entry without text."""
        message = f"{self.origin}: the entry at {position} has no text; there is nothing to remember."
        self.findings.append(Finding("empty-text", Severity.INFO, message, path=self.origin))

    def result(self, entries: int) -> ParsedFile:
        """Return everything that was collected."""
        return ParsedFile(self.items, self.findings, entries)

    def _unique(self, key: str) -> str:
        keys = self._keys
        unique, ordinal = key, 1
        while unique in keys:
            ordinal += 1
            unique = bounded_key(f"{key}~{ordinal}")
        keys.add(unique)
        return unique

    def _too_long(self, key: str, characters: int) -> None:
        key = bounded_key(key)
        message = f"A text of {characters:,} characters is longer than the limit of {self.limits.max_content_chars:,}."
        remedy = "Shorten it, or raise DM_MEMORY_MAX_CONTENT_CHARS."
        self.findings.append(Finding("text-too-long", Severity.WARNING, message, remedy, self.origin, key))
