"""The memory of one brand: every other brand is as if it were not there."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from dm_memory.errors import BrandNotFoundError
from dm_memory.requests import SessionLearning, SyncRequest
from dm_memory.results import Capacity
from dm_memory.search.results import SearchRequest
from dm_memory.sync.finish import seen_capacity
from tests.sync.conftest import Bench

OTHER = "rival"


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Two brands that both know something of reels; the other one is active, and a learning waits for any brand."""
    bench.write("insights.json", [{"content": "Reels at noon win for us.", "timestamp": "2026-11-01T09:00:00Z"}])
    rival = bench.home / "brands" / OTHER
    rival.mkdir()
    (rival / "profile.json").write_text(json.dumps({"brand_name": "Rival", "brand_slug": OTHER}))
    (rival / "insights.json").write_text(
        json.dumps([{"content": "Reels of the rival win at night.", "timestamp": "2026-11-02T09:00:00Z"}])
    )
    for request in (
        SyncRequest(session_learnings=(SessionLearning("Reels wait for a brand of their own."),)),
        SyncRequest(brand=None, dry_run=True),
    ):
        with pytest.raises(BrandNotFoundError):
            asyncio.run(bench.memory.sync(request))
    (bench.home / "brands" / "_active-brand.json").write_text(json.dumps({"active_slug": OTHER}))
    return bench


def test_a_locked_memory_answers_for_its_brand_alone(two: Bench) -> None:
    async def ask() -> None:
        memory = two.memory
        mine = memory.only("acme")
        result = await mine.sync(SyncRequest())
        assert (result.brand, result.counts.new) == ("acme", 1)
        assert not [finding for finding in result.findings if finding.code == "unassigned"]
        await memory.sync(SyncRequest(brand=OTHER))
        found = await mine.search(SearchRequest("reels"))
        assert [hit.content for hit in found.hits] == ["Reels at noon win for us."]
        for call in (mine.sync(SyncRequest(brand=OTHER)), mine.status(OTHER), mine.search(SearchRequest("x", OTHER))):
            with pytest.raises(BrandNotFoundError) as refused:
                await call
            assert refused.value.brands == ("acme",)
        assert (await memory.search(SearchRequest("reels", OTHER))).hits

    asyncio.run(ask())


def test_a_learning_of_nobody_waits_for_somebody_who_sees_all_brands(two: Bench) -> None:
    waiting = two.home / "dm-memory" / "unassigned.jsonl"
    kept = waiting.read_bytes()
    asyncio.run(two.memory.only("acme").sync(SyncRequest(brand="acme")))
    assert waiting.read_bytes() == kept
    asyncio.run(two.memory.sync(SyncRequest(brand="acme")))
    assert not waiting.exists()


def test_what_is_handed_in_to_a_locked_memory_whose_brand_is_gone_is_refused_and_not_kept_for_others(
    two: Bench,
) -> None:
    kept = (two.home / "dm-memory" / "unassigned.jsonl").read_bytes()
    with pytest.raises(BrandNotFoundError):
        asyncio.run(
            two.memory.only("gone").sync(SyncRequest(session_learnings=(SessionLearning("Ours, and nobody else's."),)))
        )
    assert (two.home / "dm-memory" / "unassigned.jsonl").read_bytes() == kept


def test_what_is_locked_stays_locked(two: Bench) -> None:
    async def ask() -> None:
        locked = two.memory.only("acme")
        assert locked.only("acme").brands() == ("acme",)
        assert locked.only(OTHER).brands() == ()
        with pytest.raises(BrandNotFoundError):
            await locked.only(OTHER).search(SearchRequest("reels", OTHER))

    asyncio.run(ask())


def test_how_full_a_shared_service_is_says_nothing_of_the_others(two: Bench) -> None:
    shared = Capacity(9_876, 10_000, "points", 12, "DM_MEMORY_QDRANT_LIMIT")
    environment = two.memory._environment("acme")
    locked = two.memory.only("acme")._environment("acme")
    assert seen_capacity(environment, shared) == shared
    assert seen_capacity(locked, shared) == Capacity(12, None, "entries", 12)
    assert seen_capacity(locked, replace(shared, entries=None)) is None
    assert seen_capacity(locked, None) is None
