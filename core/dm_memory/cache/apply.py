"""Changes of the durable store go into the cache: one page, one transaction, one step of the watermark."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from dm_memory.cache.pages import Batch, Range, as_fetched, batches, packed_ahead
from dm_memory.cache.plan import expected
from dm_memory.cache.protocol import Cache, Packed, Page, Record, Watermark
from dm_memory.cache.results import Moved, StorageSyncRequest
from dm_memory.cache.state import CacheState, Mark, asked_for, mark_of, source_name
from dm_memory.cache.sync_records import key_of, records_of
from dm_memory.services.turso.protocol import START, DurableStore, Key, Survey
from dm_memory.services.turso.schema import EMPTY, Table
from dm_memory.sync.worker import Worker

__all__ = ["Applier", "Changes", "Tell"]

Tell = Callable[[str, int, int], Awaitable[None]]

_TOMBSTONES = 1000
_SAMPLED = 20
"""Written rows per table that the validation compares with the store."""

_KEYS_AT_ONCE = 5000
"""Keys of 60 bytes that are asked for in one answer; beyond, the floor is found in another way."""


class Changes(NamedTuple):
    """What one transaction changes in the cache; the last two are what ``apply_page`` takes."""

    records: Mapping[Table, list[Record]] = MappingProxyType({})
    deletions: Mapping[Table, Sequence[str]] = MappingProxyType({})
    packed: Mapping[Table, Packed] = MappingProxyType({})
    held: Mapping[Table, Mapping[str, Record]] | None = None


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
        self.touched: dict[Table, list[str]] = {table: [] for table in Table}
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
        """Return where to follow the tombstones from when every row is read anew: all so far are in what is read.

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
        self.commit(Changes(deletions=deletions), marks)

    async def follow_episodes(self) -> None:
        """Read what is new, fill up what is missing below, evict what is too much."""
        floor = await self.floor()
        mark = self.state.key(Mark.EPISODES)
        start = max(self.state.after(Table.EPISODES), floor)
        low = self.state.key(Mark.LOW) or START
        if mark is None or floor > mark:
            low = floor
            self._opening[Mark.LOW] = mark_of(floor)
        rows = min(self.survey.changed[Table.EPISODES], self.request.max_episodes_cache)
        await self._read(Range(Table.EPISODES, start, None, rows), Mark.EPISODES)
        missing = expected(self.survey, self.request) - self.cache.count(Table.EPISODES)
        # What an interrupted fill left below the stretch counts as well, so the number alone does not show the hole.
        if floor < low and (missing > 0 or self.state.half_filled):
            await self._fill_up(floor, low, max(missing, 1))
            low = floor
        elif self.state.half_filled:
            await self.worker.run(self.commit, Changes(), {Mark.BACKFILL: mark_of(START)})
        await self.worker.run(self.evict, max(low, floor))

    async def _fill_up(self, floor: Key, low: Key, missing: int) -> None:
        """Read episodes below those cached so far; a run that was interrupted here is gone on with."""
        began, reached = self.state.key(Mark.BACKFILL_FROM), self.state.key(Mark.BACKFILL)
        after = floor
        if began is not None and reached is not None and began <= floor and reached < low:
            after = max(floor, reached)
        self._opening[Mark.BACKFILL_FROM] = mark_of(floor)
        await self._read(Range(Table.EPISODES, after, low, missing), Mark.BACKFILL)
        await self.worker.run(self.commit, Changes(), {Mark.LOW: mark_of(floor), Mark.BACKFILL: mark_of(START)})

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
                await self.worker.run(self._write, Table.EMBEDDINGS, batch, marks)

    async def end(self) -> None:
        """Keep what would have gone along with the first page, where there was none."""
        if self._opening:
            await self.worker.run(self.commit, Changes(), {})

    async def floor(self) -> Key:
        """Return above which key the episodes are that the cache should hold."""
        keep, held = self.request.max_episodes_cache, self.survey.counts[Table.EPISODES]
        if held <= keep:
            return START
        if keep <= _KEYS_AT_ONCE:
            keys = await self.store.newest_episodes(keep + 1)
            return keys[keep] if len(keys) > keep else START
        below = held - keep
        if held // below <= _KEYS_AT_ONCE:
            return next(iter(await self.store.splits(Table.EPISODES, START, below)), START)
        page = await self.store.page(Table.EPISODES, limit=below)
        return key_of(page.rows[-1]) if page.rows else START

    async def _read(self, span: Range, mark: Mark) -> None:
        async with aclosing(self.batches(span, with_embeddings=self.request.sync_embeddings)) as read:
            async for batch in read:
                marks = {mark: mark_of(key_of(batch.page.rows[-1]))}
                await self.worker.run(self._write, span.table, batch, marks)
                await self.told(span.table, len(batch.page.rows))

    def batches(self, span: Range, *, with_embeddings: bool) -> AsyncGenerator[Batch, None]:
        """Yield the rows of a range as this run wants them: packed where all of them are new to the cache."""
        ahead = self._blank and span.table is not Table.EMBEDDINGS
        return batches(
            self.store,
            span,
            self.request.batch_size,
            self._parallel,
            with_embeddings=with_embeddings,
            prepare=partial(packed_ahead, span.table) if ahead else as_fetched,
        )

    async def told(self, table: Table, rows: int) -> None:
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
        """Count what was written."""
        for part, some in records.items():
            self.written[part] += len(some)
            self.touched[part] = [*self.touched[part], *[record.key for record in some[-_SAMPLED:]]][-_SAMPLED:]

    def differing(self, table: Table, batch: Batch) -> Changes:
        """Return the records that the cache does not hold just so."""
        if batch.packed:
            return Changes(batch.records, packed=batch.packed)
        found = {table: records_of(table, batch.page)}
        if batch.embeddings.rows:
            found[Table.EMBEDDINGS] = records_of(Table.EMBEDDINGS, batch.embeddings)
        if self._blank:
            return Changes(found)
        held = {part: self.cache.get_many(part, [record.key for record in records]) for part, records in found.items()}
        changed = {
            part: [record for record in records if held[part].get(record.key) != record]
            for part, records in found.items()
        }
        return Changes(changed, held=held)

    def _with_parents(self, records: list[Record]) -> list[Record]:
        owners = {record.parent for record in records}
        known = self.cache.get_many(Table.EPISODES, owners).keys() | self.cache.get_many(Table.PATTERNS, owners).keys()
        return [record for record in records if record.parent in known]

    def commit(self, changes: Changes, marks: Mapping[Mark, Watermark]) -> None:
        """Apply changes and the places they stand for in one transaction."""
        everything = {mark.value: place for mark, place in {**self._opening, **marks}.items()}
        page = Page(changes.records, changes.deletions, everything)
        self.cache.apply(page, changes.packed or None, changes.held)
        self._opening = {}
        self.pages += 1

    def evict(self, floor: Key) -> None:
        """Evict what is too much. Where the cache then begins is said first: claiming too little does no harm."""
        if self.cache.count(Table.EPISODES) > self.request.max_episodes_cache:
            self.commit(Changes(), {Mark.LOW: mark_of(floor), Mark.BACKFILL: mark_of(START)})
            self.evicted += self.cache.evict(self.request.max_episodes_cache)
