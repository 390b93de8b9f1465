"""Delivering what is due to one layer: page by page, each page's outcomes committed at once.

Works from the registry alone, so that a run, its retry and its resumption after a crash are the same code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import ContentType, Item, Kind, Payload, Source
from dm_memory.layers.protocol import Layer, Outcome, StoredRecord
from dm_memory.sync import rows
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress
from dm_memory.sync.results import Action, Failure
from dm_memory.sync.rows import DeliveryState, Due
from dm_memory.sync.timestamps import Clock, from_iso, to_iso
from dm_memory.sync.worker import Worker

__all__ = ["Delivered", "Delivery", "DeliveryOptions"]

_log = logging.getLogger(__name__)

_FREE_ATTEMPTS = 3
_LONGEST_DELAY = timedelta(days=1)
_UNKNOWN_IN_A_ROW = 20

Verdict = tuple[Due, LayerError | None]
"""An item, and why the layer refused it (None: stored)."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What a run asks of every delivery.

    Attributes:
        ask_first: Ask the layer about everything due, as after the loss of a registry.
        kinds: Items left over from earlier runs are taken up only if they are of these kinds.
        retry_all: Take up failed items whose next attempt is not due yet.
    """

    brand: str
    run: int
    batch_items: int
    kinds: Collection[str]
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

    async def run(self, total: int) -> Delivered:
        """Deliver until nothing is due, the layer as a whole fails, or the run is stopped.

        Args:
            total: How many items are due, for progress.
        """
        after, done = 0, 0
        while not self._stop.is_set():
            page = await self._worker.run(self._page, after)
            if not page:
                break
            after = page[-1].seq
            self.result.opened = True
            await self._progress(f"Storing in {self._layer.engine}", done, total)
            try:
                await self._deliver([due for due in page if self._is_taken_up(due)])
            except LayerError as error:
                self.result.failure = error
                break
            done += len(page)
        return self.result

    def _page(self, after: int) -> list[Due]:
        limit = min(self._options.batch_items, self._layer.capabilities.batch_items)
        return rows.due_page(self._registry, self._options.brand, self._layer.name, after, limit)

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
        removals = [due for due in page if due.state is DeliveryState.REMOVAL_DUE]
        wanted = [due for due in page if due.state is not DeliveryState.REMOVAL_DUE]
        if removals:
            await self._remove(removals)
        held = await self._held_already(wanted)
        if held:
            await self._worker.run(self._commit, [(due, None) for due in held], 0)
        settled = {due.seq for due in held}
        rest = [due for due in wanted if due.seq not in settled] if held else wanted
        metadata = [due for due in rest if due.held_content_hash == due.payload.content_hash]
        texts = [due for due in rest if due.held_content_hash != due.payload.content_hash]
        if metadata:
            texts += await self._update_metadata(metadata)
        if texts:
            verdicts = await self._split(texts, self._layer.upsert)
            await self._worker.run(self._commit, verdicts, len(texts))

    async def _remove(self, removals: Sequence[Due]) -> None:
        await self._layer.delete([due.payload.id for due in removals])
        await self._worker.run(self._forget, [due.seq for due in removals])
        self.result.removed += len(removals)

    async def _held_already(self, page: Sequence[Due]) -> list[Due]:
        """Return the items of an interrupted run that the layer holds as they are wanted: confirmed, not recorded."""
        doubtful = [due for due in page if self._options.ask_first or self._is_left_over(due)]
        if not doubtful:
            return []
        records = await self._layer.fetch([due.payload.id for due in doubtful])
        return [due for due in doubtful if _matches(due, records.get(due.payload.id))]

    def _is_left_over(self, due: Due) -> bool:
        """Tell whether an earlier run tried this item; it may have been killed between the layer's word and ours."""
        return due.run != self._options.run

    async def _update_metadata(self, page: Sequence[Due]) -> list[Due]:
        """Update metadata alone; return the items the layer turned out not to hold, to be stored whole."""
        verdicts = await self._split(page, self._layer.update_metadata)
        missing = [due for due, error in verdicts if _is_missing(error)]
        await self._worker.run(self._commit, [verdict for verdict in verdicts if not _is_missing(verdict[1])], 0)
        return missing

    async def _split(
        self, page: Sequence[Due], call: Callable[[Sequence[Payload]], Awaitable[list[Outcome]]]
    ) -> list[Verdict]:
        """Store a page; where that fails, its halves, until the bad item stands alone.

        Raises:
            LayerError: The trouble is the layer's, not an item's.
        """
        try:
            outcomes = await call([due.payload for due in page])
        except LayerError as error:
            if error.concerns_whole_layer:
                raise
            trouble = error
        except Exception as error:  # noqa: BLE001  # a bug in an adapter must not cost the other items; it is reported
            _log.error("%s raised %s", self._layer.engine, type(error).__name__)  # the text may leak
            trouble = _unknown(self._layer.engine, error)
        else:
            self._unknown_in_a_row = 0
            return _verdicts(page, outcomes, self._layer.engine)
        if len(page) == 1:
            self._count_unknown(trouble)
            return [(page[0], trouble)]
        middle = len(page) // 2
        return [*await self._split(page[:middle], call), *await self._split(page[middle:], call)]

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

    def _commit(self, verdicts: Sequence[Verdict], embedded: int) -> None:
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
        self.result.stored += len(stored)
        self.result.failed += len(failed)
        self._outcomes.counts.embedded += max(0, embedded - len(failed)) if self._layer.capabilities.embeds else 0
        self._outcomes.stored((due for due, error in verdicts if error is None), len(stored), self._action)
        for due, _, failure in failed:
            self._outcomes.failed(due, self._action(due), failure)

    def _forget(self, seqs: Sequence[int]) -> None:
        with self._registry.transaction() as connection:
            arguments = [(self._layer.name, seq) for seq in seqs]
            connection.executemany("DELETE FROM deliveries WHERE layer = ? AND seq = ? AND state = 3", arguments)

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


def _is_missing(error: LayerError | None) -> bool:
    return error is not None and error.error_class is ErrorClass.VALIDATION


def _matches(due: Due, record: StoredRecord | None) -> bool:
    wanted = (due.payload.content_hash, due.payload.metadata_hash)
    return record is not None and (record.content_hash, record.metadata_hash) == wanted


def _verdicts(page: Sequence[Due], outcomes: Sequence[Outcome], engine: str) -> list[Verdict]:
    if len(outcomes) != len(page):
        problem = f"{engine} answered for {len(outcomes)} of {len(page)} items."
        raise LayerError(problem, "Sync again; if it happens again, report it.", error_class=ErrorClass.MALFORMED_REPLY)
    return [(due, outcome.error) for due, outcome in zip(page, outcomes, strict=True)]


def _unknown(engine: str, error: Exception) -> LayerError:
    return LayerError(
        f"{engine} failed in a way dm-memory does not know.",
        "Run dm-memory doctor, and report it with this code if it happens again.",
        error_class=ErrorClass.UNKNOWN,
        code=type(error).__name__,
    )


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
