"""The embedded engine and a change of model: never mixed, never a dead end, never a second collection by accident."""

from __future__ import annotations

import pytest

from dm_memory.api import Memory
from dm_memory.layers.qdrant_edge import QdrantEdgeLayer
from dm_memory.settings import Settings
from dm_memory.requests import SyncRequest
from tests.support.embedders import ConstantEmbedder
from tests.sync.conftest import BRAND, Bench

pytestmark = pytest.mark.anyio


def engine(bench: Bench, model: str) -> QdrantEdgeLayer:
    return QdrantEdgeLayer(bench.memory_dir / "vector", BRAND, ConstantEmbedder(8, model), lock_timeout=30)


def memory(bench: Bench, layer: QdrantEdgeLayer) -> Memory:
    return Memory(Settings(home=bench.home), layers=lambda _: [layer], clock=lambda: bench.now)


async def test_a_lost_registry_and_another_model_are_no_dead_end(bench: Bench) -> None:
    bench.insights("one", "two")
    first = memory(bench, engine(bench, "first"))
    await first.sync(SyncRequest(brand=BRAND))
    await first.close()
    for path in bench.memory_dir.glob("registry.db*"):
        path.unlink()
    second = memory(bench, engine(bench, "second"))
    result = await second.sync(SyncRequest(brand=BRAND))
    assert (result.status, result.checkpoint.total_items) == ("nothing", 2)
    assert result.layers[0].failure is not None
    assert "force" in result.layers[0].failure.remedy
    assert not (await second.status(BRAND)).layers[0].health.ok
    result = await second.sync(SyncRequest(brand=BRAND, force=True))
    assert (result.status, result.counts.stored) == ("complete", 2)
    assert (await second.status(BRAND)).status == "ready"
    await second.close()


async def test_a_rebuild_that_another_process_finished_leaves_one_collection(bench: Bench) -> None:
    bench.insights("one", "two")
    ours, theirs = engine(bench, "first"), engine(bench, "first")
    mine = memory(bench, ours)
    await mine.sync(SyncRequest(brand=BRAND))
    await ours.begin_rebuild()
    await ours.close()
    await theirs.begin_rebuild()
    await theirs.finish_rebuild()
    await memory(bench, theirs).sync(SyncRequest(brand=BRAND, force=True))
    await theirs.close()
    bench.insights("one", "two", "three")
    await mine.sync(SyncRequest(brand=BRAND))
    assert (await ours.capacity()).entries == 3
    await mine.close()
