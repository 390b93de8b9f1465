"""What a sync makes of a brand's files: each test is one promise about items, identity and duplicates."""

from __future__ import annotations

import pytest

from dm_memory.items import ContentType
from dm_memory.requests import Scope, SessionLearning
from dm_memory.results import Action
from tests.sync.conftest import Bench, insight

pytestmark = pytest.mark.anyio


async def test_the_second_sync_of_an_unchanged_brand_asks_no_layer(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.layer.upserted.clear()
    result = await bench.sync()
    assert (result.counts.unchanged, result.counts.stored) == (2, 0)
    assert (bench.layer.upserted, bench.layer.fetched) == ([], [])
    assert not result.layers[0].opened


async def test_an_edited_insight_is_updated_in_place_and_remembers_what_it_replaced(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    before = {payload.key: payload for payload in bench.layer.held.values()}
    bench.insights("one", "two, corrected")
    result = await bench.sync()
    assert (result.counts.modified, result.counts.unchanged, result.counts.stored) == (1, 1, 1)
    (changed,) = [payload for payload in bench.layer.held.values() if payload.version == 2]
    assert changed.content == "two, corrected"
    assert changed.updated_from == before[changed.key].content_hash
    assert len(bench.layer.held) == 2


async def test_white_space_and_composition_are_no_change(bench: Bench) -> None:
    bench.insights("Café  leads\r\nwin")
    await bench.sync()
    bench.insights("Cafe\u0301 leads\nwin ")
    result = await bench.sync()
    assert (result.counts.unchanged, result.counts.stored) == (1, 0)


async def test_swapped_texts_are_two_modifications_and_no_duplicate(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.insights("two", "one")
    result = await bench.sync()
    assert (result.counts.modified, result.counts.duplicate) == (2, 0)
    assert bench.held_texts() == ["one", "two"]


async def test_a_duplicate_is_stored_once_and_its_tags_go_to_the_one_that_is(bench: Bench) -> None:
    bench.insights(insight("one", 0, source="survey"), insight("one", 1, source="interview"))
    result = await bench.sync()
    assert (result.counts.new, result.counts.duplicate, result.counts.stored) == (1, 1, 1)
    (payload,) = bench.layer.held.values()
    assert {"source:survey", "source:interview"} <= set(payload.tags)
    again = await bench.sync(force=True)
    assert again.counts.metadata == 0
    assert set(payload.tags) == set(next(iter(bench.layer.held.values())).tags)


async def test_a_duplicate_stands_for_itself_once_its_twin_says_something_else(bench: Bench) -> None:
    bench.insights("one", "one")
    await bench.sync()
    bench.insights("something else", "one")
    result = await bench.sync()
    assert bench.held_texts() == ["one", "something else"]
    assert result.status == "complete"


async def test_of_three_alike_two_stay_one_entry_when_the_first_changes(bench: Bench) -> None:
    bench.insights("one", "one", "one")
    await bench.sync()
    bench.insights("something else", "one", "one")
    await bench.sync()
    assert bench.held_texts() == ["one", "something else"]


async def test_a_newcomer_takes_over_a_text_from_an_owner_that_changes_and_it_stays_one_entry(bench: Bench) -> None:
    bench.insights("one")
    bench.write("guidelines/voice.md", "one")
    await bench.sync()
    bench.insights("something else", "one")
    await bench.sync()
    texts = [text for text in bench.held_texts() if text.endswith("one")]
    assert len(texts) == len(set(texts))
    bench.insights("x", "x")
    await bench.sync()
    bench.insights("y", "x", "x")
    await bench.sync()
    assert bench.held_texts().count("x") == 1


async def test_an_insight_edited_into_a_duplicate_leaves_no_stale_text_behind(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.insights("one", "one")
    await bench.sync()
    assert bench.held_texts() == ["one"]


async def test_what_rolled_out_of_the_file_stays_in_memory_and_comes_back_by_force(bench: Bench) -> None:
    bench.insights("old", "new")
    await bench.sync()
    bench.write("insights.json", [insight("new", 1)])
    await bench.sync()
    assert bench.held_texts() == ["new", "old"]
    bench.layer.held.clear()
    result = await bench.sync(force=True)
    assert result.counts.forced == 2
    assert bench.held_texts() == ["new", "old"]


async def test_insights_of_the_same_moment_are_told_apart_and_none_is_lost_when_the_first_rolls_out(
    bench: Bench,
) -> None:
    filler = [insight(f"filler {number}", number + 10) for number in range(200)]
    tied = [insight("first", 0), insight("second", 0), insight("third", 0)]
    bench.write("insights.json", [*tied, *filler])
    await bench.sync()
    bench.write("insights.json", [*tied[1:], *filler])
    result = await bench.sync()
    assert {"first", "second", "third"} <= set(bench.held_texts())
    assert result.counts.modified == 0


async def test_an_edit_among_insights_of_the_same_moment_is_an_edit(bench: Bench) -> None:
    bench.insights(insight("first", 0), insight("second", 0))
    await bench.sync()
    bench.insights(insight("first", 0), insight("second, corrected", 0))
    result = await bench.sync()
    assert result.counts.modified == 1
    assert bench.held_texts() == ["first", "second, corrected"]


async def test_two_campaign_files_with_one_id_do_not_overwrite_each_other_for_ever(bench: Bench) -> None:
    bench.write("campaigns/a.json", {"campaign_id": "spring", "learnings": ["from a"]})
    bench.write("campaigns/b.json", {"campaign_id": "spring", "learnings": ["from b"]})
    for _ in range(2):
        result = await bench.sync()
        assert [finding.code for finding in result.findings] == ["same-id"]
        assert len(bench.layer.held) == 1
    assert len(bench.layer.upserted) == 1


async def test_a_renamed_file_changes_nothing(bench: Bench) -> None:
    bench.write("campaigns/a.json", {"campaign_id": "spring", "learnings": ["lesson"]})
    await bench.sync()
    (bench.folder / "campaigns/a.json").rename(bench.folder / "campaigns/b.json")
    result = await bench.sync()
    assert (result.counts.unchanged, result.counts.stored) == (1, 0)
    result = await bench.sync()
    assert result.counts.unchanged == 1


async def test_an_emptied_file_is_a_finding_and_deletes_nothing(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.insights()
    result = await bench.sync()
    assert [finding.code for finding in result.findings] == ["empty-source"]
    assert bench.held_texts() == ["one", "two"]
    (bench.folder / "insights.json").unlink()
    await bench.sync()
    assert bench.held_texts() == ["one", "two"]


async def test_a_run_s_tags_are_metadata_embed_nothing_and_stay(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    result = await bench.sync(tags=("Q4 Review",))
    assert (result.counts.metadata, result.counts.embedded) == (1, 0)
    assert len(bench.layer.upserted) == 1
    await bench.sync(force=True)
    assert "q4-review" in next(iter(bench.layer.held.values())).tags
    assert (await bench.sync()).counts.unchanged == 1


async def test_a_run_s_content_type_stays(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync(content_type=ContentType.BRAND_ASSET)
    bench.insights("one", "two")
    await bench.sync()
    types = {payload.content: payload.content_type for payload in bench.layer.held.values()}
    assert types == {"one": "brand-asset", "two": "campaign-learning"}


async def test_excluded_items_are_reported_with_the_pattern_and_taken_in_when_it_is_gone(bench: Bench) -> None:
    bench.insights("final words", "Draft: not yet")
    result = await bench.sync(exclude=("*draft*",))
    assert (result.counts.new, result.counts.excluded) == (1, 1)
    (skipped,) = [item for item in result.items if item.action is Action.EXCLUDED]
    assert "*draft*" in skipped.reason
    result = await bench.sync()
    assert (result.counts.new, result.counts.unchanged) == (1, 1)


async def test_force_does_not_overrule_exclude(bench: Bench) -> None:
    bench.insights("final words", "Draft: not yet")
    await bench.sync()
    bench.layer.upserted.clear()
    await bench.sync(force=True, exclude=("*draft*",))
    assert len(bench.layer.upserted) == 1
    assert (await bench.sync()).status == "complete"


async def test_a_dry_run_says_what_a_run_would_do_and_writes_nothing_at_all(bench: Bench) -> None:
    bench.insights("one", "two")
    before = bench.tree()
    result = await bench.sync(dry_run=True, session_learnings=(SessionLearning("three"),))
    assert (result.counts.new, result.counts.stored, result.dry_run) == (3, 0, True)
    assert {item.planned for item in result.items} == {True}
    assert bench.tree() == before
    assert not bench.memory_dir.exists()
    await bench.sync()
    bench.insights("one", "two, corrected")
    before = bench.tree()
    result = await bench.sync(dry_run=True)
    assert (result.counts.modified, result.counts.unchanged) == (1, 1)
    assert bench.tree() == before


async def test_scopes_read_their_own_sources_and_session_learnings_always_go_in(bench: Bench) -> None:
    bench.insights("insight")
    bench.write("campaigns/a.json", {"campaign_id": "spring", "learnings": ["lesson"]})
    bench.write("guidelines/voice.md", "# Voice\nBe kind.\n")
    result = await bench.sync(scope=Scope.INSIGHTS_ONLY, session_learnings=(SessionLearning("session"),))
    assert {key.split("/")[0] for key in bench.layer.upserted} == {"insight", "session"}
    assert not result.checkpoint.last_complete_sync_at
    await bench.sync(scope=Scope.CAMPAIGNS_ONLY)
    assert {key.split("/")[0] for key in bench.layer.upserted} == {"insight", "session", "campaign"}
    result = await bench.sync()
    assert {key.split("/")[0] for key in bench.layer.upserted} == {"insight", "session", "campaign", "guideline"}
    assert result.checkpoint.last_complete_sync_at


async def test_the_context_of_an_insight_is_kept_and_found(bench: Bench) -> None:
    bench.insights(insight("Short subject lines win", 0, context="Spring newsletter, 40,000 readers"))
    await bench.sync()
    assert "Spring newsletter, 40,000 readers" in bench.held_texts()[0]


async def test_personal_data_is_masked_and_credentials_stay_out_both_reported(bench: Bench) -> None:
    bench.insights("Ask anna@example.com about the launch", "Our key is sk-ant-api03-" + "aB3dE6gH9k" * 9)
    result = await bench.sync()
    assert bench.held_texts() == ["Ask [e-mail] about the launch"]
    assert {(hit.what, hit.refused) for hit in result.guard_hits} >= {("e-mail address", False)}
    assert result.counts.refused == 1
    assert "sk-ant" not in (bench.memory_dir / "registry.db").read_bytes().decode("latin-1")


async def test_personal_data_can_be_kept_by_setting(bench: Bench) -> None:
    bench.settings["personal_data"] = "keep"
    bench.insights("Ask anna@example.com about the launch")
    await bench.sync()
    assert bench.held_texts() == ["Ask anna@example.com about the launch"]


async def test_a_change_of_the_profile_changes_metadata_and_embeds_nothing(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    bench.write("profile.json", {"brand_name": "Acme", "industry": {"primary": "Coffee"}})
    result = await bench.sync()
    assert (result.counts.metadata, result.counts.embedded) == (1, 0)
    assert "industry:coffee" in next(iter(bench.layer.held.values())).tags
