"""What no file states any more is retired: kept, labelled, out of the services. Only if it is really gone."""

from __future__ import annotations

import pytest

from dm_memory.requests import Scope, SessionLearning
from tests.support.dict_service import DictService, down
from tests.sync.conftest import Bench, stored_texts

pytestmark = pytest.mark.anyio

ONE = "Send on Tuesday morning for the best open rate."
TWO = "Video ads tire after three weeks of running."
WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima"]
MANY = [f"Lesson {word}: this one stands for itself alone." for word in WORDS]


def lessons(bench: Bench, state: str = "current") -> list[str]:
    bench.check()
    prefix = "spring, learning: "
    return sorted(text.removeprefix(prefix) for text in bench.texts(state).values() if text.startswith(prefix))


@pytest.fixture
def graph(bench: Bench) -> DictService:
    """A service that keeps retired entries, with their state."""
    made = DictService("graph@dictionary", keeps_retired=True)
    bench.services.append(made)
    return made


@pytest.fixture
async def synced(bench: Bench, service: DictService, graph: DictService) -> Bench:
    bench.insights("an insight")
    bench.campaign([ONE, TWO])
    await bench.sync(session_learnings=(SessionLearning("from a session"),))
    assert len(service.stored) == len(graph.stored) == 4
    return bench


async def test_a_learning_that_is_taken_out_is_kept_labelled_and_leaves_the_services(
    synced: Bench, service: DictService, graph: DictService
) -> None:
    synced.campaign([ONE])
    result = await synced.sync()
    assert (result.status, result.counts.retired) == ("complete", 1)
    assert (lessons(synced), lessons(synced, "retired")) == ([ONE], [TWO])
    assert not any(TWO in text for text in stored_texts(service))
    (kept,) = [payload for payload in graph.stored.values() if TWO in payload.content]
    assert (kept.state, bool(kept.retired_at)) == ("retired", True)
    (item,) = [item for item in result.items if item.action == "retired"]
    assert TWO in item.title
    again = await synced.sync()
    assert (again.counts.retired, again.counts.stored, again.status) == (0, 0, "complete")


async def test_a_deleted_campaign_is_retired_and_what_has_no_file_is_not(synced: Bench, service: DictService) -> None:
    (synced.folder / "campaigns/spring.json").unlink()
    (synced.folder / "insights.json").unlink()
    result = await synced.sync()
    assert result.counts.retired == 2
    assert stored_texts(service) == ["an insight", "from a session"]


async def test_what_appears_again_is_current_again_with_its_id(synced: Bench, service: DictService) -> None:
    before = dict(service.stored)
    synced.campaign([ONE])
    await synced.sync()
    synced.campaign([ONE, TWO])
    result = await synced.sync()
    assert (result.counts.restored, result.counts.new, result.status) == (1, 0, "complete")
    assert set(service.stored) == set(before)
    assert lessons(synced, "retired") == []


async def test_a_service_that_is_down_is_rid_of_it_later(synced: Bench, service: DictService) -> None:
    synced.campaign([ONE])
    service.down = down()
    assert (await synced.sync()).status == "partial"
    service.down = None
    result = await synced.sync()
    assert result.status == "complete"
    assert not any(TWO in text for text in stored_texts(service))


async def test_a_text_that_another_file_states_stays_current(synced: Bench) -> None:
    synced.campaign([TWO], "spring", campaign_id="spring")
    synced.write("campaigns/other.json", {"campaign_id": "spring", "name": "spring", "learnings": [ONE]})
    await synced.sync()
    assert lessons(synced) == sorted([ONE, TWO])
    assert lessons(synced, "retired") == []


async def test_the_twin_of_a_retired_entry_stands_for_the_text(bench: Bench, service: DictService) -> None:
    bench.campaign([ONE], "spring")
    bench.campaign([ONE], "spring", campaign_id="spring")
    bench.write("campaigns/b.json", {"campaign_id": "b", "name": "spring", "learnings": [ONE]})
    await bench.sync()
    assert len(service.stored) == 1
    (bench.folder / "campaigns/spring.json").unlink()
    await bench.sync()
    bench.check()
    assert len(service.stored) == 1
    assert len(bench.texts()) == 1


# Guards --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ['{"campaign_id": "spring", "learnings": [', "\0\0\0", "", "no JSON"])
async def test_a_file_that_can_not_be_understood_retires_nothing(synced: Bench, broken: str) -> None:
    synced.write("campaigns/spring.json", broken)
    result = await synced.sync()
    assert result.counts.retired == 0
    assert result.findings
    assert not result.checkpoint.moved or "[" in broken
    assert lessons(synced) == sorted([ONE, TWO])


async def test_an_entry_that_can_not_be_understood_retires_nothing_of_its_file(synced: Bench) -> None:
    synced.campaign([ONE, {"no": ["text"]}])  # type: ignore[list-item]  # that is the point
    await synced.sync()
    assert set(lessons(synced) + lessons(synced, "retired")) >= {ONE, TWO}
    if lessons(synced, "retired"):
        synced.campaign([ONE, TWO])
        assert (await synced.sync()).counts.restored == 1


