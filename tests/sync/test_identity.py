"""An entry stays the same entry while its file is edited: lists, ties, headings, several files of one campaign."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from tests.sync.conftest import Bench, insight

pytestmark = pytest.mark.anyio

LEARNINGS = [
    "Send on Tuesday morning for the best open rate.",
    "Short subject lines beat long ones in every test.",
    "Video ads tire after three weeks of running.",
]
EDITED = "Short subject lines beat long ones in each test we ran."
UNLIKE = "Coupons bring customers who never come back."


def lessons(bench: Bench, state: str = "current") -> dict[str, str]:
    """Return the learnings in memory by key."""
    bench.check()
    prefix = "spring, learning: "
    return {key: text.removeprefix(prefix) for key, text in bench.texts(state).items() if text.startswith(prefix)}


async def learned(bench: Bench, *learnings: str) -> dict[str, str]:
    bench.campaign(list(learnings))
    await bench.sync()
    return lessons(bench)


def revisions(bench: Bench) -> list[str]:
    return [text.removeprefix("spring, learning: ") for (text,) in bench.rows("SELECT content FROM revisions")]


# Lists ---------------------------------------------------------------------------------------------------------------


async def test_a_key_says_the_list_and_the_first_text_and_never_a_position(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    assert all(key.startswith("campaign/spring#learnings/") and len(key.split("/")[-1]) == 12 for key in before)
    assert await learned(bench, *reversed(LEARNINGS)) == before


async def test_a_prepended_learning_changes_no_other(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    bench.campaign([UNLIKE, *LEARNINGS])
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (1, 0, 0)
    assert before.items() <= lessons(bench).items()


async def test_an_edited_learning_is_the_same_entry_with_a_revision(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    bench.campaign([LEARNINGS[0], EDITED, LEARNINGS[2]])
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (0, 1, 0)
    after = lessons(bench)
    assert set(after) == set(before)
    assert sorted(after.values()) == sorted([LEARNINGS[0], EDITED, LEARNINGS[2]])
    assert revisions(bench) == [LEARNINGS[1]]
    (item,) = result.items
    assert LEARNINGS[1] in item.before["text"]


async def test_an_edit_and_a_new_order_in_one_save_are_told_apart(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    bench.campaign([UNLIKE, LEARNINGS[2], EDITED, LEARNINGS[0]])
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (1, 1, 0)
    assert set(before) <= set(lessons(bench))


async def test_a_rewritten_learning_is_a_new_one_and_the_old_one_is_retired(bench: Bench) -> None:
    await learned(bench, *LEARNINGS)
    bench.campaign([LEARNINGS[0], UNLIKE, LEARNINGS[2]])
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (1, 0, 1)
    assert list(lessons(bench, "retired").values()) == [LEARNINGS[1]]
    assert revisions(bench) == []


async def test_a_learning_that_comes_back_is_the_entry_it_was(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    await learned(bench, LEARNINGS[0], LEARNINGS[2])
    bench.campaign([LEARNINGS[2], LEARNINGS[0], LEARNINGS[1]])
    result = await bench.sync()
    assert (result.counts.new, result.counts.restored) == (0, 1)
    assert lessons(bench) == before
    assert lessons(bench, "retired") == {}


async def test_two_entries_with_one_text_in_a_list_are_one_memory(bench: Bench) -> None:
    after = await learned(bench, LEARNINGS[0], LEARNINGS[0], LEARNINGS[1])
    assert sorted(after.values()) == sorted(LEARNINGS[:2])
    bench.campaign([LEARNINGS[0], LEARNINGS[1]])
    result = await bench.sync()
    assert sorted(lessons(bench).values()) == sorted(LEARNINGS[:2])
    assert result.status == "complete"


async def test_an_edit_back_and_forth_ends_where_it_began(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    for text in (EDITED, LEARNINGS[1], EDITED, LEARNINGS[1]):
        await learned(bench, LEARNINGS[0], text, LEARNINGS[2])
    assert lessons(bench) == before
    assert len(revisions(bench)) == 4


async def test_another_channel_or_number_in_a_like_sentence_is_another_learning(bench: Bench) -> None:
    await learned(bench, "The welcome series on Instagram doubled the sign-ups in spring.")
    bench.campaign(["The welcome series on LinkedIn doubled the sign-ups in spring."])
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (1, 0, 1)


# Insights of one moment ----------------------------------------------------------------------------------------------


def insights(bench: Bench) -> dict[str, str]:
    bench.check()
    return {key: text for key, text in bench.texts().items() if key.startswith("insight/")}


async def test_insights_of_one_moment_are_told_apart_and_an_edit_is_an_edit(bench: Bench) -> None:
    bench.insights(insight("first", 0), insight("second", 0), insight("third", 0))
    await bench.sync()
    before = insights(bench)
    assert sorted(key.partition("~")[2] for key in before) == ["", "2", "3"]
    bench.insights(insight("first", 0), insight("second, corrected", 0), insight("third", 0))
    result = await bench.sync()
    assert (result.counts.modified, result.counts.new) == (1, 0)
    assert set(insights(bench)) == set(before)


async def test_none_of_one_moment_is_lost_when_the_first_rolls_out(bench: Bench) -> None:
    filler = [insight(f"filler {number}", number + 10) for number in range(200)]
    tied = [insight("first", 0), insight("second", 0), insight("third", 0)]
    bench.insights(*tied, *filler)
    await bench.sync()
    before = insights(bench)
    bench.insights(*tied[1:], *filler, insight("newest", 250))
    result = await bench.sync()
    assert (result.counts.modified, result.counts.new) == (0, 1)
    assert before.items() <= insights(bench).items()


# Headings ------------------------------------------------------------------------------------------------------------

TONE = "We speak plainly and warmly to hikers, and never down to them."
CLAIMS = "Never promise that a jacket stays waterproof for ever."


def guideline(bench: Bench, **sections: str) -> None:
    body = "\n\n".join(f"## {heading.replace('_', ' ')}\n\n{text}" for heading, text in sections.items())
    bench.write("guidelines/messaging.md", f"# Messaging\n\n{body}\n")


def sections(bench: Bench, state: str = "current") -> set[str]:
    return {key for key in bench.texts(state) if key.startswith("guideline/")}


async def test_a_section_whose_heading_is_renamed_is_the_same_entry(bench: Bench) -> None:
    guideline(bench, Tone=TONE, Claims=CLAIMS)
    await bench.sync()
    before = sections(bench)
    guideline(bench, Tone_of_voice=TONE, Claims=CLAIMS)
    result = await bench.sync()
    assert (result.counts.new, result.counts.retired) == (0, 0)
    assert sections(bench) == before
    assert (await bench.sync()).counts.stored == 0


async def test_two_sections_that_swap_their_headings_keep_both_texts(bench: Bench) -> None:
    guideline(bench, Tone=TONE, Claims=CLAIMS)
    await bench.sync()
    guideline(bench, Tone=CLAIMS, Claims=TONE)
    await bench.sync()
    bench.check()
    texts = " ".join(bench.texts().values())
    assert TONE in texts
    assert CLAIMS in texts


async def test_a_section_that_is_replaced_by_another_is_retired(bench: Bench) -> None:
    guideline(bench, Tone=TONE, Claims=CLAIMS)
    await bench.sync()
    guideline(bench, Tone=TONE, Photography="Show real customers outdoors, in the rain if need be.")
    result = await bench.sync()
    assert (result.counts.new, result.counts.retired) == (1, 1)
    assert sections(bench, "retired")


# Several files of one campaign ---------------------------------------------------------------------------------------


def snapshot(bench: Bench, file: str, updated_at: str, *learnings: str, **more: object) -> None:
    document = {
        "campaign_id": "spring",
        "name": "spring",
        "created_at": "2026-01-01T00:00:00",
        "updated_at": updated_at,
    }
    bench.write(f"campaigns/{file}.json", {**document, "learnings": list(learnings), **more})


async def test_of_two_files_of_a_campaign_the_newer_one_counts_section_by_section(bench: Bench) -> None:
    snapshot(bench, "spring", "2026-01-02T00:00:00", LEARNINGS[0], strategy_summary="Old: sell to hikers by e-mail.")
    snapshot(bench, "spring-2", "2026-02-02T00:00:00", LEARNINGS[1], strategy_summary="New: sell to runners by video.")
    result = await bench.sync()
    assert (result.status, result.checkpoint.moved) == ("complete", True)
    assert sorted(lessons(bench).values()) == sorted(LEARNINGS[:2])
    plan = " ".join(text for key, text in bench.texts().items() if "#plan" in key or "#strategy" in key)
    assert "runners" in plan
    assert "hikers" not in plan
    again = await bench.sync()
    assert (again.counts.stored, again.status) == (0, "complete")


async def test_an_older_file_that_is_saved_again_does_not_win(bench: Bench) -> None:
    snapshot(bench, "spring", "2026-01-02T00:00:00", strategy_summary="Old: sell to hikers by e-mail.")
    snapshot(bench, "spring-2", "2026-02-02T00:00:00", strategy_summary="New: sell to runners by video.")
    await bench.sync()
    snapshot(bench, "spring", "2026-01-03T00:00:00", strategy_summary="Old: sell to walkers by e-mail.")
    result = await bench.sync()
    assert (result.counts.modified, result.status) == (0, "complete")
    assert not any("walkers" in text for text in bench.texts().values())


async def test_when_the_newer_file_goes_the_older_one_counts_again(bench: Bench) -> None:
    snapshot(bench, "spring", "2026-01-02T00:00:00", LEARNINGS[0], strategy_summary="Old: sell to hikers by e-mail.")
    snapshot(bench, "spring-2", "2026-02-02T00:00:00", LEARNINGS[1], strategy_summary="New: sell to runners by video.")
    await bench.sync()
    (bench.folder / "campaigns/spring-2.json").unlink()
    await bench.sync()
    texts = " ".join(bench.texts().values())
    assert "hikers" in texts
    assert "runners" not in texts
    assert list(lessons(bench).values()) == [LEARNINGS[0]]


async def test_a_sync_client_s_conflict_copy_never_wins_over_the_file_that_bears_the_id(bench: Bench) -> None:
    snapshot(bench, "spring", "2026-01-02T00:00:00", LEARNINGS[0], strategy_summary="Ours: sell to hikers by e-mail.")
    copy = "spring (Jo's conflicted copy 2026-02-02)"
    snapshot(bench, copy, "2026-02-02T00:00:00", LEARNINGS[1], strategy_summary="Theirs: sell to runners by video.")
    await bench.sync()
    texts = " ".join(bench.texts().values())
    assert "hikers" in texts
    assert "runners" not in texts


async def test_a_conflict_copy_loses_also_where_no_file_says_when_it_was_changed(bench: Bench) -> None:
    bench.campaign([LEARNINGS[0]], strategy_summary="Ours: sell to hikers by e-mail.")
    copy = bench.folder / "campaigns/spring (Jo's conflicted copy 2026-02-02).json"
    theirs = {"campaign_id": "spring", "name": "spring", "strategy_summary": "Theirs: sell to runners by video."}
    for _ in range(2):  # in one run, and as news of a later one
        bench.write(f"campaigns/{copy.name}", {**theirs, "learnings": [LEARNINGS[0], LEARNINGS[1]]})
        await bench.sync()
        texts = " ".join(bench.texts().values())
        assert "hikers" in texts
        assert "runners" not in texts
        assert sorted(lessons(bench).values()) == sorted(LEARNINGS[:2])
        copy.unlink()
        result = await bench.sync()
        assert list(lessons(bench).values()) == [LEARNINGS[0]]  # what only the copy stated is retired with it
        assert result.findings == ()
        bench.check()


async def test_a_renamed_file_changes_nothing(bench: Bench) -> None:
    before = await learned(bench, *LEARNINGS)
    (bench.folder / "campaigns/spring.json").rename(bench.folder / "campaigns/summer.json")
    result = await bench.sync()
    assert (result.counts.new, result.counts.retired, result.counts.stored) == (0, 0, 0)
    assert lessons(bench) == before
    assert (await bench.sync()).counts.stored == 0


async def test_what_only_a_conflict_copy_states_is_added_and_said(bench: Bench) -> None:
    bench.campaign(["Send on Tuesday morning."])
    path = "campaigns/spring (Jo's conflicted copy 2026-02-02).json"
    learnings = ["Send on Tuesday morning.", "Video tires returning customers."]
    bench.write(path, {"campaign_id": "spring", "name": "spring", "learnings": learnings})
    result = await bench.sync()
    (finding,) = [each for each in result.findings if each.code == "conflict-copy"]
    assert (finding.path, "1 entry that campaigns/spring.json has not" in finding.message) == (path, True)
    assert "spring, learning: Video tires returning customers." in bench.texts().values()
    again = await bench.sync()
    assert "conflict-copy" not in [each.code for each in again.findings]


async def test_one_name_in_two_forms_of_unicode_is_one_entry(bench: Bench) -> None:
    """MacOS and archives write NFD, others NFC: a brand that moves between them has every entry once."""
    for form in ("NFD", "NFC"):
        for path in bench.folder.joinpath("campaigns").glob("*.json"):
            path.unlink()
        name = normalize(form, "Café")
        learning = normalize(form, "Müller likes it big: Größe zählt.")
        bench.write(
            f"campaigns/{name}.json",
            {"campaign_id": name, "name": name, "status": "active", "learnings": [learning]},
        )
        result = await bench.sync()
    assert (result.counts.new, result.counts.retired, len(bench.texts("retired"))) == (0, 0, 0)
