"""Names of people: one line, bounded, found whichever way they are written."""

from __future__ import annotations

import pytest

from dm_memory.text.authors import AUTHOR_CHARS, clean_author, is_by


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Mara   Klein ", "Mara Klein"),
        ("Mara\nKlein\tJr", "Mara Klein Jr"),
        ("Ma\x1b[31mra\u202e", "Ma [31mra"),
        ("Zoe\u0301", "Zo\u00e9"),
        ("李 明", "李 明"),
        ("\ud800Tom", "?Tom"),
        ("\0\u200b \n", ""),
        ("...", ""),
        ("x" * 500, "x" * AUTHOR_CHARS),
    ],
)
def test_a_name_is_one_line_without_what_nobody_sees(given: str, kept: str) -> None:
    assert clean_author(given) == kept


def test_a_part_of_a_name_finds_it_in_any_case_and_more_than_it_says_does_not() -> None:
    assert all(is_by("Mara Klein", wanted) for wanted in ("mara klein", "KLEIN", "Klein, Mara", "mara-klein"))
    assert is_by("mara-klein", "Mara")
    assert not any(is_by("Mara Klein", wanted) for wanted in ("Mar", "Mara Klein Jr", "", "..."))
    assert is_by("ZOE\u0301", "zo\u00e9")
    assert not is_by("", "Mara")
