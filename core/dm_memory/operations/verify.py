"""Drift: what the registry believes of the layers, held against what they really hold, and mended where asked for.

missing: The registry has it as stored, the layer does not hold it.
stale: The layer holds it with another text or other metadata.
unknown: The layer holds it, the registry knows nothing of it. Only layers that can list what they hold tell of these.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dm_memory.errors import LayerError
from dm_memory.items import Payload, storage_id
from dm_memory.operations.maintenance import Upkeep, upkeep
from dm_memory.services.protocol import Layer
from dm_memory.sync.asking import answered
from dm_memory.sync.closing import failure_of
from dm_memory.sync.exports import mark_index_due
from dm_memory.sync.reclaim import TellingLayer, enter_entries
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress
from dm_memory.sync.results import LayerDrift, VerifyResult
from dm_memory.sync.state import Environment
from dm_memory.text.timestamps import to_iso

__all__ = ["verify_brand"]

_PAGE = 256
_EXAMPLES = 10


@dataclass(slots=True)
class _Found:
    """What was found in one layer."""

    checked: int = 0
    missing: list[tuple[int, str]] = field(default_factory=list)
    stale: list[tuple[int, str]] = field(default_factory=list)
    unknown: list[Payload] | None = None

    @property
    def differing(self) -> list[tuple[int, str]]:
        return [*self.missing, *self.stale]


async def verify_brand(
    environment: Environment, brand: str, *, repair: bool, progress: Progress, stop: asyncio.Event
) -> VerifyResult:
    """Compare the registry with every layer.

    Args:
        environment: Where and how.
        brand: The slug.
        repair: Store again what is missing or stale, and take up, or remove, what is unknown.
        progress: Told of each layer.
        stop: When set, ends after the page at hand.

    Raises:
        DmMemoryError: The brand can't be held or its registry not be read. A layer that fails is in the result.
    """
    started = time.monotonic()
    async with upkeep(environment, brand, progress, stop) as desk:
        layers = [await _verified(desk, layer, repair=repair) for layer in environment.layers]
        findings = tuple(desk.outcomes.findings)
    return VerifyResult(brand, repair, tuple(layers), time.monotonic() - started, findings)


async def _verified(desk: Upkeep, layer: Layer, *, repair: bool) -> LayerDrift:
    await desk.progress(f"Comparing with {layer.engine}", 0, 0)
    found = _Found()
    repaired = 0
    try:
        await _compare(desk, layer, found)
        if repair:  # before the listing: what is damaged may be what can't be listed
            repaired += await _store_again(desk, layer, found)
        await _list_unknown(desk, layer, found)
        if repair:
            repaired += await _take_up(desk, layer, found)
    except LayerError as error:
        return _drift(layer, found, repaired, error)
    return _drift(layer, found, repaired, None)


def _drift(layer: Layer, found: _Found, repaired: int, error: LayerError | None) -> LayerDrift:
    keys = [key for _, key in found.differing] + [entry.key for entry in found.unknown or ()]
    return LayerDrift(
        name=layer.name,
        engine=layer.engine,
        checked=found.checked,
        missing=len(found.missing),
        stale=len(found.stale),
        unknown=None if found.unknown is None else len(found.unknown),
        examples=tuple(keys[:_EXAMPLES]),
        repaired=repaired,
        failure=failure_of(error, layer.name) if error else None,
    )


async def _compare(desk: Upkeep, layer: Layer, found: _Found) -> None:
    """Ask the layer, a page at a time, for what the registry has as stored there."""
    after = 0
    while not desk.stop.is_set():
        page = await desk.worker.run(desk.registry.tuples, _STORED, (layer.name, after, _PAGE))
        if not page:
            return
        after = page[-1][0]
        ids = {storage_id(desk.brand, key): (seq, key, content, metadata) for seq, key, content, metadata in page}
        held = await answered(layer.engine, layer.fetch(list(ids)))
        for id_, (seq, key, content, metadata) in ids.items():
            record = held.get(id_)
            if record is None:
                found.missing.append((seq, key))
            elif (record.content_hash, record.metadata_hash) != (content, metadata):
                found.stale.append((seq, key))
        found.checked += len(page)


_STORED = (
    "SELECT d.seq, i.key, d.content_hash, d.metadata_hash FROM deliveries d JOIN items i ON i.seq = d.seq"
    " WHERE d.layer = ? AND d.state = 1 AND d.seq > ? ORDER BY d.seq LIMIT ?"
)


async def _list_unknown(desk: Upkeep, layer: Layer, found: _Found) -> None:
    if not isinstance(layer, TellingLayer):
        return
    known = await desk.worker.run(_known_ids, desk.registry, desk.brand, layer.name)
    found.unknown = []
    after: str | None = None
    while not desk.stop.is_set():
        entries, after = await answered(layer.engine, layer.entries(after, _PAGE))
        found.unknown += [entry for entry in entries if entry.id not in known]
        if after is None:
            return


def _known_ids(registry: Registry, brand: str, layer: str) -> set[str]:
    sql = "SELECT i.key FROM deliveries d JOIN items i ON i.seq = d.seq WHERE d.layer = ?"
    return {storage_id(brand, key) for (key,) in registry.tuples(sql, (layer,))}


async def _store_again(desk: Upkeep, layer: Layer, found: _Found) -> int:
    """Store again what is missing or stale; return how many entries were mended."""
    if not found.differing:
        return 0
    seqs = [seq for seq, _ in found.differing]
    await desk.worker.run(_make_due, desk.registry, layer.name, seqs, desk.run.number)
    delivered = await desk.deliver(layer)
    if delivered.failure is not None:
        raise delivered.failure
    return max(0, len(seqs) - delivered.failed)


async def _take_up(desk: Upkeep, layer: Layer, found: _Found) -> int:
    """Take up, or remove, what the registry does not know; return how many entries were mended."""
    mended = 0
    if found.unknown:
        now = to_iso(desk.environment.clock())
        mended += await desk.worker.run(enter_entries, desk.registry, layer.name, found.unknown, desk.run.number, now)
        strays = await desk.worker.run(_strays, desk.registry, found.unknown)
        if strays and "@" not in layer.name:  # what a shared layer holds may be another machine's
            await answered(layer.engine, layer.delete(strays))
            mended += len(strays)
    return mended


def _make_due(registry: Registry, layer: str, seqs: Sequence[int], run: int) -> None:
    with registry.transaction() as connection:
        connection.executemany(
            "UPDATE deliveries SET state = 0, run = ?, action = 'forced', content_hash = '', metadata_hash = '',"
            " stored_at = '', attempts = 0, error = '' WHERE layer = ? AND seq = ?",
            [(run, layer, seq) for seq in seqs],
        )
        mark_index_due(connection)


def _strays(registry: Registry, unknown: Sequence[Payload]) -> list[str]:
    """Return the ids of entries whose text another entry stands for by now: their removal was never seen through."""
    duplicates = "SELECT 1 FROM items WHERE key = ? AND duplicate_of IS NOT NULL"
    rows: list[sqlite3.Row]
    strays = []
    for entry in unknown:
        rows = registry.rows(duplicates, (entry.key,))
        if rows:
            strays.append(entry.id)
    return strays
