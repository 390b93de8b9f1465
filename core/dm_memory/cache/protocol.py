"""The local cache of the durable store: one protocol over two engines, always ready to be thrown away.

Open it late and close it early: with redb nobody else can meanwhile. Calls block; make them on a worker thread. What is
damaged reads as absent and is listed in ``findings``; damage that stops the engine is a ``CacheDamagedError``, after
which ``quarantine`` and a new ``open_cache`` give an empty cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dm_memory.cache.changes import Packed, apply_page, drop_oldest, pack
from dm_memory.cache.check import check_engine
from dm_memory.cache.engine import Engine, Space
from dm_memory.cache.files import CacheFiles, quarantine
from dm_memory.cache.findings import damaged_value
from dm_memory.cache.paging import pages
from dm_memory.cache.records import Page, Record, Watermark, decode, key_bytes, order_key, watermark_of
from dm_memory.findings import Finding
from dm_memory.services.turso.schema import Table

__all__ = ["Cache", "CacheStats", "Packed", "Page", "Record", "Watermark", "pack"]

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
        doubtful: True where it was not closed in order, or was changed since: the engine may find it intact, and
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
        held: Mapping[Table, Mapping[str, Record]] | None = None,
    ) -> None:
        """Store a page of changes and its watermarks in one transaction; see ``apply_page``."""
        with self._engine.write() as writer:
            apply_page(writer, page, packed, held)

    def watermark(self, stream: str) -> Watermark | None:
        """Return how far a stream was read, or None: then read it from its beginning."""
        key = key_bytes(stream)
        found = self._intact(Space.META, [key], self._engine.get_many(Space.META, [key]))
        return watermark_of(found[0]) if found else None

    def get(self, table: Table, key: str) -> Record | None:
        """Return a record, or None where it is absent or damaged."""
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

    def count(self, table: Table) -> int:
        """Return the number of records, damaged ones included."""
        return self._engine.count(table.value)

    def evict(self, keep: int) -> int:
        """Remove all but the ``keep`` episodes recorded last, with their embeddings. Return how many episodes went.

        In transactions of some hundred episodes: stopped in between, it goes on the next time.
        """
        before = self.count(Table.EPISODES)
        excess = before - keep
        # Each round takes entries out of the order, so this many rounds are enough, whatever a damaged file does.
        rounds = self._engine.count(Space.ORDER) // _EVICTED_AT_ONCE + 1 if excess > 0 else 0
        for _ in range(rounds):
            with self._engine.write() as writer:
                drop_oldest(writer, min(excess, _EVICTED_AT_ONCE))
            excess = self.count(Table.EPISODES) - keep
            if excess <= 0:
                break
        return before - self.count(Table.EPISODES)

    def stats(self) -> CacheStats:
        """Return figures for reports."""
        counts = {table: self.count(table) for table in Table}
        return CacheStats(self.engine, self.path, self._engine.file_bytes(), counts)

    def check(self) -> list[Finding]:
        """Read everything; return what is damaged or does not fit together; repair nothing. Empty: all is well."""
        return check_engine(self._engine)

    def quarantine(self, deadline: float = 10.0) -> Finding:
        """Close the cache and set its file aside. Raises ``CacheError`` where that can't be done."""
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
