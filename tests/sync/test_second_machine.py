"""Two machines, one durable store: what one stored, the other knows, and stores none of it again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.cache.results import StorageSyncRequest
from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.service import DurableLayer
from dm_memory.services.turso.sqlite import open_sqlite_store
from dm_memory.settings import Settings
from dm_memory.requests import SessionLearning, SyncRequest
from dm_memory.results import SyncResult
from tests.cache.sqld import Server, running_server
from tests.sync.conftest import BRAND, Bench, insight, opened
from tests.sync.memory_layer import DictLayer

pytestmark = pytest.mark.anyio


class Machine(Bench):
    """A home of its own, a vector layer of its own or shared, and the team's durable store."""

    def __init__(self, folder: Path, store: Path, vector: DictLayer | None = None) -> None:
        super().__init__(folder, layer=vector or DictLayer())
        self.store = store
        self.down: LayerError | None = None

    @property
    def memory(self) -> Memory:
        return Memory(Settings(home=self.home), layers=self.layers, clock=lambda: self.now)

    def layers(self, _: str) -> Sequence[Any]:
        return [self.layer, Remote(opened(self.store), self.down)]


class Remote(DurableLayer):
    """The shared store, which can be unreachable."""

    def __init__(self, store: Any, down: LayerError | None) -> None:
        super().__init__(store, "durable@turso:team", batch_items=256, shared=True)
        self.down = down
        self.asked = 0

    async def changes(self, after: Any) -> Any:
        self.asked += 1
        if self.down:
            raise self.down
        return await super().changes(after)

    async def upsert(self, payloads: Sequence[Payload]) -> Any:
        self.asked += 1
        if self.down:
            raise self.down
        return await super().upsert(payloads)


async def stored(folder: Path) -> dict[str, tuple[int, str, int]]:
    """Return the store's episodes: moment, text and version by key."""
    store = open_sqlite_store(folder, BRAND)
    page = await store.page(Table.EPISODES)
    await store.close()
    names = {name: place for place, name in enumerate(page.columns)}
    return {
        str(row[names["key"]]): (int(row[1] or 0), str(row[names["content"]]), int(row[names["version"]] or 0))
        for row in page.rows
    }


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one", tmp_path / "store"), Machine(tmp_path / "two", tmp_path / "store")


