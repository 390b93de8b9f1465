"""Periods in words, of twelve languages: "last 90 days", "Q4 2025", "im letzten Quartal", "since May"."""

# ruff: noqa: RUF001  # Russian words have letters that look like Latin ones

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
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
_WORDS = {
    word: meant
    for meant, words in {
        "today": "now heute hoy oggi hoje vandaag сегодня اليوم",
        "yesterday": "gestern hier ayer ieri ontem gisteren вчера أمس",
        "day": "days tag tage tagen jour jours día días dia dias giorno giorni dag dagen день дня дней يوم أيام يوما",
        "week": "weeks woche wochen semaine semaines semana semanas settimana settimane weken неделя недели недель"
        " неделе неделю أسبوع الأسبوع أسابيع",
        "month": "months monat monate monaten monats mois mes meses mês mese mesi maand maanden месяц месяца месяцев"
        " месяце شهر الشهر أشهر",
        "quarter": "quarters quartal quartals quartale quartalen trimestre trimestres trimestri kwartaal kwartalen"
        " квартал квартале квартала кварталов ربع الربع",
        "half": "halbjahr halbjahres semestre semester полугодие полугодии",
        "year": "years jahr jahre jahren jahres an ans année années año años ano anos anno anni jaar jaren год года"
        " году лет عام العام سنة السنة سنوات",
        "last": "past previous letzte letzten letzter letztes letztem vergangene vergangenen vergangener vergangenes"
        " vergangenem vorige vorigen voriger voriges vorigem dernier dernière derniers dernières passé passée passés"
        " passées pasado pasada pasados pasadas último última últimos últimas passado passada passados passadas scorso"
        " scorsa scorsi scorse ultimo ultima ultimi ultime vorig afgelopen laatste прошлый прошлая прошлое прошлого"
        " прошлой прошлом прошлую прошлым последний последние последних последнюю الماضي الماضية الأخيرة",
        "this": "current diese diesen dieser dieses diesem laufende laufenden ce cet cette este esta neste nesta actual"
        " atual questo questa quest deze dit этот эта это этого этой этом этим эту текущий текущем هذا هذه الحالي"
        " الحالية",
        "ago": "hace há fa geleden назад",
        "since": "after from between later onward onwards von van zwischen entre seit ab nach depuis après desde"
        " después depois da dal dalla dopo sinds vanaf na с после"
        " منذ بعد",
        "before": "vor avant antes prima voor до перед قبل",
        "until": "till by bis jusque jusqu hasta até fino tot حتى",
        "to": "through and und et y e и",
        "spring": "frühling frühjahr printemps primavera lente voorjaar весна весной весны الربيع",
        "summer": "sommer été verano verão estate zomer лето летом лета الصيف",
        "autumn": "fall herbst automne otoño outono autunno herfst najaar осень осенью осени الخريف",
        "winter": "hiver invierno inverno зима зимой зимы الشتاء",
        "1": "a ein einem einer un una um uma een one first erste ersten erstes premier primer primero primo"
        " primeiro eerste первый первом الأول",
        "2": "two couple zwei deux dos due dois twee два две second zweite zweiten zweites deuxième segundo secondo"
        " tweede"
        " второй втором الثاني",
        "3": "three few drei trois tres tre três drie три third dritte dritten drittes troisième tercer tercero terzo"
        " terceiro derde третий третьем الثالث",
        "4": "four vier quatre cuatro quattro quatro четыре fourth vierte vierten viertes quatrième cuarto quarto"
        " vierde четвертый четвертом الرابع",
        "5": "five fünf cinq cinco cinque vijf пять",
        "6": "six sechs seis sei zes шесть",
        "": "in on over within during the of s im am den dem der die das des les le la l el los las lo al de del"
        " della dello d du dans au aux en pendant nel nella negli nelle gli il i do das no nos nas em o os as het"
        " в за на فى في من خلال",
    }.items()
    for word in (*words.split(), *([meant] if meant else []))
}
"""What the words of a period mean, in the languages that people ask in; those of "" mean nothing here."""

