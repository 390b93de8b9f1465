"""From a brand's files to chunks of items, and to what no file states any more.

Reading: a file whose bytes hash as last time is not parsed again.

Retiring: what no file states any more is kept, labelled, and leaves the services that have only current entries. An
entry that a file dropped has a sighting without a path until it is known whether another file still states it; a run
that is killed in between leaves that to the next one. More than half of a source at once is a question, not a deed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count

import orjson

from dm_memory.brand.files import BrandFileError, original_of
from dm_memory.brand.sources import Listing, SourceFile, kind_of, list_sources, parse_source, read_source
from dm_memory.findings import Finding, Severity
from dm_memory.results import Action
from dm_memory.store import entries as table
from dm_memory.store.entries import EntryRow, Known
from dm_memory.store.facts import retire_facts
from dm_memory.store.importing import record_of_entry
from dm_memory.store.opening import MOVED
from dm_memory.store.patterns import update_patterns
from dm_memory.sync.identity import ROLLING_LIMIT
from dm_memory.sync.run import KINDS, Run
from dm_memory.sync.storing import SourceItems
from dm_memory.sync.writing import Writing

__all__ = ["Chunk", "Reading", "forget_files", "reread", "retire"]

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
    """Reads one brand's sources for a run, on its worker thread.

    Attributes:
        listing: The brand's files.
        vanished: Files that memory knows and that are gone: no matter of scope, of a placeholder or of access.
    """

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
        present = self._present = {file.path for file in self.listing.files}
        self.vanished = [path for path in self._records if path not in present and self.listing.tells_absence(path)]
        self._by_digest: dict[bytes | None, list[str]] = {}
        for path in self.vanished:
            self._by_digest.setdefault(self._records[path].digest, []).append(path)
        moved: dict[str, str] = run.store.meta_json(MOVED) or {}
        self._moved_before = moved
        self._moved = {
            path: known for path, known in moved.items() if path in present or not self.listing.tells_absence(path)
        }
        self._names_taken = set(self._moved.values())
        self._moved_more = False

    def chunks(self) -> Iterator[Chunk]:
        """Yield the files' contents, in order, some hundred items at a time."""
        yield from self._chunks(self.listing.files, parse_all=self._parse_all)

    def again(self, paths: Sequence[str]) -> Iterator[Chunk]:
        """Yield files once more, parsed even if they are unchanged."""
        wanted = set(paths)
        yield from self._chunks([file for file in self.listing.files if file.path in wanted], parse_all=True)

    def staying(self) -> list[Finding]:
        """Return a finding for each file that is gone while its entries stay: it rolls, or has a placeholder."""
        present = self._present
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
                self._keep_moved()
                yield chunk
                chunk = Chunk()
        self._keep_moved()
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
            file = self._followed(file, digest, is_new=record is None)
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
        chunk.broken |= not parsed.whole
        settled = all(finding.severity is Severity.INFO for finding in parsed.findings)
        chunk.sources.append(
            SourceItems(
                file.path,
                parsed.items,
                digest if settled and not emptied else None,
                may_have_rolled=parsed.entries >= ROLLING_LIMIT,
                whole=parsed.whole and not self.listing.is_protected(file.path) and not file.conflict_copy,
                unchanged=same,
                conflict_copy=file.conflict_copy,
            )
        )
        chunk.items += len(parsed.items)

    def _followed(self, file: SourceFile, digest: bytes, *, is_new: bool) -> SourceFile:
        """Return a file that was moved with the path by which its entries are known: what it states is nothing new.

        A file that is new with the bytes of one that is gone is that file.
        """
        if is_new and file.path not in self._moved and not file.conflict_copy:
            gone = self._by_digest.get(digest, [])
            old = next((path for path in gone if kind_of(path) is file.kind), "")
            if old:
                gone.remove(old)
                self._moved[file.path] = self._moved_before.get(old, old)
            elif file.path in self._names_taken:  # the keys of this path are those of a file that was moved
                self._moved[file.path] = _another(file.path, self._names_taken)
            if file.path in self._moved:
                self._names_taken.add(self._moved[file.path])
                self._moved_more = True
        known = self._moved.get(file.path, "")
        return replace(file, known_as=known) if known else file

    def _keep_moved(self) -> None:
        """Write down which files were moved, before their entries are stored: a run may be killed in between."""
        if self._moved_more:
            self._run.store.set_meta(MOVED, orjson.dumps(self._moved).decode())
            self._moved_more = False


def _another(path: str, taken: set[str]) -> str:
    stem, dot, suffix = path.rpartition(".")
    return next(name for number in count(2) if (name := f"{stem}~{number}{dot}{suffix}") not in taken)


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


