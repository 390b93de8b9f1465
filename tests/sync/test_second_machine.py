"""Two machines, one durable store: what one stored, the other knows, and stores none of it again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.cache.results import StorageSyncRequest
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.requests import SessionLearning, SyncRequest
from dm_memory.results import SyncResult, VerifyResult
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.service import TursoService
from dm_memory.settings import Settings
from tests.cache.file_engine import file_store
from tests.cache.sqld import Server, running_server
from tests.support.dict_service import DictService, down
from tests.sync.conftest import BRAND, Bench, insight, stored_texts

pytestmark = pytest.mark.anyio


class Remote(TursoService):
    """The team's store, which can be unreachable."""

    def __init__(self, folder: Path) -> None:
        super().__init__("libsql://team.example", None, BRAND)
        self._opened = file_store(folder, BRAND)
        self.down: ServiceError | None = None
        self.asked = 0

    async def prepare(self) -> None:
        pass

    async def changes(self, after: Any) -> Any:
        self._check()
        return await super().changes(after)

    async def tombstones(self, after: Any) -> Any:
        self._check()
        return await super().tombstones(after)

    async def upsert(self, payloads: Sequence[Payload]) -> Any:
        self._check()
        return await super().upsert(payloads)

    async def count(self) -> int:
        self._check()
        return await super().count()

    def _check(self) -> None:
        self.asked += 1
        if self.down:
            raise self.down


class Machine(Bench):
    """A home of its own, a vector service of its own or shared, and the team's durable store."""

    def __init__(self, folder: Path, store: Path, vector: DictService | None = None) -> None:
        self.vector = vector or DictService()
        self.remote = Remote(store)
        super().__init__(folder, services=[self.vector, self.remote])  # type: ignore[list-item]  # it serves as well
        self.store = store

    def texts_there(self) -> list[str]:
        return stored_texts(self.vector)


async def stored(folder: Path) -> dict[str, tuple[int, str, int]]:
    """Return the store's episodes: moment, text and version by key."""
    store = file_store(folder, BRAND)
    page = await store.page(Table.EPISODES)
    await store.close()
    names = {name: place for place, name in enumerate(page.columns)}
    return {
        str(row[names["key"]]): (
            int(row[names["updated_at"]] or 0),
            str(row[names["content"]]),
            int(row[names["version"]] or 0),
        )
        for row in page.rows
    }


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one", tmp_path / "store"), Machine(tmp_path / "two", tmp_path / "store")


