"""Work on a brand's layers outside of a sync: the brand is held, its registry open, a run on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from dm_memory.errors import LayerError
from dm_memory.items import Kind
from dm_memory.services.protocol import Layer
from dm_memory.sync.asking import answered
from dm_memory.sync.closing import record_capacity
from dm_memory.sync.delivery import Delivered, Delivery, DeliveryOptions
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.generations import agree_on_generation
from dm_memory.sync.lock import brand_lock
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress, SyncRequest
from dm_memory.sync.runs import MAINTENANCE, Run, begin_run, finish_run, open_or_rebuild
from dm_memory.sync.state import Environment
from dm_memory.sync.worker import Worker, worker_thread
from dm_memory.text.timestamps import to_iso

__all__ = ["Upkeep", "upkeep"]


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What such work needs."""

    environment: Environment
    brand: str
    registry: Registry
    run: Run
    worker: Worker
    progress: Progress
    stop: asyncio.Event
    outcomes: Outcomes

    async def deliver(self, layer: Layer) -> Delivered:
        """Deliver to a layer everything that is due there, of whatever kind. Trouble is in what it returns."""
        generation = await agree_on_generation(self.registry, self.worker, layer, self.run, force=False, dry_run=False)
        self.outcomes.add_findings(generation.findings)
        if generation.blocked is not None:
            return Delivered(failure=generation.blocked)
        due = "SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE layer = ? AND state <> 1"
        total = await self.worker.run(self.registry.value, due, (layer.name,))
        delivery = self._delivery(layer)
        try:
            await generation.begin(layer)
            delivered = await delivery.run(total)
            if delivered.failure is None and not self.stop.is_set():
                await generation.finish(layer, self.registry, self.worker)
            measured = await answered(layer.engine, layer.capacity())
            capacity = delivery.room.after(measured) or measured
            await self.worker.run(record_capacity, self.registry, layer.name, capacity)
        except LayerError as error:
            delivery.result.failure = error
        return delivery.result

    def _delivery(self, layer: Layer) -> Delivery:
        options = DeliveryOptions(
            brand=self.brand,
            run=self.run.number,
            batch_items=self.environment.batch_items,
            kinds=frozenset(Kind),
            in_doubt=self.run.in_doubt,
            retry_all=True,
        )
        return Delivery(
            self.registry,
            self.worker,
            layer,
            options,
            self.outcomes,
            excluder=Excluder(),
            clock=self.environment.clock,
            progress=self.progress,
            stop=self.stop,
        )


@asynccontextmanager
async def upkeep(
    environment: Environment, brand: str, progress: Progress, stop: asyncio.Event
) -> AsyncIterator[Upkeep]:
    """Hold the brand while the block runs.

    Raises:
        LockTimeoutError: Another process keeps it.
        RegistryError, HomeError: The registry can't be used.
    """
    memory_dir = environment.home.memory_dir(brand)
    async with (
        worker_thread("dm-memory-upkeep") as worker,
        brand_lock(memory_dir, environment.lock_timeout, environment.clock, progress, stop) as waited,
    ):
        registry, findings = await worker.run(partial(open_or_rebuild, memory_dir))
        try:
            run = await worker.run(begin_run, registry, SyncRequest(brand), environment.clock, waited)
            outcomes = Outcomes(brand, environment.data_items, dry_run=False)
            outcomes.add_findings([*findings, *run.findings])
            yield Upkeep(environment, brand, registry, run, worker, progress, stop, outcomes)
            await worker.run(_finish, registry, run, to_iso(environment.clock()))
        finally:
            await worker.run(registry.close)


def _finish(registry: Registry, run: Run, at: str) -> None:
    with registry.transaction() as connection:
        finish_run(connection, run, MAINTENANCE, at, {})
