"""Texts as a reader sees them, and where their characters stand in the original."""

from __future__ import annotations

from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.text.folding import fold, is_blank, is_folded


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("an\u200bna\uff20example\uff0ecom", "anna@example.com"),
        ("anna&#64;example&period;com", "anna@example.com"),
        ("anna&#x40;b", "anna@b"),
        ("anna%40b", "anna@b"),
        ("so\u00adft", "soft"),
        ("\U0001d5da\U0001d5fc \u24d0\u2460", "Go a1"),
        ("R&D and Q&amp;A", "R&D and Q&amp;A"),
    ],
)
def test_what_a_reader_does_not_see_is_gone(text: str, seen: str) -> None:
    assert fold(text).text == seen


@given(st.text("ab\u200b\uff21&#64;%4 \ufe0f", max_size=60))
def test_every_character_is_found_again_in_the_original(text: str) -> None:
    folded = fold(text)
    places = [folded.position(index) for index in range(len(folded.text) + 1)]
    assert places == sorted(set(places))
    assert places[-1] == len(text)
    for char, place in zip(folded.text, places, strict=False):
        assert text[place] in (char, "&", "%") or normalize("NFKC", text[place]) == char


@given(st.text(max_size=80))
def test_a_text_that_counts_as_folded_is_not_changed(text: str) -> None:
    if is_folded(text, text.encode("utf-8", "surrogatepass")):
        assert fold(text).text == text


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b\u200d\ufeff", "\u00ad", "\u2800\u3164", "\x00\x1f", "\u2028\u3000"]
)
def test_invisible_text_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "\u200b.\u200b", "\u2615\ufe0f", "0"])
def test_a_text_with_anything_to_see_is_not_blank(text: str) -> None:
    assert not is_blank(text)


def test_every_format_character_counts_as_invisible_except_the_signs_of_arabic_and_syriac() -> None:
    seen = [chr(code) for code in range(0x110000) if category(chr(code)) == "Cf" and not is_blank(chr(code))]
    assert all(0x600 <= ord(char) <= 0x8FF or ord(char) >= 0x110BD for char in seen)