async def test_a_second_machine_with_an_empty_memory_stores_nothing_again(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("first", "second")
    await one.sync(session_learnings=(SessionLearning("learned in a session"),))
    before = await stored(one.store)
    result = await two.sync()
    assert await stored(one.store) == before
    assert (result.status, result.counts.new, result.counts.learned) == ("complete", 0, 3)
    assert two.texts_there() == ["first", "learned in a session", "second"]
    assert {each.name: each.stored for each in result.services} == {
        "vector@dictionary": 3,
        "durable@turso:team.example": 0,
    }
    assert "durable-learned" in [finding.code for finding in result.findings]
    again = await two.sync()
    assert (again.counts.unchanged, again.counts.stored, again.status) == (2, 0, "complete")


async def test_a_machine_that_comes_later_knows_what_an_entry_said_before(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for text in ("as it was first", "as it was then", "as it is now"):
        one.insights(text)
        await one.sync()
    await two.sync()
    (key,) = two.texts()
    for _ in range(2):
        history = await two.memory.history(key, BRAND)
        assert [version.content for version in history.versions] == [
            "as it was first",
            "as it was then",
            "as it is now",
        ]
        assert history.versions[0].reason == "changed on another computer"
        next(two.memory_dir.glob("memory.db")).unlink()  # they are in the journal as well
        two.remote.down = down()
        await two.sync()


async def test_with_a_shared_vector_database_nothing_at_all_is_written(tmp_path: Path) -> None:
    shared = DictService("vector@qdrant:team")
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
    assert result.counts.learned == 1
    assert one.texts_there() == ["from two"]
    assert one.vector.upserted == two.vector.upserted


async def test_a_change_made_elsewhere_is_taken_over_and_not_written_back(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("as it was")
        await machine.sync()
    one.insights("as it is now")
    await one.sync()
    before = await stored(one.store)
    result = await two.sync()
    assert two.texts_there() == ["as it is now"]
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
    assert one.texts_there() == ["added on one", "as it is now", "second"]
    assert (result.counts.new, result.counts.modified) == (1, 0)
    one.insights("changed on one", "second", "added on one")
    assert (await one.sync()).counts.modified == 1
    await two.sync()
    assert two.texts_there() == ["added on one", "changed on one", "second"]


async def test_a_change_that_waits_here_is_newer_than_what_the_store_tells(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("as it was")
        await machine.sync()
    two.remote.down = down()
    two.insights("changed on two")
    assert (await two.sync()).status == "partial"
    one.insights("changed on one, earlier delivered")
    await one.sync()
    two.remote.down = None
    assert (await two.sync()).status == "complete"
    assert [text for _, text, _ in (await stored(one.store)).values()] == ["changed on two"]
    await one.sync()
    assert one.texts_there() == ["changed on two"]


async def test_the_same_text_under_two_keys_is_stored_once(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.write("insights.json", [insight("the same words", 1)])
    two.write("insights.json", [insight("the same words", 2)])
    await one.sync()
    result = await two.sync()
    assert len(await stored(one.store)) == 1
    assert (result.counts.duplicate, result.counts.new) == (1, 0)
    assert two.texts_there() == ["the same words"]


async def test_a_dry_run_on_a_new_machine_knows_it_too_and_writes_nothing(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.insights("first")
    await one.sync()
    tree = two.tree()
    result = await two.sync(dry_run=True)
    assert (result.counts.new, result.counts.learned) == (0, 1)
    assert two.tree() == tree
    assert two.vector.stored == {}


async def test_a_silent_store_costs_one_question_and_loses_nothing(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    two.insights("first", "second")
    two.remote.down = ServiceError("Down.", "Wait.", error_class=ErrorClass.TIMEOUT)
    result = await two.sync()
    assert two.remote.asked == 1
    assert (result.status, result.counts.queued) == ("partial", 2)
    assert two.texts_there() == ["first", "second"]
    two.remote.down = None
    assert (await two.sync()).status == "complete"
    assert len(await stored(one.store)) == 2


async def test_a_retirement_is_an_edit_that_the_other_machine_learns(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.campaign(["A lesson to remember.", "Another one that will go."])
    await one.sync()
    await two.sync()
    assert len(two.texts_there()) == 2
    one.campaign(["A lesson to remember."])
    assert (await one.sync()).counts.retired == 1
    await two.sync()
    assert two.texts_there() == one.texts_there() == ["spring, learning: A lesson to remember."]
    assert list(two.texts("retired").values()) == ["spring, learning: Another one that will go."]
    assert (await two.sync()).status == "complete"


async def test_an_unchanged_file_is_no_newer_word_also_under_force(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    for machine in machines:
        machine.campaign(["Send on Tuesday morning.", "Video tires returning customers."])
        await machine.sync()
    one.campaign(["Send on Tuesday morning."])
    await one.sync()
    assert (await two.sync(force=True)).counts.restored == 0
    assert len(two.texts()) == 1
    two.campaign(["Send on Tuesday morning.", "Video tires returning customers."], status="active")
    assert (await two.sync()).counts.restored == 1  # that file is one
    await one.sync()
    assert one.texts() == two.texts()


async def test_what_was_retired_or_restored_while_the_store_was_down_reaches_it_later(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    both = ["Send on Tuesday morning.", "Video tires returning customers."]
    for machine in machines:
        machine.campaign(both)
        await machine.sync()
    for learnings in (both[:1], both):
        one.campaign(learnings)
        one.remote.down = down()
        assert (await one.sync()).status == "partial"
        one.remote.down = None
        assert (await one.sync()).status == "complete"
        await two.sync()
        assert sorted(two.texts().values()) == sorted(one.texts().values())
        assert len(two.texts()) == len(learnings)


async def test_what_only_another_machine_s_file_states_is_not_retired_here(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.campaign(["A lesson to remember."])
    await one.sync()
    two.campaign(["Another lesson of the same campaign."])
    for machine in (two, one, two):
        assert (await machine.sync()).counts.retired == 0
    assert len(two.texts_there()) == len(one.texts_there()) == 2


async def test_a_change_made_elsewhere_leaves_a_twin_of_the_old_text_standing(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    one.write("insights.json", [insight("the same words", 1)])
    await one.sync()
    two.write("insights.json", [insight("the same words", 1), insight("the same words", 2)])
    await two.sync()
    two.check()
    one.write("insights.json", [insight("other words", 1)])
    await one.sync()
    await two.sync()
    two.check()
    assert two.texts_there() == ["other words", "the same words"]


async def test_repair_writes_a_text_again_that_somebody_changed_in_the_store_by_hand(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    one.insights("As it was stored.", "Another.")
    await one.sync()
    with closing(sqlite3.connect(next(one.store.rglob("*.db")))) as database, database:
        database.execute("UPDATE episodes SET content = 'By hand.' WHERE content = 'As it was stored.'")
    await two.sync()
    assert two.texts_there() == ["Another."]

    async def verified(*, repair: bool) -> VerifyResult:
        memory = one.memory
        try:
            return await memory.verify(BRAND, repair=repair)
        finally:
            await memory.close()

    def shown(result: VerifyResult) -> tuple[int, int, int]:
        part = next(part for part in result.parts if part.name.startswith("durable"))
        return part.stale, part.repaired, result.exit_code

    assert shown(await verified(repair=False)) == (1, 0, 1)
    assert shown(await verified(repair=True)) == (1, 1, 0)
    assert {text for _, text, _ in (await stored(one.store)).values()} == {"As it was stored.", "Another."}
    assert shown(await verified(repair=True)) == (0, 0, 0)
    await two.sync()
    assert two.texts_there() == ["Another.", "As it was stored."]


@pytest.fixture
def team_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "sqld", with_token=True) as server:
        yield server


class RealMachine(Bench):
    """A home with the service the settings ask for: the team's libsql-server."""

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
    assert [each.stored for each in second.services if each.name.startswith("durable")] == [0]
    memory = two.connected(team_server)
    hits = (await memory.storage_sync(StorageSyncRequest(brand=BRAND))).cache.counts
    assert (hits[Table.EPISODES], hits[Table.EMBEDDINGS]) == (300, 300)
    await memory.close()
