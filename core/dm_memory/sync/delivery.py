"""Delivering what is due to one layer: page by page, each page's outcomes committed at once.

Works from the registry alone, so that a run, its retry and its resumption after a crash are the same code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import orjson

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import ContentType, Item, Kind, Payload, Source
from dm_memory.services.protocol import Layer, Outcome, StoredRecord
from dm_memory.sync import rows
from dm_memory.sync.asking import answered, unforeseen
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.exports import mark_index_due
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress
from dm_memory.sync.results import Action, Failure
from dm_memory.sync.room import Room, batches_by_bytes
from dm_memory.sync.rows import DeliveryState, Due
from dm_memory.sync.worker import Worker
from dm_memory.text.timestamps import Clock, from_iso, to_iso

__all__ = ["Delivered", "Delivery", "DeliveryOptions"]

_FREE_ATTEMPTS = 3
_LONGEST_DELAY = timedelta(days=1)
_UNKNOWN_IN_A_ROW = 20

Verdict = tuple[Due, LayerError | None]
"""An item, and why the layer refused it (None: stored)."""

_Call = Callable[[Sequence[Payload]], Awaitable[list[Outcome]]]


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What a run asks of every delivery.

    Attributes:
        batch_items: Most items of one write to a layer that embeds them here.
        ask_first: Ask the layer about everything due, as after the loss of a registry.
        kinds: Items left over from earlier runs are taken up only if they are of these kinds.
        in_doubt: ``seq`` of items that were due before this run: the layer may hold what was planned then.
        retry_all: Take up failed items whose next attempt is not due yet.
    """

    brand: str
    run: int
    batch_items: int
    kinds: Collection[str]
    in_doubt: Collection[int] = frozenset()
    ask_first: bool = False
    retry_all: bool = False


@dataclass(slots=True)
class Delivered:
    """What one layer made of a run."""

    stored: int = 0
    failed: int = 0
    removed: int = 0
    opened: bool = False
    failure: LayerError | None = None


