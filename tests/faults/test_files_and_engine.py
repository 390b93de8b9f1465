"""Files that are damaged, engines that lose points, clocks that jump: noticed, said, and mended where possible."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import qdrant_edge

from dm_memory.api import Memory
from dm_memory.settings import Settings
from dm_memory.requests import SyncRequest
from dm_memory.results import SyncResult
from tests.support.brands import BrandHome
from tests.support.product import CONSTANT, ITEMS, Product
from tests.support.stored import engine_points


def checkpoint_of(home: BrandHome) -> object:
    return json.loads((home.memory / "sync-state.json").read_bytes())["checkpoint"]


@pytest.mark.parametrize("content", ['[{"recorded_at": "2026-01', "", "\x00\x00\x00", '{"a": 1}', "[" * 10_000, "null"])
def test_a_corrupt_insights_file_never_moves_the_checkpoint_and_the_rest_still_syncs(
    product: Product, home: BrandHome, content: str
) -> None:
    product.sync()
    before = checkpoint_of(home)
    good = home.insights_file.read_bytes()
    home.insights_file.write_text(content)
    home.add(1)
    result = product.sync()
    assert (result.counts.new, result.counts.stored) == (1, 1)
    assert result.status != "complete"
    assert not result.checkpoint.moved
    assert "broken-file" in {finding.code for finding in result.findings}
    assert checkpoint_of(home) == before
    home.insights_file.write_bytes(good)
    mended = product.sync()
    assert (mended.status, mended.counts.new, mended.counts.unchanged) == ("complete", 0, ITEMS + 1)
    assert checkpoint_of(home) != before


def test_entries_that_have_rolled_out_of_the_file_stay_in_memory_and_a_forced_sync_keeps_them(
    product: Product, home: BrandHome
) -> None:
    product.sync()
    home.write_insights(home.read_insights()[5:])
    assert product.sync().status == "complete"
    forced = product.sync(force=True)
    assert forced.counts.stored == ITEMS
    assert len(engine_points(home.memory)) == ITEMS


@pytest.mark.parametrize("damage", ["[{", "", "7"])
def test_a_truncated_index_is_rebuilt_from_the_registry(product: Product, home: BrandHome, damage: str) -> None:
    product.sync()
    index = home.memory / "_index.json"
    good = json.loads(index.read_bytes())
    index.write_text(damage)
    result = product.sync()
    assert json.loads(index.read_bytes()) == good
    assert "index-rebuilt" in {finding.code for finding in result.findings}


def test_points_that_vanish_behind_our_back_are_noticed_by_status_and_restored_by_force(
    product: Product, home: BrandHome
) -> None:
    product.sync()
    delete_points(home, [point.id for point in engine_points(home.memory)[:7]])
    status = product.status()
    assert status.status == "attention"
    assert (status.layers[0].entries, status.layers[0].held) == (ITEMS, ITEMS - 7)
    assert any("force" in advice for advice in status.advice)
    assert product.sync(force=True).status == "complete"
    assert len(engine_points(home.memory)) == ITEMS
    assert product.status().status == "ready"


def delete_points(home: BrandHome, ids: list[str]) -> None:
    vector = home.memory / "vector"
    folder = json.loads((vector / "collection.json").read_bytes())["active"]["folder"]
    shard = qdrant_edge.EdgeShard.load(str(vector / folder))
    shard.update(qdrant_edge.UpdateOperation.delete_points([*ids]))
    shard.flush()
    shard.close()


def test_a_clock_that_jumps_back_damages_nothing(product: Product, home: BrandHome) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    product.clock = lambda: now
    product.sync()
    product.clock = lambda: now - timedelta(days=400)
    home.add(1)
    home.edit_insight(0, "A text written before it was written")
    result = product.sync()
    assert (result.counts.new, result.counts.modified, result.counts.stored) == (1, 1, 2)
    assert len(engine_points(home.memory)) == ITEMS + 1
    assert product.sync().counts.unchanged == ITEMS + 1
    assert (product.status().sync_age_seconds or 0) >= 0


def test_an_insight_saved_while_a_sync_runs_is_in_the_next_one(home: BrandHome) -> None:
    saved = asyncio.run(_sync_and_save_meanwhile(home))
    assert saved.counts.new + saved.counts.unchanged >= ITEMS
    result = Product(home).sync()
    assert (result.counts.new, result.counts.unchanged) == (1, ITEMS)


async def _sync_and_save_meanwhile(home: BrandHome) -> SyncResult:
    """Save an insight at the moment at which the first items go to the engine."""
    done: list[str] = []

    async def progress(message: str, _done: int, _total: int) -> None:
        if message.startswith("Storing") and not done:
            done.append(message)
            await asyncio.to_thread(home.add_insight)

    memory = Memory(Settings(home=home.root, embedder=CONSTANT))
    try:
        result = await memory.sync(SyncRequest(brand=home.slug), progress)
    finally:
        await memory.close()
    assert done, "the sync never told that it stores"
    return result


def test_a_dry_run_writes_nothing_at_all(product: Product, home: BrandHome) -> None:
    before = tree(home.root)
    result = product.sync(dry_run=True)
    assert (result.counts.new, result.counts.stored) == (ITEMS, 0)
    assert tree(home.root) == before
    assert not home.memory.exists()


def tree(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in root.rglob("*")}


def test_another_embedding_model_is_noticed_and_never_mixed_in(product: Product, home: BrandHome) -> None:
    product.sync()
    product.embedder = "tests.support.embedders:hashed"
    home.add(1)
    result = product.sync()
    assert (result.counts.stored, result.counts.queued, result.exit_code) == (0, 1, 1)
    assert "model-changed" in {finding.code for finding in result.findings}
    assert len(engine_points(home.memory)) == ITEMS
    forced = product.sync(force=True)
    assert (forced.status, forced.counts.stored) == ("complete", ITEMS + 1)
    assert len(engine_points(home.memory)) == ITEMS + 1


def test_an_insights_file_that_suddenly_holds_nothing_deletes_nothing_and_is_said(
    product: Product, home: BrandHome
) -> None:
    product.sync()
    home.write_insights([])
    result = product.sync()
    assert len(engine_points(home.memory)) == ITEMS
    assert "empty-source" in {finding.code for finding in result.findings}
