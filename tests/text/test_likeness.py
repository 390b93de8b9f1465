"""Which new text of a list is an edit of which old one: precision first, for a wrong match hides a learning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.text.likeness import LIMIT, match_texts
from tests.text.corpus_likeness import BLIND, FRESH, HARD, PAIRS

CHANNEL_NAMES = (
    "LinkedIn",
    "Facebook",
    "TikTok",
    "Pinterest",
    "SMS",
    "WhatsApp",
    "podcast",
    "newsletter",
    "webinar",
    "SEO",
)
FINDINGS = (
    "Short subject lines lift opens",
    "Emoji bring more replies on weekends",
    "Two equal gifts are shared more often than one larger discount",
    "Kurze Betreffzeilen werden öfter geöffnet",
    "Les dégustations ont rempli 18 soirées",
    "送料無料は平均注文額を8%下げた",
    "Tasting notes sell better in the words of customers",
    "The invitation is sent within an hour after a delivery",
    "Recipe cards at lake kiosks sold 3,100 bottles",
)
findings = st.sampled_from(FINDINGS)
words = st.sampled_from(
    ("short", "mails", "lift", "opens", "emoji", "never", "cost", "in", "the", "12 %", "week 3", "短い", "件名")
)
texts = st.one_of(findings, st.lists(words, max_size=8).map(" ".join), st.text(max_size=30))
lists = st.lists(texts, max_size=8, unique=True)


def is_edit(new: str, old: str) -> bool:
    return match_texts([new], [old]) == {0: 0}


@pytest.mark.parametrize("pairs", [PAIRS[0::2] + HARD[0::2], PAIRS[1::2] + HARD[1::2], FRESH, BLIND])
def test_no_new_text_of_the_pairs_is_taken_for_an_edit_and_few_edits_are_missed(
    pairs: tuple[tuple[bool, str, str], ...],
) -> None:
    assert [(old, new) for edit, old, new in pairs if not edit and is_edit(new, old)] == []
    edits = [(old, new) for edit, old, new in pairs if edit]
    missed = [(old, new) for old, new in edits if not is_edit(new, old)]
    assert len(missed) <= len(edits) * 0.15, missed


def test_a_prepended_shuffled_and_edited_list_finds_its_entries() -> None:
    old = [
        "LinkedIn ads beat the benchmark.",
        "Facebook ads beat the benchmark.",
        "Short subject lines lift opens.",
        "Emoji lift opens.",
    ]
    new = [
        "Test SMS before spring.",
        "Facebook ads beat the benchmark by far.",
        "Short subject lines lift opens on mobile.",
        "LinkedIn ads beat the benchmark twice.",
    ]
    assert match_texts(new, old) == {1: 1, 2: 2, 3: 0}


def test_a_corrected_figure_is_an_edit_only_of_a_single_old_text() -> None:
    old = ["CTR rose 12 % on mobile.", "CTR rose 13 % on mobile."]
    assert match_texts(["CTR rose 14 % on mobile."], old[:1]) == {0: 0}
    assert match_texts(["CTR rose 14 % on mobile."], old) == {}
    assert match_texts(old, ["CTR rose 14 % on mobile."]) == {}


def test_sections_of_one_text_under_several_headings_are_not_told_apart() -> None:
    body = "Sentence case, at most eight words, the benefit first, no exclamation marks."
    old = [f"{heading}\n\n{body}" for heading in ("Headlines", "Buttons")]
    assert match_texts([f"Titles\n\n{body}"], old[:1]) == {0: 0}
    assert match_texts([f"Titles\n\n{body}"], old) == {}


def test_a_first_paragraph_that_ends_as_a_sentence_is_no_heading() -> None:
    reason = "We saw this in nine visits, in three cities, with old and new owners, in every season."
    assert not is_edit(f"Owners sign.\n\n{reason}", f"Waiters decide.\n\n{reason}")


@pytest.mark.parametrize(
    ("one", "other"), [("", "word"), ("the", "of"), ("🙂", "🙃"), ("US", "UK"), ("12 %", "14"), ("\ud800", "a")]
)
def test_texts_that_say_nothing_are_no_edits(one: str, other: str) -> None:
    assert match_texts([one], [other]) == {}


def test_a_long_text_with_one_name_of_many_words_changed_stays_itself_if_the_rest_does() -> None:
    section = " ".join(f"rule{number}: write plainly about topic{number}." for number in range(100))
    assert is_edit(section.replace("topic7.", "matter."), section)
    assert not is_edit(section.replace("rule", "hint").replace("topic", "matter"), section)


def test_a_list_beyond_the_limit_is_not_compared() -> None:
    old = [f"Finding number{place} names farm{place} and grower{place}" for place in range(LIMIT + 1)]
    new = [f"{text} again" for text in old]
    assert match_texts(new[:LIMIT], old[:LIMIT]) == {place: place for place in range(LIMIT)}
    assert match_texts(new, old[:3]) == match_texts(new[:3], old) == {}


@given(lists, lists)
def test_matches_are_one_to_one_and_inside_both_lists(new: list[str], old: list[str]) -> None:
    found = match_texts(new, old)
    assert len(set(found.values())) == len(found)
    assert all(0 <= here < len(new) and 0 <= there < len(old) for here, there in found.items())


@given(lists, lists, st.randoms(use_true_random=False))
def test_the_order_of_either_list_changes_nothing(new: list[str], old: list[str], random: object) -> None:
    expected = {(new[here], old[there]) for here, there in match_texts(new, old).items()}
    shuffled_new, shuffled_old = list(new), list(old)
    random.shuffle(shuffled_new)  # type: ignore[attr-defined]
    random.shuffle(shuffled_old)  # type: ignore[attr-defined]
    found = match_texts(shuffled_new, shuffled_old)
    assert {(shuffled_new[here], shuffled_old[there]) for here, there in found.items()} == expected


@given(findings, st.lists(st.sampled_from(CHANNEL_NAMES), min_size=2, max_size=2, unique=True), st.booleans())
def test_another_channel_is_never_an_edit(finding: str, channels: list[str], first: bool) -> None:
    one, other = (f"{name}: {finding}" if first else f"{finding} ({name})" for name in channels)
    assert match_texts([one], [other]) == {}


@given(
    findings, st.integers(1, 60), st.integers(1, 60), st.sampled_from(["Week", "KW", "Semaine", "Variant", "Cohort"])
)
def test_another_period_or_variant_is_never_an_edit(finding: str, one: int, other: int, name: str) -> None:
    if one != other:
        assert match_texts([f"{name} {one}: {finding}"], [f"{name} {other}: {finding}"]) == {}


@given(findings)
def test_added_context_is_an_edit(finding: str) -> None:
    assert match_texts([f"{finding}. Confirmed in May by the shop team, who asked forty regulars."], [finding]) == {
        0: 0
    }