async def test_a_second_machine_with_an_empty_registry_stores_nothing_again(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("first", "second")
    await one.sync(session_learnings=(SessionLearning("learned in a session"),))
    before = await stored(one.store)
    result = await two.sync()
    assert await stored(one.store) == before
    assert (result.status, result.counts.new, result.counts.learned) == ("complete", 0, 3)
    assert two.held_texts() == ["first", "learned in a session", "second"]
    assert {layer.name: layer.stored for layer in result.layers} == {"vector": 3, "durable@turso:team": 0}
    assert "durable-learned" in [finding.code for finding in result.findings]
    again = await two.sync()
    assert (again.counts.unchanged, again.counts.stored, again.status) == (2, 0, "complete")


async def test_with_a_shared_vector_database_nothing_at_all_is_written(tmp_path: Path) -> None:
    shared = DictLayer("vector@qdrant:team")
    one, two = (Machine(tmp_path / name, tmp_path / "store", shared) for name in ("one", "two"))
    for machine in (one, two):
        machine.insights("first", "second")
    await one.sync()
    written, before = list(shared.upserted), await stored(one.store)
    result = await two.sync()
    assert shared.upserted == written
    assert await stored(one.store) == before
    assert (result.status, result.counts.new, result.counts.stored) == ("complete", 0, 0)


async def test_what_one_machine_learns_the_other_finds_at_its_next_sync(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    await one.sync()
    await two.sync(session_learnings=(SessionLearning("from two"),))
    result = await one.sync()
    assert (result.counts.learned, result.counts.stored) == (1, 1)
    assert one.held_texts() == ["from two"]
    assert one.layer.upserted == two.layer.upserted


async def test_a_change_made_elsewhere_is_taken_over_and_not_written_back(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("as it was")
        await machine.sync()
    one.insights("as it is now")
    await one.sync()
    before = await stored(one.store)
    result = await two.sync()
    assert two.held_texts() == ["as it is now"]
    assert (result.counts.learned, result.status) == (1, "complete")
    two.insights("as it is now")
    again = await two.sync()
    assert (again.counts.modified, again.counts.unchanged) == (0, 1)
    assert await stored(one.store) == before


async def test_a_file_that_still_says_the_old_text_undoes_no_change_made_elsewhere(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("as it was", "second")
        await machine.sync()
    two.insights("as it is now", "second")
    await two.sync()
    await one.sync()
    one.insights("as it was", "second", "added on one")  # the same file, where nobody touched the first
    result = await one.sync()
    assert one.held_texts() == ["added on one", "as it is now", "second"]
    assert (result.counts.new, result.counts.modified) == (1, 0)
    one.insights("changed on one", "second", "added on one")
    assert (await one.sync()).counts.modified == 1
    await two.sync()
    assert two.held_texts() == ["added on one", "changed on one", "second"]


async def test_a_change_that_waits_here_is_newer_than_what_the_store_tells(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("as it was")
        await machine.sync()
    two.down = LayerError("Down.", "Wait.", error_class=ErrorClass.UNAVAILABLE)
    two.insights("changed on two")
    assert (await two.sync()).status == "partial"
    one.insights("changed on one, earlier delivered")
    await one.sync()
    two.down = None
    assert (await two.sync()).status == "complete"
    assert [text for _, text, _ in (await stored(one.store)).values()] == ["changed on two"]
    await one.sync()
    assert one.held_texts() == ["changed on two"]


async def test_the_same_text_under_two_keys_is_stored_once(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.write("insights.json", [insight("the same words", 1)])
    two.write("insights.json", [insight("the same words", 2)])
    await one.sync()
    result = await two.sync()
    assert len(await stored(one.store)) == 1
    assert (result.counts.duplicate, result.counts.new) == (1, 0)
    assert two.held_texts() == ["the same words"]


async def test_a_dry_run_on_a_new_machine_knows_it_too_and_writes_nothing(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("first")
    await one.sync()
    tree = two.tree()
    result = await two.sync(dry_run=True)
    assert (result.counts.new, result.counts.learned) == (0, 1)
    assert two.tree() == tree
    assert two.layer.held == {}


async def test_a_silent_store_costs_one_question_and_loses_nothing(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    two.insights("first", "second")
    two.down = LayerError("Down.", "Wait.", error_class=ErrorClass.TIMEOUT)
    remote = two.layers(BRAND)[1]
    memory = Memory(Settings(home=two.home), layers=lambda _: [two.layer, remote], clock=lambda: two.now)
    result = await memory.sync(SyncRequest(brand=BRAND))
    assert remote.asked == 1
    assert (result.status, result.counts.queued) == ("partial", 2)
    assert two.held_texts() == ["first", "second"]
    two.down = None
    assert (await two.sync()).status == "complete"
    assert len(await stored(one.store)) == 2


@pytest.fixture
def team_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "sqld", with_token=True) as server:
        yield server


class RealMachine(Bench):
    """A home with the layers the settings ask for: the embedded engine and the team's libsql-server."""

    def connected(self, server: Server, url: str = "") -> Memory:
        settings = Settings(
            home=self.home,
            embedder="tests.support.embedders:hashed",
            turso_database_url=url or server.url,
            turso_auth_token=server.token,
            storage_timeout=5,
        )
        self.now += timedelta(minutes=1)
        return Memory(settings, clock=lambda: self.now)


async def synced(memory: Memory, **arguments: Any) -> SyncResult:
    try:
        return await memory.sync(SyncRequest(brand=BRAND, **arguments))
    finally:
        await memory.close()


@pytest.mark.sqld
async def test_two_real_machines_on_a_real_server(tmp_path: Path, team_server: Server) -> None:
    one, two = RealMachine(tmp_path / "one"), RealMachine(tmp_path / "two")
    for machine in (one, two):
        machine.insights(*(f"Learning number {number}." for number in range(300)))
    first = await synced(one.connected(team_server))
    assert (first.status, first.counts.new) == ("complete", 300)
    second = await synced(two.connected(team_server))
    assert (second.status, second.counts.new, second.counts.learned) == ("complete", 0, 300)
    assert [layer.stored for layer in second.layers if layer.name.startswith("durable")] == [0]
    memory = two.connected(team_server)
    hits = (await memory.storage_sync(StorageSyncRequest(brand=BRAND))).cache.counts
    assert (hits[Table.EPISODES], hits[Table.EMBEDDINGS]) == (300, 300)
    await memory.close()


@pytest.mark.sqld
async def test_a_new_registry_learns_from_the_cache_where_the_server_is_silent(
    tmp_path: Path, team_server: Server
) -> None:
    one = RealMachine(tmp_path / "one")
    one.insights("first", "second")
    await synced(one.connected(team_server), session_learnings=(SessionLearning("only in memory"),))
    memory = one.connected(team_server)
    await memory.storage_sync(StorageSyncRequest(brand=BRAND))
    await memory.close()
    for path in one.memory_dir.glob("registry.db*"):
        path.unlink()
    shutil.rmtree(one.memory_dir / "vector")
    result = await synced(one.connected(team_server, url="http://127.0.0.1:9"))
    assert (result.counts.new, result.counts.learned, result.status) == (0, 3, "partial")
    assert result.counts.queued == 0
