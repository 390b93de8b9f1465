"""What parsing a brand file results in, and the collector that builds it under the rules for keys and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from dm_memory.brand.files import Limits, original_of
from dm_memory.brand.formats.text import bounded_key, is_empty
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Facts, Item, Kind
from dm_memory.text.hashing import content_hash

__all__ = ["Collector", "ParsedFile", "SourceFile", "SourceKind"]

_LIST_DIGITS = 12
_PASTED = dict.fromkeys((0xAD, 0x200B, 0x2060, 0xFEFF))
"""Soft hyphens and marks without a width that word processors paste into words, and nobody types into a search."""


class SourceKind(StrEnum):
    """The kinds of brand files that items are read from; each has a file of its own in this folder."""

    INSIGHTS = "insights"
    INTELLIGENCE = "intelligence"
    CAMPAIGN = "campaign"
    PERFORMANCE = "performance"
    COMPETITORS = "competitors"
    AUDIENCES = "audiences"
    VIOLATIONS = "violations"
    APPROVALS = "approvals"
    GUIDELINE = "guideline"
    SOP = "sop"
    ASSET = "asset"
    SIGNALS = "signals"
    GEO = "geo"
    METRICS = "metrics"
    PROFILE = "profile"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read items from.

    Attributes:
        path: Posix, relative to the brand's folder; ``sops:/`` and ``context:/`` stand for what lies elsewhere.
        conflict_copy: A copy that a cloud service made of another file. It states the same keys as older words.
        namesake: Another folder has a file of this kind and name.
        known_as: Where the file was when its entries got their keys, if it was moved since.
    """

    path: str
    kind: SourceKind
    conflict_copy: bool = False
    namesake: bool = False
    known_as: str = ""

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix; a conflict copy has that of the file it is a copy of."""
        return PurePosixPath(self.shown).stem

    @property
    def id(self) -> str:
        """What identifies the file's record if nothing in it does: its stem, so that it can be moved."""
        known = PurePosixPath(self.name)
        return "-".join(known.with_suffix("").parts[1:]) if self.namesake and len(known.parts) > 2 else known.stem  # noqa: PLR2004  # kind, folder, file

    @property
    def suffix(self) -> str:
        """The file's suffix in lower case, with its dot."""
        return PurePosixPath(self.path).suffix.lower()

    @property
    def shown(self) -> str:
        """The path that titles are made of, without the marks of a conflict copy."""
        name = self.path.partition(":/")[2] or self.path
        return (original_of(name) or name) if self.conflict_copy else name

    @property
    def name(self) -> str:
        """The path by which keys name the file."""
        return self.known_as.partition(":/")[2] or self.known_as or self.shown


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What one file contains.

    Attributes:
        findings: What a person should know.
        entries: How many entries the file has in all.
        whole: False if a part of the file could not be read: then nothing of it is retired.
    """

    items: list[Item]
    findings: list[Finding]
    entries: int
    whole: bool = True


_MAX_WORD = 60


@dataclass(slots=True)
class Collector:
    """Builds the items of one file: keys of at most 512 characters, unique but for insights; texts within the limit.

    Attributes:
        updated_at: When the file says it was last changed; every item carries it.
        rolling: Entries leave the file without having been deleted.
        listed: The file is a list of records: one without an id is not known by its file alone.
    """

    file: SourceFile
    kind: Kind
    limits: Limits
    updated_at: str = ""
    rolling: bool = False
    listed: bool = False
    items: list[Item] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    whole: bool = True
    unfilled: int = 0
    _keys: set[str] = field(default_factory=set)
    _ordinals: dict[str, int] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The path that items and findings name."""
        return self.file.path

    def add(
        self,
        key: str,
        content: str,
        content_type: ContentType,
        *,
        recorded_at: str = "",
        facts: Facts | None = None,
        tags: Sequence[str] = (),
        shared_key: bool = False,
        rolling: bool = False,
    ) -> None:
        """Add an item; ``shared_key`` leaves ties alone, for keys that get their ordinals elsewhere."""
        key = bounded_key(key)
        if self._refused(key, content):
            return
        key = key if shared_key else self._unique(key)
        self._append(key, content, content_type, recorded_at, facts, tags, rolling=rolling)

    def add_entry(
        self,
        list_key: str,
        content: str,
        content_type: ContentType,
        *,
        recorded_at: str = "",
        facts: Facts | None = None,
        tags: Sequence[str] = (),
        rolling: bool = False,
    ) -> None:
        """Add an entry of a list that has no identity of its own; the same text twice in one list is one entry."""
        list_key = bounded_key(list_key)
        key = bounded_key(f"{list_key}/{content_hash(content)[:_LIST_DIGITS]}")
        if key in self._keys or self._refused(key, content):
            return
        self._keys.add(key)
        self._append(key, content, content_type, recorded_at, facts, tags, list_key=list_key, rolling=rolling)

    def malformed(self, position: str, what: str) -> None:
        """Report that the entry at ``position`` was left out; ``what`` completes "the entry ..."."""
        self.whole = False
        message = f"{self.origin}: the entry at {position[:200]} {what} and was left out."
        remedy = "Correct this entry, then sync again."
        self.findings.append(Finding("malformed-entry", Severity.WARNING, message, remedy, self.origin))

    def empty(self, position: str) -> None:
        """Report an entry without text."""
        message = f"{self.origin}: the entry at {position[:200]} has no text; there is nothing to remember."
        self.findings.append(Finding("empty-text", Severity.INFO, message, path=self.origin))

    def too_short(self, position: str, text: str) -> None:
        """Report an entry of one word, which says nothing by itself."""
        word = text if len(text) <= _MAX_WORD else f"{text[:_MAX_WORD]}…"
        message = f"{self.origin}: the entry {word!r} at {position[:200]} is one word, which says nothing by itself."
        remedy = "Write it as a sentence if it is to be remembered."
        self.findings.append(Finding("empty-text", Severity.INFO, message, remedy, self.origin))

    def nothing(self, what: str = "the file", severity: Severity = Severity.WARNING) -> None:
        """Report that a file, or a part of it that should say something, says nothing."""
        message = f"{self.origin}: {what} says nothing that could be remembered."
        remedy = "Fill it in, or remove it."
        self.findings.append(Finding("empty-text", severity, message, remedy, self.origin))

    def result(self, entries: int) -> ParsedFile:
        """Return everything that was collected."""
        if self.unfilled:
            parts = "1 section is" if self.unfilled == 1 else f"{self.unfilled} sections are"
            message = f"{self.origin}: {parts} an unfilled template, which is no memory."
            self.findings.append(Finding("unfilled-template", Severity.INFO, message, path=self.origin))
        return ParsedFile(self.items, self.findings, entries, self.whole)

    def _append(  # the one place that builds an item
        self,
        key: str,
        content: str,
        content_type: ContentType,
        recorded_at: str,
        facts: Facts | None,
        tags: Sequence[str],
        *,
        list_key: str = "",
        rolling: bool = False,
    ) -> None:
        item = Item(
            key,
            content if content.isascii() else content.translate(_PASTED),
            self.kind,
            content_type,
            recorded_at,
            facts or {},
            tuple(tags),
            self.origin,
            list_key=list_key,
            rolling=rolling or self.rolling,
            source_updated_at="" if self.file.conflict_copy else self.updated_at,
        )
        self.items.append(item)

    def _unique(self, key: str) -> str:
        keys = self._keys
        unique = key
        while unique in keys:
            self._ordinals[key] = self._ordinals.get(key, 1) + 1
            unique = bounded_key(f"{key}~{self._ordinals[key]}")
        keys.add(unique)
        return unique

    def _refused(self, key: str, content: str) -> bool:
        if is_empty(content):
            return True
        if len(content) <= self.limits.max_content_chars:
            return False
        self.whole = False
        message = (
            f"A text of {len(content):,} characters is longer than the limit of {self.limits.max_content_chars:,}."
        )
        remedy = "Shorten it, or raise DM_MEMORY_MAX_CONTENT_CHARS."
        self.findings.append(Finding("text-too-long", Severity.WARNING, message, remedy, self.origin, key))
        return True
