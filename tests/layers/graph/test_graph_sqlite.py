"""The embedded graph layer: the contract, its files, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.facts.model import Fact, Relation
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from dm_memory.services.protocol import SearchQuery
from dm_memory.sync.generations import RebuildableLayer
from tests.facts.pieces import (
    SAMPLE,
    SteppingClock,
    assert_sound,
    entry,
    everything,
    plan,
    play,
    rows,
    sample_payloads,
    snapshot,
    store,
)
from tests.services.contract import SearchableLayerContract
from tests.services.payloads import BRAND, payload


class TestSqliteGraph(SearchableLayerContract):
    """The embedded graph keeps the contract of every layer that can be searched."""

    @pytest.fixture
    def make_layer(self, tmp_path: Path) -> Callable[[], SqliteGraphLayer]:
        return lambda: SqliteGraphLayer(tmp_path / "memory", BRAND)


def move_away(folder: Path) -> None:
    for path in folder.glob("graph.db*"):
        path.rename(path.with_name(f"old-{path.name}"))


def texts(facts: list[Fact]) -> list[str]:
    return [fact.text for fact in facts]


# Files ---------------------------------------------------------------------------------------------------------------


def test_reading_an_empty_memory_makes_no_file(tmp_path: Path) -> None:
    async def scenario(layer: SqliteGraphLayer) -> None:
        assert isinstance(layer, RebuildableLayer)
        assert (await layer.health()).detail == "Nothing is stored yet."
        assert (await layer.capacity()).entries == 0
        assert await layer.search(SearchQuery("anything")) == []
        assert await layer.facts() == []
        assert await layer.history("nothing") == []
        assert await layer.fetch([payload(1).id]) == {}
        await layer.delete([payload(1).id])
        assert (await layer.update_metadata([payload(1)]))[0].error is not None
        await layer.begin_rebuild()
        await layer.finish_rebuild()

    play(tmp_path / "memory", scenario)
    assert list(tmp_path.iterdir()) == []


def test_the_file_and_its_folder_are_their_owners_alone(tmp_path: Path) -> None:
    async def scenario(layer: SqliteGraphLayer) -> None:
        await layer.upsert([payload(1)])
        paths = list((tmp_path / "memory").iterdir())
        assert {path.name for path in paths} == {"graph.db", "graph.db-wal", "graph.db-shm"}
        assert {oct(path.stat().st_mode & 0o777) for path in paths} == {"0o600"}

    play(tmp_path / "memory", scenario)
    assert oct((tmp_path / "memory").stat().st_mode & 0o777) == "0o700"
    assert [path.name for path in (tmp_path / "memory").iterdir()] == ["graph.db"]


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "graph.db").symlink_to(tmp_path / "elsewhere.db")

    async def scenario(layer: SqliteGraphLayer) -> None:
        with pytest.raises(LayerError, match="can't be opened"):
            await layer.upsert([payload(1)])

    play(tmp_path, scenario)
    assert not (tmp_path / "elsewhere.db").exists()


def test_storing_the_same_again_writes_nothing_at_all(tmp_path: Path) -> None:
    payloads = list(sample_payloads().values())
    store(tmp_path, payloads, brand=SAMPLE)
    before = everything(tmp_path)
    store(tmp_path, payloads, list(reversed(payloads)), brand=SAMPLE, clock=SteppingClock("2030-01-01T00:00:00Z"))
    assert everything(tmp_path) == before
    assert_sound(tmp_path)


def test_a_file_put_in_place_of_the_open_one_is_the_one_that_is_used(tmp_path: Path) -> None:
    async def scenario(layer: SqliteGraphLayer) -> None:
        await layer.upsert([payload(1)])
        move_away(tmp_path)
        assert await layer.fetch([payload(1).id]) == {}
        await layer.upsert([payload(2)])
        assert set(await layer.fetch([payload(1).id, payload(2).id])) == {payload(2).id}

    play(tmp_path, scenario)


# Facts and their validity --------------------------------------------------------------------------------------------


def test_a_newer_snapshot_ends_what_the_older_one_said(tmp_path: Path) -> None:
    store(tmp_path, [snapshot("spring", 10, roas=2.1), snapshot("spring", 20, roas=3.4)])

    async def scenario(layer: SqliteGraphLayer) -> None:
        (then,) = await layer.facts(entity="ROAS", at="2026-03-15T00:00:00Z")
        (now,) = await layer.facts(entity="roas")
        assert (then.text, then.valid_at, then.invalid_at) == (
            "spring achieved roas: 2.1 (March).",
            "2026-03-10T00:00:00.000Z",
            "2026-03-20T00:00:00.000Z",
        )
        assert (now.text, now.invalid_at) == ("spring achieved roas: 3.4 (March).", "")
        assert await layer.history(now.slot) == [then, now]
        assert await layer.facts(entity="roas", at="2026-03-09T23:59:59Z") == []
        assert texts(await layer.facts(entity="roas", at="2026-03-20T00:00:00Z")) == [now.text]

    play(tmp_path, scenario)


def test_an_older_snapshot_that_comes_late_takes_its_place_in_between(tmp_path: Path) -> None:
    store(tmp_path, [snapshot("spring", 10, roas=1), snapshot("spring", 30, roas=3)], [snapshot("spring", 20, roas=2)])

    async def scenario(layer: SqliteGraphLayer) -> None:
        (now,) = await layer.facts(entity="roas")
        history = await layer.history(now.slot)
        assert [(fact.valid_at[8:10], fact.invalid_at[8:10]) for fact in history] == [
            ("10", "20"),
            ("20", "30"),
            ("30", ""),
        ]

    play(tmp_path, scenario)


def test_a_plan_that_changes_keeps_what_it_said_until_then(tmp_path: Path) -> None:
    clock = SteppingClock("2026-02-02T00:00:00Z")

    async def scenario(layer: SqliteGraphLayer) -> None:
        await layer.upsert([plan("planned", "email", "podcast")])
        clock.set("2026-03-05T00:00:00Z")
        await layer.upsert([plan("active", "email", "instagram")])
        clock.set("2026-04-01T00:00:00Z")

        assert texts(await layer.facts(relation=Relation.RAN, at="2026-02-20T00:00:00Z")) == [
            "The campaign Spring of acme is planned."
        ]
        (status,) = await layer.facts(relation=Relation.RAN)
        assert (status.text, status.valid_at) == ("The campaign Spring of acme is active.", "2026-03-05T00:00:00.000Z")
        assert [fact.invalid_at for fact in await layer.history(status.slot)] == ["2026-03-05T00:00:00.000Z", ""]

        async def channels(at: str) -> set[str]:
            return {fact.object.name for fact in await layer.facts("spring", Relation.USED, at)}

        assert await channels("2026-02-20T00:00:00Z") == {"email", "podcast"}
        assert await channels("2026-03-20T00:00:00Z") == {"email", "instagram"}
        (email,) = await layer.facts("email", Relation.USED)
        assert email.valid_at == "2026-02-01T00:00:00.000Z", "what did not change began when it began"

    play(tmp_path, scenario, clock=clock)
    assert_sound(tmp_path)


def test_what_was_ended_and_is_stated_again_is_another_stretch_of_time(tmp_path: Path) -> None:
    clock = SteppingClock()

    async def scenario(layer: SqliteGraphLayer) -> None:
        for month, status in ((3, "active"), (4, "paused"), (5, "active")):
            clock.set(f"2026-{month:02}-01T00:00:00Z")
            await layer.upsert([plan(status, "email")])
        (status,) = await layer.facts(relation=Relation.RAN)
        history = await layer.history(status.slot)
        assert [(fact.text[-7:-1], fact.valid_at[5:7], fact.invalid_at[5:7]) for fact in history] == [
            ("active", "02", "04"),
            ("paused", "04", "05"),
            ("active", "05", ""),
        ]
        assert len({fact.id for fact in history}) == 3

    play(tmp_path, scenario, clock=clock)


def test_a_corrected_snapshot_holds_from_its_own_date_and_not_from_the_correction(tmp_path: Path) -> None:
    store(
        tmp_path,
        [snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2)],
        [snapshot("spring", 10, roas=1.5)],
    )

    async def scenario(layer: SqliteGraphLayer) -> None:
        assert [fact.text for fact in await layer.facts("roas", at="2026-03-15T00:00:00Z")] == [
            "spring achieved roas: 1.5 (March)."
        ]
        (now,) = await layer.facts("roas")
        assert now.text == "spring achieved roas: 2 (March)."
        (taken_back,) = [
            fact for fact in await layer.history(now.slot) if fact.text.startswith("spring achieved roas: 1 ")
        ]
        assert taken_back.valid_at == taken_back.invalid_at

    play(tmp_path, scenario)
    assert_sound(tmp_path)


def test_deleting_an_entry_takes_its_facts_along_and_gives_the_slot_back(tmp_path: Path) -> None:
    first, second = snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2, cpa=9)
    store(tmp_path, [first])
    before = everything(tmp_path)

    async def scenario(layer: SqliteGraphLayer) -> None:
        await layer.upsert([second])
        await layer.delete([second.id])

    play(tmp_path, scenario)
    assert everything(tmp_path) == before
    assert rows(tmp_path, "SELECT count(*) FROM search WHERE search MATCH 'cpa'") == [(0,)]
    assert_sound(tmp_path)


def test_metadata_alone_can_change_what_an_entry_is_about(tmp_path: Path) -> None:
    old = entry("insight/1", "Short films win.", tags=("channel:tiktok",))
    new = replace(old, tags=("channel:youtube",), metadata_hash="1" * 64, content="Text that must not be taken.")

    async def scenario(layer: SqliteGraphLayer) -> None:
        await layer.upsert([old])
        await layer.update_metadata([new])
        assert await layer.facts("tiktok") == []
        (fact,) = await layer.facts("youtube")
        assert fact.text == "Short films win."
        assert (await layer.fetch([old.id]))[old.id].content_hash == old.content_hash
        assert [hit.content for hit in await layer.search(SearchQuery("youtube"))] == ["Short films win."]

    play(tmp_path, scenario)
    assert_sound(tmp_path)


def test_what_is_dated_in_the_future_by_a_clock_that_was_wrong_is_told_all_the_same(tmp_path: Path) -> None:
    store(tmp_path, [entry("insight/1", "Bread sells.", recorded_at="2999-01-01T00:00:00Z")])

    async def scenario(layer: SqliteGraphLayer) -> None:
        assert texts(await layer.facts()) == ["Bread sells."]
        assert await layer.facts(at="2998-12-31") == []

    play(tmp_path, scenario)


def test_a_date_that_was_corrected_moves_the_fact(tmp_path: Path) -> None:
    old = snapshot("spring", 10, roas=1)
    moved = replace(old, recorded_at="2026-03-05T00:00:00Z", metadata_hash="2" * 64)
    store(tmp_path, [old], [moved])

    async def scenario(layer: SqliteGraphLayer) -> None:
        assert [fact.valid_at[8:10] for fact in await layer.facts("roas")] == ["05"]

    play(tmp_path, scenario)


def test_undated_entries_count_from_the_moment_memory_met_them(tmp_path: Path) -> None:
    store(tmp_path, [entry("session/1", "People like bread.", kind="session", recorded_at="")])

    async def scenario(layer: SqliteGraphLayer) -> None:
        assert texts(await layer.facts(at="2026-12-01")) == ["People like bread."]
        assert await layer.facts(at="2026-11-01") == []

    play(tmp_path, scenario)


# Questions -----------------------------------------------------------------------------------------------------------


def test_a_campaign_is_found_by_its_name_and_by_its_id(tmp_path: Path) -> None:
    store(tmp_path, [snapshot("spring", 10, roas=1)], [plan("active", "email")])

    async def scenario(layer: SqliteGraphLayer) -> None:
        by_id = await layer.facts("spring")
        assert len(by_id) == 5
        assert {fact.subject.name for fact in by_id if fact.relation is Relation.ACHIEVED} == {"Spring"}
        assert await layer.facts("SPRING") == by_id

    play(tmp_path, scenario)


def test_a_market_is_found_by_what_was_learned_there_though_the_fact_is_about_something_else(tmp_path: Path) -> None:
    learned = entry("insight/1", "Reels work in Germany.", tags=("channel:instagram", "market:germany"))
    store(tmp_path, [learned, entry("insight/2", "Reels work.", tags=("channel:instagram",))])

    async def scenario(layer: SqliteGraphLayer) -> None:
        assert texts(await layer.facts("Germany")) == ["Reels work in Germany."]
        assert len(await layer.facts("Instagram", Relation.LEARNED)) == 2
        assert await layer.facts("Instagram", Relation.DECIDED) == []
        assert len(await layer.facts("Instagram", limit=1)) == 1

    play(tmp_path, scenario)


def test_a_search_finds_entries_by_the_names_of_what_they_are_about(tmp_path: Path) -> None:
    store(
        tmp_path,
        [
            entry("insight/1", "Brand terms cost half of what broad ones do.", tags=("channel:paid-search",)),
            entry("insight/2", "The search field is hard to find.", tags=("channel:website",)),
        ],
    )

    async def scenario(layer: SqliteGraphLayer) -> None:
        hits = await layer.search(SearchQuery("paid searches"))
        assert [hit.key for hit in hits] == ["insight/1", "insight/2"]
        assert all(hit.lexical and hit.similarity is None and hit.score > 0 for hit in hits)

    play(tmp_path, scenario)


@pytest.mark.parametrize("moment", ["yesterday", "", "2026-13-01"])
def test_a_question_about_no_moment_is_refused(tmp_path: Path, moment: str) -> None:
    async def scenario(layer: SqliteGraphLayer) -> None:
        with pytest.raises(LayerError, match="is not a moment") as caught:
            await layer.facts(at=moment)
        assert caught.value.error_class is ErrorClass.VALIDATION
        with pytest.raises(LayerError, match="is not a date"):
            await layer.search(SearchQuery("bread", from_date="soon"))

    play(tmp_path, scenario)
