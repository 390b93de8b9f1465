"""Delivering: what is due in the outbox goes to one connected service, batch by batch, each success recorded at once.

Works from memory.db alone, so that a sync, its retry, its resumption after a crash, a migration and a repair are the
same code. Services are independent; one that is down costs one deadline.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import orjson

from dm_memory.embedding.batch import in_batches
from dm_memory.errors import DmMemoryError, ErrorClass, ServiceError
from dm_memory.findings import Finding, Severity, count_of_entries
from dm_memory.items import Payload
from dm_memory.requests import Progress
from dm_memory.results import Action, Failure
from dm_memory.services.protocol import Capacity, Outcome, Service, StoredRecord, unexpected
from dm_memory.store import outbox
from dm_memory.store.database import Store
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow, in_json, payload_of_row, payloads, version_of
from dm_memory.store.indexes import vectors_of
from dm_memory.store.outbox import Delivery
from dm_memory.sync.run import Delivered, Outcomes, Run
from dm_memory.text.timestamps import Clock, from_iso, to_iso
from dm_memory.worker import Worker

__all__ = ["Delivering"]

_Answer = TypeVar("_Answer")

_FREE_ATTEMPTS = 3
_LONGEST_DELAY = timedelta(days=1)
_UNEXPECTED_IN_A_ROW = 20
_LOOKED_AT = 256
_ELSEWHERE = frozenset({Action.LEARNED, Action.ADDED, Action.MISSING})
"""Why something is due that the service may have all the same."""

_Verdict = tuple[Delivery, ServiceError | None]
"""A delivery, and why the service refused it (None: done)."""


@dataclass(frozen=True, slots=True)
class _Options:
    """What a run asks of every delivery.

    Attributes:
        run: The run's number.
        batch_items: Most entries of one write to a service that embeds here.
        retry_all: Try what failed before its time has come.
        model: The tag of the store's embedding model, whose vectors go along; "" for none.
    """

    brand: str
    run: int
    batch_items: int
    retry_all: bool = False
    model: str = ""


@dataclass(slots=True)
class _Room:
    """What is left of a service's capacity. ``taken`` is what the run has stored since, by the service's estimate."""

    capacity: Capacity | None = None
    taken: int = 0

    def after(self, measured: Capacity | None, confirmed: int | None = None) -> Capacity | None:
        """Return the capacity after the run: as measured, but never below what is known while statistics lag behind.

        Args:
            measured: What the service says.
            confirmed: How many entries it confirmed: statistics that count as many have caught up.
        """
        if self.capacity is None or measured is None:
            return measured
        if confirmed is not None and measured.entries is not None and measured.entries >= confirmed:
            return measured
        return replace(measured, used=max(measured.used, self.capacity.used + self.taken))


@dataclass(slots=True)
class Delivering:
    """Delivers what is due in one service."""

    store: Store
    worker: Worker
    service: Service
    options: _Options
    outcomes: Outcomes
    clock: Clock
    progress: Progress
    stop: asyncio.Event
    result: Delivered = field(default_factory=Delivered)
    _room: _Room = field(default_factory=_Room)
    _unexpected: int = 0
    _total: int = 0
    _lost: int = 0

    @classmethod
    def of(cls, run: Run, service: Service, model: str, known: Delivered, *, retry_all: bool = False) -> Delivering:
        """Return what delivers to a service in a run.

        Args:
            run: The run.
            service: The service.
            model: The tag of the store's embedding model, whose vectors go along; "" for none.
            known: What the run knows of the service already.
            retry_all: Try what failed before its time has come.
        """
        options = _Options(run.brand, run.number, run.env.batch_items, retry_all, model)
        return cls(
            run.store, run.worker, service, options, run.outcomes, run.env.clock, run.progress, run.stop, result=known
        )

    async def run(self) -> Delivered:
        """Compare counts, deliver until nothing is due, compare again. An error of the service is in the result."""
        try:
            await self._look_at_counts()
            self._total = await self.worker.run(outbox.count_due, self.store.connection, self.service.name)
            if self._total or await self.worker.run(self._is_rebuilding):
                await self._deliver_all()
                await self._count_again()
            elif await self.worker.run(self._is_capacity_outdated):
                self.result.capacity = await self._ask(self.service.capacity())
        except ServiceError as error:
            self.result.failure = error
            self.result.capacity = self._room.after(self._room.capacity)
        if self._lost:
            message = f"{self.service.engine} no longer had {count_of_entries(self._lost)} that had been stored there."
            again = (
                "Stored again." if not (self.result.failure or self.result.missing) else "The next sync looks again."
            )
            self.outcomes.add_findings([Finding("missing-in-service", Severity.WARNING, message, again)])
        return self.result

    async def run_deletions(self) -> Delivered:
        """Deliver what has to go, and nothing else. An error of the service is in the result."""
        try:
            after = ""
            while page := await self.worker.run(self._page, after, True):  # noqa: FBT003  # as in ``_deliver_all``
                after = page[-1].id
                self.result.asked = True
                await self._remove(page)
        except ServiceError as error:
            self.result.failure = error
        return self.result

    # Counts ----------------------------------------------------------------------------------------------------------

    async def _look_at_counts(self) -> None:
        """Count what the service has; if that is less than was confirmed, look by ids and make due what is missing."""
        if not self.service.capabilities.counts:
            return
        expected = await self.worker.run(outbox.count_confirmed, self.store.connection, self.service.name)
        if not expected:
            return
        counted = self.result.counted = await self._ask(self.service.count())
        self.result.asked = True
        if counted is None or counted >= expected:
            return
        missing: list[str] = []
        for page in await self.worker.run(self._confirmed_pages):
            found = await self._ask(self.service.fetch(page))
            missing += [id_ for id_ in page if id_ not in found]
        await self.worker.run(self._doubt, missing)
        self._lost = self.result.missing = len(missing)

    async def _count_again(self) -> None:
        """Compare counts after storing: a service that confirms and does not have it must not be called complete."""
        if not self.service.capabilities.counts or self.stop.is_set():
            return
        expected = await self.worker.run(outbox.count_confirmed, self.store.connection, self.service.name)
        counted = self.result.counted = await self._ask(self.service.count())
        self.result.missing = 0 if counted is None else max(0, expected - counted)
        if self.result.missing:
            message = f"{self.service.engine} counts {counted} of {count_of_entries(expected)} that it confirmed."
            remedy = "That can take a moment; the next sync looks again and stores what is really missing."
            self.outcomes.add_findings([Finding("not-yet-visible", Severity.WARNING, message, remedy)])

    def _confirmed_pages(self) -> list[list[str]]:
        ids = [
            id_
            for (id_,) in self.store.rows(
                "SELECT id FROM deliveries WHERE service = ? AND kind = 'entry' AND confirmed NOT IN ('', '?')",
                (self.service.name,),
            )
        ]
        return [ids[at : at + _LOOKED_AT] for at in range(0, len(ids), _LOOKED_AT)]

    def _doubt(self, ids: Sequence[str]) -> None:
        with self.store.transaction() as connection:
            outbox.doubt(connection, self.service.name, ids, self.options.run, Action.MISSING)

    # Another model, another layout -----------------------------------------------------------------------------------

    def _is_capacity_outdated(self) -> bool:
        """Return whether the service has another number of entries than when its capacity was asked for."""
        kept = self.store.meta(f"capacity:{self.service.name}")
        counted = self.result.counted
        return bool(kept) and counted is not None and Capacity(*orjson.loads(kept)).entries not in {None, counted}

    def _is_rebuilding(self) -> bool:
        return bool(self.store.meta(f"rebuilding:{self.service.name}"))

    async def _deliver_all(self) -> None:
        """Deliver everything that is due; all of it if entries there were made by another model or layout."""
        fingerprint = await self._ask(self.service.fingerprint())
        rebuilding = await self.worker.run(self._agree_on, fingerprint)
        if rebuilding:
            self._total = await self.worker.run(outbox.count_due, self.store.connection, self.service.name)
            await self._ask(self.service.begin_rebuild())
        self._room.capacity = await self._ask(self.service.capacity())
        done = 0
        for deletions in (False, True):  # last, what has to go: an old version is better than none
            after = ""
            while page := await self.worker.run(self._page, after, deletions):
                after = page[-1].id
                wanted = [due for due in page if self._is_time(due)]
                await self.progress(f"Storing in {self.service.engine}", done, self._total)
                if wanted:
                    self.result.asked = True
                    await (self._remove(wanted) if deletions else self._deliver(wanted))
                done += len(page)
                if self.stop.is_set():
                    return
        if rebuilding and not self.result.failed:
            await self._ask(self.service.finish_rebuild())
        await self.worker.run(self._record_made, fingerprint)
        confirmed = await self.worker.run(outbox.count_confirmed, self.store.connection, self.service.name)
        self.result.capacity = self._room.after(await self._ask(self.service.capacity()), confirmed)

    def _agree_on(self, fingerprint: str) -> bool:
        """Return whether everything has to be stored again, in another collection if the service has those."""
        name = self.service.name
        recorded, under_way = self.store.meta(f"made:{name}"), self.store.meta(f"rebuilding:{name}")
        if under_way == fingerprint:
            return True
        if not under_way and recorded in {"", fingerprint}:
            return False
        with self.store.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET confirmed = '?', action = ?, run = ?, attempts = 0, next_attempt = '',"
                " error = '' WHERE service = ? AND kind = 'entry' AND wanted <> ''",
                (Action.FORCED.value, self.options.run, name),
            )
            self.store.set_meta(f"rebuilding:{name}", fingerprint)
        message = f"{self.service.engine} was filled with {recorded or 'another model'}; now it is {fingerprint}."
        remedy = "Everything is stored there again."
        self.outcomes.add_findings([Finding("model-changed", Severity.INFO, message, remedy)])
        return True

    def _record_made(self, fingerprint: str) -> None:
        """Remember what entries are made with, once all of them are."""
        rebuilding = self._is_rebuilding()
        if self.store.meta(f"made:{self.service.name}") == fingerprint and not rebuilding:
            return
        if rebuilding and outbox.count_due(self.store.connection, self.service.name):
            return
        with self.store.transaction():
            self.store.set_meta(f"made:{self.service.name}", fingerprint)
            self.store.set_meta(f"rebuilding:{self.service.name}", "")

    # One page --------------------------------------------------------------------------------------------------------

    def _page(self, after: str, deletions: bool) -> list[Delivery]:  # run on the worker by position
        limit = self.service.capabilities.batch_items
        if self.service.capabilities.embeds:
            limit = min(limit, self.options.batch_items)
        return outbox.due_page(self.store.connection, self.service.name, after, limit, deletions=deletions)

    def _is_time(self, due: Delivery) -> bool:
        moment = from_iso(due.next_attempt) if due.error else None
        now = self.clock()
        # A moment further off than the longest delay was written before the clock was set back.
        return self.options.retry_all or moment is None or moment <= now or moment - now > _LONGEST_DELAY

    async def _deliver(self, page: Sequence[Delivery]) -> None:
        found = await self._stored_already(page)
        loaded = await self.worker.run(self._payloads, [due.id for due in page])
        present = [due for due in page if found.get(due.id) == due.wanted]
        if present:
            await self.worker.run(self._commit, [(due, None) for due in present], loaded)
        settled = {due.id for due in present}
        rest = [due for due in page if due.id not in settled]
        if unreadable := [due for due in rest if due.id not in loaded]:
            rows = await self.worker.run(self._unreadable, [due.id for due in unreadable])
            await self.worker.run(self._commit, [(due, _UNREADABLE) for due in unreadable], rows)
        rest = [due for due in rest if due.id in loaded]
        metadata = [due for due in rest if _text(found.get(due.id) or due.confirmed) == _text(due.wanted)]
        chosen = {due.id for due in metadata}
        texts = [due for due in rest if due.id not in chosen]
        if metadata:
            texts += await self._update_metadata(metadata, loaded)
        heaviest = self.service.capabilities.batch_bytes or math.inf
        sizes = {due.id: len(loaded[due.id].content.encode("utf-8", "surrogatepass")) for due in texts}
        for batch in in_batches(texts, lambda due: sizes[due.id], math.inf, heaviest):
            fitting = self._fitting(batch, loaded)
            if fitting:
                verdicts, failure = await self._verdicts(batch[:fitting], loaded, self.service.upsert)
                await self.worker.run(self._commit, verdicts, loaded)
                if failure:
                    raise failure
            if fitting < len(batch):
                raise self._full(len(batch) - fitting)

    def _payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        with self.store.snapshot() as connection:
            loaded = payloads(connection, self.options.brand, ids)
            traits = self.service.capabilities
            if not self.options.model or not (traits.embeds or traits.shared):
                return loaded
            model = self.options.model
            vectors = vectors_of(connection, ids, model)
        return {
            id_: replace(payload, vectors=vectors[id_], vector_model=model) if id_ in vectors else payload
            for id_, payload in loaded.items()
        }

    def _unreadable(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return damaged entries for the report, which names them; nothing of this is delivered."""
        found = self.store.rows(f"{SELECT_ENTRIES}id IN (SELECT value FROM json_each(?))", (in_json(ids),))
        rows = [EntryRow(*row)._replace(facts="{}", related="[]") for row in found]
        return {row.id: payload_of_row(self.options.brand, row, ()) for row in rows}

    async def _stored_already(self, page: Sequence[Delivery]) -> dict[str, str]:
        """Return the versions a service has of entries that it may have although nobody recorded it."""
        ids = [
            due.id
            for due in page
            if due.action != Action.FORCED
            and (due.run != self.options.run or due.action in _ELSEWHERE or due.confirmed == "?")
        ]
        if not ids or self._is_rebuilding():
            return {}
        records: Mapping[str, StoredRecord] = await self._ask(self.service.fetch(ids))
        # Where a service does not tell the state, it has the one that was last confirmed.
        last = {due.id: due.confirmed if due.confirmed not in {"", "?"} else due.wanted for due in page}
        return {
            id_: version_of(
                record.content_hash,
                record.metadata_hash,
                record.state or ("retired" if last[id_].endswith(":retired") else "current"),
            )
            for id_, record in records.items()
        }

    def _fitting(self, batch: Sequence[Delivery], loaded: Mapping[str, Payload]) -> int:
        """Return how many of a batch fit, from its beginning, and count them as stored.

        A new version of what is there takes the place of the old one and counts for nothing.
        """
        capacity = self._room.capacity
        if capacity is None or capacity.limit is None:
            return len(batch)
        left = capacity.limit - capacity.used - self._room.taken
        for number, due in enumerate(batch):
            size = 0 if due.confirmed else self.service.size_of(loaded[due.id])
            if size > left:
                return number
            left -= size
            self._room.taken += size
        return len(batch)

    def _full(self, waiting: int) -> ServiceError:
        # How full it is, stands under Storage capacity, for those who may see what all brands use together.
        setting = self._room.capacity.setting if self._room.capacity else ""
        way = "Delete there what is not needed, or change the plan"
        way += f" and set {setting} to what fits." if setting else "."
        return ServiceError(
            f"{self.service.engine} is too full for {waiting} more entries.",
            f"{way} What does not fit is queued.",
            error_class=ErrorClass.QUOTA,
            code="no-room",
        )

    async def _update_metadata(self, page: Sequence[Delivery], loaded: Mapping[str, Payload]) -> list[Delivery]:
        """Update metadata alone; return the entries the service turned out not to have, to be stored whole."""
        verdicts, failure = await self._verdicts(page, loaded, self.service.update_metadata)
        lacking = [due for due, error in verdicts if _is_missing(error)]
        await self.worker.run(self._commit, [verdict for verdict in verdicts if not _is_missing(verdict[1])], loaded)
        if failure:
            raise failure
        return lacking

    async def _remove(self, page: Sequence[Delivery]) -> None:
        await self._ask(self.service.delete([due.id for due in page]))
        await self.worker.run(self._commit, [(due, None) for due in page], {})
        self.result.removed += len(page)

    async def _verdicts(
        self,
        page: Sequence[Delivery],
        loaded: Mapping[str, Payload],
        call: Callable[[Sequence[Payload]], Awaitable[list[Outcome]]],
    ) -> tuple[list[_Verdict], ServiceError | None]:
        """Return the service's word on each entry and, if it stopped answering before the last one, why.

        A batch that fails is halved until the bad entry stands alone.
        """
        verdicts: list[_Verdict] = []
        parts = [page]
        while parts:
            part = parts.pop(0)
            try:
                outcomes = await call([loaded[due.id] for due in part])
                verdicts += _paired(part, outcomes, self.service.engine)
                self._unexpected = 0
            except DmMemoryError as error:
                failure = error if isinstance(error, ServiceError) else _configuration(error)
            except Exception as error:  # noqa: BLE001  # a bug in an adapter must not cost the other entries
                failure = unexpected(self.service.engine, error)
            else:
                continue
            if failure.concerns_whole_service:
                return verdicts, failure
            if len(part) > 1:
                middle = len(part) // 2
                parts[:0] = [part[:middle], part[middle:]]
                continue
            verdicts.append((part[0], failure))
            self._unexpected += failure.error_class is ErrorClass.UNKNOWN
            if self._unexpected >= _UNEXPECTED_IN_A_ROW:
                return verdicts, ServiceError(
                    failure.problem, failure.remedy, error_class=ErrorClass.UNAVAILABLE, code=failure.code
                )
        return verdicts, None

    async def _ask(self, call: Awaitable[_Answer]) -> _Answer:
        """Await a call to the service; whatever it raises becomes a ``ServiceError``."""
        try:
            return await call
        except ServiceError:
            raise
        except DmMemoryError as error:
            raise _configuration(error) from error
        except Exception as error:  # a bug in an adapter must not cost the run; it is reported
            raise unexpected(self.service.engine, error) from error

    # The outbox ------------------------------------------------------------------------------------------------------

    def _commit(self, verdicts: Sequence[_Verdict], loaded: Mapping[str, Payload]) -> None:
        """Record the verdicts on a batch in one transaction, then count them."""
        now = to_iso(self.clock())
        done = [due for due, error in verdicts if error is None]
        failed = [(due, error, self._failure(due, error)) for due, error in verdicts if error is not None]
        with self.store.transaction() as connection:
            outbox.confirm(connection, self.service.name, [(due.id, due.wanted) for due in done], now, self.options.run)
            outbox.fail(
                connection,
                self.service.name,
                [
                    (
                        due.id,
                        failure.attempts,
                        failure.next_attempt_at,
                        orjson.dumps([failure.error_class, failure.message, failure.remedy, failure.code]).decode(),
                    )
                    for due, _, failure in failed
                ],
                self.options.run,
            )
        stored = [due for due in done if due.wanted]
        self.result.stored += len(stored)
        added = sum(due.action == Action.ADDED for due in stored)
        self.result.added += added
        self.result.waited += sum(due.run != self.options.run for due in stored if due.action != Action.ADDED)
        self.result.failed += len(failed)
        for due, _, failure in failed:
            if due.id in loaded:
                earlier = Action.RETRY if due.error else Action.RESUMED
                action = Action(due.action) if due.run == self.options.run else earlier
                self.outcomes.failed(loaded[due.id], action, failure)

    def _failure(self, due: Delivery, error: ServiceError) -> Failure:
        attempts = due.attempts + 1
        delay = timedelta(seconds=error.retry_after or 0)
        if attempts > _FREE_ATTEMPTS:
            delay = max(delay, min(timedelta(minutes=2 ** (attempts - _FREE_ATTEMPTS)), _LONGEST_DELAY))
        return Failure(
            error_class=error.error_class,
            message=error.problem,
            remedy=error.remedy,
            code=error.code,
            service=self.service.name,
            attempts=attempts,
            next_attempt_at=to_iso(self.clock() + delay),
        )


def _text(version: str) -> str:
    """Return which text a version is of."""
    return version.partition(":")[0]


def _is_missing(error: ServiceError | None) -> bool:
    return error is not None and error.error_class is ErrorClass.VALIDATION


def _configuration(error: DmMemoryError) -> ServiceError:
    return ServiceError(error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE, code="configuration")


def _paired(page: Sequence[Delivery], outcomes: Sequence[Outcome], engine: str) -> list[_Verdict]:
    if len(outcomes) != len(page):
        raise ServiceError(
            f"{engine} answered for {len(outcomes)} of {len(page)} entries: a malformed response.",
            "Sync again; report it if it happens again.",
            error_class=ErrorClass.MALFORMED_REPLY,
            code="outcome-count",
        )
    return [(due, outcome.error) for due, outcome in zip(page, outcomes, strict=True)]


_UNREADABLE = ServiceError(
    "The entry's text in memory is not what its hash says, so it was not delivered.",
    "Run dm-memory verify --repair: it restores the text from its source.",
    error_class=ErrorClass.VALIDATION,
    code="damaged-text",
)