@pytest.mark.parametrize("placeholder", [".spring.json.icloud", "spring.json.cloud"])
async def test_a_placeholder_of_a_cloud_drive_keeps_what_its_file_states(synced: Bench, placeholder: str) -> None:
    folder = synced.folder / "campaigns"
    (folder / "spring.json").rename(folder / placeholder)
    result = await synced.sync()
    assert result.counts.retired == 0
    assert lessons(synced) == sorted([ONE, TWO])


async def test_a_file_that_only_a_conflict_copy_stands_for_keeps_its_entries(synced: Bench) -> None:
    folder = synced.folder / "campaigns"
    (folder / "spring.json").rename(folder / "spring (Jo's conflicted copy 2026-02-02).json")
    result = await synced.sync()
    assert result.counts.retired == 0
    assert lessons(synced) == sorted([ONE, TWO])


async def test_a_renamed_file_that_is_understood_in_part_keeps_what_it_states(synced: Bench) -> None:
    (synced.folder / "campaigns/spring.json").unlink()
    learnings = [ONE, TWO, "Longer than is allowed. " * 100]
    synced.write("campaigns/summer.json", {"campaign_id": "spring", "name": "spring", "learnings": learnings})
    synced.settings["max_content_chars"] = 2000
    result = await synced.sync()
    assert result.counts.retired == 0
    assert lessons(synced) == sorted([ONE, TWO])


async def test_a_narrower_scope_retires_nothing_outside_of_it(synced: Bench) -> None:
    (synced.folder / "campaigns/spring.json").unlink()
    result = await synced.sync(scope=Scope.INSIGHTS_ONLY)
    assert result.counts.retired == 0
    assert (await synced.sync(scope=Scope.CAMPAIGNS_ONLY)).counts.retired == 2


async def test_an_exclude_pattern_retires_nothing(synced: Bench) -> None:
    result = await synced.sync(exclude=("*tuesday*",))
    assert (result.counts.excluded, result.counts.retired) == (1, 0)
    assert lessons(synced) == sorted([ONE, TWO])


async def test_a_folder_that_can_not_be_listed_retires_nothing(synced: Bench) -> None:
    folder = synced.folder / "campaigns"
    folder.rename(synced.folder / "elsewhere")
    folder.symlink_to(synced.folder / "elsewhere")  # which is not followed
    result = await synced.sync()
    assert result.counts.retired == 0
    assert lessons(synced) == sorted([ONE, TWO])


async def test_a_dry_run_says_what_would_be_retired(synced: Bench) -> None:
    synced.campaign([ONE])
    before = synced.tree()
    result = await synced.sync(dry_run=True)
    assert result.counts.retired == 1
    assert synced.tree() == before
    assert lessons(synced) == sorted([ONE, TWO])


# Too many at once ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def many(bench: Bench) -> Bench:
    bench.campaign(MANY)
    await bench.sync()
    assert len(lessons(bench)) == 12
    return bench


@pytest.mark.parametrize("gone", [10, 11])
async def test_more_than_half_and_at_least_ten_are_held_back_until_it_is_confirmed(many: Bench, gone: int) -> None:
    left = len(MANY) - gone
    many.campaign(MANY[:left])
    for _ in range(2):
        result = await many.sync()
        assert (result.counts.retired, result.counts.held_back, result.status) == (0, gone, "partial")
        assert "retire-held-back" in [finding.code for finding in result.findings]
        assert "what was not retired" in result.next_sync.advice
        assert len(lessons(many)) == 12
    result = await many.sync(retire=True)
    assert (result.counts.retired, result.counts.held_back, result.status) == (gone, 0, "complete")
    assert sorted(lessons(many)) == sorted(MANY[:left])
    assert (await many.sync()).status == "complete"


async def test_what_was_held_back_and_came_back_is_no_question_any_more(many: Bench) -> None:
    (many.folder / "campaigns/spring.json").unlink()
    assert (await many.sync()).counts.held_back == 12
    many.campaign(MANY)
    result = await many.sync()
    assert (result.counts.held_back, result.status, len(lessons(many))) == (0, "complete", 12)
    assert (await many.sync(retire=True)).counts.retired == 0


async def test_nine_of_twelve_or_half_of_many_are_retired_without_a_question(many: Bench) -> None:
    many.campaign(MANY[:3])
    result = await many.sync()
    assert (result.counts.retired, result.counts.held_back, result.status) == (9, 0, "complete")


async def test_a_dry_run_says_what_would_be_held_back(many: Bench) -> None:
    many.campaign(MANY[:1])
    result = await many.sync(dry_run=True)
    assert (result.counts.retired, result.counts.held_back) == (0, 11)
    assert (await many.sync(dry_run=True, retire=True)).counts.retired == 11
    assert len(lessons(many)) == 12


async def test_a_learning_that_a_file_states_as_well_stays_when_the_file_rolls(bench: Bench) -> None:
    bench.insights("Short subject lines win")
    await bench.sync(session_learnings=(SessionLearning("Short subject lines win"),))
    bench.write("insights.json", [])
    result = await bench.sync()
    assert result.counts.retired == 0
    assert list(bench.texts().values()) == ["Short subject lines win"]