_PHRASES = {
    "昨日": "yesterday",
    "昨天": "yesterday",
    "어제": "yesterday",
    "今日": "today",
    "今天": "today",
    "오늘": "today",
    "先週": "last week",
    "上周": "last week",
    "지난주": "last week",
    "今週": "this week",
    "本周": "this week",
    "이번주": "this week",
    "先月": "last month",
    "上个月": "last month",
    "上個月": "last month",
    "지난달": "last month",
    "今月": "this month",
    "本月": "this month",
    "这个月": "this month",
    "이번달": "this month",
    "前四半期": "last quarter",
    "上季度": "last quarter",
    "上个季度": "last quarter",
    "四半期": "quarter",
    "季度": "quarter",
    "분기": "quarter",
    "去年": "last year",
    "昨年": "last year",
    "작년": "last year",
    "今年": "this year",
    "올해": "this year",
    "지난": "last",
    "過去": "last",
    "过去": "last",
    "最近": "last",
    "최근": "last",
    "이번": "this",
    "春": "spring",
    "봄": "spring",
    "夏": "summer",
    "여름": "summer",
    "秋": "autumn",
    "가을": "autumn",
    "冬": "winter",
    "겨울": "winter",
    "日間": "day",
    "か月": "month",
    "ヶ月": "month",
    "个月": "month",
    "개월": "month",
    "週間": "week",
    "周": "week",
    "주": "week",
    "天": "day",
    "以来": "since",
    "以降": "since",
    "이후": "since",
    "부터": "since",
    "まで": "until",
    "까지": "until",
    "以前": "before",
    "이전": "before",
    "第一": "1",
    "第二": "2",
    "第三": "3",
    "第四": "4",
    "il y a": "ago",
    "aujourd'hui": "today",
    "à partir de": "since",
    "a partir de": "since",
}
_MONTH_SIGN = re.compile(r"(?<!\d)(\d{1,2})\s*[月월]")
_WORD = re.compile(r"\d+(?:[-./]\d+)+|\w+")
_MONTH_NAMES = ("dec", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
"""The first month of each, as the north has it and weather services count."""

_YEAR = re.compile(r"(?:19|20)\d\d")
_HALF = re.compile(r"h([12])[\s/-]*((?:19|20)\d\d)|((?:19|20)\d\d)[\s/-]*h([12])")
_QUARTER = re.compile(r"[qt]([1-4])")
_WEEKLY = re.compile(r"w|semaine|semana|settimana|vecka|uge|uke")
_REMEDY = "Pass a day like 2026-03-31, or words like last 90 days, Q4 2025, last summer or since May."


def period_of(from_date: str, to_date: str, today: date) -> tuple[date | None, date | None]:
    """Return the first and the last day that two arguments name; a period in the first one alone names both.

    Raises:
        InputError: One of them is no date, or the first day is after the last.
    """
    first = read_period(from_date, today, "from_date") if from_date.strip() else None
    last = read_period(to_date, today, "to_date") if to_date.strip() else None
    start = first.first if first and first.first > date.min else None
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
    try:
        found = _written(words) or _meant(_tokens(words), today)
    except (ValueError, OverflowError):  # a year 0, or days before the calendar's beginning
        found = None
    if found is None:
        raise InputError(f"{name} is {text[:40]!r}, which is not a date.", _REMEDY)
    return found


def _tokens(words: str) -> list[str]:
    """Return what the words of a period mean, in English; numbers, months and what is not known stay as they are."""
    words = _MONTH_SIGN.sub(lambda found: f" {_MONTH_NAMES[int(found[1]) % 12]} ", words)
    words = words.replace(" - ", " to ").replace("\u2013", " to ")
    for phrase, meant in _PHRASES.items():
        words = words.replace(phrase, f" {meant} ")
    meanings = (_WORDS.get(word, word) for word in _WORD.findall(words))
    return [word for word in meanings if word not in {"", "の", "的"}]


def _meant(tokens: list[str], today: date) -> Period | None:
    """Return what tokens mean: one period, all since or until one, or from one to another."""
    if len(tokens) == 3 and tokens[0] == "before" and tokens[2] in _LENGTHS:  # noqa: PLR2004  # "vor 3 Monaten"
        tokens = [*tokens[1:], "ago"]
    for place in range(2 if tokens[:1] == ["since"] else 1, len(tokens) - 1):
        if tokens[place] in {"to", "until"} and tokens[place + 1] != "since":  # "2025 and later"
            return _between(tokens[:place], tokens[place + 1 :], today)
    for place in (0, -1):
        edge = tokens[place] if tokens else ""
        inner = [word for word in (tokens[:-1] if place else tokens[1:]) if word != "to"]  # "2025 and later"
        if edge in _OPEN and inner:
            found = _single(inner, today)
            return found and _OPEN[edge](found)
    return _single(tokens, today)


_OPEN: dict[str, Callable[[Period], Period]] = {
    "since": lambda found: Period(found.first, date.max),
    "until": lambda found: Period(date.min, found.last),
    "before": lambda found: Period(date.min, found.first - timedelta(1)),
}


def _between(start: list[str], end: list[str], today: date) -> Period | None:
    """Return the period from one to another; "March to May 2025" means one year."""
    year = end[-1:] if _YEAR.fullmatch(end[-1]) and not any(map(_YEAR.fullmatch, start)) else []
    first = _single([*(word for word in start if word != "since"), *year], today)
    last = _single(end, today)
    return Period(first.first, last.last) if first and last else None


def _single(tokens: list[str], today: date) -> Period | None:
    kinds = set(tokens)
    unit = next((word for word in tokens if word in _LENGTHS), "")
    numbers = [word for word in tokens if word.isdecimal()]
    others = {word for word in kinds if not word.isdecimal()}
    is_one = len(tokens) == 2 and others in ({"last", unit}, {"this", unit})  # noqa: PLR2004
    if unit and (any(len(word) > 4 for word in numbers) or (is_one and unit == "day")):  # noqa: PLR2004
        return None  # "last 99999 days", "this day"
    count = int(numbers[-1]) if unit and numbers else 1
    if tokens in (["today"], ["yesterday"]):
        day = today - timedelta(tokens == ["yesterday"])
        return Period(day, day)
    if unit and others == {"ago", unit}:
        day = today - timedelta(count * _LENGTHS[unit])
        return Period(day, day)
    if unit and others == {"last", unit} and others != kinds:
        return Period(today - timedelta(count * _LENGTHS[unit]), today)
    if unit and is_one:
        this = _around(today, unit)
        return this if "this" in others else _around(this.first - timedelta(1), unit)
    return _part_of_year(tokens, today)


def _part_of_year(tokens: list[str], today: date) -> Period | None:
    """Return a year, or a season, half, quarter, month or day in one: without a year, the latest that has begun."""
    if found := _written(" ".join(tokens)):
        return found
    year, which, rest = 0, "", list(tokens)
    for place, word in enumerate(tokens):
        if _YEAR.fullmatch(word):
            year, rest = int(word), tokens[:place] + tokens[place + 1 :]
        elif word in {"last", "this"} and "year" in tokens[max(0, place - 1) : place + 2]:
            year = today.year - (word == "last")
            rest = [each for each in tokens if each not in {"year", word}]
    if not rest:
        return _months(year, 1, 12) if year else None
    if rest[0] in {"last", "this"} or rest[-1] in {"last", "this"}:
        which = rest.pop(0 if rest[0] in {"last", "this"} else -1)
    if year or which == "this":
        return _named(rest, year or today.year)
    for before in range(3):
        found = _named(rest, today.year - before)
        if found is None or (found.last if which else found.first) < today + timedelta(not which):
            return found
    return None


def _named(rest: list[str], year: int) -> Period | None:
    """Return what a season, half, quarter, month or day is in a year."""
    words = " ".join(rest)
    if start := _SEASONS.get(words):
        first = _months(year, start, min(start + 2, 12))
        return first if start < _SEASONS["winter"] else Period(first.first, _months(year + 1, 1, 2).last)
    if len(rest) == 2 and (number := next(filter(str.isdecimal, rest), "")):  # noqa: PLR2004
        words = f"q{number}" if "quarter" in rest else f"h{number}" if "half" in rest else words
    if found := _QUARTER.fullmatch(words):
        quarter = int(found[1])
        return _months(year, 3 * quarter - 2, 3 * quarter)
    return _written(f"{words} {year}")


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


def _written(words: str) -> Period | None:
    """Return a period that is written with its year."""
    if found := _HALF.fullmatch(words):
        half = int(found[1] or found[4])
        return _months(int(found[2] or found[3]), 6 * half - 5, 6 * half)
    read = read_date(words)
    if read is None:
        return None
    day = date.fromisoformat(read.iso[:10])
    if read.exact:
        return Period(day, day)
    return _around(day, "quarter" if re.search(r"[qt]\d", words) else "week" if _WEEKLY.search(words) else "month")
