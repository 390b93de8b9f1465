"""Work on a brand's memory outside of a sync: the brand is locked, its memory open, a run at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from dm_memory.brand.context import load_context
from dm_memory.errors import DamagedStoreError, StoreError
from dm_memory.requests import Progress, SyncRequest
from dm_memory.services.protocol import Service
from dm_memory.store.database import store_errors
from dm_memory.store.locks import brand_lock
from dm_memory.store.opening import open_or_rebuild, rebuild_next_time
from dm_memory.sync.deliver import Delivering
from dm_memory.sync.pipeline import model_in_use
from dm_memory.sync.run import Delivered, Environment, Run
from dm_memory.worker import worker_thread

__all__ = ["deliver", "delivering", "maintenance"]


@asynccontextmanager
async def maintenance(env: Environment, brand: str, progress: Progress, stop: asyncio.Event) -> AsyncIterator[Run]:
    """Keep the brand locked while the block runs, and provide a run.

    Raises:
        LockTimeoutError: Another process keeps it locked.
        StoreError, HomeError: The memory can't be used.
    """
    memory_dir = env.home.memory_dir(brand)
    async with (
        worker_thread("dm-memory-maintenance") as worker,
        brand_lock(memory_dir, env.lock_timeout, env.clock, progress, stop) as waited,
    ):
        context = await worker.run(load_context, env.home, brand, env.limits)
        store, findings = await worker.run(
            partial(open_or_rebuild, memory_dir, brand, env.clock, languages=context.languages)
        )
        try:
            with store_errors(store.path):
                request = SyncRequest(brand)
                run = await worker.run(
                    partial(Run.begin, env, request, brand, context, store, worker, progress, stop, waited)
                )
                run.outcomes.add_findings(findings)
                yield run
                await worker.run(_finish, run)
        except DamagedStoreError:  # it asks for a sync, which may have no reason of its own to read what is damaged
            with suppress(StoreError):
                await worker.run(rebuild_next_time, store)
            raise
        finally:
            await worker.run(store.close)


def _finish(run: Run) -> None:
    if run.changed:
        with run.store.transaction():
            run.finish("maintenance", run.outcomes.counts)


async def deliver(run: Run, service: Service) -> Delivered:
    """Deliver to a service everything that is due there. An error of the service is in what it returns."""
    model = await run.worker.run(model_in_use, run)
    return await delivering(run, service, model).run()


def delivering(run: Run, service: Service, model: str) -> Delivering:
    """Return what delivers to a service, whatever failed before and is not due yet."""
    return Delivering.of(run, service, model, Delivered(), retry_all=True)
