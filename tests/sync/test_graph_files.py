"""Graph statements that the plugin's ``prepare-graph`` left are stored like everything else, and as facts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dm_memory.api import Memory
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from dm_memory.report import doctor_report
from dm_memory.settings import Settings
from dm_memory.requests import SyncRequest
from tests.sync.conftest import BRAND, Bench

NAME = "graph-0123456789ab.json"
STATEMENTS = {
    "brand": BRAND,
    "entity": "Spring launch",
    "entity_type": "campaign",
    "relationships": [
        {"target": "Founders", "relation_type": "targeted", "temporal_context": "2026-03"},
        {"target": "LinkedIn", "relation_type": "used", "temporal_context": "2026-03"},
    ],
    "created_at": "2026-03-02T10:00:00",
}


def synced(bench: Bench) -> tuple[str, list[str]]:
    async def act() -> tuple[str, list[str]]:
        memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed"))
        result = await memory.sync(SyncRequest(brand=BRAND))
        await memory.close()
        graph = SqliteGraphLayer(bench.memory_dir, BRAND)
        facts = [fact.text for fact in await graph.facts(entity="Spring launch")]
        await graph.close()
        return result.status, facts

    return asyncio.run(act())


def test_a_prepared_graph_file_becomes_facts_and_moves_to_stored(bench: Bench) -> None:
    bench.write(f"memory/pending/{NAME}", STATEMENTS)
    status, facts = synced(bench)
    assert status == "complete"
    assert any("Founders" in text for text in facts)
    assert any("LinkedIn" in text for text in facts)
    assert not (bench.memory_dir / "pending" / NAME).exists()
    assert (bench.memory_dir / "stored" / NAME).exists()
    assert synced(bench) == (status, facts)
    (entry,) = bench.read("_index.json")
    assert len(entry["content_hash"]) == 16


@pytest.mark.parametrize("name", ["graph-spring-launch.json", "graph-20260302_2.v1.json", "graph-0123456789AB.json"])
def test_a_graph_file_that_somebody_named_is_taken_in_as_well(bench: Bench, name: str) -> None:
    bench.write(f"memory/pending/{name}", STATEMENTS)
    status, facts = synced(bench)
    assert status == "complete"
    assert any("Founders" in text for text in facts)
    assert (bench.memory_dir / "stored" / name).exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"entity": "x"}', '{"entity": "", "relationships": []}'])
def test_a_broken_graph_file_is_told_of_and_stays(bench: Bench, content: str) -> None:
    bench.write(f"memory/pending/{NAME}", content)
    assert synced(bench)[0] in {"partial", "complete"}
    assert (bench.memory_dir / "pending" / NAME).read_text() == content


def test_a_graph_file_that_names_another_brand_is_taken_in_and_told_of(bench: Bench) -> None:
    bench.write(f"memory/pending/{NAME}", STATEMENTS | {"brand": "somebody-else"})

    async def act() -> list[str]:
        memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed"))
        result = await memory.sync(SyncRequest(brand=BRAND))
        await memory.close()
        return [finding.message for finding in result.findings if finding.code == "other-brand"]

    (message,) = asyncio.run(act())
    assert "'somebody-else'" in message
    assert (bench.memory_dir / "stored" / NAME).exists()


def test_a_lost_registry_knows_it_again_from_the_store(bench: Bench, tmp_path: Path) -> None:
    bench.write(f"memory/pending/{NAME}", STATEMENTS)
    before = synced(bench)
    for path in bench.memory_dir.glob("registry.db*"):
        path.rename(tmp_path / path.name)
    assert synced(bench) == before
    (entry,) = bench.read("_index.json")
    assert len(entry["content_hash"]) == 16


def test_the_doctor_tells_of_a_graph_file_that_cannot_be_taken_in(bench: Bench) -> None:
    bench.write(f"memory/pending/{NAME}", "{")

    async def act() -> str:
        memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed"))
        report = doctor_report(await memory.doctor())
        await memory.close()
        return report.text

    assert f"memory/pending/{NAME} is not valid JSON" in asyncio.run(act())
