"""The privacy guard against its labelled corpus, under both policies, and against hostile texts."""

from __future__ import annotations

import random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.text.credentials import find_secrets
from dm_memory.text.guard import MARKS, Guard, GuardResult, Hits, Policy, ValueResult, merge_hits
from tests.text.corpus_guard import INNOCENT, MASKED, REFUSED, R

HOSTILE_CHARS = 100_000
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
    "a at ",
    "a dot ",
    "(at)",
    "a.b at ",
    "DE89 ",
    "api key for a ",
    "Authorization: Basic ",
    "Login: a / ",
    "&#64;",
    "\u200b",
    "1111 ",
    "06 12 34 56 78 ",
    "account 555-123-4567 ",
    "call 2000000 ",
)


@pytest.mark.parametrize(("text", "masked", "what"), MASKED)
def test_personal_data_is_masked_and_counted(text: str, masked: str, what: str) -> None:
    result = Guard("mask").apply(text)
    assert (result.text, result.refused) == (masked, "")
    assert sum(count for _, count in result.hits) == len(MARKS.findall(masked))
    assert [hit for hit, _ in result.hits] == [what]


@pytest.mark.parametrize(("text", "masked", "what"), MASKED)
def test_target_markets_change_nothing_about_what_is_found_without_them(text: str, masked: str, what: str) -> None:
    result = Guard("mask", ("DE", "US", "FR", "SG", "IN")).apply(text)
    assert (result.text, result.places[0].what) == (masked, what)


@pytest.mark.parametrize("text", [text for text, _, _ in MASKED])
def test_personal_data_stays_if_the_user_wants_it_to(text: str) -> None:
    assert Guard("keep").apply(text) == GuardResult(text)


@pytest.mark.parametrize("policy", ["mask", "keep"])
@pytest.mark.parametrize(("text", "what"), REFUSED)
def test_a_line_with_a_credential_is_not_stored_under_either_policy(text: str, what: str, policy: Policy) -> None:
    result = Guard(policy).apply(f"Note for the team. {text}")
    assert result.hits == ((what, 1),)
    assert what in result.refused
    assert result.text == ""


@pytest.mark.parametrize(("text", "what"), REFUSED)
def test_the_lines_around_a_credential_are_stored(text: str, what: str) -> None:
    result = Guard("mask").apply(f"Target ROAS 190 %.\n{text}\n\nThe client hates daily swings.")
    assert result.text.split("\n")[0] == "Target ROAS 190 %."
    assert result.text.endswith("The client hates daily swings.")
    assert result.refused == ""
    assert result.hits == ((what, 1),)
    assert result.removed_lines == len(text.strip().split("\n"))
    assert (result.places[0].removed, result.places[0].lines) == (True, (2,))


@pytest.mark.parametrize("text", [text for text, what in REFUSED if what != "application password"])
def test_no_result_repeats_the_credential(text: str) -> None:
    longest = max(text.split(), key=len)
    assert longest not in repr(Guard("mask").apply(text))
    assert longest not in repr(Guard("mask").apply(f"One lesson.\n{text}"))


@pytest.mark.parametrize("regions", [(), ("DE", "US", "FR", "SG", "IN")])
@pytest.mark.parametrize("text", INNOCENT)
def test_numbers_dates_codes_and_marketing_talk_are_left_alone(text: str, regions: tuple[str, ...]) -> None:
    assert Guard("mask", regions).apply(text) == GuardResult(text)


def test_all_innocent_texts_together_are_left_alone_too() -> None:
    text = "\n\n".join(INNOCENT)
    assert Guard("mask").apply(text) == GuardResult(text)


def test_a_page_loses_its_secret_lines_and_nothing_else() -> None:
    page = f"# Account\n\nClient since 2019.\nShop API key: `{R}`\nCall +49 171 1234567.\nPassword: Summer2024!\nEnd."
    result = Guard("mask").apply(page)
    assert result.text == "# Account\n\nClient since 2019.\nCall [phone].\nEnd."
    assert result.removed_lines == 2
    assert {place.what: place.lines for place in result.places} == {
        "API key": (4,),
        "password": (6,),
        "phone number": (5,),
    }


def test_a_private_key_goes_with_all_its_lines() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA7bq3xkJ0v\n" * 3 + "-----END PRIVATE KEY-----"
    result = Guard("mask").apply(f"Before.\n{key}\nAfter.")
    assert (result.text, result.removed_lines) == ("Before.\nAfter.", 5)


def test_a_heading_over_a_secret_is_not_worth_storing() -> None:
    assert Guard("mask").apply(f"# Shop\n## API key\n\nkey: {R}\n").refused


def test_lines_that_come_together_are_looked_at_again() -> None:
    result = Guard("mask").apply(f"Lesson one.\npassword:\napi key: {R}\nSummer2024!\nLesson two.")
    assert "Summer2024!" not in result.text


def test_secrets_that_uncover_ever_more_secrets_take_the_whole_text() -> None:
    nested = "password:\n" * 40 + f"api key: {R}" + "\nSummer2024!" * 40
    result = Guard("mask").apply(f"One lesson.\n{nested}")
    assert "Summer2024!" not in result.text


@pytest.mark.parametrize("text", ["Call +49 171 1234567 or jane@example.com.", f"The shop.\nkey: {R}\n"])
def test_what_the_user_allows_stays(text: str) -> None:
    guard = Guard("mask")
    found = guard.apply(text)
    allowed = frozenset(digest for place in found.places for digest in place.digests)
    assert Guard("mask", (), allowed).apply(text) == GuardResult(text)
    assert guard.apply(text).text == found.text


