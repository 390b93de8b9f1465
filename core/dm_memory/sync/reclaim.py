"""Taking back what only a layer still knows after the registry was lost.

That is session learnings, prepared payloads and insights that have left their file. What the brand's files still hold
comes back by itself; these would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dm_memory.brand.pending import GRAPH_PREFIX
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Item, Kind, Payload
from dm_memory.services.protocol import Layer
from dm_memory.sync import rows
from dm_memory.sync.asking import answered
from dm_memory.sync.ordinals import tie_of
from dm_memory.sync.registry import Registry
from dm_memory.sync.rows import DeliveryState, ItemRow
from dm_memory.sync.worker import Worker
from dm_memory.text.hashing import content_hash

__all__ = ["TellingLayer", "enter_entries", "reclaim", "row_of_entry"]

_PAGE = 256
_PREPARED_DIGITS = 16
_NO_RUN = 0
"""Who stored an entry is forgotten; this run did not, and must not count it as its own."""


@runtime_checkable
class TellingLayer(Layer, Protocol):
    """A layer that can tell everything it holds."""

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on (None: there are no more). Raises ``LayerError``."""


async def reclaim(registry: Registry, worker: Worker, layer: Layer, run: int, now: str) -> tuple[int, list[Finding]]:
    """Enter into the registry what the layer holds and the registry does not know.

    Returns:
        How many entries came back, and a finding that says so. Entries whose text can't be put together again as it was
        (its hash tells) stay where they are, findable, and are counted in the finding.

    Raises:
        LayerError: The layer can't be read.
    """
    if not isinstance(layer, TellingLayer):
        return 0, []
    known = await worker.run(registry.value, "SELECT count(*) FROM items WHERE duplicate_of IS NULL")
    if ((await answered(layer.engine, layer.capacity())).entries or 0) <= known:
        return 0, []
    taken = left = 0
    after: str | None = None
    while True:
        entries, after = await answered(layer.engine, layer.entries(after, _PAGE))
        sound = [entry for entry in entries if content_hash(entry.content) == entry.content_hash]
        left += len(entries) - len(sound)
        taken += await worker.run(enter_entries, registry, layer.name, sound, run, now)
        if after is None:
            return taken, [_told(taken, left)] if taken or left else []


def enter_entries(registry: Registry, layer: str, entries: Sequence[Payload], run: int, now: str) -> int:
    """Insert those of a layer's entries that the registry does not know, as stored there; return how many.

    Entries whose text is not what its hash says, and those whose text another one stands for, are left out.
    """
    entries = [entry for entry in entries if content_hash(entry.content) == entry.content_hash]
    known = rows.known_by_key(registry, [entry.key for entry in entries])
    owners = rows.owners_by_hash(registry, [entry.content_hash for entry in entries])
    unknown = [entry for entry in entries if entry.key not in known and entry.content_hash not in owners]
    first = registry.value("SELECT max(seq) FROM items") + 1
    with registry.transaction() as connection:
        rows.insert_items(
            connection, [row_of_entry(entry, first + number, run) for number, entry in enumerate(unknown)]
        )
        connection.executemany(
            "INSERT OR REPLACE INTO deliveries (layer, seq, state, run, action, content_hash, metadata_hash, stored_at)"
            " VALUES (?, ?, ?, ?, 'new', ?, ?, ?)",
            [
                (layer, first + number, DeliveryState.STORED, _NO_RUN, entry.content_hash, entry.metadata_hash, now)
                for number, entry in enumerate(unknown)
            ],
        )
    return len(unknown)


def row_of_entry(entry: Payload, seq: int, run: int) -> ItemRow:
    """Return the row of an entry. Its tags stay with it: which of them a person gave, nobody knows any more."""
    kind = Kind(entry.kind)
    item = Item(entry.key, entry.content, kind, ContentType(entry.content_type))
    return ItemRow(
        seq=seq,
        key=entry.key,
        kind=kind,
        content_type=entry.content_type,
        source=entry.source,
        content=entry.content,
        content_hash=entry.content_hash,
        metadata_hash=entry.metadata_hash,
        details=rows.pack_details(entry.tags, entry.facts, entry.priority, entry.expires_at, entry.related),
        recorded_at=entry.recorded_at,
        origin="",
        created_at=entry.created_at,
        version=entry.version,
        updated_from=entry.updated_from,
        duplicate_of=None,
        sticky_tags=rows.join_tags(entry.tags),
        sticky_type="",
        prepared_hash=_prepared_name(entry.key) if kind is Kind.PREPARED else "",
        tie_of=tie_of(item),
        source_digest="",
        run=run,
    )


def _prepared_name(key: str) -> str:
    """Return the name, without its ending, of the file that a prepared entry came from."""
    name = key.partition("/")[2]
    return name if name.startswith(GRAPH_PREFIX) else name[:_PREPARED_DIGITS]


def _told(taken: int, left: int) -> Finding:
    message = f"The registry was lost, or is new here; {taken} entries were taken over from the vector database."
    if left:
        message += f" {left} more could not be read back whole; they stay there and can be found."
    return Finding("registry-reclaimed", Severity.WARNING, message, "Nothing to do: nothing was embedded again.")
