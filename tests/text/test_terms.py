"""Words and phrases in texts: whole words, any case, any composition form, any gap."""

from __future__ import annotations

import pytest

from dm_memory.text.terms import Term, TermIndex, words_of


def found(text: str, *terms: Term) -> list[str]:
    return sorted(TermIndex(terms).find(text, words_of(text)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two words, and 3 more.", {"two", "words", "and", "3", "more"}),
        ("Cafe\u0301 STRASSE", {"café", "strasse"}),
        ("«Größe» — 50 %", {"grösse", "50"}),
        ("密码\uff1a强", {"密码", "强"}),
        ("", set()),
        ("...", set()),
    ],
)
def test_texts_are_cut_at_white_space_and_punctuation(text: str, words: set[str]) -> None:
    assert words_of(text) == {word.encode() for word in words}


@pytest.mark.parametrize(
    "text", ["Best in class", "the BEST-IN-CLASS offer", "best\nin\u2011class", "best_in_class", "(best in class)"]
)
def test_a_phrase_is_found_whatever_stands_between_its_words(text: str) -> None:
    assert found(text, Term("best-in-class", "claim")) == ["claim"]


@pytest.mark.parametrize("text", ["the best one in class", "in class, best", "best in classes", "zbest in class", ""])
def test_a_phrase_is_not_found_in_pieces(text: str) -> None:
    assert found(text, Term("best in class", "claim")) == []


def test_short_names_that_are_words_are_found_as_written_only() -> None:
    assert found("Tell us about the US launch", Term("US", "market", exact_case=True)) == ["market"]
    assert found("Tell us more", Term("US", "market", exact_case=True)) == []


def test_both_composition_forms_are_one_word() -> None:
    assert found("gu\u0308nstig", Term("günstig", "banned")) == ["banned"]
    assert found("günstig", Term("gu\u0308nstig", "banned")) == ["banned"]


def test_scripts_without_spaces_are_searched_inside_words() -> None:
    assert found("日本市場での発売", Term("日本", "market")) == ["market"]


def test_terms_without_letters_are_found_anywhere_and_blank_ones_never() -> None:
    assert found("We are #1!", Term("#1", "claim"), Term("  ", "nothing")) == ["claim"]
    assert found("A+++ rating", Term("+++", "sign")) == ["sign"]


def test_each_label_is_given_once() -> None:
    assert found("mail, e-mail and email", Term("email", "email"), Term("e-mail", "email"), Term("mail", "email")) == [
        "email"
    ]
