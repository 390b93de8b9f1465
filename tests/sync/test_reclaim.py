"""A lost registry costs nothing that a layer still holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from dm_memory.api import Memory
from dm_memory.items import ContentType
from dm_memory.settings import Settings
from dm_memory.requests import PrepareRequest, SearchRequest, SessionLearning, SyncRequest
from tests.sync.conftest import BRAND, Bench, insight

pytestmark = pytest.mark.anyio


def lose(memory_dir: Path) -> None:
    for path in memory_dir.glob("registry.db*"):
        path.unlink()


async def test_what_only_memory_had_is_taken_back_when_the_registry_is_lost(bench: Bench) -> None:
    bench.insights("rolled out", "still there")
    await bench.memory.prepare(PrepareRequest("prepared", ContentType.GUIDELINE, brand=BRAND))
    await bench.sync(session_learnings=(SessionLearning("from a session"),), tags=("kept",))
    bench.write("insights.json", [insight("still there", 1)])
    await bench.sync()
    stored = len(bench.layer.upserted)
    lose(bench.memory_dir)
    result = await bench.sync()
    assert "registry-reclaimed" in [finding.code for finding in result.findings]
    assert (result.status, result.checkpoint.total_items, result.checkpoint.delta) == ("complete", 4, 0)
    assert len(bench.layer.upserted) == stored
    assert result.counts.stored == 0
    assert len(bench.read("_index.json")) == 4
    assert (await bench.memory.status(BRAND)).status == "ready"
    bench.layer.held.clear()
    await bench.sync(force=True)
    assert bench.held_texts() == ["from a session", "prepared", "rolled out", "still there"]
    assert all("kept" in payload.tags for payload in bench.layer.held.values())


async def test_an_entry_that_can_not_be_read_back_whole_stays_where_it_is(bench: Bench) -> None:
    await bench.sync(session_learnings=(SessionLearning("whole"), SessionLearning("torn")))
    for key, payload in list(bench.layer.held.items()):
        if payload.content == "torn":
            object.__setattr__(bench.layer.held[key], "content", "to")
    lose(bench.memory_dir)
    result = await bench.sync()
    (finding,) = [finding for finding in result.findings if finding.code == "registry-reclaimed"]
    assert "1 more could not be read back" in finding.message
    assert len(bench.layer.held) == 2


async def test_the_embedded_engine_tells_what_it_holds_long_texts_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    long_text = " ".join(f"Sentence {number} about the launch in market {number % 7}." for number in range(400))
    memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed"))
    learnings = (SessionLearning(long_text), SessionLearning("a short one", tags=("launch",)))
    await memory.sync(SyncRequest(brand=BRAND, session_learnings=learnings))
    lose(bench.memory_dir)
    result = await memory.sync(SyncRequest(brand=BRAND))
    assert (result.status, result.checkpoint.total_items, result.counts.embedded) == ("complete", 2, 0)
    assert (await memory.status(BRAND)).status == "ready"
    found = await memory.search(SearchRequest("short one", brand=BRAND, tags=("launch",)))
    assert [hit.content for hit in found.hits] == ["a short one"]
    forced = await memory.sync(SyncRequest(brand=BRAND, force=True))
    assert (forced.counts.stored, forced.checkpoint.total_items) == (2, 2)
    await memory.close()
