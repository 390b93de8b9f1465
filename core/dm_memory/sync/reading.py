"""Reading: from a brand's files to chunks of items. A file whose bytes hash as last time is not parsed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from dm_memory.brand.files import BrandFileError, original_of
from dm_memory.brand.sources import Listing, SourceFile, list_sources, parse_source, read_source
from dm_memory.findings import Finding, Severity
from dm_memory.sync.identity import ROLLING_LIMIT
from dm_memory.sync.run import Run
from dm_memory.sync.storing import SourceItems

__all__ = ["Chunk", "Reading"]

_CHUNK_ITEMS = 1024
_CHUNK_FILES = 256


@dataclass(slots=True)
class Chunk:
    """Some files' worth of reading.

    Attributes:
        unchanged: Entries of files that were not parsed, because their bytes are as they were.
        files: How many files were read.
        broken: Whether one of them could not be read or understood as a whole.
    """

    sources: list[SourceItems] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    items: int = 0
    unchanged: int = 0
    files: int = 0
    broken: bool = False


@dataclass(slots=True)
class _Record:
    """What memory knows of a source file; ``digest`` None: it has to be parsed, whatever it states."""

    digest: bytes | None
    fingerprint: str
    items: int


class Reading:
    """Reads one brand's sources for a run, on its worker thread."""

    def __init__(self, run: Run, parse_all: bool) -> None:
        self._run = run
        self._parse_all = parse_all
        self._brand_dir = run.env.home.brand_dir(run.brand)
        self.listing: Listing = list_sources(
            run.env.home, run.brand, run.request.scope, context_file=run.env.context_file
        )
        self._checked: set[str] = set()
        self._records = {
            path: _Record(digest, fingerprint, items)
            for path, digest, fingerprint, items in run.store.rows("SELECT * FROM source_files")
        }

    def chunks(self) -> Iterator[Chunk]:
        """Yield the files' contents, in order, some hundred items at a time."""
        yield from self._chunks(self.listing.files, parse_all=self._parse_all)

    def again(self, paths: Sequence[str]) -> Iterator[Chunk]:
        """Yield files once more, parsed even if they are unchanged."""
        wanted = set(paths)
        yield from self._chunks([file for file in self.listing.files if file.path in wanted], parse_all=True)

    def vanished(self) -> list[str]:
        """Return the files that memory knows and that are gone: no matter of scope, of a placeholder or of access."""
        present = {file.path for file in self.listing.files}
        return [path for path in self._records if path not in present and self.listing.tells_absence(path)]

    def staying(self) -> list[Finding]:
        """Return a finding for each file that is gone while its entries stay: it rolls, or has a placeholder."""
        present = {file.path for file in self.listing.files}
        gone = [path for path in self._records if path not in present and self._records[path].items]
        retired = {path for (path,) in self._run.store.rows("SELECT DISTINCT path FROM sightings")}
        return [
            _gone(path, self._records[path].items)
            for path in sorted(gone)
            if self.listing.is_protected(path) or (path not in retired and self.listing.tells_absence(path))
            if original_of(path) not in present
        ]

    def _chunks(self, files: Sequence[SourceFile], *, parse_all: bool) -> Iterator[Chunk]:
        chunk = Chunk()
        for file in files:
            self._read(file, chunk, parse_all=parse_all)
            if chunk.items >= _CHUNK_ITEMS or chunk.files >= _CHUNK_FILES:
                yield chunk
                chunk = Chunk()
        yield chunk

    def _read(self, file: SourceFile, chunk: Chunk, *, parse_all: bool) -> None:
        chunk.files += 1
        record = self._records.get(file.path)
        limits = self._run.env.limits
        try:
            data = read_source(
                self._run.env.home,
                self._run.brand,
                file,
                limits,
                folder=self._brand_dir,
                context_file=self._run.env.context_file,
                checked=self._checked,
            )
            digest = sha256(data).digest()
            same = record is not None and record.digest == digest
            if record is not None and not parse_all and same and record.fingerprint == self._run.preparer.fingerprint:
                chunk.unchanged += record.items
                return
            parsed = parse_source(file, data, self._run.context, limits)
        except BrandFileError as error:
            chunk.findings.append(error.finding)
            chunk.broken = True
            return
        emptied = not parsed.items and record is not None and record.items > 0
        if emptied and record is not None:
            chunk.findings.append(_emptied(file.path, record.items))
        chunk.findings += parsed.findings
        settled = all(finding.severity is Severity.INFO for finding in parsed.findings)
        chunk.sources.append(
            SourceItems(
                file.path,
                parsed.items,
                digest if settled and not emptied else None,
                may_have_rolled=parsed.entries >= ROLLING_LIMIT,
                whole=parsed.whole and not self.listing.is_protected(file.path) and not file.conflict_copy,
                unchanged=same,
            )
        )
        chunk.items += len(parsed.items)


def _gone(path: str, items: int) -> Finding:
    entries = "the entry read from it stays" if items == 1 else f"the {items} entries read from it stay"
    message = f"{path} is gone; {entries} in memory."
    remedy = "Restore or download the file if it was removed by mistake."
    return Finding("empty-source", Severity.WARNING, message, remedy, path=path)


def _emptied(path: str, items: int) -> Finding:
    message = f"{path} had {items} entries at the last sync and has none now."
    return Finding(
        "empty-source", Severity.WARNING, message, "Restore the file if it was emptied by mistake.", path=path
    )