class Delivery:
    """Delivers the due items of one layer."""

    def __init__(
        self,
        registry: Registry,
        worker: Worker,
        layer: Layer,
        options: DeliveryOptions,
        outcomes: Outcomes,
        *,
        excluder: Excluder,
        clock: Clock,
        progress: Progress,
        stop: asyncio.Event,
    ) -> None:
        self._registry = registry
        self._worker = worker
        self._layer = layer
        self._options = options
        self._outcomes = outcomes
        self._excluder = excluder
        self._clock = clock
        self._progress = progress
        self._stop = stop
        self._unknown_in_a_row = 0
        self.result = Delivered()
        self.room = Room(layer)

    async def run(self, total: int) -> Delivered:
        """Deliver until nothing is due, the layer as a whole fails, or the run is stopped.

        Args:
            total: How many items are due, for progress.
        """
        done = 0
        try:
            if self._layer.capabilities.remote and total:
                self.room.capacity = await answered(self._layer.engine, self._layer.capacity())
            async for page in self._pages(rows.due_page):
                await self._progress(f"Storing in {self._layer.engine}", done, total)
                await self._deliver(page)
                done += len(page)
            # Last, and only where the text that takes its place is stored: an old version is better than none.
            async for page in self._pages(rows.removal_page):
                await self._remove(page)
        except LayerError as error:
            self.result.failure = error
        return self.result

    async def _pages(self, of: Callable[[Registry, str, str, int, int], list[Due]]) -> AsyncIterator[list[Due]]:
        """Yield what is this run's business, page by page, until the run is stopped."""
        limit = self._layer.capabilities.batch_items
        if self._layer.capabilities.embeds:
            limit = min(self._options.batch_items, limit)
        after = 0
        while not self._stop.is_set():
            page = await self._worker.run(of, self._registry, self._options.brand, self._layer.name, after, limit)
            if not page:
                return
            after = page[-1].seq
            if wanted := [due for due in page if self._is_taken_up(due)]:
                self.result.opened = True
                yield wanted

    def _is_taken_up(self, due: Due) -> bool:
        """Tell whether an item is this run's business: planned by it, or left over and wanted."""
        if due.run == self._options.run:
            return True
        if due.payload.kind not in self._options.kinds:
            return False
        if self._excluder and self._excluder.match(_as_item(due), due.payload.content_type, due.payload.tags):
            return False
        return due.state is not DeliveryState.FAILED or self._options.retry_all or self._is_time(due)

    def _is_time(self, due: Due) -> bool:
        moment = from_iso(due.next_attempt_at)
        now = self._clock()
        # A moment further off than the longest delay was written before the clock was set back.
        return moment is None or moment <= now or moment - now > _LONGEST_DELAY

    # One page ----------------------------------------------------------------------------------------------------

    async def _deliver(self, page: Sequence[Due]) -> None:
        records = await self._held_already(page)
        held = [due for due in page if _matches(due, records.get(due.payload.id))] if records else []
        if held:
            await self._worker.run(partial(self._commit, embedded=False), [(due, None) for due in held])
        settled = {due.seq for due in held}
        rest = [due for due in page if due.seq not in settled] if held else page
        metadata = [due for due in rest if _text_is_held(due, records)]
        texts = [due for due in rest if not _text_is_held(due, records)]
        if metadata:
            texts += await self._update_metadata(metadata)
        for batch in batches_by_bytes(texts, self._layer.capabilities.batch_bytes):
            await self._store(batch)

    async def _store(self, batch: Sequence[Due]) -> None:
        fitting = self.room.fitting(batch)
        if fitting:
            verdicts, trouble = await self._verdicts(batch[:fitting], self._layer.upsert)
            await self._worker.run(partial(self._commit, embedded=self._layer.capabilities.embeds), verdicts)
            if trouble:
                raise trouble
        if fitting < len(batch):
            raise self.room.full(len(batch) - fitting)

    async def _remove(self, page: Sequence[Due]) -> None:
        verdicts, trouble = await self._verdicts(page, self._delete)
        await self._worker.run(self._forget, verdicts)
        if trouble:
            raise trouble

    async def _delete(self, payloads: Sequence[Payload]) -> list[Outcome]:
        await self._layer.delete([payload.id for payload in payloads])
        return [Outcome(payload.id) for payload in payloads]

    async def _held_already(self, page: Sequence[Due]) -> Mapping[str, StoredRecord]:
        """Return what the layer holds of items it may have confirmed without our recording it."""
        ids = [due.payload.id for due in page if self._is_doubtful(due)]
        return await answered(self._layer.engine, self._layer.fetch(ids)) if ids else {}

    def _is_doubtful(self, due: Due) -> bool:
        """Tell whether an earlier run tried this item; it may have been killed between the layer's word and ours."""
        if self._layer.role == "durable":  # an episode is stored before its vectors: that it is there says too little
            return due.action in _ELSEWHERE
        if self._options.ask_first or due.run != self._options.run or due.action in _ELSEWHERE:
            return True
        return due.seq in self._options.in_doubt and due.action != Action.FORCED

    async def _update_metadata(self, page: Sequence[Due]) -> list[Due]:
        """Update metadata alone; return the items the layer turned out not to hold, to be stored whole."""
        verdicts, trouble = await self._verdicts(page, self._layer.update_metadata)
        settled = [verdict for verdict in verdicts if not _is_missing(verdict[1])]
        await self._worker.run(partial(self._commit, embedded=False), settled)
        if trouble:
            raise trouble
        return [due for due, error in verdicts if _is_missing(error)]

    async def _verdicts(self, page: Sequence[Due], call: _Call) -> tuple[list[Verdict], LayerError | None]:
        """Return the layer's word on each item and, where it stopped answering before the last one, why."""
        verdicts: list[Verdict] = []
        try:
            await self._split(page, call, verdicts)
        except LayerError as error:
            return verdicts, error
        return verdicts, None

    async def _split(self, page: Sequence[Due], call: _Call, verdicts: list[Verdict]) -> None:
        """Store a page; where that fails, its halves, until the bad item stands alone.

        Raises:
            LayerError: The trouble is the layer's, not an item's. ``verdicts`` has what it said before.
        """
        try:
            outcomes = await call([due.payload for due in page])
            verdicts += _paired(page, outcomes, self._layer.engine)
        except LayerError as error:
            if error.concerns_whole_layer:
                raise
            trouble = error
        except Exception as error:  # noqa: BLE001  # a bug in an adapter must not cost the other items; it is reported
            trouble = unforeseen(self._layer.engine, error)
        else:
            self._unknown_in_a_row = 0
            return
        if len(page) == 1:
            verdicts.append((page[0], trouble))
            self._count_unknown(trouble)
            return
        middle = len(page) // 2
        await self._split(page[:middle], call, verdicts)
        await self._split(page[middle:], call, verdicts)

    def _count_unknown(self, trouble: LayerError) -> None:
        """Give up on a layer that fails every single item in a way nobody foresaw."""
        if trouble.error_class is not ErrorClass.UNKNOWN:
            return
        self._unknown_in_a_row += 1
        if self._unknown_in_a_row >= _UNKNOWN_IN_A_ROW:
            raise LayerError(
                trouble.problem, trouble.remedy, error_class=ErrorClass.UNAVAILABLE, code=trouble.code
            ) from trouble

    # The registry ------------------------------------------------------------------------------------------------

    def _commit(self, verdicts: Sequence[Verdict], embedded: bool) -> None:  # run on a worker thread
        """Commit the verdicts on a page in one transaction, then count them."""
        now = to_iso(self._clock())
        run, layer = self._options.run, self._layer.name
        stored = [
            (run, due.payload.content_hash, due.payload.metadata_hash, now, layer, due.seq)
            for due, error in verdicts
            if error is None
        ]
        failed = [(due, error, self._failure(due, error)) for due, error in verdicts if error is not None]
        with self._registry.transaction() as connection:
            connection.executemany(_CONFIRM, stored)
            connection.executemany(_FAIL, [self._failed_row(due, failure) for due, _, failure in failed])
            if stored:
                mark_index_due(connection)
        self.result.stored += len(stored)
        self.result.failed += len(failed)
        self._outcomes.counts.embedded += len(stored) if embedded else 0
        self._outcomes.stored((due for due, error in verdicts if error is None), self._action)
        for due, _, failure in failed:
            self._outcomes.failed(due, self._action(due), failure)

    def _forget(self, verdicts: Sequence[Verdict]) -> None:
        """Record what the layer let go of; the rest stays due."""
        gone = [(self._layer.name, due.seq) for due, error in verdicts if error is None]
        with self._registry.transaction() as connection:
            connection.executemany("DELETE FROM deliveries WHERE layer = ? AND seq = ? AND state = 3", gone)
            if gone:
                mark_index_due(connection)
        self.result.removed += len(gone)
        for due, error in verdicts:
            if error is not None:
                self._outcomes.waiting(due, self._action(due), error.problem)

    def _action(self, due: Due) -> Action:
        if due.run == self._options.run:
            return Action(due.action)
        return Action.RETRY if due.state is DeliveryState.FAILED else Action.RESUMED

    def _failure(self, due: Due, error: LayerError) -> Failure:
        attempts = due.attempts + 1
        delay = timedelta(seconds=error.retry_after or 0)
        if attempts > _FREE_ATTEMPTS:
            delay = max(delay, min(timedelta(minutes=2 ** (attempts - _FREE_ATTEMPTS)), _LONGEST_DELAY))
        return Failure(
            error_class=error.error_class,
            message=error.problem,
            remedy=error.remedy,
            code=error.code,
            layer=self._layer.name,
            attempts=attempts,
            next_attempt_at=to_iso(self._clock() + delay),
        )

    def _failed_row(self, due: Due, failure: Failure) -> tuple[object, ...]:
        error = orjson.dumps([failure.error_class, failure.message, failure.remedy, failure.code]).decode()
        return (self._options.run, failure.attempts, failure.next_attempt_at, error, self._layer.name, due.seq)


