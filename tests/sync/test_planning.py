"""What a sync makes of a brand's files: each test is one promise about items, identity and duplicates."""

from __future__ import annotations

import pytest

from dm_memory.items import ContentType
from dm_memory.requests import Scope, SessionLearning
from dm_memory.results import Action
from dm_memory.store import entries as table
from tests.support.dict_service import DictService
from tests.support.embedders import ConstantEmbedder
from tests.sync.conftest import Bench, insight, stored_texts

pytestmark = pytest.mark.anyio


async def texts(bench: Bench) -> list[str]:
    bench.check()
    return sorted(bench.texts().values())


async def test_the_second_sync_of_an_unchanged_brand_costs_a_look_at_counts_alone(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    service.upserted.clear()
    bench.embedder = ConstantEmbedder()
    result = await bench.sync()
    assert (result.counts.unchanged, result.counts.stored, result.status) == (2, 0, "complete")
    assert (service.upserted, service.fetched, bench.embedder.embedded) == ([], [], [])
    assert (result.services[0].asked, result.services[0].counted) == (True, 2)


async def test_when_nothing_changed_the_script_s_index_is_not_written_and_it_learns_of_the_sync(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    index, last = (bench.memory_dir / "_index.json").stat().st_ino, bench.read("_last_sync.json")
    assert last["items_synced"] == 2
    await bench.sync()
    assert (bench.memory_dir / "_index.json").stat().st_ino == index
    assert bench.read("_last_sync.json")["items_synced"] == 0
    assert bench.read("_last_sync.json")["last_sync_at"] > last["last_sync_at"]


async def test_an_edited_insight_is_updated_in_place_and_remembers_what_it_replaced(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    before = {payload.key: payload for payload in service.stored.values()}
    bench.insights("one", "two, corrected")
    result = await bench.sync()
    assert (result.counts.modified, result.counts.unchanged, result.counts.stored) == (1, 1, 1)
    (changed,) = [payload for payload in service.stored.values() if payload.version == 2]
    assert changed.content == "two, corrected"
    assert changed.updated_from == before[changed.key].content_hash
    assert len(service.stored) == 2
    (item,) = result.items
    assert item.before == {"text": "two"}
    assert bench.rows("SELECT content, reason FROM revisions") == [("two", "changed")]


async def test_when_an_entry_has_too_many_revisions_the_oldest_goes_and_that_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert table.KEPT_REVISIONS == 50
    monkeypatch.setattr(table, "KEPT_REVISIONS", 2)
    told = []
    for number in range(4):
        bench.insights(f"open rates rose by {number} percent")
        result = await bench.sync()
        told.append([finding.message for finding in result.findings])
    assert told == [[], [], [], ["1 of the oldest revisions had to go: an entry keeps 2."]]
    kept = [content for (content,) in bench.rows("SELECT content FROM revisions ORDER BY number")]
    assert kept == ["open rates rose by 1 percent", "open rates rose by 2 percent"]


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
    assert await texts(bench) == ["one", "two"]


async def test_a_duplicate_is_stored_once_and_its_tags_go_to_the_one_that_is(
    bench: Bench, service: DictService
) -> None:
    bench.insights(insight("one", 0, source="survey"), insight("one", 1, source="interview"))
    result = await bench.sync()
    assert (result.counts.new, result.counts.duplicate, result.counts.stored) == (1, 1, 1)
    (payload,) = service.stored.values()
    assert {"source:survey", "source:interview"} <= set(payload.tags)
    again = await bench.sync(force=True)
    assert again.counts.metadata == 0
    assert set(payload.tags) == set(next(iter(service.stored.values())).tags)


async def test_a_duplicate_stands_for_itself_once_its_twin_says_something_else(bench: Bench) -> None:
    bench.insights("one", "one")
    await bench.sync()
    bench.insights("something else", "one")
    result = await bench.sync()
    assert await texts(bench) == ["one", "something else"]
    assert result.status == "complete"


async def test_of_three_alike_two_stay_one_entry_when_the_first_changes(bench: Bench) -> None:
    bench.insights("one", "one", "one")
    await bench.sync()
    bench.insights("something else", "one", "one")
    await bench.sync()
    assert await texts(bench) == ["one", "something else"]


async def test_a_newcomer_takes_a_text_over_from_an_owner_that_changes_and_it_stays_one_entry(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("something else", "one")
    await bench.sync()
    assert await texts(bench) == ["one", "something else"]
    bench.insights("x", "x")
    await bench.sync()
    bench.insights("y", "x", "x")
    await bench.sync()
    assert (await texts(bench)).count("x") == 1


async def test_an_insight_edited_into_a_duplicate_leaves_no_stale_text_behind(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.insights("one", "one")
    await bench.sync()
    assert await texts(bench) == stored_texts(service) == ["one"]


async def test_what_rolled_out_of_the_file_stays_in_memory_and_is_delivered_again_by_force(
    bench: Bench, service: DictService
) -> None:
    bench.insights("old", "new")
    await bench.sync()
    bench.write("insights.json", [insight("new", 1)])
    result = await bench.sync()
    assert result.counts.retired == 0
    assert stored_texts(service) == ["new", "old"]
    service.stored.clear()
    result = await bench.sync(force=True)
    assert (result.counts.forced, result.counts.embedded) == (2, 2)
    assert stored_texts(service) == ["new", "old"]


async def test_force_keeps_ids_versions_and_revisions(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.insights("one, corrected", "two")
    await bench.sync()
    before = (dict(service.stored), bench.rows("SELECT * FROM revisions"))
    result = await bench.sync(force=True)
    assert (result.counts.forced, result.counts.modified) == (2, 0)
    assert (dict(service.stored), bench.rows("SELECT * FROM revisions")) == before
    assert len(service.upserted) == 5


async def test_an_emptied_file_of_insights_is_a_finding_and_costs_nothing(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.insights()
    result = await bench.sync()
    assert [finding.code for finding in result.findings] == ["empty-source"]
    assert await texts(bench) == ["one", "two"]
    (bench.folder / "insights.json").unlink()
    await bench.sync()
    assert await texts(bench) == ["one", "two"]


# Tags and types ------------------------------------------------------------------------------------------------------


async def test_a_run_s_tags_go_on_what_it_stores_and_stay(bench: Bench, service: DictService) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("one", "two")
    result = await bench.sync(tags=("Q4 Review",))
    assert (result.counts.new, result.counts.metadata) == (1, 0)
    await bench.sync(force=True)
    tagged = {payload.content for payload in service.stored.values() if "q4-review" in payload.tags}
    assert tagged == {"two"}
    assert (await bench.sync()).counts.unchanged == 2


async def test_retag_puts_them_on_everything_in_scope_and_embeds_nothing(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    await bench.sync()
    result = await bench.sync(tags=("Q4 Review",), retag=True)
    assert (result.counts.metadata, result.counts.embedded, len(service.upserted)) == (2, 0, 2)
    assert all("q4-review" in payload.tags for payload in service.stored.values())


async def test_a_tag_that_was_removed_does_not_come_back(bench: Bench, service: DictService) -> None:
    bench.insights("Newsletter by email wins")
    await bench.sync()
    (payload,) = service.stored.values()
    assert "channel:email" in payload.tags
    result = await bench.sync(untag=("channel:email",))
    assert result.counts.metadata == 1
    bench.insights("Newsletter by email wins again")
    for force in (False, True):
        await bench.sync(force=force)
        (payload,) = service.stored.values()
        assert "channel:email" not in payload.tags
    await bench.sync(tags=("channel:email",), retag=True)
    (payload,) = service.stored.values()
    assert "channel:email" in payload.tags, "a user gave it again"


async def test_a_run_s_content_type_stays_until_it_is_taken_back(bench: Bench, service: DictService) -> None:
    bench.insights("one")
    await bench.sync(content_type=ContentType.BRAND_ASSET)
    bench.insights("one", "two")
    await bench.sync()
    types = {payload.content: payload.content_type for payload in service.stored.values()}
    assert types == {"one": "brand-asset", "two": "performance-insight"}
    await bench.sync(content_type="auto")
    assert {payload.content_type for payload in service.stored.values()} == {"performance-insight"}


async def test_a_change_of_the_profile_changes_metadata_and_embeds_nothing(bench: Bench, service: DictService) -> None:
    bench.insights("one")
    await bench.sync()
    bench.write("profile.json", {"brand_name": "Acme", "industry": {"primary": "Coffee"}})
    result = await bench.sync()
    assert result.counts.metadata == 1
    (payload,) = [payload for payload in service.stored.values() if payload.kind == "insight"]
    assert "industry:coffee" in payload.tags
    assert service.upserted.count(payload.key) == 1


# Exclude, dry run, scope ---------------------------------------------------------------------------------------------


async def test_excluded_items_are_reported_with_the_pattern_and_stored_when_it_is_gone(bench: Bench) -> None:
    bench.insights("final words", "Draft: not yet")
    result = await bench.sync(exclude=("*draft*",))
    assert (result.counts.new, result.counts.excluded) == (1, 1)
    (skipped,) = [item for item in result.items if item.action is Action.EXCLUDED]
    assert "*draft*" in skipped.reason
    result = await bench.sync()
    assert (result.counts.new, result.counts.unchanged) == (1, 1)


async def test_force_does_not_overrule_exclude(bench: Bench, service: DictService) -> None:
    bench.insights("final words", "Draft: not yet")
    await bench.sync()
    service.upserted.clear()
    await bench.sync(force=True, exclude=("*draft*",))
    assert len(service.upserted) == 1
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
    bench.campaign(["A lesson to remember."])
    before = bench.tree()
    result = await bench.sync(dry_run=True)
    assert (result.counts.modified, result.counts.unchanged, result.counts.new) == (1, 1, 1)
    assert bench.tree() == before


async def test_scopes_read_their_own_sources_and_session_learnings_always_go_in(bench: Bench) -> None:
    def kinds() -> set[str]:
        return {key.split("/")[0] for key in bench.texts()}

    bench.insights("insight")
    bench.campaign(["A lesson to remember."])
    bench.write("guidelines/voice.md", "# Voice\nBe kind.\n")
    result = await bench.sync(scope=Scope.INSIGHTS_ONLY, session_learnings=(SessionLearning("session"),))
    assert kinds() == {"insight", "session"}
    assert not result.checkpoint.last_complete_sync_at
    await bench.sync(scope=Scope.CAMPAIGNS_ONLY)
    assert kinds() == {"insight", "session", "campaign"}
    result = await bench.sync()
    assert kinds() == {"insight", "session", "campaign", "guideline"}
    assert result.checkpoint.last_complete_sync_at


# What is stored ------------------------------------------------------------------------------------------------------


async def test_the_context_of_an_insight_is_kept_and_found(bench: Bench) -> None:
    bench.insights(insight("Short subject lines win", 0, context="Spring newsletter, 40,000 readers"))
    await bench.sync()
    assert "Spring newsletter, 40,000 readers" in (await texts(bench))[0]


async def test_personal_data_is_masked_and_credentials_stay_out_both_reported(bench: Bench) -> None:
    bench.insights("Ask anna@example.com about the launch", "Our key is sk-ant-api03-" + "aB3dE6gH9k" * 9)
    secret = "password: Summer2024!"  # noqa: S105  # invented
    result = await bench.sync(session_learnings=(SessionLearning("Call anna@example.com"), SessionLearning(secret)))
    assert await texts(bench) == ["Ask [e-mail] about the launch", "Call [e-mail]"]
    assert {(hit.what, hit.refused) for hit in result.guard_hits} >= {("e-mail address", False), ("password", True)}
    assert result.counts.refused == 2
    for path in bench.memory_dir.iterdir():
        data = path.read_bytes()
        assert not any(word in data for word in (b"sk-ant", b"Summer2024", b"anna@")), path


async def test_personal_data_can_be_kept_by_setting(bench: Bench) -> None:
    bench.settings["personal_data"] = "keep"
    bench.insights("Ask anna@example.com about the launch")
    await bench.sync()
    assert await texts(bench) == ["Ask anna@example.com about the launch"]


async def test_numbers_beyond_every_database_and_half_characters_stop_nothing(bench: Bench) -> None:
    entry = '[{"recorded_at": "2026-11-02T10:00:00", "type": "learning", "insight": "huge \\ud800", "actionable": N}]'
    bench.write("insights.json", entry.replace("N", "9" * 40))
    bench.campaign(["A lesson to remember."], results={"views": 10**30, "rate": 1e308}, budget=10**25)
    result = await bench.sync()
    assert result.status == "complete"
    again = await bench.sync()
    assert (again.counts.stored, again.status) == (0, "complete")
