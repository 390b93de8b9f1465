"""The storage sync over a real libsql-server, behind a proxy that is slow or loses answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.opening import CachePlace
from dm_memory.cache.results import Status, StorageSyncRequest, StorageSyncResult
from dm_memory.cache.sync import sync_storage
from dm_memory.requests import no_progress
from dm_memory.services.turso.hrana import Timeouts, open_turso_store
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.writing import SharedStore
from tests.cache.proxy import Proxy, proxied
from tests.cache.sqld import Server
from tests.cache.syncing import BRAND, embedding, episode, pattern

pytestmark = pytest.mark.sqld

PARALLEL = 4


async def fill(server: Server, count: int) -> SharedStore:
    store = open_turso_store(server.url, server.token, BRAND)
    await store.upsert_episodes([episode(number) for number in range(count)])
    await store.upsert_patterns([pattern(1)])
    await store.upsert_embeddings([embedding(f"e{number}") for number in range(count)])
    return store


async def sync(url: str, server: Server, folder: Path, **options: Any) -> StorageSyncResult:
    store = open_turso_store(url, server.token, BRAND, timeouts=Timeouts(1.0, 1.0, 2.0))
    request = StorageSyncRequest(batch_size=5, **options)
    try:
        place = CachePlace(folder / "memory" / "cache", "sqlite")
        return await sync_storage(store, place, request, brand=BRAND, tell=no_progress, parallel=PARALLEL)
    finally:
        await store.close()


def test_pages_are_fetched_at_the_same_time_and_nothing_is_missed(guarded_sqld: Server, tmp_path: Path) -> None:
    async def act() -> tuple[StorageSyncResult, StorageSyncResult, int, int]:
        store = await fill(guarded_sqld, 100)
        await store.close()
        async with proxied(guarded_sqld.port, latency=0.02) as proxy:
            first = await sync(proxy.url, guarded_sqld, tmp_path)
            asked = proxy.requests
            second = await sync(proxy.url, guarded_sqld, tmp_path)
            return first, second, proxy.requests - asked, proxy.most_in_flight

    first, second, asked, at_once = asyncio.run(act())
    assert first.moved.written == {Table.EPISODES: 100, Table.PATTERNS: 1, Table.EMBEDDINGS: 100}
    assert (first.findings, first.validated) == ((), True)
    assert at_once == PARALLEL
    assert (second.status, asked) == (Status.UNCHANGED, 1)


def test_a_server_whose_answers_get_lost_is_skipped_and_followed_later(sqld: Server, tmp_path: Path) -> None:
    async def act() -> tuple[StorageSyncResult, StorageSyncResult, StorageSyncResult]:
        store = await fill(sqld, 20)
        first = await sync(sqld.url, sqld, tmp_path)
        await store.upsert_episodes([episode(50)])
        await store.delete(Table.EPISODES, ["e3"])
        await store.close()
        async with proxied(sqld.port) as proxy:
            lose(proxy)
            lost = await sync(proxy.url, sqld, tmp_path)
        return first, lost, await sync(sqld.url, sqld, tmp_path)

    first, lost, last = asyncio.run(act())
    assert first.status is Status.SYNCED
    assert (lost.status, lost.exit_code, lost.cache.counts[Table.EPISODES]) == (Status.SKIPPED, 1, 20)
    assert (last.moved.written[Table.EPISODES], last.moved.removed[Table.EPISODES]) == (1, 1)
    assert last.findings == ()


def lose(proxy: Proxy) -> None:
    proxy.lose_replies = True