def test_allowing_one_find_leaves_the_others_masked() -> None:
    guard = Guard("mask")
    text = "Office +49 30 901820, private +49 171 1234567"
    office = guard.apply(text).places[0].digests[0]
    assert Guard("mask", (), frozenset({office})).apply(text).text == "Office +49 30 901820, private [phone]"
    assert Guard("mask", (), frozenset({office})).apply("Office: +49 (30) 901820").text == "Office: +49 (30) 901820"


def test_numbers_of_a_target_market_are_known_without_a_prefix() -> None:
    assert Guard("mask").apply("Ask Li on 612 34 56 78").text == "Ask Li on 612 34 56 78"
    assert Guard("mask", ("ES",)).apply("Ask Li on 612 34 56 78").text == "Ask Li on [phone]"
    assert Guard("mask", ("gb",)).apply("Ask Li: 07911123456").text == "Ask Li: [phone]"


@given(st.text(max_size=300))
def test_any_text_is_accepted_and_what_is_masked_stays_masked(text: str) -> None:
    guard = Guard("mask")
    once = guard.apply(text)
    assert once.refused or guard.apply(once.text).text == once.text


@given(st.text("0123456789 +-().@a:=,", max_size=200))
def test_texts_of_digits_and_signs_are_accepted(text: str) -> None:
    result = Guard("mask").apply(text)
    assert bool(result.hits) == (result.text != text)


_PIECES = st.sampled_from([text for text, _, _ in MASKED] + [text for text, _ in REFUSED] + list(INNOCENT))


@given(st.lists(_PIECES, max_size=6), st.sampled_from([" ", "\n", ", ", "\r\n"]))
def test_what_is_stored_has_nothing_more_to_remove(pieces: list[str], between: str) -> None:
    guard = Guard("mask", ("DE", "US"))
    once = guard.apply(between.join(pieces))
    assert once.refused or guard.apply(once.text).hits == ()


def test_an_invisible_character_between_two_words_hides_nothing() -> None:
    assert Guard("mask").apply(f"The key is\u200bpcsk_6abcDE_{R}{R} now").refused
    assert Guard("mask").apply("Bob\u200banna@example.com\u200bwrote").text.count("[e-mail]") == 1
    assert Guard("mask").apply("Ring\u200b+49 171 1234567").text == "Ring\u200b[phone]"


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_hostile_text_does_not_hide_what_follows_it(unit: str) -> None:
    """Every pattern is linear: a quadratic one would keep this test busy for minutes."""
    result = Guard("mask").apply(unit * (HOSTILE_CHARS // len(unit)) + "\n\n. jane.doe@example.org")
    assert result.text.endswith("\n\n. [e-mail]")


def test_a_column_of_passwords_ends_with_its_table() -> None:
    table = "| Name | Password |\n|---|---|\n| bob | Hunter22x |\n"
    below = "\nIn short:\n\n| Campaign | Code |\n|---|---|\n| Fair | SUMMER25 |\n"
    result = Guard("mask").apply(table + below)
    assert "Hunter22x" not in result.text
    assert result.text.endswith(below.rstrip())
    assert result.hits == (("password", 1),)


def test_metadata_values_are_guarded_like_texts() -> None:
    guard = Guard("mask")
    value = guard.apply_value("jane@example.com")
    assert (value.value, value.hits) == ("[e-mail]", (("e-mail address", 1),))
    listed = guard.apply_value(["email", "jane@example.com", "bob@example.com"])
    assert (listed.value, listed.hits) == (["email", "[e-mail]", "[e-mail]"], (("e-mail address", 2),))
    assert guard.apply_value(5551234567) == ValueResult(5551234567)
    assert guard.apply_value(True) == ValueResult(True)  # noqa: FBT003  # a metadata value


def test_a_part_of_a_list_with_a_credential_is_left_out_alone() -> None:
    guard = Guard("mask")
    kept = guard.apply_value(["a", "password: Summer2024!"])
    assert (kept.value, kept.refused, kept.removed_lines) == (["a"], "", 1)
    assert guard.apply_value(["password: Summer2024!"]).refused
    assert guard.apply_value("password: Summer2024!").refused


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


def test_random_keys_are_told_from_codes_that_people_make_up() -> None:
    """9,900 of 10,000 random values of 20 characters, in each of three alphabets."""
    dice = random.Random(7)
    for alphabet in (ascii_letters + digits, ascii_lowercase + digits, ascii_uppercase + digits):
        values = ["".join(dice.choices(alphabet, k=20)) for _ in range(10_000)]
        found = sum(bool(list(find_secrets(f"api key: {value}"))) for value in values)
        assert found >= 9_850


@pytest.mark.parametrize("separator", ["|", ",", ";", "\t"])
def test_a_key_below_the_name_of_its_column_takes_its_line(separator: str) -> None:
    rows = (("Service", "API key", "Owner"), ("Rank tracker", R + R[:8], "Anna"), ("Blog", "none", "Ben"))
    text = "\n".join(separator.join(row) for row in rows)
    result = Guard("mask").apply(text)
    assert (result.removed_lines, R in result.text, "Ben" in result.text) == (1, False, True)


def test_a_password_below_the_name_of_its_column_takes_its_line() -> None:
    result = Guard("mask").apply(
        "| Shop | Login | Password |\n|---|---|---|\n| Berlin | anna | Sommer2026 |\n\nNotes, 2026"
    )
    assert (result.removed_lines, "Sommer2026" in result.text, "Notes" in result.text) == (1, False, True)
