"""One run of a sync, from the lock to the result. Reads top to bottom; each stage is a function."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial

from dm_memory.brand.context import load_context
from dm_memory.sync.closing import Closing
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.lock import brand_lock
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.registry import DamagedRegistryError, Registry, open_snapshot
from dm_memory.sync.requests import Progress, SyncRequest
from dm_memory.sync.results import SyncResult
from dm_memory.sync.runs import Run, begin_run, open_or_rebuild
from dm_memory.sync.stage_catch_up import catch_up
from dm_memory.sync.stage_deliver import agree_on_generations, deliver
from dm_memory.sync.stage_take_in import take_in
from dm_memory.sync.state import KINDS, Call, Environment, State, is_wanted
from dm_memory.sync.worker import Worker, worker_thread
from dm_memory.text.flags import compliance_note

__all__ = ["sync_brand"]


async def sync_brand(
    environment: Environment, request: SyncRequest, brand: str, progress: Progress, stop: asyncio.Event
) -> SyncResult:
    """Bring a brand's memory up to date with its files, or say what that would do.

    Args:
        environment: Where and how.
        request: What to do.
        brand: The slug that the request's ``brand`` was resolved to.
        progress: Told of each stage and every few items.
        stop: When set, the run ends after the batch at hand, with everything stored so far recorded.

    Raises:
        DmMemoryError: Nothing could be done. Trouble with single files, items or layers is in the result instead.
    """
    call = Call(environment, request, brand, progress, stop, Excluder(request.exclude))
    try:
        return await _attempt(call, damaged=False)
    except DamagedRegistryError:
        if request.dry_run:
            raise
        return await _attempt(call, damaged=True)


async def _attempt(call: Call, *, damaged: bool) -> SyncResult:
    started = time.monotonic()
    environment, request, brand, progress = call.environment, call.request, call.brand, call.progress
    async with worker_thread("dm-memory-sync") as worker:
        await progress(f"Reading {brand}'s profile and guidelines", 0, 0)
        context = await worker.run(load_context, environment.home, brand, environment.limits)
        async with _registry(call, worker, damaged=damaged) as (registry, run):
            outcomes = Outcomes(brand, environment.data_items, dry_run=request.dry_run)
            outcomes.add_findings([*context.findings, *run.findings])
            outcomes.adopt(run.adopted.values())
            state = State(
                environment,
                request,
                brand,
                context,
                registry,
                run,
                outcomes,
                worker,
                progress,
                call.stop,
                call.excluder,
            )
            await catch_up(state)
            await take_in(state)
            generations = await agree_on_generations(state)
            if not request.dry_run:
                await deliver(state, generations)
            return await worker.run(_close, state, time.monotonic() - started)


@contextlib.asynccontextmanager
async def _registry(call: Call, worker: Worker, *, damaged: bool) -> AsyncIterator[tuple[Registry, Run]]:
    """Provide the registry and the run's record: under the brand's lock, or as a private copy for a dry run."""
    environment, request = call.environment, call.request
    memory_dir = environment.home.memory_dir(call.brand)
    begin = partial(
        begin_run,
        layers=[layer.name for layer in environment.layers],
        is_wanted=partial(is_wanted, KINDS[request.scope], call.excluder),
    )
    if request.dry_run:
        registry = await worker.run(open_snapshot, memory_dir)
        with contextlib.closing(registry):
            yield registry, await worker.run(partial(begin, registry, request, environment.clock, 0.0))
        return
    async with brand_lock(memory_dir, environment.lock_timeout, environment.clock, call.progress, call.stop) as waited:
        registry, findings = await worker.run(partial(open_or_rebuild, memory_dir, damaged=damaged))
        try:
            run = await worker.run(partial(begin, registry, request, environment.clock, waited))
            run.findings.extend(findings)
            run.registry_is_new |= any(finding.code == "registry-rebuilt" for finding in findings)
            yield registry, run
        finally:
            await worker.run(registry.close)


def _close(state: State, seconds: float) -> SyncResult:
    closing = Closing(
        registry=state.registry,
        brand=state.brand,
        memory_dir=state.memory_dir,
        layers=state.environment.layers,
        vector_db=state.environment.vector_db,
        kinds=KINDS[state.request.scope],
        request=state.request,
        run=state.run,
        outcomes=state.outcomes,
        delivered=state.delivered,
        broken=state.broken,
        stopped=state.stop.is_set(),
        clock=state.environment.clock,
        pending_names=state.pending_names,
    )
    return closing.result(state.context.name, compliance_note(state.context), seconds)
