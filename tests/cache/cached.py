"""What a cache has by itself, as entries: how tests look into it."""

from __future__ import annotations

from dm_memory.cache.engine import CacheError
from dm_memory.cache.opening import CachePlace, open_cache
from dm_memory.cache.plan import Mark, read_state
from dm_memory.cache.records import Record, row_of
from dm_memory.errors import ServiceError
from dm_memory.items import Payload
from dm_memory.services.turso.protocol import START
from dm_memory.services.turso.rows import episode_from_row, payload_of
from dm_memory.services.turso.schema import Table

__all__ = ["cached_payloads"]


def cached_payloads(place: CachePlace) -> list[Payload]:
    """Return the entries that are cached. Blocks.

    None if there is no cache, or if another process keeps it: it is a help, never a need. Entries that are damaged,
    another program's, or perhaps old because a run was interrupted, are left out.
    """
    if not place.exists:
        return []
    try:
        with open_cache(place.folder, place.engine, deadline=place.deadline) as cache:
            state = read_state(cache)
            low = (state.key(Mark.LOW) or START) if state.half_filled else START
            return [
                payload
                for page in cache.scan(Table.EPISODES)
                for record in page
                if (record.recorded_at, record.key) > low and (payload := _payload(record)) is not None
            ]
    except CacheError:
        return []


def _payload(record: Record) -> Payload | None:
    try:
        return payload_of(episode_from_row(row_of(Table.EPISODES, record)))
    except (ServiceError, ValueError, KeyError, TypeError):
        return None
