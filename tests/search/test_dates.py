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
        ("May", "2026-05-01", "2026-05-31"),
        ("December", "2025-12-01", "2025-12-31"),
        ("since December", "2025-12-01", "9999-12-31"),
        ("2025 and later", "2025-01-01", "9999-12-31"),
        ("before May", "0001-01-01", "2026-04-30"),
        ("until May", "0001-01-01", "2026-05-31"),
        ("last two weeks", "2026-11-06", "2026-11-20"),
        ("last summer", "2026-06-01", "2026-08-31"),
        ("this summer", "2026-06-01", "2026-08-31"),
        ("summer 2025", "2025-06-01", "2025-08-31"),
        ("last winter", "2025-12-01", "2026-02-28"),
        ("last autumn", "2025-09-01", "2025-11-30"),
        ("last May", "2026-05-01", "2026-05-31"),
        ("Q3 of last year", "2025-07-01", "2025-09-30"),
        ("the third quarter", "2026-07-01", "2026-09-30"),
        ("March to May 2025", "2025-03-01", "2025-05-31"),
        ("between March and May", "2026-03-01", "2026-05-31"),
        ("January - March", "2026-01-01", "2026-03-31"),
        ("after 2026-03-31", "2026-03-31", "9999-12-31"),
        ("before 2026-03-01", "0001-01-01", "2026-02-28"),
        ("first half of 2025", "2025-01-01", "2025-06-30"),
        ("H1 last year", "2025-01-01", "2025-06-30"),
        ("im letzten Quartal", "2026-07-01", "2026-09-30"),
        ("letzten Sommer", "2026-06-01", "2026-08-31"),
        ("in den letzten drei Monaten", "2026-08-22", "2026-11-20"),
        ("vor 3 Tagen", "2026-11-17", "2026-11-17"),
        ("vor Mai", "0001-01-01", "2026-04-30"),
        ("seit März", "2026-03-01", "9999-12-31"),
        ("von März bis Mai", "2026-03-01", "2026-05-31"),
        ("Herbst letzten Jahres", "2025-09-01", "2025-11-30"),
        ("l'été dernier", "2026-06-01", "2026-08-31"),
        ("l'année dernière", "2025-01-01", "2025-12-31"),
        ("les 30 derniers jours", "2026-10-21", "2026-11-20"),
        ("il y a 3 jours", "2026-11-17", "2026-11-17"),
        ("depuis mars", "2026-03-01", "9999-12-31"),
        ("el trimestre pasado", "2026-07-01", "2026-09-30"),
        ("los últimos 30 días", "2026-10-21", "2026-11-20"),
        ("los últimos dos meses", "2026-09-21", "2026-11-20"),
        ("nos dos últimos 3 meses", "2026-08-22", "2026-11-20"),
        ("vor einem Monat", "2026-10-21", "2026-10-21"),
        ("hace 3 días", "2026-11-17", "2026-11-17"),
        ("no verão passado", "2026-06-01", "2026-08-31"),
        ("no mês passado", "2026-10-01", "2026-10-31"),
        ("l'estate scorsa", "2026-06-01", "2026-08-31"),
        ("da maggio", "2026-05-01", "9999-12-31"),
        ("afgelopen zomer", "2026-06-01", "2026-08-31"),
        ("vorig kwartaal", "2026-07-01", "2026-09-30"),
        ("прошлым летом", "2026-06-01", "2026-08-31"),
        ("в прошлом году", "2025-01-01", "2025-12-31"),
        ("в мае", "2026-05-01", "2026-05-31"),
        ("先月", "2026-10-01", "2026-10-31"),
        ("去年の夏", "2025-06-01", "2025-08-31"),
        ("過去30日間", "2026-10-21", "2026-11-20"),
        ("5月以降", "2026-05-01", "9999-12-31"),
        ("去年第三季度", "2025-07-01", "2025-09-30"),
        ("上个月", "2026-10-01", "2026-10-31"),
        ("지난 분기", "2026-07-01", "2026-09-30"),
        ("작년 여름", "2025-06-01", "2025-08-31"),
        ("الشهر الماضي", "2026-10-01", "2026-10-31"),
        ("الصيف الماضي", "2026-06-01", "2026-08-31"),
    ],
)
def test_words_name_a_period(words: str, first: str, last: str) -> None:
    period = read_period(words, TODAY, "from_date")
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)


@pytest.mark.parametrize(
    "words",
    [
        "soon",
        "before the rebrand",
        "last day",
        "since",
        "last Quartal 2025 x",
        "last 9999 years",
        "last 99999 days",
        "99999 days ago",
        "2026-02-30",
        "13 2026",
        "last  days",
    ],
)
def test_what_names_no_period_is_refused(words: str) -> None:
    with pytest.raises(InputError, match="from_date"):
        read_period(words, TODAY, "from_date")


def test_a_period_in_the_first_argument_names_both_ends_and_the_second_one_wins() -> None:
    assert period_of("Q4 2025", "", TODAY) == (date(2025, 10, 1), date(2025, 12, 31))
    assert period_of("Q3 2025", "Q4 2025", TODAY) == (date(2025, 7, 1), date(2025, 12, 31))
    assert period_of("2026-01-05", "", TODAY) == (date(2026, 1, 5), None)
    assert period_of("", "last month", TODAY) == (None, date(2026, 10, 31))
    assert period_of("", "", TODAY) == (None, None)
    assert period_of("before May", "", TODAY) == (None, date(2026, 4, 30))
