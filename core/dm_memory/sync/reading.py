"""From the source files to chunks of items: bytes that hash as they did last time are not parsed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import BrandFileError, Limits, parse_json, read_brand_file
from dm_memory.brand.parsed import ParsedFile, SourceFile, SourceKind
from dm_memory.brand.pending import parse_pending, pending_files
from dm_memory.brand.sources import parse_source
from dm_memory.facts.prepared import graph_payload
from dm_memory.findings import Finding, Severity
from dm_memory.items import Item
from dm_memory.sync.intake import SourceItems
from dm_memory.sync.ordinals import ROLLING_LIMIT
from dm_memory.sync.registry import Registry

__all__ = ["Chunk", "FileRecord", "Reader", "file_records", "read_prepared"]

_CHUNK_ITEMS = 512
_CHUNK_FILES = 256


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the registry knows of a source file. ``digest`` None: has to be parsed whatever it holds."""

    digest: bytes | None
    fingerprint: str
    items: int


@dataclass(slots=True)
class Chunk:
    """Some files' worth of reading.

    Attributes:
        skipped: Paths of files that are unchanged.
        unchanged: Items in them.
        broken: True where a file could not be used as a whole.
    """

    sources: list[SourceItems]
    findings: list[Finding]
    skipped: list[str]
    unchanged: int = 0
    items: int = 0
    files: int = 0
    broken: bool = False


def file_records(registry: Registry) -> dict[str, FileRecord]:
    """Return what the registry knows of the source files, by path."""
    rows = registry.rows("SELECT path, digest, fingerprint, items FROM files")
    return {row["path"]: FileRecord(row["digest"], row["fingerprint"], row["items"]) for row in rows}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one brand's sources.

    Attributes:
        fingerprint: What else decides how items are prepared; a change of it makes unchanged files due for parsing.
        parse_all: Parse every file: the run was asked to do something to unchanged items.
    """

    brand_dir: Path
    context: BrandContext
    limits: Limits
    records: dict[str, FileRecord]
    fingerprint: str
    parse_all: bool

    def chunks(self, files: Sequence[SourceFile]) -> Iterator[Chunk]:
        """Yield the files' contents, in order, some hundred items at a time."""
        chunk = _empty()
        for file in files:
            self._read(file, chunk)
            if chunk.items >= _CHUNK_ITEMS or chunk.files >= _CHUNK_FILES:
                yield chunk
                chunk = _empty()
        yield chunk

    def _read(self, file: SourceFile, chunk: Chunk) -> None:
        chunk.files += 1
        record = self.records.get(file.path)
        try:
            data = read_brand_file(self.brand_dir, file.path, self.limits)
            digest = sha256(data).digest()
            if record and not self.parse_all and record.digest == digest and record.fingerprint == self.fingerprint:
                chunk.skipped.append(file.path)
                chunk.unchanged += record.items
                return
            parsed = parse_source(file, data, self.context, self.limits)
        except BrandFileError as error:
            chunk.findings.append(error.finding)
            chunk.broken = True
            return
        findings = list(parsed.findings)
        if not parsed.items and record and record.items:
            findings.append(_emptied(file.path, record.items))
        chunk.findings += findings
        settled = all(finding.severity is Severity.INFO for finding in findings)
        rolled = file.kind is SourceKind.INSIGHTS and parsed.entries >= ROLLING_LIMIT
        chunk.sources.append(SourceItems(file.path, parsed.items, digest if settled else None, may_have_rolled=rolled))
        chunk.items += len(parsed.items)

    def prepared(self, memory_dir: Path) -> tuple[list[Item], list[str], list[Finding]]:
        """See ``read_prepared``."""
        return read_prepared(self.brand_dir, memory_dir, self.limits)


def read_prepared(brand_dir: Path, memory_dir: Path, limits: Limits) -> tuple[list[Item], list[str], list[Finding]]:
    """Read what waits in ``memory/pending/``, graph statements included; return items, file names and findings."""
    items: list[Item] = []
    names: list[str] = []
    findings: list[Finding] = []
    try:
        waiting = pending_files(memory_dir)
    except BrandFileError as error:
        return [], [], [error.finding]
    for name in (*waiting.prepared, *waiting.graph):
        try:
            data = read_brand_file(brand_dir, f"memory/pending/{name}", limits)
            parsed = _graph(name, data, brand_dir.name) if name in waiting.graph else parse_pending(name, data, limits)
        except BrandFileError as error:
            findings.append(error.finding)
            continue
        items += parsed.items
        findings += parsed.findings
        names.append(name)
    return items, names, findings


def _graph(name: str, data: bytes, brand: str) -> ParsedFile:
    path = f"memory/pending/{name}"
    document = parse_json(data, path)
    parsed = graph_payload(name, document)
    findings = list(parsed.findings)
    named = document.get("brand") if isinstance(document, dict) else None
    if parsed.item and isinstance(named, str) and named.strip() not in {"", brand}:
        message = (
            f"{path} names the brand {named.strip()[:60]!r} and lies in the folder of {brand}, where it is remembered."
        )
        remedy = "If it belongs to the other brand, prepare it there and exclude it here."
        findings.append(Finding("other-brand", Severity.WARNING, message, remedy, path))
    return ParsedFile([parsed.item] if parsed.item else [], findings, 1)


def _empty() -> Chunk:
    return Chunk([], [], [])


def _emptied(path: str, items: int) -> Finding:
    message = f"{path} held {items} entries at the last sync and is empty now; memory keeps them."
    return Finding(
        "empty-source", Severity.WARNING, message, "Restore the file if it was emptied by mistake.", path=path
    )


def missing_sources(records: dict[str, FileRecord], paths: set[str], prefixes: Sequence[str]) -> list[Finding]:
    """Return a finding for each source that the last sync read and that is gone now."""
    gone = [path for path in records if path not in paths and path.startswith(tuple(prefixes)) and records[path].items]
    return [
        Finding(
            "empty-source",
            Severity.WARNING,
            f"{path} is gone; the {records[path].items} entries read from it stay in memory.",
            "Restore the file if it was removed by mistake.",
            path=path,
        )
        for path in sorted(gone)
    ]
