"""Each fault between us and a real server, at each place of a sync and of a write: typed, in time, nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dm_memory.cache.opening import CachePlace
from dm_memory.cache.results import Status, StorageSyncRequest, StorageSyncResult
from dm_memory.cache.sync import sync_storage
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.requests import no_progress
from dm_memory.services.turso.hrana import Timeouts, open_turso_store
from dm_memory.services.turso.protocol import Key
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.writing import SharedStore
from tests.cache.faults import FAULTS, FaultyProxy, faulty, watched
from tests.cache.proxy import answer, stubbed
from tests.cache.sqld import Server
from tests.cache.syncing import BRAND, embedding, episode, pattern

HASTY = Timeouts(connect=2.0, read=1.0, overall=3.0)
PATIENT = Timeouts(connect=5.0, read=10.0, overall=15.0)
FAR = 20.0
"""Seconds in which even a slow machine is done; what does not keep its deadline ends here as a failure."""

ROWS = 40
EVERYTHING = {Table.EPISODES: ROWS, Table.PATTERNS: 7, Table.EMBEDDINGS: ROWS}

sqld = pytest.mark.sqld


def opened(url: str, timeouts: Timeouts = PATIENT) -> SharedStore:
    return open_turso_store(url, None, BRAND, timeouts=timeouts)


def timeouts_for(name: str) -> Timeouts:
    """Return short ones where waiting for their end is the test."""
    return HASTY if ErrorClass.TIMEOUT in FAULTS[name][1] else PATIENT


async def fill(server: Server) -> None:
    store = opened(server.url)
    await store.upsert_episodes([episode(number) for number in range(ROWS)])
    await store.upsert_patterns([pattern(number) for number in range(7)])
    await store.upsert_embeddings([embedding(f"e{number}") for number in range(ROWS)])
    await store.close()


async def sync(url: str, folder: Path, timeouts: Timeouts = PATIENT) -> StorageSyncResult:
    store = opened(url, timeouts)
    try:
        async with asyncio.timeout(FAR):
            request = StorageSyncRequest(batch_size=5)
            place = CachePlace(folder / "memory" / "cache", "sqlite")
            return await sync_storage(store, place, request, brand=BRAND, tell=no_progress, parallel=3)
    finally:
        await store.close()


@sqld
@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_sync_that_meets_a_fault_anywhere_says_so_and_the_next_one_writes_only_the_rest(
    sqld: Server, tmp_path: Path, name: str
) -> None:
    fault, classes = FAULTS[name]

    async def at(proxy: FaultyProxy, good: int) -> None:
        folder = tmp_path / str(good)
        folder.mkdir()
        proxy.fail(fault, good)
        met = await sync(proxy.url, folder, timeouts_for(name))
        assert proxy.treated
        assert met.store.error is not None
        assert met.store.error.error_class in classes
        assert met.status is (Status.INTERRUPTED if met.moved.pages else Status.SKIPPED)
        lasting = met.store.error.error_class in {ErrorClass.AUTH, ErrorClass.VALIDATION}
        assert (met.exit_code, met.retry_after) == (1, None if lasting else 7.0 if name == "429" else 60.0)
        proxy.recover()
        rest = await sync(proxy.url, folder)
        assert rest.findings == ()
        assert rest.behind == 0
        both = {table: met.moved.written[table] + rest.moved.written[table] for table in Table}
        assert both == EVERYTHING, "each row was written to the cache once"

    async def act() -> None:
        await fill(sqld)
        async with faulty(sqld.port) as proxy:
            for good in (0, 1, 2, 4, 9, 17):
                await at(proxy, good)

    with watched() as large:
        asyncio.run(act())
    assert not large.on_the_loop


@sqld
@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("reach", [False, True], ids=["before the server", "after the server"])
def test_a_write_that_meets_a_fault_says_so_and_sending_it_again_writes_nothing_twice(
    sqld: Server, name: str, *, reach: bool
) -> None:
    fault, classes = FAULTS[name]
    rows = [episode(number) for number in range(600)]  # three requests

    async def act() -> None:
        plain = opened(sqld.url)
        await plain.migrate()
        async with faulty(sqld.port) as proxy:
            for good in range(3):
                await plain.delete(Table.EPISODES, [row.id for row in rows])
                proxy.fail(fault, good, reach=reach)
                store = opened(proxy.url, timeouts_for(name))
                with pytest.raises(ServiceError) as caught:
                    async with asyncio.timeout(FAR):
                        await store.upsert_episodes(rows)
                assert caught.value.error_class in classes
                assert proxy.treated == 1, "nothing is retried behind the caller's back"
                before = await moments(plain)
                assert len(before) == 256 * (good + reach) or len(before) == 600
                proxy.recover()
                await plain.upsert_episodes(rows)
                after = await moments(plain)
                assert after.keys() == {row.id for row in rows}
                assert before.items() <= after.items(), "what was there was not touched again"
                await store.close()
        await plain.close()

    with watched() as large:
        asyncio.run(act())
    assert not large.on_the_loop


async def moments(store: SharedStore) -> dict[str, int]:
    keys: list[Key] = await store.newest_episodes(10_000)
    assert len(keys) == len({identity for _, identity in keys})
    return {identity: moment for moment, identity in keys}


def test_a_sync_with_a_server_that_nobody_runs_is_skipped(tmp_path: Path) -> None:
    async def act() -> StorageSyncResult:
        async with stubbed(answer(200)) as server:
            url = server.url
        return await sync(url, tmp_path)

    result = asyncio.run(act())
    assert result.status is Status.SKIPPED
    assert result.store.error is not None
    assert result.store.error.code == "ConnectError"


def test_a_write_to_a_server_that_nobody_runs_is_an_error(tmp_path: Path) -> None:
    async def act() -> ServiceError:
        async with stubbed(answer(200)) as server:
            store = opened(server.url)
        with pytest.raises(ServiceError) as caught:
            await store.upsert_episodes([episode(1)])
        await store.close()
        return caught.value

    assert asyncio.run(act()).code == "ConnectError"
    assert [*tmp_path.iterdir()] == []


@sqld
@pytest.mark.slow
def test_pages_of_megabytes_keep_the_event_loop_for_moments_only(sqld: Server, tmp_path: Path) -> None:
    async def act() -> StorageSyncResult:
        store = opened(sqld.url)
        await store.upsert_episodes([episode(number, "x" * 4000) for number in range(4000)])
        place = CachePlace(tmp_path / "memory" / "cache", "sqlite")
        tmp_path.joinpath("memory").mkdir()
        request = StorageSyncRequest(batch_size=1000, max_episodes_cache=4000)
        result = await sync_storage(store, place, request, brand=BRAND, tell=no_progress)
        await store.close()
        return result

    with watched() as large:
        assert asyncio.run(act()).moved.written[Table.EPISODES] == 4000
    assert large.aside
    assert not large.on_the_loop
