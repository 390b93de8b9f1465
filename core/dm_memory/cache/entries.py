"""The entries in the local cache, for when the durable store itself can't be asked."""

from __future__ import annotations

from dm_memory.cache.engine import CacheError
from dm_memory.cache.opening import open_cache
from dm_memory.cache.protocol import Record
from dm_memory.cache.sync import CachePlace
from dm_memory.cache.sync_records import row_of
from dm_memory.errors import LayerError
from dm_memory.items import Payload
from dm_memory.services.turso.rows import payload_of
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.service import episode_from_row

__all__ = ["cached_payloads"]


def cached_payloads(place: CachePlace) -> list[Payload]:
    """Return the entries that are cached. Blocks.

    None where there is no cache, or where another process keeps it: it is a help, never a need. Entries that are
    damaged, or another program's, are left out.
    """
    if not place.exists:
        return []
    try:
        with open_cache(place.folder, place.engine, deadline=place.deadline) as cache:
            return [
                payload
                for page in cache.scan(Table.EPISODES)
                for record in page
                if (payload := _payload(record)) is not None
            ]
    except CacheError:
        return []


def _payload(record: Record) -> Payload | None:
    try:
        return payload_of(episode_from_row(row_of(Table.EPISODES, record)))
    except (LayerError, ValueError, KeyError, TypeError):
        return None
