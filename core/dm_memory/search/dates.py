"""Periods in the words of a question: "last 90 days", "Q4 2025", "this year", "since May"."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from dm_memory.errors import InputError
from dm_memory.text.dates import read_date

__all__ = ["Period", "period_of", "read_period"]


@dataclass(frozen=True, slots=True)
class Period:
    """Its first and last day, both included."""

    first: date
    last: date


_LENGTHS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
_LAST_N = re.compile(r"(?:in |over |within )?(?:the )?(?:last|past|previous) (\d{1,4}) (day|week|month|quarter|year)s?")
_N_AGO = re.compile(r"(\d{1,4}) (day|week|month|quarter|year)s? ago")
_THIS = re.compile(r"(?:in |during )?(?:the )?(this|current|last|previous|past) (week|month|quarter|year)")
_YEAR = re.compile(r"(?:in )?((?:19|20)\d\d)")
_HALF = re.compile(r"h([12])[\s/-]*((?:19|20)\d\d)|((?:19|20)\d\d)[\s/-]*h([12])")
_QUARTER = re.compile(r"q([1-4])")
_WEEKLY = re.compile(r"w|semaine|semana|settimana|vecka|uge|uke")
_OPEN = re.compile(r"(?:since|after|from) (.+)|(.+) (?:and later|onwards?)")
_REMEDY = "Pass a day like 2026-03-31, or words like last 90 days, Q4 2025, March 2026 or this year."


def period_of(from_date: str, to_date: str, today: date) -> tuple[date | None, date | None]:
    """Return the first and the last day that two arguments name; a period in the first one alone names both.

    Raises:
        InputError: One of them is no date, or the first day is after the last.
    """
    first = read_period(from_date, today, "from_date") if from_date.strip() else None
    last = read_period(to_date, today, "to_date") if to_date.strip() else None
    start = first.first if first else None
    end = last.last if last else first.last if first and first.last != first.first else None
    if start and end and start > end:
        raise InputError(f"from_date {start} is after to_date {end}.", "Swap the two.")
    return start, end


def read_period(text: str, today: date, name: str) -> Period:
    """Return the period that ``text`` names.

    Args:
        text: A day, a period, or words.
        today: The day on which it was said.
        name: Of the argument, for the error.

    Raises:
        InputError: It names none.
    """
    if (read := read_date(text.strip())) and read.exact:
        day = date.fromisoformat(read.iso[:10])
        return Period(day, day)
    words = " ".join(text.casefold().replace("_", " ").split()).strip(" .,!?")
    if (since := _OPEN.fullmatch(words)) and (start := _named(since[1] or since[2], today)):
        return Period(start.first, date.max)
    if found := _named(words, today):
        return found
    raise InputError(f"{name} is {text[:40]!r}, which is not a date.", _REMEDY)


def _named(words: str, today: date) -> Period | None:
    if words in {"today", "now"}:
        return Period(today, today)
    if words == "yesterday":
        return Period(today - timedelta(1), today - timedelta(1))
    try:
        return _relative(words, today) or _written(words, today)
    except (ValueError, OverflowError):  # a year 0, or days before the calendar's beginning
        return None


def _relative(words: str, today: date) -> Period | None:
    if found := _LAST_N.fullmatch(words):
        return Period(today - timedelta(int(found[1]) * _LENGTHS[found[2]]), today)
    if found := _N_AGO.fullmatch(words):
        day = today - timedelta(int(found[1]) * _LENGTHS[found[2]])
        return Period(day, day)
    if not (found := _THIS.fullmatch(words)):
        return None
    unit = found[2]
    this = _around(today, unit)
    return this if found[1] in {"this", "current"} else _around(this.first - timedelta(1), unit)


def _around(day: date, unit: str) -> Period:
    """Return the calendar week, month, quarter or year that contains a day."""
    if unit == "week":
        monday = day - timedelta(day.weekday())
        return Period(monday, monday + timedelta(6))
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = (day.month - 1) // months * months + 1
    return _months(day.year, first, first + months - 1)


def _months(year: int, first: int, last: int) -> Period:
    return Period(date(year, first, 1), date(year, last, monthrange(year, last)[1]))


def _written(words: str, today: date) -> Period | None:
    if found := _YEAR.fullmatch(words):
        return _months(int(found[1]), 1, 12)
    if found := _HALF.fullmatch(words):
        half = int(found[1] or found[4])
        return _months(int(found[2] or found[3]), 6 * half - 5, 6 * half)
    if found := _QUARTER.fullmatch(words):
        quarter = int(found[1])
        return _months(today.year, 3 * quarter - 2, 3 * quarter)
    read = read_date(words) or read_date(f"{words} {today.year}")
    if read is None:
        return None
    day = date.fromisoformat(read.iso[:10])
    if read.exact:
        return Period(day, day)
    return _around(day, "quarter" if re.search(r"[qt]\d", words) else "week" if _WEEKLY.search(words) else "month")
