"""The full run: everything is read and compared, and what the store does not hold goes.

Watermarks move at the end only: an interrupted full run leaves the cache good for the next incremental one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import aclosing
from hashlib import blake2b

from dm_memory.cache.apply import Applier, Changes
from dm_memory.cache.pages import Batch, Range
from dm_memory.cache.protocol import Watermark
from dm_memory.cache.state import Mark, mark_of, source_name
from dm_memory.cache.sync_records import key_of
from dm_memory.services.turso.protocol import START, Key
from dm_memory.services.turso.schema import EMPTY, Table

__all__ = ["apply_full"]

_SCANNED = 1000


class _Seen:
    """Which rows the store holds, 8 bytes each: two of a million ids meet with a probability of 3 in 100 million."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted = 0

    def add(self, keys: Iterator[str]) -> None:
        self._hashes.extend(map(_hash, keys))

    def absent(self, keys: list[str]) -> list[str]:
        import numpy as np  # noqa: PLC0415  # 0.1 s, and only full runs get here

        found = np.frombuffer(self._hashes, np.uint64)
        if self._sorted < len(found):
            found.sort()  # in place
            self._sorted = len(found)
        hashes = np.array([*map(_hash, keys)], np.uint64)
        there = np.searchsorted(found, hashes, side="right") > np.searchsorted(found, hashes)
        return [key for key, known in zip(keys, there.tolist(), strict=True) if not known]


def _hash(key: str) -> int:
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


async def apply_full(run: Applier) -> None:
    """Read every episode the cache should hold and all patterns, each with its embeddings; then remove the rest."""
    request, survey = run.request, run.survey
    buried = await run.last_tombstone()
    floor = await run.floor()
    seen = {table: _Seen() for table in Table}
    run.write_anywhere()
    rows = min(survey.counts[Table.EPISODES], request.max_episodes_cache)
    marks = {Mark.EPISODES: await _read(run, Range(Table.EPISODES, floor, None, rows), seen)}
    if request.sync_patterns:
        span = Range(Table.PATTERNS, START, None, survey.counts[Table.PATTERNS])
        marks[Mark.PATTERNS] = await _read(run, span, seen)
    swept = [Table.EPISODES, *[Table.PATTERNS] * request.sync_patterns]
    if request.sync_embeddings and request.sync_patterns:
        swept.append(Table.EMBEDDINGS)  # without the patterns nobody would have seen theirs
        marks[Mark.EMBEDDINGS] = survey.newest[Table.EMBEDDINGS]
    elif not request.sync_embeddings:
        marks[Mark.EMBEDDINGS] = START
    for table in swept:
        await run.worker.run(_sweep, run, table, seen[table])
    marks |= {Mark.LOW: floor, Mark.BACKFILL: START, Mark.TOMBSTONES: buried}
    places = {mark: mark_of(key) for mark, key in marks.items()}
    if survey.layout != EMPTY.name:
        places[Mark.SOURCE] = Watermark(0, source_name(run.store.engine, survey.layout))
    await run.worker.run(run.commit, Changes(), places)
    await run.worker.run(run.evict, floor)


async def _read(run: Applier, span: Range, seen: dict[Table, _Seen]) -> Key:
    """Cache a range; return the key of its last row."""
    last = START
    if not span.rows:
        return last
    async with aclosing(run.batches(span, with_embeddings=run.request.sync_embeddings)) as read:
        async for batch in read:
            last = key_of(batch.page.rows[-1])
            await run.worker.run(_compare, run, span.table, batch, seen)
            await run.told(span.table, len(batch.page.rows))
    return last


def _compare(run: Applier, table: Table, batch: Batch, seen: dict[Table, _Seen]) -> None:
    seen[table].add(str(row[0]) for row in batch.page.rows)
    seen[Table.EMBEDDINGS].add(str(row[0]) for row in batch.embeddings.rows)
    changes = run.differing(table, batch)
    if any(changes.records.values()):
        run.commit(changes, {})
        run.note(changes.records)


def _sweep(run: Applier, table: Table, seen: _Seen) -> None:
    for page in run.cache.scan(table, _SCANNED):
        gone = seen.absent([record.key for record in page])
        if gone:
            run.commit(Changes(deletions={table: gone}), {})
            run.removed[table] += len(gone)
