"""Filling another vector database from the durable store alone: no brand file is read.

The registry catches up with the store, everything becomes due in the new layer, and is delivered as in any sync: in
batches, each item for itself, each confirmation recorded. So a migration that was stopped goes on where it was.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from dm_memory.errors import ConfigurationError, LayerError
from dm_memory.items import storage_id
from dm_memory.operations.maintenance import Upkeep, upkeep
from dm_memory.services.protocol import Layer
from dm_memory.sync import rows
from dm_memory.sync.asking import answered
from dm_memory.sync.closing import failure_of
from dm_memory.sync.learn import NewsDesk, NewsLayer, learn
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress
from dm_memory.sync.results import MigrateResult
from dm_memory.sync.state import Environment
from dm_memory.text.timestamps import to_iso

__all__ = ["migrate_brand"]

_SAMPLE = 50


async def migrate_brand(
    environment: Environment, brand: str, target: Layer, *, progress: Progress, stop: asyncio.Event
) -> MigrateResult:
    """Fill ``target`` with everything the durable store holds, then compare the two.

    Args:
        environment: Where and how; its layers are those in use, the durable store among them.
        brand: The slug.
        target: The layer to fill.
        progress: Told of every batch.
        stop: When set, ends after the batch at hand; the next migration goes on from there.

    Raises:
        ConfigurationError: There is no durable store among the layers.
        LayerError: The durable store can't be read.
        DmMemoryError: The brand can't be held or its registry not be opened.
    """
    started = time.monotonic()
    source = next((layer for layer in environment.layers if isinstance(layer, NewsLayer)), None)
    if source is None:
        raise ConfigurationError("There is no durable store to migrate from.", "Sync once with the default layers.")
    async with upkeep(environment, brand, progress, stop) as desk:
        others = {layer.name for layer in environment.layers if layer.name != source.name} | {target.name}
        news = NewsDesk(desk.registry, source.name, tuple(sorted(others)), desk.run.number, to_iso(environment.clock()))
        learned = await learn(news, desk.worker, source)
        if learned.failure is not None:
            raise learned.failure
        due = await desk.worker.run(_make_due, desk.registry, target.name, desk.run.number)
        delivered = await desk.deliver(target)
        failure = delivered.failure
        expected = await desk.worker.run(rows.entries_in, desk.registry, target.name)
        held, sampled, differing = None, 0, 0
        if failure is None:
            try:
                held, sampled, differing = await _compare(desk, target)
            except LayerError as error:
                failure = error
    return MigrateResult(
        brand=brand,
        source=source.engine,
        target=target.engine,
        due=due,
        stored=delivered.stored,
        failed=delivered.failed,
        expected=expected,
        held=held,
        sampled=sampled,
        differing=differing,
        stopped=stop.is_set(),
        failure=failure_of(failure, target.name) if failure else None,
        findings=tuple(desk.outcomes.findings),
        seconds=time.monotonic() - started,
    )


def _make_due(registry: Registry, target: str, run: int) -> int:
    with registry.transaction() as connection:
        rows.mark_missing(connection, target, run)
        rows.mark_stale(connection, target, run)
    return registry.value(
        "SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE layer = ? AND state <> 1", (target,)
    )


async def _compare(desk: Upkeep, target: Layer) -> tuple[int | None, int, int]:
    """Return how many entries the target holds (None where it can't say), how many were read, and how many differ."""
    held = (await answered(target.engine, target.capacity())).entries
    chosen = await desk.worker.run(_sample, desk.registry, target.name)
    wanted = {storage_id(desk.brand, key): (content, metadata) for key, content, metadata in chosen}
    found = await answered(target.engine, target.fetch(list(wanted)))
    differing = sum(
        id_ not in found or (found[id_].content_hash, found[id_].metadata_hash) != hashes
        for id_, hashes in wanted.items()
    )
    return held, len(wanted), differing


def _sample(registry: Registry, layer: str) -> Sequence[tuple[str, str, str]]:
    stored = registry.tuples(
        "SELECT i.key, i.content_hash, i.metadata_hash FROM deliveries d JOIN items i ON i.seq = d.seq"
        " WHERE d.layer = ? AND d.state = 1",
        (layer,),
    )
    return random.sample(stored, min(_SAMPLE, len(stored)))
