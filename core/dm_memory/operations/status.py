"""What is in memory and whether it is healthy: memory.db's view, compared with what the services really have."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import orjson

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.findings import Finding, Severity, is_file_problem
from dm_memory.operations.waiting import count_handed_in, count_waiting_files
from dm_memory.results import Action, Failure, ItemOutcome, ServiceStatus, StatusResult, StoreResult
from dm_memory.services.protocol import Capacity, Health, Service, unexpected
from dm_memory.store import outbox
from dm_memory.store.database import Store, reading
from dm_memory.store.entries import census
from dm_memory.store.latest import LastRun, last_run
from dm_memory.store.locks import is_locked, lock_holder
from dm_memory.store.opening import missing_memory
from dm_memory.sync.finish import (
    LAST_COMPLETE,
    SEEN_TO_DIFFER,
    capacity_on_record,
    file_problems,
    seen_capacity,
    seen_to_differ,
    store_result,
)
from dm_memory.sync.run import Environment, title_of
from dm_memory.text.timestamps import from_iso
from dm_memory.worker import worker_thread

__all__ = ["brand_status"]

_READ_ONLY = "read-only"
_STALE_AFTER = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class _Measured:
    """A service as it answered just now."""

    service: Service
    health: Health
    counted: int | None = None
    capacity: Capacity | None = None


async def brand_status(env: Environment, brand: str, failures: int) -> StatusResult:
    """Look at a brand's memory without changing anything, even while a sync runs.

    Args:
        env: Where and how.
        brand: The slug.
        failures: How many failed items to list.

    Raises:
        DmMemoryError: The home or the memory can't be read.
    """
    memory_dir = env.home.memory_dir(brand)
    async with worker_thread("dm-memory-status") as worker:
        context = await worker.run(load_context, env.home, brand, env.limits)
        before = await worker.run(reading, memory_dir, brand, _last_run)
        measured = await asyncio.gather(*(_measure(service) for service in env.services))
        active = (lock_holder(memory_dir) or "another process") if await worker.run(is_locked, memory_dir) else ""

        def view(store: Store | None) -> StatusResult:
            same = not active and _last_run(store) == before
            return _View(env, brand, context, store, measured, active, comparable=same).result(failures)

        return await worker.run(reading, memory_dir, brand, view)


def _last_run(store: Store | None) -> LastRun | None:
    """Return the last run; it is another one, or has another status, if one began or ended since."""
    return last_run(store) if store else None


async def _measure(service: Service) -> _Measured:
    health = await service.health()
    if not health.ok:
        return _Measured(service, health)
    try:
        counted = await service.count() if service.capabilities.counts else None
        return _Measured(service, health, counted, await service.capacity())
    except Exception as error:  # noqa: BLE001  # a service that fails is reported, with the others
        known = unexpected(service.engine, error)
        return _Measured(service, Health(ok=False, engine=service.engine, detail=known.problem, error=known))


_NOTHING = StoreResult(0, 0, 0, "", 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _View:
    """One look at everything.

    Attributes:
        comparable: False if a run changed memory, or the services, between the looks at one and the other.
    """

    env: Environment
    brand: str
    context: BrandContext
    store: Store | None
    measured: Sequence[_Measured]
    active: str
    comparable: bool

    def result(self, failures: int) -> StatusResult:
        store = self.store
        counted = census(store.connection) if store else None
        memory = store_result(store, store.meta("model"), counted) if store and counted else _NOTHING
        services = tuple(self._service(each) for each in self.measured)
        last = _last_run(store)
        complete = store.meta(LAST_COMPLETE) if store else ""
        pending = max((service.pending for service in services), default=0)
        failed = max((service.failed for service in services), default=0)
        memory_dir = self.env.home.memory_dir(self.brand)
        prepared = count_waiting_files(memory_dir)
        handed_in = count_handed_in(store, memory_dir)
        findings = [*self.context.findings, *self._gone(), *_locked_out(memory_dir)]
        findings += file_problems(store) if store else ()
        findings += seen_to_differ(store, [service.name for service in services]) if store else ()
        for service in services:
            findings += _drift(service) if self.comparable else ()
        last_status = last.status if last else ""
        if last_status == "running" and not self.active:
            last_status = "interrupted"
        moment: datetime | None = from_iso(complete)
        age = None if moment is None else max(0.0, (self.env.clock() - moment).total_seconds())
        result = StatusResult(
            brand=self.brand,
            brand_name=self.context.name,
            status=self._status(last is not None, failed, pending, last_status, findings, services),
            total_items=memory.entries,
            counts=counted.by_type if counted else {},
            pending=pending,
            failed=failed,
            prepared=prepared + handed_in,
            last_sync_at=last.started_at if last else "",
            last_complete_sync_at=complete,
            sync_age_seconds=age,
            last_run_status=last_status,
            store=memory,
            services=services,
            failures=self._failures(failures) if store else (),
            findings=tuple(findings),
            advice=(),
            active_run=self.active,
        )
        return _advised(result)

    def _gone(self) -> list[Finding]:
        """Say that a memory which its journal or its checkpoint knows of is not there."""
        return [] if self.store is not None else missing_memory(self.env.home.memory_dir(self.brand))

    def _service(self, each: _Measured) -> ServiceStatus:
        service, store = each.service, self.store
        name = service.name
        connection = store.connection if store else None
        due = outbox.count_due(connection, name) if connection else 0
        failed = outbox.count_failed(connection, name) if connection else 0
        return ServiceStatus(
            name=name,
            role=service.role,
            engine=service.engine,
            entries=outbox.count_confirmed(connection, name) if connection else 0,
            counted=each.counted,
            pending=due - failed,
            failed=failed,
            health=each.health,
            capacity=seen_capacity(self.env, each.capacity or (capacity_on_record(store, name) if store else None)),
            shared=service.capabilities.shared,
        )

    def _status(  # everything the word depends on
        self,
        synced: bool,
        failed: int,
        pending: int,
        last_status: str,
        findings: Sequence[Finding],
        services: Sequence[ServiceStatus],
    ) -> str:
        if self.active:
            return "syncing"
        if any(finding.code == "memory-gone" for finding in findings):
            return "attention"
        if not synced and not (self.store and self.store.value("SELECT EXISTS (SELECT 1 FROM entries)")):
            return "never-synced"
        wrong = any(
            finding.code in {"drift", SEEN_TO_DIFFER, _READ_ONLY} or is_file_problem(finding) for finding in findings
        )
        down = any(not service.health.ok for service in services)
        unfinished = last_status in {"partial", "interrupted", "cancelled"}
        return "attention" if failed or pending or wrong or down or unfinished else "ready"

    def _failures(self, limit: int) -> tuple[ItemOutcome, ...]:
        if self.store is None:
            return ()
        found = self.store.rows(
            "SELECT d.service, d.attempts, d.next_attempt, d.error, e.key, e.content, e.content_hash,"
            " e.content_type, e.id FROM deliveries d JOIN entries e ON e.id = d.id"
            " WHERE d.wanted <> d.confirmed AND d.error <> '' ORDER BY e.seq LIMIT ?",
            (limit,),
        )
        outcomes = []
        for service, attempts, next_attempt, error, key, content, digest, content_type, id_ in found:
            error_class, message, remedy, code = orjson.loads(error)
            failure = Failure(error_class, message, remedy, code, service, attempts, next_attempt)
            outcomes.append(
                ItemOutcome(
                    key=key,
                    title=title_of(content),
                    content_hash=digest,
                    action=Action.RETRY,
                    content_type=content_type,
                    storage_id=id_,
                    failure=failure,
                )
            )
        return tuple(outcomes)


def _locked_out(memory_dir: Path) -> list[Finding]:
    """Say that a memory can be read, and that nothing can be stored there."""
    if not memory_dir.exists() or os.access(memory_dir, os.W_OK | os.X_OK):
        return []
    message = f"{memory_dir} can't be written: memory can be read, but nothing can be stored."
    remedy = "Make the folder writable for the user who runs dm-memory."
    return [Finding(_READ_ONLY, Severity.WARNING, message, remedy)]


def _drift(service: ServiceStatus) -> list[Finding]:
    """Compare what a service has with what was confirmed; more is other machines' business."""
    counted = service.counted
    if counted is None:
        return []
    if counted < service.entries:
        message = f"{service.engine} has {counted} entries, but {service.entries} were stored there."
        return [Finding("drift", Severity.ERROR, message, "Sync: it looks for what is missing and stores it again.")]
    if counted > service.entries + service.pending and service.shared:
        more = counted - service.entries
        message = f"{service.engine} has {more} more entries than this computer knows."
        return [
            Finding("stored-elsewhere", Severity.INFO, message, "Other computers store there too: sync to get them.")
        ]
    return []


def _advised(result: StatusResult) -> StatusResult:
    advice = []
    if result.status == "never-synced":
        advice.append("Sync this brand for the first time.")
    advice += [service.health.error.remedy for service in result.services if service.health.error]
    advice += [
        finding.remedy for finding in result.findings if finding.code in {"memory-gone", SEEN_TO_DIFFER, _READ_ONLY}
    ]
    if any(finding.code == "drift" for finding in result.findings):
        advice.append("Sync: it looks for what is missing and stores it again.")
    if result.failed:
        advice.append(f"{result.failed} failed: see what to do beside each, then sync again.")
    if any(map(is_file_problem, result.findings)):
        advice.append("Correct what is wrong in the brand's files (see Failed and waiting), then sync again.")
    waiting = result.pending + result.prepared
    if waiting and result.status != "never-synced":
        advice.append(f"Sync to store the {waiting} that wait.")
    if not advice and result.last_run_status in {"partial", "interrupted", "cancelled"}:
        advice.append(f"The last sync was {result.last_run_status}: sync again.")
    if not advice and (result.sync_age_seconds or 0) > _STALE_AFTER:
        advice.append("The last complete sync is more than a week old: sync at the end of this session.")
    return replace(result, advice=tuple(advice or ["Nothing to do."]))
