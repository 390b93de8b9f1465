"""The local cache of the durable store: one protocol over two engines, always ready to be thrown away.

Open it late and close it early: with redb nobody else can meanwhile. Calls block; make them on a worker thread. What is
damaged reads as absent and is listed in ``findings``; damage that stops the engine is a ``CacheDamagedError``, after
which ``quarantine`` and a new ``open_cache`` give an empty cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from dm_memory.cache.engine import CacheDamagedError, Engine, Pair, Reader, Space, Writer, pages
from dm_memory.cache.files import CacheFiles, broken_index, damaged_file, damaged_value, orphan, quarantine
from dm_memory.cache.records import (
    Page,
    Record,
    Watermark,
    child_key,
    children_prefix,
    decode,
    encode,
    key_bytes,
    order_key,
    place_of,
    watermark_of,
    watermark_record,
)
from dm_memory.findings import Finding
from dm_memory.services.turso.schema import Table

__all__ = ["Cache", "CacheStats", "Packed", "pack"]

_EVICTED_AT_ONCE = 500
_FINDINGS = 100
"""How many damaged values are listed one by one."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Figures for reports. ``counts`` has every table; ``file_bytes`` is what the cache takes on disk."""

    engine: str
    path: Path
    file_bytes: int
    counts: dict[Table, int]


class Cache:
    """An open cache; ``open_cache`` makes them. Every method raises ``CacheError`` and may be called from any thread.

    Args:
        engine: The opened file.
        files: Where it is.
        identity: Which file it is, see ``CacheFiles.identity``.
        findings: What was met on the way to opening it.
        doubtful: True if it was not closed in order, or was changed since: the engine may find it intact, and
            values in it be damaged all the same.
    """

    def __init__(
        self,
        engine: Engine,
        files: CacheFiles,
        identity: int,
        findings: Iterable[Finding] = (),
        *,
        doubtful: bool = False,
    ) -> None:
        self._engine = engine
        self._files = files
        self._identity = identity
        self._findings = dict.fromkeys(findings)
        self.doubtful = doubtful

    @property
    def engine(self) -> str:
        """``redb`` or ``sqlite``."""
        return self._engine.name

    @property
    def path(self) -> Path:
        """The cache's file."""
        return self._files.path

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was set aside on opening, and which values were met that are damaged."""
        return tuple(self._findings)

    def apply(
        self,
        page: Page,
        packed: Mapping[Table, Packed] | None = None,
        known: Mapping[Table, Mapping[str, Record]] | None = None,
    ) -> None:
        """Store a page of changes and its watermarks in one transaction; see ``_apply_page``."""
        with self._engine.write() as writer:
            _apply_page(writer, page, packed, known)

    def watermark(self, stream: str) -> Watermark | None:
        """Return how far a stream was read, or None: then read it from its beginning."""
        key = key_bytes(stream)
        found = self._intact(Space.META, [key], self._engine.get_many(Space.META, [key]))
        return watermark_of(found[0]) if found else None

    def get(self, table: Table, key: str) -> Record | None:
        """Return a record, or None if it is absent or damaged."""
        return self.get_many(table, (key,)).get(key)

    def get_many(self, table: Table, keys: Iterable[str]) -> dict[str, Record]:
        """Return the records there are, by key."""
        wanted = [key_bytes(key) for key in keys]
        frames = self._engine.get_many(table.value, wanted)
        return {record.key: record for record in self._intact(table.value, wanted, frames)}

    def scan(self, table: Table, page_size: int = 1000) -> Iterator[list[Record]]:
        """Yield every record in pages, in the order of their keys. What changes meanwhile may or may not be seen."""
        for pairs in pages(self._engine, table.value, size=page_size):
            yield self._intact(table.value, [key for key, _ in pairs], [frame for _, frame in pairs])

    def newest(self, count: int) -> list[Record]:
        """Return the ``count`` episodes recorded last, newest first."""
        found: list[Record] = []
        for entries in pages(self._engine, Space.ORDER, size=min(count, 1000), reverse=True):
            keys = [entry[8:] for entry, _ in entries]
            records = self._intact(Space.EPISODES, keys, self._engine.get_many(Space.EPISODES, keys))
            places = {entry for entry, _ in entries}
            # An entry may be left over from damage: then its episode says that it stands elsewhere, or is gone.
            found += [record for record in records if order_key(key_bytes(record.key), record) in places]
            if len(found) >= count:
                break
        return found[:count]

    def children_of(self, parents: Iterable[str]) -> list[str]:
        """Return the ids of the embeddings that belong to these episodes or patterns."""
        return [key.decode("utf-8", "surrogatepass") for key in _children(self._engine, map(key_bytes, parents))]

    def count(self, table: Table) -> int:
        """Return the number of records, damaged ones included."""
        return self._engine.count(table.value)

    def evict(self, keep: int, through: Watermark | None = None, *, stream: str = "") -> int:
        """Remove all but the ``keep`` episodes recorded last, with their embeddings. Return how many episodes went.

        In transactions of some hundred episodes: stopped in between, it goes on the next time.

        Args:
            keep: How many stay.
            through: Those up to this place go in any case.
            stream: A watermark above which the episodes are complete: it is moved along with what goes.
        """
        before = self.count(Table.EPISODES)
        # Each round takes entries out of the order, so this many rounds are enough, whatever a damaged file does.
        rounds = range(self._engine.count(Space.ORDER) // _EVICTED_AT_ONCE + 1)
        if through is not None:
            key = key_bytes(through.id)
            end = order_key(key, Record(through.id, b"", through.updated_at))
            for _ in rounds:
                if not self._drop(_EVICTED_AT_ONCE, stream, end):
                    break
        for _ in rounds:
            excess = self.count(Table.EPISODES) - keep
            if excess <= 0 or not self._drop(min(excess, _EVICTED_AT_ONCE), stream):
                break
        return before - self.count(Table.EPISODES)

    def _drop(self, count: int, stream: str, end: bytes = b"") -> bool:
        with self._engine.write() as writer:
            gone = _drop_oldest(writer, count, end)
            if gone and stream:
                _move_up(writer, stream, gone[-1])
        return bool(gone)

    def stats(self) -> CacheStats:
        """Return figures for reports."""
        counts = {table: self.count(table) for table in Table}
        return CacheStats(self.engine, self.path, self._engine.file_bytes(), counts)

    def check(self) -> list[Finding]:
        """Read everything; return what is damaged or does not fit together; repair nothing. Empty: it is intact."""
        found = _check_engine(self._engine)
        if not found:
            self._engine.vouch()
        return found

    def quarantine(self, deadline: float = 10.0) -> Finding:
        """Close the cache and set its file aside. Raises ``CacheError`` if that can't be done."""
        self.close()
        return quarantine(self._files, self._identity, deadline)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _intact(self, space: str, keys: Sequence[bytes], frames: Sequence[bytes | None]) -> list[Record]:
        """Return the records whose frames are intact; note the others."""
        records = []
        for key, frame in zip(keys, frames, strict=True):
            if frame is None:
                continue
            record = decode(key, frame)
            if record is not None:
                records.append(record)
            elif len(self._findings) < _FINDINGS:
                self._findings[damaged_value(space, key)] = None
        return records


