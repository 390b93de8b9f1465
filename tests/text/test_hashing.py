"""The hashes: golden values hold the format; properties hold what counts and what does not."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.text.hashing import HASH_VERSION, content_hash, metadata_hash, normalise, script_hash

TEXTS = st.text(st.characters(), max_size=80)
BLANKS = st.text(" \t\r\n\u00a0\u2003", min_size=1, max_size=5)
FIELDS: dict[str, Any] = {
    "content_type": "campaign-learning",
    "kind": "insight",
    "source": "sync",
    "tags": ("b", "a"),
    "facts": {"insight_type": "benchmark", "actionable": True, "channels": ["email", "sms"]},
    "recorded_at": "2026-01-05T10:00:00",
}

GOLDEN_ASCII = "0d5f51ecc78de9aef07476436074e46db9542d88a6959124a37ebbf4bb101b98"
GOLDEN_UNICODE = "026ed8c370723df9119e6ddd95b01d47093ef302b99c8f6f0d4d8dffcfd7b19e"
GOLDEN_METADATA = "6a862e36edb2a3c3f542463c6fd3855a00e233c18fe47eba817a229268f0dcc6"


def test_the_hash_of_a_known_text_never_changes_within_a_version() -> None:
    """Another value here means every user's memory is embedded again: raise HASH_VERSION first."""
    assert HASH_VERSION == 1
    assert content_hash("Short subject lines win.") == GOLDEN_ASCII
    assert content_hash("Café opens\u00a0at 9") == GOLDEN_UNICODE
    assert metadata_hash(**FIELDS) == GOLDEN_METADATA


def test_the_script_hash_is_the_start_of_the_raw_texts_sha256() -> None:
    assert script_hash("abc") == "ba7816bf8f01cfea"
    assert script_hash(" abc") != script_hash("abc")


@given(TEXTS)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(TEXTS)
def test_the_composition_form_does_not_count(text: str) -> None:
    assert content_hash(normalize("NFD", text)) == content_hash(text)


@given(st.lists(st.text("abcé", min_size=1, max_size=5), min_size=1, max_size=5), BLANKS, BLANKS)
def test_no_kind_or_amount_of_white_space_counts(words: list[str], inner: str, outer: str) -> None:
    assert content_hash(outer + inner.join(words) + outer) == content_hash(" ".join(words))


@given(st.text("abc. -é", max_size=20), st.text("abc. -é", max_size=20))
def test_texts_that_read_differently_hash_differently(one: str, other: str) -> None:
    assert (content_hash(one) == content_hash(other)) == (normalise(one) == normalise(other))


def test_case_and_punctuation_count() -> None:
    assert len({content_hash(text) for text in ("Win", "win", "win.", "w in")}) == 4


def test_line_ends_of_three_systems_are_one() -> None:
    assert content_hash("a\r\nb") == content_hash("a\rb") == content_hash("a\nb")


def test_a_lone_surrogate_is_hashed_and_not_an_error() -> None:
    assert len(content_hash("a\ud800")) == 64
    assert len(metadata_hash(**{**FIELDS, "facts": {"x": "\ud800"}})) == 64


def test_the_order_of_tags_and_fact_names_does_not_count() -> None:
    facts = dict(reversed(list(FIELDS["facts"].items())))
    assert metadata_hash(**{**FIELDS, "tags": ("a", "b"), "facts": facts}) == metadata_hash(**FIELDS)


def test_integers_beyond_64_bits_are_hashed() -> None:
    one, other = (metadata_hash(**{**FIELDS, "facts": {"reach": 10**30 + n}}) for n in (0, 1))
    assert one != other


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content_type", "guideline"),
        ("kind", "campaign"),
        ("source", "agent"),
        ("tags", ("a",)),
        ("facts", {}),
        ("recorded_at", ""),
        ("priority", "high"),
        ("expires_at", "2027-01-01"),
        ("related", ("insight/1",)),
    ],
)
def test_every_field_of_the_metadata_counts(name: str, value: object) -> None:
    assert metadata_hash(**{**FIELDS, name: value}) != metadata_hash(**FIELDS)
