"""Letting something stand that the guard masks or leaves out, such as the brand's own public address."""

from __future__ import annotations

import asyncio

from dm_memory.errors import InputError
from dm_memory.operations.maintenance import maintenance
from dm_memory.requests import no_progress
from dm_memory.results import AllowResult
from dm_memory.store.allowing import allow_record, allowed_in, keep_allowed
from dm_memory.sync.run import Environment, Run
from dm_memory.text.guard import Guard, GuardHit
from dm_memory.text.markets import regions_of

__all__ = ["allow_value"]


async def allow_value(env: Environment, brand: str, value: str, stop: asyncio.Event, *, undo: bool) -> AllowResult:
    """Allow what the guard finds in a text, or no longer.

    What is kept are digests. Nothing in memory is changed: the next sync reads the brand's files again, because what
    is allowed counts among what files are prepared by.

    Args:
        env: Where and how.
        brand: The slug.
        value: What is to stand, as it is written; around it may be anything.
        stop: Ends the wait for the brand's lock.
        undo: Take it back.

    Raises:
        InputError: The guard finds nothing in ``value``.
        DmMemoryError: The memory can't be used.
    """
    async with maintenance(env, brand, no_progress, stop) as run:
        regions = regions_of(run.context.target_markets)
        found = Guard(env.policy, regions).apply(value).places
        if not found:
            raise InputError(
                "The guard finds nothing there.", "Pass what it masked or left out, as it stands in the file."
            )
        return await run.worker.run(_keep, run, found, undo)


def _keep(run: Run, found: tuple[GuardHit, ...], undo: bool) -> AllowResult:  # run on the worker by position
    store = run.store
    before = allowed_in(store)
    digests = {digest for hit in found for digest in hit.digests}
    after = before - digests if undo else before | digests
    if after != before:
        added = run.append([allow_record(after, run.now)])
        with store.transaction():
            run.note_journal(added)
            keep_allowed(store, after)
    status = "nothing" if after == before else "undone" if undo else "allowed"
    what = tuple(dict.fromkeys(hit.what for hit in found))
    return AllowResult(run.brand, what, status, len(after), tuple(run.outcomes.findings))
