"""Filling another vector database from memory alone: no brand file is read.

Everything becomes due in the new service and is delivered as in any sync: in batches, each success recorded at once. So
a migration that was stopped resumes where it was.
"""

from __future__ import annotations

import asyncio
import random
import time

from dm_memory.operations.maintenance import deliver, maintenance
from dm_memory.requests import Progress
from dm_memory.results import MigrateResult
from dm_memory.services.protocol import Service, unexpected
from dm_memory.store import outbox
from dm_memory.store.entries import version_of
from dm_memory.sync.feed import pull_feed
from dm_memory.sync.finish import failure_of
from dm_memory.sync.run import Environment, Run

__all__ = ["migrate_brand"]

_SAMPLE = 50


async def migrate_brand(
    env: Environment, brand: str, target: Service, *, progress: Progress, stop: asyncio.Event
) -> MigrateResult:
    """Store every entry of a brand in another service, and read some of them back.

    Raises:
        DmMemoryError: The brand can't be locked, or its memory not be read. A target that fails is in the result.
    """
    started = time.monotonic()
    async with maintenance(env, brand, progress, stop) as run:
        await pull_feed(run)
        due = await run.worker.run(_fill, run, target)
        delivered = await deliver(run, target)
        error = delivered.failure
        stored = sampled = differing = 0
        counted: int | None = None
        if error is None:
            try:
                counted = await target.count()
                sampled, differing = await _sample(run, target)
            except Exception as failure:  # noqa: BLE001  # a bug in an adapter is reported
                error = unexpected(target.engine, failure)
        expected = await run.worker.run(outbox.count_confirmed, run.store.connection, target.name)
        left = await run.worker.run(outbox.count_due, run.store.connection, target.name)
        stored = due - left
        return MigrateResult(
            brand=brand,
            source="memory",
            target=target.engine,
            due=due,
            stored=stored,
            failed=delivered.failed,
            expected=expected,
            counted=counted,
            sampled=sampled,
            differing=differing,
            stopped=stop.is_set(),
            seconds=time.monotonic() - started,
            failure=failure_of(error, target.name) if error else None,
            findings=tuple(run.outcomes.findings),
        )


def _fill(run: Run, target: Service) -> int:
    with run.store.transaction() as connection:
        run.note_change(connection)
        outbox.fill(connection, target.name, run.number, keeps_retired=target.capabilities.keeps_retired)
    return outbox.count_due(run.store.connection, target.name)


async def _sample(run: Run, target: Service) -> tuple[int, int]:
    """Read some entries back; return how many were looked at, and how many are not as they should be."""
    rows = await run.worker.run(
        run.store.rows,
        "SELECT id, confirmed FROM deliveries WHERE service = ? AND kind = 'entry' AND confirmed NOT IN ('', '?')",
        (target.name,),
    )
    chosen = dict(random.sample(rows, min(_SAMPLE, len(rows))))
    found = await target.fetch(list(chosen))
    differing = 0
    for id_, confirmed in chosen.items():
        record = found.get(id_)
        state = "retired" if confirmed.endswith(":retired") else "current"
        same = record is not None and version_of(record.content_hash, record.metadata_hash, state) == confirmed
        differing += not same
    return len(chosen), differing
