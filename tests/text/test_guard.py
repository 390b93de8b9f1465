"""The privacy guard against its labelled corpus, under both policies, and against hostile texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.text.guard import Guard, GuardResult, Hits, ValueResult, merge_hits
from tests.text.corpus_guard import INNOCENT, MASKED, REFUSED

MEGABYTE = 1_000_000
HOSTILE = (
    "1 ",
    "1",
    "(1) ",
    "+1-",
    "0.",
    "4111 ",
    "4" * 15 + " ",
    "a@",
    "@",
    "a.",
    "a@a.",
    "%+-",
    "eyJ",
    "eyJa.",
    "sk-",
    "sk_live_",
    "password ",
    "password:",
    "password: a",
    "token=",
    "secret_",
    "api key ",
    "bearer ",
    "Bearer a-",
    "://a:",
    "://",
    "-----BEGIN ",
    "-",
    "_",
    "x",
    "key is ",
    "tel ",
    "tel: 1",
    "555-123-",
    "\uff12",
    "\uff21@",
    "\u00a0",
    " ",
    "\n",
    "password is password is ",
)


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_personal_data_is_masked_and_counted(text: str, masked: str) -> None:
    result = Guard("mask").apply(text)
    assert (result.text, result.refused) == (masked, "")
    assert sum(count for _, count in result.hits) == sum(
        masked.count(mark) for mark in ("[e-mail]", "[phone]", "[card]")
    )


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_personal_data_stays_where_the_user_wants_it_to(text: str, masked: str) -> None:
    assert masked != text
    assert Guard("keep").apply(text) == GuardResult(text)


@pytest.mark.parametrize("policy", ["mask", "keep"])
@pytest.mark.parametrize(("text", "what"), REFUSED)
def test_credentials_are_refused_under_both_policies(text: str, what: str, policy: str) -> None:
    result = Guard("keep" if policy == "keep" else "mask").apply(f"Note for the team. {text}")
    assert result.hits == ((what, 1),)
    assert what in result.refused
    assert result.text == ""


@pytest.mark.parametrize(("text", "what"), REFUSED)
def test_a_refusal_never_repeats_the_credential(text: str, what: str) -> None:
    result = Guard("mask").apply(text)
    longest = max(text.split(), key=len)
    assert what
    assert longest not in repr(result)


@pytest.mark.parametrize("text", INNOCENT)
def test_numbers_dates_and_marketing_talk_are_left_alone(text: str) -> None:
    assert Guard("mask").apply(text) == GuardResult(text)


def test_all_innocent_texts_together_are_left_alone_too() -> None:
    text = "\n".join(INNOCENT)
    assert Guard("mask").apply(text) == GuardResult(text)


@given(st.text(max_size=300))
def test_any_text_is_accepted_and_what_is_masked_stays_masked(text: str) -> None:
    guard = Guard("mask")
    once = guard.apply(text)
    assert once.refused or guard.apply(once.text).text == once.text


@given(st.text("0123456789 +-().@a:=,", max_size=200))
def test_texts_of_digits_and_signs_are_accepted(text: str) -> None:
    result = Guard("mask").apply(text)
    assert bool(result.hits) == (result.text != text)


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_megabyte_of_hostile_text_does_not_hide_what_follows_it(unit: str) -> None:
    """Every pattern is linear: a quadratic one would keep this test busy for hours."""
    result = Guard("mask").apply(unit * (MEGABYTE // len(unit)) + "\n\n. jane.doe@example.org")
    assert result.text.endswith("\n\n. [e-mail]")


def test_metadata_values_are_guarded_like_texts() -> None:
    guard = Guard("mask")
    assert guard.apply_value("jane@example.com") == ValueResult("[e-mail]", (("e-mail address", 1),))
    listed = guard.apply_value(["email", "jane@example.com", "bob@example.com"])
    assert listed == ValueResult(["email", "[e-mail]", "[e-mail]"], (("e-mail address", 2),))
    assert guard.apply_value(["a", "password: Summer2024!"]).refused
    assert guard.apply_value(5551234567) == ValueResult(5551234567)
    assert guard.apply_value(True) == ValueResult(True)  # noqa: FBT003  # a metadata value


def test_a_value_seen_before_is_judged_the_same() -> None:
    guard = Guard("mask")
    for _ in range(2):
        assert guard.is_clean("spring-launch")
        assert guard.is_clean(["email", "sms"])
        assert not guard.is_clean("jane@example.com")
        assert not guard.is_clean(["email", "jane@example.com"])


def test_hits_add_up() -> None:
    one: Hits = (("phone number", 1), ("e-mail address", 2))
    assert merge_hits(one, (), (("e-mail address", 1),)) == (("phone number", 1), ("e-mail address", 3))
    assert merge_hits() == ()