# Changes inside one transaction: records and the indexes that go with them ------------------------------------------

_INDEXES: Mapping[Table, tuple[Space, Callable[[bytes, Record], bytes]]] = {
    Table.EPISODES: (Space.ORDER, order_key),
    Table.EMBEDDINGS: (Space.CHILDREN, child_key),
}
"""The index of a table, and where in it a record stands."""


class Packed(NamedTuple):
    """Records of one table as they go into the file, in the order of their keys: engines then touch each page once."""

    keys: list[bytes]
    places: list[Pair]
    values: list[Pair]


def pack(table: Table, records: Sequence[Record]) -> Packed:
    """Return records in the form of the file. Needs no file, so it can be done ahead, on any thread."""
    latest = sorted({key_bytes(record.key): record for record in records}.items())  # the last record of a key counts
    index: list[Pair] = []
    if table in _INDEXES:
        place = _INDEXES[table][1]
        index = sorted((place(key, record), b"") for key, record in latest)
    return Packed([key for key, _ in latest], index, [(key, encode(key, record)) for key, record in latest])


def _apply_page(
    writer: Writer,
    page: Page,
    packed: Mapping[Table, Packed] | None = None,
    known: Mapping[Table, Mapping[str, Record]] | None = None,
) -> None:
    """Make a page's changes; the transaction around it makes them one.

    Args:
        writer: The transaction.
        page: The changes.
        packed: The page's upserts, where they were packed already.
        known: The records that stand under the upserts' keys (and perhaps others), if they were read already.
    """
    for table, records in page.upserts.items():
        _put(
            writer,
            table,
            pack(table, records) if packed is None else packed[table],
            known.get(table) if known else None,
        )
    for table, keys in page.deletions.items():
        _delete(writer, table, [key_bytes(key) for key in keys])
    marks = [(key_bytes(stream), watermark_record(mark)) for stream, mark in page.watermarks.items()]
    writer.put_many(Space.META, [(key, encode(key, record)) for key, record in marks])


def _put(writer: Writer, table: Table, packed: Packed, known: Mapping[str, Record] | None) -> None:
    if table in _INDEXES:
        index, place = _INDEXES[table]
        if known is None:
            old = _places(writer, table, packed.keys)
        else:
            standing = {key_bytes(key): record for key, record in known.items()}
            old = [place(key, standing[key]) for key in packed.keys if key in standing]
        new = {entry for entry, _ in packed.places}
        writer.delete_many(index, [entry for entry in old if entry not in new])
        writer.put_many(index, packed.places)
    writer.put_many(table.value, packed.values)


