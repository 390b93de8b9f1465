"""Changes of the durable store go into the cache: one page, one transaction, one step of the watermark.

Three rules keep the watermarks true if a run stops between any two transactions, whatever the limits of the next one
are, and while others write:

* A gap (rows that changed and are not read, a fill from below that did not reach the stretch) marks the cache as half
  filled until everything up to the floor is removed.
* ``LOW`` moves in the transaction that evicts, and before a sweep removes what it speaks of.
* ``BACKFILL`` is reset before evicting, and cleared only after.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from dm_memory.cache.cache import Cache, Packed
from dm_memory.cache.pages import Batch, Range, as_fetched, batches, packed_ahead
from dm_memory.cache.plan import CacheState, Mark, asked_for, expected, mark_of, source_name
from dm_memory.cache.records import Page, Record, Watermark, key_of, records_of
from dm_memory.cache.results import Moved, StorageSyncRequest
from dm_memory.lazy import np
from dm_memory.services.turso.protocol import START, Key, Survey
from dm_memory.services.turso.schema import EMPTY, Table
from dm_memory.services.turso.store import DurableStore
from dm_memory.worker import Worker

__all__ = ["Applier", "Tell", "apply_full"]

Tell = Callable[[str, int, int], Awaitable[None]]

_TOMBSTONES = 1000
_REMEMBERED = 5000
"""Written rows per table whose checksums are remembered; of more, up to twice as many of the last."""

_KEYS_AT_ONCE = 5000
"""Keys of 60 bytes that are asked for in one answer; beyond, the floor is found in another way."""


class _Changes(NamedTuple):
    """What one transaction changes in the cache; the last two are for ``Cache.apply``."""

    records: Mapping[Table, list[Record]] = MappingProxyType({})
    deletions: Mapping[Table, Sequence[str]] = MappingProxyType({})
    packed: Mapping[Table, Packed] = MappingProxyType({})
    known: Mapping[Table, Mapping[str, Record]] | None = None


class Applier:
    """Brings one open cache up to one state of the store.

    Args:
        store: Where rows come from.
        cache: Where they go; called on its own thread only.
        worker: The cache's thread.
        request: What was asked for.
        state: The cache when it was opened.
        survey: The store when it was asked; what came later is for the next run, or seen early, which does no harm.
        parallel: Pages fetched ahead.
        tell: Progress.
    """

    def __init__(
        self,
        *,
        store: DurableStore,
        cache: Cache,
        worker: Worker,
        request: StorageSyncRequest,
        state: CacheState,
        survey: Survey,
        parallel: int,
        tell: Tell,
    ) -> None:
        self.store = store
        self.cache = cache
        self.worker = worker
        self.request = request
        self.state = state
        self.survey = survey
        self.written = dict.fromkeys(Table, 0)
        self.removed = dict.fromkeys(Table, 0)
        self.evicted = 0
        self.pages = 0
        self.touched: dict[Table, dict[str, int]] = {table: {} for table in Table}
        self._parallel = parallel
        self._tell = tell
        self._blank = state.rows == 0
        self._opening = self._first_marks()
        self._filled = 0

    @property
    def moved(self) -> Moved:
        """What was done so far."""
        return Moved(self.written, self.removed, self.evicted, self.pages)

    def _first_marks(self) -> dict[Mark, Watermark]:
        """Return what has to be true from the first page on.

        Pages bring their embeddings along and nothing deleted, so these streams are followed from this moment.
        """
        marks = asked_for(self.request)
        if Mark.SOURCE not in self.state.marks and self.survey.layout != EMPTY.name:
            marks[Mark.SOURCE] = Watermark(0, source_name(self.store.engine, self.survey.layout))
        embeddings = self.state.key(Mark.EMBEDDINGS)
        if self.request.sync_embeddings and embeddings is None and self._blank:
            marks[Mark.EMBEDDINGS] = mark_of(self.survey.newest[Table.EMBEDDINGS])
        if not self.request.sync_embeddings and embeddings != START:
            marks[Mark.EMBEDDINGS] = mark_of(START)
        return marks

    async def begin(self) -> None:
        """Do what a first run needs before its first page."""
        if Mark.TOMBSTONES not in self.state.marks:
            self._opening[Mark.TOMBSTONES] = mark_of(await self.last_tombstone())

    async def last_tombstone(self) -> Key:
        """Return where to follow the tombstones from when every row is read again: all so far are in what is read.

        The store has one clock, so only those above its newest row have to be asked for.
        """
        last: Key = (max(moment for moment, _ in self.survey.newest.values()), "")
        while page := (await self.store.tombstones(last, limit=_TOMBSTONES)).rows:
            last = key_of(page[-1])
        return last

    # The streams -------------------------------------------------------------------------------------------------

    async def delete_buried(self) -> None:
        """Follow the tombstones."""
        after = self.state.key(Mark.TOMBSTONES) or START
        while (page := await self.store.tombstones(after, limit=_TOMBSTONES)).rows:
            after = key_of(page.rows[-1])
            buried: dict[Table, dict[str, int]] = {}
            for identity, moment, table in page.rows:
                buried.setdefault(Table(str(table)), {})[str(identity)] = int(moment or 0)
            await self.worker.run(self._bury, buried, {Mark.TOMBSTONES: mark_of(after)})
            if len(page.rows) < _TOMBSTONES:
                return

    def _bury(self, buried: Mapping[Table, Mapping[str, int]], marks: Mapping[Mark, Watermark]) -> None:
        deletions = {}
        for table, moments in buried.items():
            cached = self.cache.get_many(table, moments)
            deletions[table] = [key for key, record in cached.items() if record.recorded_at < moments[key]]
            self.removed[table] += len(deletions[table])
        self.commit(_Changes(deletions=deletions), marks)

    async def follow_episodes(self) -> None:
        """Read what is new, fill up what is missing below, evict what is too much."""
        floor = await self.floor()
        mark = self.state.key(Mark.EPISODES)
        start = max(self.state.after(Table.EPISODES), floor)
        low = self.state.key(Mark.LOW) or START
        loose = self.state.half_filled
        if mark is None or floor > mark:
            low = floor
            self._opening[Mark.LOW] = mark_of(floor)
            if self.state.rows:  # what changed between the two is not read: below the stretch rows may be old
                self.write_anywhere()
                loose = True
        rows = min(self.survey.changed[Table.EPISODES], self.request.max_episodes_cache)
        await self._read(Range(Table.EPISODES, start, None, rows), Mark.EPISODES)
        missing = expected(self.survey, self.request) - self.cache.count(Table.EPISODES)
        # What an interrupted fill left below the stretch counts as well, so the number alone does not show the hole.
        if floor < low and (missing > 0 or self.state.half_filled):
            await self._fill_up(floor, low, max(missing, 1))
            loose = True
        await (self.worker.run(self._settle, floor) if loose else self.worker.run(self.evict))

    async def _fill_up(self, floor: Key, low: Key, missing: int) -> None:
        """Read episodes below those cached so far; a run that was interrupted here is gone on with."""
        began, reached = self.state.key(Mark.BACKFILL_FROM), self.state.key(Mark.BACKFILL)
        after = floor
        if began is not None and reached is not None and began <= floor and reached < low:
            after = max(floor, reached)
        self._opening[Mark.BACKFILL_FROM] = mark_of(floor)
        await self._read(Range(Table.EPISODES, after, low, missing), Mark.BACKFILL)
        await self.worker.run(self.commit, _Changes(), {Mark.LOW: mark_of(floor)})

    def write_anywhere(self) -> None:
        """Say with the first page that episodes are cached that need not belong to the stretch."""
        self._opening |= {Mark.BACKFILL_FROM: mark_of(START), Mark.BACKFILL: Watermark(0, "")}

    async def follow_patterns(self) -> None:
        """Read patterns that changed."""
        rows = self.survey.changed[Table.PATTERNS]
        await self._read(Range(Table.PATTERNS, self.state.after(Table.PATTERNS), None, rows), Mark.PATTERNS)

    async def follow_embeddings(self) -> None:
        """Read embeddings that changed; those of rows that are not cached are left out."""
        after = self.state.after(Table.EMBEDDINGS)
        if self.state.key(Mark.EMBEDDINGS) is None and self._blank:
            return  # each page brought its own
        span = Range(Table.EMBEDDINGS, after, None, self.survey.changed[Table.EMBEDDINGS])
        async with aclosing(self.batches(span, with_embeddings=False)) as read:
            async for batch in read:
                marks = {Mark.EMBEDDINGS: mark_of(key_of(batch.page.rows[-1]))}
                # With one chunk or one model less, nothing is left behind that could be followed: all of them are read.
                owners = sorted({record.parent for record in records_of(Table.EMBEDDINGS, batch.page)})
                whole = replace(batch, embeddings=await self.store.embeddings_of(owners))
                await self.worker.run(self._write, Table.EMBEDDINGS, whole, marks)

    async def end(self) -> None:
        """Keep what would have gone along with the first page, if there was none."""
        if self._opening:
            await self.worker.run(self.commit, _Changes(), {})

    async def floor(self) -> Key:
        """Return above which key the episodes are that the cache should have."""
        keep, stored = self.request.max_episodes_cache, self.survey.counts[Table.EPISODES]
        if stored <= keep:
            return START
        if keep <= _KEYS_AT_ONCE:
            keys = await self.store.newest_episodes(keep + 1)
            return keys[keep] if len(keys) > keep else START
        below = stored - keep
        if stored // below <= _KEYS_AT_ONCE:
            return next(iter(await self.store.splits(Table.EPISODES, START, below)), START)
        page = await self.store.page(Table.EPISODES, limit=below)
        return key_of(page.rows[-1]) if page.rows else START

    async def _read(self, span: Range, mark: Mark) -> None:
        async with aclosing(self.batches(span, with_embeddings=self.request.sync_embeddings)) as read:
            async for batch in read:
                marks = {mark: mark_of(key_of(batch.page.rows[-1]))}
                await self.worker.run(self._write, span.table, batch, marks)
                await self.report(span.table, len(batch.page.rows))

    def batches(self, span: Range, *, with_embeddings: bool) -> AsyncGenerator[Batch, None]:
        """Yield the rows of a range as this run wants them: packed if all of them are new to the cache."""
        ahead = self._blank and span.table is not Table.EMBEDDINGS
        return batches(
            self.store,
            span,
            self.request.batch_size,
            self._parallel,
            with_embeddings=with_embeddings,
            prepare=partial(packed_ahead, span.table) if ahead else as_fetched,
        )

    async def report(self, table: Table, rows: int) -> None:
        """Report progress."""
        self._filled += rows
        await self._tell(f"Caching {table.value}", self._filled, 0)

    # On the cache's thread ---------------------------------------------------------------------------------------

    def _write(self, table: Table, batch: Batch, marks: Mapping[Mark, Watermark]) -> None:
        changes = self.differing(table, batch)
        if table is Table.EMBEDDINGS:
            changes = changes._replace(records={table: self._with_parents(changes.records[table])})
        self.commit(changes, marks)
        self.note(changes.records)

    def note(self, records: Mapping[Table, list[Record]]) -> None:
        """Count what was written, and remember its checksums: what is read back at the end must have them."""
        for part, some in records.items():
            self.written[part] += len(some)
            touched = self.touched[part]
            touched.update([(record.key, crc32(record.value)) for record in some])
            if len(touched) > 2 * _REMEMBERED:  # memory does not grow with the store
                self.touched[part] = dict([*touched.items()][-_REMEMBERED:])

    def differing(self, table: Table, batch: Batch) -> _Changes:
        """Return the records that the cache does not have just so, and the embeddings that the store has no more."""
        if batch.packed:
            return _Changes(batch.records, packed=batch.packed)
        found = {table: records_of(table, batch.page)}
        if batch.embeddings.rows:
            found[Table.EMBEDDINGS] = records_of(Table.EMBEDDINGS, batch.embeddings)
        if self._blank:
            return _Changes(found)
        deletions: dict[Table, Sequence[str]] = {}
        if self.request.sync_embeddings:
            owners = {record.parent or record.key for record in found[table]}
            stored = {record.key for record in found.get(Table.EMBEDDINGS, ())}
            deletions[Table.EMBEDDINGS] = [key for key in self.cache.children_of(owners) if key not in stored]
            self.removed[Table.EMBEDDINGS] += len(deletions[Table.EMBEDDINGS])
        known = {part: self.cache.get_many(part, [record.key for record in records]) for part, records in found.items()}
        changed = {
            part: [record for record in records if known[part].get(record.key) != record]
            for part, records in found.items()
        }
        return _Changes(changed, deletions, known=known)

    def _with_parents(self, records: list[Record]) -> list[Record]:
        owners = {record.parent for record in records}
        known = self.cache.get_many(Table.EPISODES, owners).keys() | self.cache.get_many(Table.PATTERNS, owners).keys()
        return [record for record in records if record.parent in known]

    def commit(self, changes: _Changes, marks: Mapping[Mark, Watermark]) -> None:
        """Apply changes and the places they stand for in one transaction."""
        everything = {mark.value: place for mark, place in {**self._opening, **marks}.items()}
        page = Page(changes.records, changes.deletions, everything)
        self.cache.apply(page, changes.packed or None, changes.known)
        self._opening = {}
        self.pages += 1

    def _settle(self, floor: Key) -> None:
        """Remove what is cached below the floor and may be old or have holes. As long as it is there, it is marked."""
        self.write_anywhere()  # what an interrupted fill reached counts no more
        self.commit(_Changes(), {})
        self.evict(None if floor == START else floor)
        self.commit(_Changes(), {Mark.BACKFILL: mark_of(START)})

    def evict(self, floor: Key | None = None) -> None:
        """Evict what is too much, and with a ``floor`` everything up to it; the stretch then begins there."""
        if floor is not None or self.cache.count(Table.EPISODES) > self.request.max_episodes_cache:
            through = None if floor is None else mark_of(floor)
            self.evicted += self.cache.evict(self.request.max_episodes_cache, through, stream=Mark.LOW.value)


# The full run --------------------------------------------------------------------------------------------------------

_SCANNED = 1000


class _Seen:
    """Which rows the store has, 8 bytes each: two of a million ids meet with a probability of 3 in 100 million."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted = 0

    def add(self, keys: Iterator[str]) -> None:
        self._hashes.extend(map(_hash, keys))

    def absent(self, keys: list[str]) -> list[str]:
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
    """Read every episode the cache should have and all patterns, each with its embeddings; then remove the rest.

    Watermarks move up at the end only: an interrupted full run leaves the cache good for the next incremental one.
    """
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
    if floor > (run.state.key(Mark.LOW) or START):  # what is removed below it must not be claimed meanwhile
        await run.worker.run(run.commit, _Changes(), {Mark.LOW: mark_of(floor)})
    for table in swept:
        await run.worker.run(_sweep, run, table, seen[table])
    marks |= {Mark.LOW: floor, Mark.BACKFILL: START, Mark.TOMBSTONES: buried}
    places = {mark: mark_of(key) for mark, key in marks.items()}
    if survey.layout != EMPTY.name:
        places[Mark.SOURCE] = Watermark(0, source_name(run.store.engine, survey.layout))
    await run.worker.run(run.commit, _Changes(), places)
    await run.worker.run(run.evict)


async def _read(run: Applier, span: Range, seen: dict[Table, _Seen]) -> Key:
    """Cache a range; return the key of its last row."""
    last = START
    if not span.rows:
        return last
    async with aclosing(run.batches(span, with_embeddings=run.request.sync_embeddings)) as read:
        async for batch in read:
            last = key_of(batch.page.rows[-1])
            await run.worker.run(_compare, run, span.table, batch, seen)
            await run.report(span.table, len(batch.page.rows))
    return last


def _compare(run: Applier, table: Table, batch: Batch, seen: dict[Table, _Seen]) -> None:
    seen[table].add(str(row[0]) for row in batch.page.rows)
    seen[Table.EMBEDDINGS].add(str(row[0]) for row in batch.embeddings.rows)
    changes = run.differing(table, batch)
    if any(changes.records.values()) or any(changes.deletions.values()):
        run.commit(changes, {})
        run.note(changes.records)


def _sweep(run: Applier, table: Table, seen: _Seen) -> None:
    for page in run.cache.scan(table, _SCANNED):
        gone = seen.absent([record.key for record in page])
        if gone:
            run.commit(_Changes(deletions={table: gone}), {})
            run.removed[table] += len(gone)
