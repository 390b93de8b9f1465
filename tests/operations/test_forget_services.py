"""Forgetting in real services: what Qdrant, FalkorDB, Neo4j and a libsql-server have afterwards, seen past our code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dm_memory.report import sync_report
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning
from dm_memory.results import ForgetResult
from dm_memory.services.graphiti.database import Statement
from dm_memory.services.qdrant.service import QdrantService
from dm_memory.services.turso.schema import Statement as Sql
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.service import TursoService
from tests.cache.sqld import Server, running_server
from tests.services.graphiti.conftest import Graphs, falkordb, falkordb_server, graphs, neo4j, neo4j_server
from tests.services.qdrant.wire import running
from tests.support.dict_service import down
from tests.support.embedders import HashEmbedder
from tests.sync.conftest import BRAND, Bench

__all__ = ["falkordb", "falkordb_server", "graphs", "neo4j", "neo4j_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

JANE = "Jane Zeppelinska from Bydgoszcz asked why the crimson newsletter arrives at night"
OTHER = "The morning newsletter is opened by four of ten readers"
FIRST = "insight/2026-11-02T10:00:00.000001"


async def ask(bench: Bench, request: ForgetRequest) -> ForgetResult:
    memory = bench.memory
    try:
        return await memory.forget(request)
    finally:
        await memory.close()


async def forget(bench: Bench, **criteria: Any) -> ForgetResult:
    shown = await ask(bench, ForgetRequest(brand=BRAND, **criteria))
    return await ask(bench, ForgetRequest(brand=BRAND, **criteria, dry_run=False, token=shown.token))


def proven(result: ForgetResult) -> bool:
    return result.status == "forgotten" and result.proof is not None and result.proof.is_complete


async def test_qdrant_has_no_point_of_it_left(bench: Bench) -> None:
    long = "\n\n".join(f"{JANE}, paragraph {number}: {'words ' * 120}" for number in range(8))
    with running() as server:
        bench.services = [QdrantService(server.url, None, "dm-memory", BRAND, HashEmbedder())]  # type: ignore[list-item]
        bench.insights(JANE, OTHER)
        await bench.sync(session_learnings=(SessionLearning(long),))
        assert proven(await forget(bench, query="Zeppelinska"))
        (name,) = [each.name for each in (await server.client.get_collections()).collections]
        points, _ = await server.client.scroll(name, limit=1000, with_payload=True)
        texts = [str(point.payload) for point in points]
        assert len(texts) == 1
        assert "eppelinska" not in texts[0]


@pytest.mark.graphiti
async def test_a_graph_has_no_node_and_no_edge_that_says_it(bench: Bench, graphs: Graphs) -> None:
    bench.services = [graphs.service(BRAND)]  # type: ignore[list-item]
    bench.insights(JANE, OTHER)
    bench.campaign(["Zeppelinska liked it"], name="spring")
    await bench.sync()
    bench.insights(JANE, f"{OTHER}, as of today")
    bench.campaign(["Zeppelinska liked it"], name="spring")
    await bench.sync()
    database = graphs.connect()

    async def everything() -> str:
        found = await database.read(BRAND, Statement("MATCH (n) RETURN properties(n)", {}))
        found += await database.read(BRAND, Statement("MATCH ()-[r]->() RETURN properties(r)", {}))
        return str(found)

    assert "eppelinska" in await everything()
    assert proven(await forget(bench, query="Zeppelinska"))
    assert "eppelinska" not in await everything()
    assert OTHER in await everything()
    assert proven(await forget(bench, query=f'"{OTHER}"', keys=("insight/2026-11-02T10:00:01.000001",)))
    assert OTHER not in await everything()
    await database.close()


# Turso ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sqld(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "sqld") as server:
        yield server


class Machine(Bench):
    """A computer of the team."""

    def connect(self, server: Server) -> Machine:
        self.services = [TursoService(server.url, server.token, BRAND)]  # type: ignore[list-item]
        return self


@pytest.fixture
def machines(tmp_path: Path, sqld: Server) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "here").connect(sqld), Machine(tmp_path / "there").connect(sqld)


def says(bench: Bench, word: str) -> list[str]:
    found = (path for path in bench.memory_dir.rglob("*") if path.is_file())
    return [path.name for path in found if word.encode() in path.read_bytes()]


async def rows_of(server: Server, sql: str) -> list[Any]:
    service = TursoService(server.url, server.token, BRAND)
    (rows,) = await service.store._engine.read([Sql(sql)])
    await service.close()
    return rows


@pytest.mark.sqld
async def test_every_computer_of_the_team_cleans_its_own_and_none_brings_it_back(
    machines: tuple[Machine, Machine], sqld: Server
) -> None:
    here, there = machines
    here.insights(JANE, OTHER)
    await here.sync()
    there.insights(JANE)
    await there.sync(session_learnings=(SessionLearning("of there"),))
    assert says(there, "eppelinska")
    result = await forget(here, query="Zeppelinska")
    assert proven(result)
    assert "cleans its own" in result.reach
    for table in ("episodes", "embeddings", "revisions", "tombstones"):
        assert "eppelinska" not in str(await rows_of(sqld, f"SELECT * FROM {table}")), table  # noqa: S608  # our words
    synced = await there.sync(force=True)
    assert [finding.code for finding in synced.findings if "forgotten" in finding.code] == ["forgotten-elsewhere"]
    assert says(there, "eppelinska") == []
    assert sorted(there.texts().values()) == sorted(["of there", OTHER])
    there.check()
    for machine in (here, there):
        assert (await machine.sync(force=True)).status == "complete"
        assert not any("eppelinska" in text for text in machine.texts().values())
    service = TursoService(sqld.url, sqld.token, BRAND)
    assert len((await service.store.page(Table.EPISODES)).rows) == 2
    await service.close()


@pytest.mark.sqld
async def test_what_another_computer_forgot_is_no_loss_of_the_shared_store(
    machines: tuple[Machine, Machine],
) -> None:
    here, there = machines
    here.insights(OTHER)
    await here.sync(session_learnings=(SessionLearning(JANE),))
    learned = sync_report(await there.sync()).text
    assert "had 2 entries that this computer did not know; they are in memory here now" in learned
    await there.sync()
    assert proven(await forget(here, query="Zeppelinska"))
    result = await there.sync()
    assert (result.status, result.services[0].missing, result.counts.buried) == ("complete", 0, 1)
    text = sync_report(result).text
    assert "-1 by this sync: -1 forgotten on another computer" in text
    assert "1 entries" not in text
    assert "nothing to store" not in text


@pytest.mark.sqld
async def test_a_report_gives_one_number_of_entries_in_the_shared_store(machines: tuple[Machine, Machine]) -> None:
    here, there = machines
    here.insights(OTHER)
    await here.sync()
    await there.sync()
    await there.sync(session_learnings=(SessionLearning(JANE),))
    (service,) = (await here.sync()).services
    assert service.capacity is not None
    assert (service.counted, service.capacity.used) == (2, 2)


@pytest.mark.sqld
async def test_what_was_edited_elsewhere_is_new_and_a_removed_duplicate_is_no_forgetting(
    machines: tuple[Machine, Machine], sqld: Server
) -> None:
    here, there = machines
    here.insights(JANE, "one text", OTHER)
    await here.sync()
    await there.sync()
    assert proven(await forget(here, query="Zeppelinska"))
    here.insights("edited: a reader asked why", OTHER, OTHER)
    await here.sync()  # the second entry is a duplicate from now on, and leaves the store
    await there.sync()
    assert sorted(text for text in there.texts().values() if text != "one text") == [
        "The morning newsletter is opened by four of ten readers",
        "edited: a reader asked why",
    ]
    assert len(await rows_of(sqld, "SELECT id FROM episodes")) == 2


@pytest.mark.sqld
async def test_restoring_on_one_computer_lets_it_in_on_the_others(
    machines: tuple[Machine, Machine], sqld: Server
) -> None:
    here, there = machines
    here.insights(JANE, OTHER)
    await here.sync()
    await there.sync()
    await forget(here, query="Zeppelinska")
    await there.sync()
    assert len(there.texts()) == 1
    restored = await ask(here, ForgetRequest(brand=BRAND, restore=(FIRST,)))
    assert restored.restored == 1
    await here.sync()
    assert len(here.texts()) == 2
    await there.sync()
    assert sorted(there.texts().values()) == sorted([JANE, OTHER])
    assert (await there.sync()).status == "complete"
    assert len(await rows_of(sqld, "SELECT id FROM episodes")) == 2


@pytest.mark.sqld
async def test_a_shared_store_that_is_down_gets_its_tombstones_later(
    machines: tuple[Machine, Machine], sqld: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machines
    here.insights(JANE, OTHER)
    await here.sync()
    await there.sync()
    here.insights(f"{JANE}, and again", OTHER)
    await here.sync()

    async def unreachable(*_: Any, **__: Any) -> Any:
        raise down()

    with monkeypatch.context() as patch:
        for name in ("shared_key", "forget", "delete", "tombstones", "changes"):
            patch.setattr(TursoService, name, unreachable)
        result = await forget(here, query="Zeppelinska")
    assert (result.status, says(here, "eppelinska")) == ("partial", [])
    assert result.proof is not None
    assert result.proof.services[0].due > 0
    here.insights("nothing of it", OTHER)
    await here.sync()
    await there.sync()
    assert says(there, "eppelinska") == []
    assert "eppelinska" not in str(await rows_of(sqld, "SELECT * FROM revisions"))
    there.insights(JANE)
    await there.sync()
    assert sorted(there.texts().values()) == sorted([OTHER, "nothing of it"])


@pytest.mark.sqld
async def test_a_purged_correction_leaves_no_revision_in_the_shared_store(
    machines: tuple[Machine, Machine], sqld: Server
) -> None:
    here, there = machines
    here.insights(JANE, OTHER)
    await here.sync()
    await there.sync()
    memory = here.memory
    result = await memory.prepare(PrepareRequest("A reader asked why", brand=BRAND, replaces=FIRST, purge=True))
    await memory.close()
    assert result.purged is not None
    assert proven(result.purged)
    assert "eppelinska" not in str(await rows_of(sqld, "SELECT * FROM revisions"))
    await there.sync()
    assert says(there, "eppelinska") == []
    assert sorted(there.texts().values()) == sorted(["A reader asked why", OTHER])
    there.check()