def _delete(writer: Writer, table: Table, keys: Sequence[bytes]) -> None:
    if table is not Table.EMBEDDINGS:
        _delete(writer, Table.EMBEDDINGS, list(_children(writer, keys)))
    if table in _INDEXES:
        writer.delete_many(_INDEXES[table][0], _places(writer, table, keys))
    writer.delete_many(table.value, keys)


def _places(writer: Writer, table: Table, keys: Sequence[bytes]) -> list[bytes]:
    """Return where records stand in their table's index. One that is damaged can't say: check finds its entry."""
    place = _INDEXES[table][1]
    return [
        place(key, record)
        for key, frame in zip(keys, writer.get_many(table.value, keys), strict=True)
        if frame is not None and (record := decode(key, frame)) is not None
    ]


def _children(reader: Reader, parents: Iterable[bytes]) -> Iterable[bytes]:
    """Yield the keys of the embeddings that belong to ``parents``."""
    for parent in parents:
        prefix = children_prefix(parent)
        # The smallest key behind all that begin with the prefix, which begins with a length and so is no 0xFF...
        behind = (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")
        for entries in pages(reader, Space.CHILDREN, prefix, behind):
            yield from (entry[len(prefix) :] for entry, _ in entries)


def _drop_oldest(writer: Writer, count: int, through: bytes = b"") -> list[bytes]:
    """Remove the ``count`` oldest episodes with their embeddings. Return their entries in the order.

    ``through``: an entry of the order; those above it stay.
    """
    entries = [entry for entry, _ in writer.scan(Space.ORDER, None, through + b"\0" if through else None, limit=count)]
    keys = [entry[8:] for entry in entries]
    frames = writer.get_many(Space.EPISODES, keys)
    gone = [
        key
        for entry, key, frame in zip(entries, keys, frames, strict=True)
        if frame is not None and not _stands_elsewhere(entry, key, frame)
    ]
    _delete(writer, Table.EPISODES, gone)
    writer.delete_many(Space.ORDER, entries)
    return entries


def _move_up(writer: Writer, stream: str, entry: bytes) -> None:
    """Move a watermark up to an entry of the order of episodes, in the transaction that changes what it speaks of."""
    key, place = key_bytes(stream), place_of(entry)
    (frame,) = writer.get_many(Space.META, [key])
    known = None if frame is None else decode(key, frame)
    if known is None or watermark_of(known) < place:
        writer.put_many(Space.META, [(key, encode(key, watermark_record(place)))])


def _stands_elsewhere(entry: bytes, key: bytes, frame: bytes) -> bool:
    """Return whether an entry is left over from damage: its episode is intact, and ordered by another moment."""
    record = decode(key, frame)
    return record is not None and order_key(key, record) != entry


# The examination: are the file, its values and its indexes what they should be? --------------------------------------

_LISTED = 100
"""Findings of one kind that are listed; the count of all is in the last one."""


def _check_engine(engine: Engine) -> list[Finding]:
    """Return what is wrong, one finding each; lists end with a finding that has the count of what is not listed."""
    try:
        if not engine.check_integrity():
            return [damaged_file()]
        found: list[Finding] = []
        for table in Table:
            found += _first(_values(engine, table))
        for table in _INDEXES:
            found += _first(_index(engine, table))
        found += _first(_orphans(engine))
    except CacheDamagedError:
        return [damaged_file()]
    return found


def _first(findings: Iterator[Finding]) -> list[Finding]:
    listed: list[Finding] = []
    more = 0
    for finding in findings:
        if len(listed) < _LISTED:
            listed.append(finding)
        else:
            more += 1
    if more:
        last = listed[-1]
        listed.append(Finding(last.code, last.severity, f"And {more} more of the same kind.", last.remedy))
    return listed


def _decoded(engine: Engine, table: Table) -> Iterator[list[tuple[bytes, Record | None]]]:
    for entries in pages(engine, table.value):
        yield [(key, decode(key, frame)) for key, frame in entries]


def _values(engine: Engine, table: Table) -> Iterator[Finding]:
    for page in _decoded(engine, table):
        yield from (damaged_value(table.value, key) for key, record in page if record is None)


def _index(engine: Engine, table: Table) -> Iterator[Finding]:
    index, place = _INDEXES[table]
    missing = expected = 0
    for page in _decoded(engine, table):
        places = [place(key, record) for key, record in page if record is not None]
        missing += engine.get_many(index.value, places).count(None)
        expected += len(places)
    left_over = engine.count(index.value) - (expected - missing)
    if missing or left_over:
        yield broken_index(table, missing, left_over)


def _orphans(engine: Engine) -> Iterator[Finding]:
    for page in _decoded(engine, Table.EMBEDDINGS):
        owned = [record for _, record in page if record is not None and record.parent]
        parents = [key_bytes(record.parent) for record in owned]
        episodes = engine.get_many(Space.EPISODES.value, parents)
        patterns = engine.get_many(Space.PATTERNS.value, parents)
        for record, episode, pattern in zip(owned, episodes, patterns, strict=True):
            if episode is None and pattern is None:
                yield orphan(record.key)