_CONFIRM = (
    "UPDATE deliveries SET state = 1, run = ?, content_hash = ?, metadata_hash = ?, stored_at = ?, attempts = 0,"
    " next_attempt_at = '', error = '' WHERE layer = ? AND seq = ?"
)
_FAIL = (
    "UPDATE deliveries SET state = 2, run = ?, attempts = ?, next_attempt_at = ?, error = ? WHERE layer = ? AND seq = ?"
)

_ELSEWHERE = frozenset({Action.LEARNED, Action.ADDED})
"""Known from somewhere else: the layer may hold it too, if other machines write to it."""


def _is_missing(error: LayerError | None) -> bool:
    return error is not None and error.error_class is ErrorClass.VALIDATION


def _matches(due: Due, record: StoredRecord | None) -> bool:
    wanted = (due.payload.content_hash, due.payload.metadata_hash)
    return record is not None and (record.content_hash, record.metadata_hash) == wanted


def _text_is_held(due: Due, records: Mapping[str, StoredRecord]) -> bool:
    record = records.get(due.payload.id)
    return due.payload.content_hash in (due.held_content_hash, record.content_hash if record else "")


def _paired(page: Sequence[Due], outcomes: Sequence[Outcome], engine: str) -> list[Verdict]:
    if len(outcomes) != len(page):
        problem = f"{engine} answered for {len(outcomes)} of {len(page)} items."
        raise LayerError(problem, "Sync again; if it happens again, report it.", error_class=ErrorClass.MALFORMED_REPLY)
    return [(due, outcome.error) for due, outcome in zip(page, outcomes, strict=True)]


def _as_item(due: Due) -> Item:
    payload = due.payload
    return Item(
        payload.key,
        payload.content,
        Kind(payload.kind),
        ContentType(payload.content_type),
        facts=payload.facts,
        origin=due.origin,
        source=Source(payload.source),
    )