_UNSEEN = (
    "INSERT OR IGNORE INTO sightings SELECT ?, seq FROM entries WHERE origin = ? AND state = 'current'"
    " AND kind IN ('campaign', 'guideline') AND key NOT LIKE 'violation/%' AND seq NOT IN (SELECT seq FROM sightings)"
)
"""What only a conflict copy stated, which is no sighting; files that roll have none either, and their entries stay."""
_HELD_BACK = 10
"""From so many entries on, a sync asks before it retires more than half of a source."""


def forget_files(run: Run, paths: Iterable[str]) -> None:
    """Note that files are gone: what only they stated is to be retired."""
    with run.store.transaction() as connection:
        for path in paths:
            run.note_change(connection)
            table.see(connection, {path: set()})
            connection.execute(_UNSEEN, (table.DROPPED, path))
            connection.execute("DELETE FROM source_files WHERE path = ?", (path,))


def _dropped(run: Run) -> set[int]:
    """Return the entries that a file dropped, in this run or in one that did not get as far as here."""
    return table.seqs_seen_in(run.store.connection, table.DROPPED)


def reread(run: Run) -> list[str]:
    """Return the files that still state entries which another file dropped: their words count again.

    These files have to be parsed once more, although they did not change.
    """
    sql = (
        "SELECT DISTINCT s.path FROM sightings s JOIN entries e ON e.seq = s.seq"
        " WHERE s.path <> '' AND s.seq IN (SELECT value FROM json_each(?)) AND e.origin <> s.path"
    )
    return [path for (path,) in run.store.rows(sql, (table.in_json(_dropped(run)),))]


def retire(run: Run) -> None:
    """Retire the entries that no file states any more, unless that concerns more than half of a source."""
    waiting = _dropped(run)
    if not waiting:
        return
    kinds: dict[str, list[Known]] = {}
    for row in table.known_by_seq(run.store.connection, waiting).values():
        if row.kind in KINDS[run.request.scope]:
            kinds.setdefault(row.kind, []).append(row)
    for kind, rows in kinds.items():
        sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT seq FROM sightings WHERE path <> '')"
        left = {seq for (seq,) in run.store.rows(sql, (table.in_json(row.seq for row in rows),))}
        gone = [row for row in rows if row.seq in left and row.state == "current"]
        total = run.store.value(
            "SELECT count(*) FROM entries WHERE kind = ? AND state = 'current' AND duplicate_of IS NULL", (kind,)
        )
        if len(gone) >= _HELD_BACK and len(gone) * 2 > total and not run.request.retire:
            run.outcomes.add_findings([_too_many(kind, len(gone), total)])
            run.outcomes.counts.held_back += len(gone)
            run.broken = True
            _retire(run, [row for row in rows if row not in gone], [])
        else:
            _retire(run, rows, gone)


def _retire(run: Run, settled: Sequence[Known], gone: Sequence[Known]) -> None:
    """Retire entries; of all that are settled, nothing waits any longer."""
    now, store = run.now, run.store
    seqs = [row.seq for row in gone]
    texts = table.texts_of(store.connection, seqs)
    whole = [EntryRow(*row) for row in store.rows(table.SELECT_ROWS, (table.in_json(seqs),))]
    tags = table.tags_of(store.connection, seqs)
    added = run.append([record_of_entry(row, tags.get(row.seq, ()), "retired", now) for row in whole])
    with store.transaction() as connection:
        run.note_change(connection)
        run.note_journal(added)
        connection.executemany(
            "DELETE FROM sightings WHERE path = ? AND seq = ?", [(table.DROPPED, row.seq) for row in settled]
        )
        ticks = store.ticks(len(seqs))
        connection.executemany(
            "UPDATE entries SET state = 'retired', retired_at = ?, updated_at = ?, run = ? WHERE seq = ?",
            [(now, tick, run.number, seq) for seq, tick in zip(seqs, ticks, strict=True)],
        )
        writing = Writing(run, connection)
        owners = [row for row in gone if row.duplicate_of is None]
        retire_facts(connection, [row.seq for row in owners], now)
        writing.promote(owners)
        writing.want([(row, "retired", Action.RETIRED) for row in owners])
        update_patterns(connection, run.brand, seqs, store.ticks)
    run.outcomes.retired(gone, texts)


def _too_many(kind: str, gone: int, total: int) -> Finding:
    message = f"{gone} of {total} entries of the kind {kind} are no longer in the brand's files; none was retired."
    remedy = (
        "Restore the files if that was a mistake, or sync with retire=true (command line: --retire) to retire them."
    )
    return Finding("retire-held-back", Severity.WARNING, message, remedy)
