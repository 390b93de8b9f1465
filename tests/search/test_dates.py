"""Periods in words."""

from __future__ import annotations

from datetime import date

import pytest

from dm_memory.errors import InputError
from dm_memory.search.dates import period_of, read_period

TODAY = date(2026, 11, 20)  # a Friday


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("2026-03-31", "2026-03-31", "2026-03-31"),
        ("2026-03-31T10:00:00Z", "2026-03-31", "2026-03-31"),
        ("today", "2026-11-20", "2026-11-20"),
        ("Yesterday", "2026-11-19", "2026-11-19"),
        ("last 90 days", "2026-08-22", "2026-11-20"),
        ("in the past 2 weeks", "2026-11-06", "2026-11-20"),
        ("3 days ago", "2026-11-17", "2026-11-17"),
        ("this week", "2026-11-16", "2026-11-22"),
        ("this month", "2026-11-01", "2026-11-30"),
        ("last month", "2026-10-01", "2026-10-31"),
        ("this quarter", "2026-10-01", "2026-12-31"),
        ("last quarter", "2026-07-01", "2026-09-30"),
        ("this year", "2026-01-01", "2026-12-31"),
        ("last_year", "2025-01-01", "2025-12-31"),
        ("Q4 2025", "2025-10-01", "2025-12-31"),
        ("q2", "2026-04-01", "2026-06-30"),
        ("H1 2026", "2026-01-01", "2026-06-30"),
        ("2025", "2025-01-01", "2025-12-31"),
        ("March 2026", "2026-03-01", "2026-03-31"),
        ("März 2026", "2026-03-01", "2026-03-31"),
        ("feb 2028", "2028-02-01", "2028-02-29"),
        ("KW 12 2026", "2026-03-16", "2026-03-22"),
        ("14.06.2026", "2026-06-14", "2026-06-14"),
        ("since May", "2026-05-01", "9999-12-31"),
    ],
)
def test_words_name_a_period(words: str, first: str, last: str) -> None:
    period = read_period(words, TODAY, "from_date")
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)


@pytest.mark.parametrize("words", ["soon", "last 9999 years", "2026-02-30", "13 2026", "last  days"])
def test_what_names_no_period_is_refused(words: str) -> None:
    with pytest.raises(InputError, match="from_date"):
        read_period(words, TODAY, "from_date")


def test_a_period_in_the_first_argument_names_both_ends_and_the_second_one_wins() -> None:
    assert period_of("Q4 2025", "", TODAY) == (date(2025, 10, 1), date(2025, 12, 31))
    assert period_of("Q3 2025", "Q4 2025", TODAY) == (date(2025, 7, 1), date(2025, 12, 31))
    assert period_of("2026-01-05", "", TODAY) == (date(2026, 1, 5), None)
    assert period_of("", "last month", TODAY) == (None, date(2026, 10, 31))
    assert period_of("", "", TODAY) == (None, None)
