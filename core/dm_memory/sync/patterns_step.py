"""What worked and what failed across campaigns, kept in the durable store beside the items it was found in.

Patterns are computed from the registry, which knows every machine's items after it has caught up, and all of the
duplicates that were stored once. Only patterns that differ from those last written are written. In a store that a team
shares they are joined with what other machines counted, and after others changed a campaign all are looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from hashlib import md5
from typing import Protocol, runtime_checkable

import orjson

from dm_memory.facts.patterns import Counted, find_patterns, outcome_of
from dm_memory.items import Kind, storage_id
from dm_memory.services.protocol import Layer
from dm_memory.services.turso.rows import EpisodeRow, PatternRow
from dm_memory.sync.asking import answered
from dm_memory.sync.registry import Registry
from dm_memory.sync.worker import Worker

__all__ = ["OTHERS_WROTE", "PatternLayer", "due_name", "follow_vectors", "write_patterns"]


OTHERS_WROTE = "others"
"""The note that other machines changed campaigns: the store's patterns may be other than those last written here."""

_DUE = "due"


def due_name(layer: str) -> str:
    """Return the name of the registry's note that a layer's patterns have to be looked at."""
    return f"patterns-due:{layer}"


@runtime_checkable
class PatternLayer(Layer, Protocol):
    """A layer that keeps patterns."""

    async def put_patterns(self, counted: Counted, gone: Sequence[str]) -> None:
        """Store patterns, and remove those with the ids ``gone``. Raises ``LayerError``."""


async def write_patterns(registry: Registry, worker: Worker, layer: PatternLayer, brand: str, *, changed: bool) -> None:
    """Bring the layer's patterns up to the registry's items.

    Args:
        registry: Open for writing.
        worker: Runs what touches the registry.
        layer: Where patterns are kept.
        brand: The brand's slug.
        changed: True where items were delivered in this run; else only what is noted as due is done: what an
            interrupted run left, and what other machines changed.

    Raises:
        LayerError: The layer can't be written; the next run tries again.
    """
    due = await worker.run(registry.meta, due_name(layer.name))
    if not due:
        if not changed:
            return
        await worker.run(registry.set_meta, due_name(layer.name), _DUE)
    written_name = f"patterns:{layer.name}"
    written: dict[str, str] = orjson.loads(await worker.run(registry.meta, written_name) or "{}")
    found = {row.id: row for row in await worker.run(_patterns, registry, brand)}
    digests = {id_: md5(orjson.dumps(asdict(row)), usedforsecurity=False).hexdigest() for id_, row in found.items()}
    rows = [row for id_, row in found.items() if written.get(id_) != digests[id_]]
    gone = [id_ for id_ in written if id_ not in digests]
    whole = due == OTHERS_WROTE
    if rows or gone or whole:
        files = await worker.run(_campaigns_here, registry)
        counted = Counted([*found.values()] if whole else rows, files, whole=whole)
        await answered(layer.engine, layer.put_patterns(counted, gone))
    await worker.run(_record, registry, written_name, orjson.dumps(digests).decode(), due_name(layer.name))


def _campaigns_here(registry: Registry) -> set[str]:
    """Return the ids of the campaigns that were read from files of this machine."""
    sql = (
        "SELECT DISTINCT substr(key, 1, instr(key, '#') - 1) FROM items"
        " WHERE kind = ? AND key LIKE '%#%' AND origin <> ''"
    )
    return {name.removeprefix("campaign/") for (name,) in registry.tuples(sql, (Kind.CAMPAIGN.value,))}


def _record(registry: Registry, name: str, value: str, due: str) -> None:
    with registry.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        connection.execute("DELETE FROM meta WHERE name = ?", (due,))


def _patterns(registry: Registry, brand: str) -> list[PatternRow]:
    return find_patterns(brand, _episodes(registry, brand))


def _episodes(registry: Registry, brand: str) -> Iterator[EpisodeRow]:
    """Yield what worked and what failed as episodes.

    A duplicate counts for its own campaign and points at the entry that stands.
    """
    keys = registry.tuples("SELECT seq, key FROM items WHERE kind = ? ORDER BY seq", (Kind.CAMPAIGN.value,))
    wanted = [seq for seq, key in keys if outcome_of(key) is not None]
    sql = (
        "SELECT i.*, o.key AS owner_key FROM items i LEFT JOIN items o ON o.seq = i.duplicate_of"
        " WHERE i.seq IN (SELECT value FROM json_each(?)) ORDER BY i.seq"
    )
    return (_episode(row, brand) for row in registry.rows(sql, (orjson.dumps(wanted).decode(),)))


def _episode(row: sqlite3.Row, brand: str) -> EpisodeRow:
    tags, facts, priority, expires_at, related = orjson.loads(row["details"])
    return EpisodeRow(
        id=storage_id(brand, row["owner_key"] or row["key"]),
        brand=brand,
        key=row["key"],
        kind=row["kind"],
        content_type=row["content_type"],
        source=row["source"],
        content=row["content"],
        content_hash=row["content_hash"],
        metadata_hash=row["metadata_hash"],
        tags=orjson.dumps(tags).decode(),
        facts=orjson.dumps(facts).decode(),
        recorded_at=row["recorded_at"],
        created_at=row["created_at"],
        version=row["version"],
        updated_from=row["updated_from"],
        priority=priority,
        expires_at=expires_at,
        related=orjson.dumps(related).decode(),
    )


def follow_vectors(registry: Registry, durable: str, vector: str, run: int) -> None:
    """Make due again in the durable store what the vector layer got later than it: its vectors are missing there.

    With the first item that is due, patterns are due as well: noted before the delivery, so that nothing is forgotten
    where the process ends right after it.
    """
    with registry.transaction() as connection:
        connection.execute(
            # Not 'added', for which the store would be asked: it holds the text, and says nothing of vectors.
            "UPDATE deliveries SET state = 0, run = ?, action = 'forced', content_hash = '', metadata_hash = ''"
            " WHERE layer = ? AND state = 1 AND run BETWEEN 1 AND ? AND seq IN"
            " (SELECT seq FROM deliveries WHERE layer = ? AND state = 1 AND run = ? AND action <> 'metadata')",
            (run, durable, run - 1, vector, run),
        )
        connection.execute(
            "INSERT OR IGNORE INTO meta SELECT ?, ? WHERE EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_due"
            " WHERE layer = ? AND state <> 1)",
            (due_name(durable), _DUE, durable),
        )
