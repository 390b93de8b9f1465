"""In a changed file only what changed is looked at closely."""

from __future__ import annotations

import pytest

from dm_memory.sync.payloads import Preparer
from tests.sync.conftest import Bench

pytestmark = pytest.mark.anyio


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the items that were guarded, tagged and hashed."""
    keys: list[str] = []
    original = Preparer.prepare

    def prepare(self: Preparer, item: object, *arguments: object) -> object:
        keys.append(item.key)  # type: ignore[attr-defined]
        return original(self, item, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Preparer, "prepare", prepare)
    return keys


async def test_one_new_insight_costs_the_work_of_one(bench: Bench, prepared: list[str]) -> None:
    texts = [f"insight {number}" for number in range(50)]
    bench.insights(*texts)
    await bench.sync()
    prepared.clear()
    bench.insights(*texts, "the new one")
    result = await bench.sync()
    assert (result.counts.new, result.counts.unchanged) == (1, 50)
    assert len(prepared) == 1


async def test_a_changed_profile_makes_everything_worth_a_look(bench: Bench, prepared: list[str]) -> None:
    bench.insights("one", "two")
    await bench.sync()
    prepared.clear()
    bench.write("profile.json", {"brand_name": "Acme", "industry": {"primary": "Coffee"}})
    bench.insights("one", "two", "three")
    result = await bench.sync()
    assert result.counts.metadata == 2
    assert len(prepared) >= 3


async def test_a_campaign_that_is_completed_changes_the_metadata_of_its_lessons(bench: Bench) -> None:
    campaign = {"campaign_id": "c", "learnings": ["A lesson to remember."], "channels": ["email"]}
    bench.write("campaigns/c.json", campaign)
    await bench.sync()
    bench.write("campaigns/c.json", {**campaign, "status": "completed"})
    result = await bench.sync()
    assert result.status == "complete"
    assert result.counts.metadata == 1
