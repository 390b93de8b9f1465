"""Dates as people write them: "14.06.2026", "June 14, 2026", "Q2 2026", "2026年6月", seconds since 1970.

Nothing is guessed. A day is exact; a month, a quarter or a week is its first day and says so (``exact`` is False):
the words then tell more than the day. "03/04/2026" is a date only for somebody who knows the order; a year alone, a
half year or "after the review" is none, and stays a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from unicodedata import decimal, normalize

__all__ = ["WrittenDate", "dates_in_heading", "read_date"]

_MAX_CHARS = 64
_MAX_HEADING = 300
_FIRST, _LAST = 1990, 2100
_SECONDS = (631_152_000, 4_102_444_800)
"""From 1990 to 2100: what could be seconds since 1970, and with three digits more milliseconds."""

_MONTHS_BY_LANGUAGE = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jänner feber maerz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "januar februar marts april maj juni juli august september oktober november december",
    "tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu heinäkuu elokuu syyskuu lokakuu marraskuu joulukuu",
    "ledna února března dubna května června července srpna září října listopadu prosince",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "январе феврале марте апреле мае июне июле августе сентябре октябре ноябре декабре",
    "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",  # noqa: RUF001  # Turkish
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "jan feb mrz apr mai jun jul aug sept okt nov dez",
    "janv févr mars avr mai juin juil août sept oct nov déc",
    "ene feb mar abr may jun jul ago sept oct nov dic",
)
_MONTHS = {name: number for names in _MONTHS_BY_LANGUAGE for number, name in enumerate(names.split(), 1)}
_MONTH = "|".join(sorted(map(re.escape, _MONTHS), key=len, reverse=True))
_YEAR = r"(?P<y>(?:19|20)\d\d)"
_OF = r"(?:\s+(?:of|de|del|di|do))?"

_ISO_START = re.compile(r"\d{4}-\d\d-\d\d")
_ISO = re.compile(rf"{_YEAR}(?P<s>[-/.])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)")
_COMPACT = re.compile(rf"{_YEAR}(?P<m>[01]\d)(?P<d>[0-3]\d)(?:[-T_]\d{{4,6}}Z?)?")
_DOTTED = re.compile(rf"(?P<d>\d\d?)\.\s?(?P<m>\d\d?)\.\s?{_YEAR}\.?")
_DOTTED_SHORT = re.compile(r"(?P<d>\d\d?)\.\s?(?P<m>\d\d?)\.\s?(?P<y>[2-4]\d)")
_SLASHED = re.compile(rf"(?P<a>\d\d?)[/-](?P<b>\d\d?)[/-]{_YEAR}")
_DAY_MONTH = re.compile(rf"(?P<d>\d\d?)(?:st|nd|rd|th|er|º|\.)?{_OF}[\s-]*(?P<n>{_MONTH})\.?,?{_OF}[\s-]*,?{_YEAR}")
_MONTH_DAY = re.compile(rf"(?P<n>{_MONTH})\.?\s+(?P<d>\d\d?)(?:st|nd|rd|th)?,?\s+{_YEAR}")
_EASTERN = re.compile(rf"{_YEAR}\s*[年년]\s*(?P<m>\d\d?)\s*[月월](?:\s*(?P<d>\d\d?)\s*[日号號일])?")
_MONTH_YEAR = re.compile(rf"(?P<n>{_MONTH})\.?{_OF}[\s,/-]*{_YEAR}")
_YEAR_MONTH = re.compile(rf"{_YEAR}[-/.](?P<m>0[1-9]|1[0-2])|(?P<m2>0[1-9]|1[0-2])[/.](?P<y2>(?:19|20)\d\d)")
_QUARTER = re.compile(
    rf"[qt](?P<q>[1-4])[\s/\-.,']*(?:of\s+|fy\s*)?{_YEAR}|(?P<y2>(?:19|20)\d\d)[\s/\-.]*[qt](?P<q2>[1-4])"
)
_WEEK = re.compile(
    rf"(?:kw|cw|week|woche|semaine|semana|settimana|vecka|uge|uke|w)\.?\s*(?P<w>\d\d?)[\s,/-]*(?:of\s+)?{_YEAR}"
    r"|(?P<y2>(?:19|20)\d\d)[\s-]*w(?P<w2>\d\d?)"
)
_WEEKDAYS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun montag dienstag mittwoch"
    " donnerstag freitag samstag sonntag mo di mi do fr sa so lundi mardi mercredi jeudi vendredi samedi dimanche"
    " lunes martes miércoles jueves viernes sábado domingo lunedì martedì mercoledì giovedì venerdì sabato domenica"
    " segunda-feira terça-feira quarta-feira quinta-feira sexta-feira maandag dinsdag woensdag donderdag vrijdag"
    " zaterdag zondag poniedziałek wtorek środa czwartek piątek sobota niedziela понедельник вторник среда четверг"
    " пятница суббота воскресенье"
)
_LEAD = re.compile(
    rf"^(?:{'|'.join(sorted(map(re.escape, _WEEKDAYS.split()), key=len, reverse=True))})[.,]*\s+(?:the\s+)?"
    r"|^(?:am|on|den|le|el|il|vom)\s+"
)
# A time of day behind the date, and what Polish and Russian call a year.
_TAIL = re.compile(
    r"[,t]?\s+(?:at\s+|um\s+|à\s+)?\d{1,2}[:.h]\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?|uhr|h)?"
    r"\s*(?:z|utc|gmt|cest|cet|[a-z]{3}|[+-]\d{2}:?\d{2})?$"
    r"|\s+(?:r|г|года|roku)\.?$|\s*\([月火水木金土日一二三四五六월화수목금토일]\)$"  # noqa: RUF001  # Russian
)
_EPOCH = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
_IN_HEADING = re.compile(r"[()\[\]|:;\u2013\u2014]|\s-\s|,\s(?=\D{4})")


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date as ISO-8601 text; ``exact`` is False if the words named more than one day."""

    iso: str
    exact: bool = True


@lru_cache(maxsize=4096)
def read_date(value: object, order: str = "") -> WrittenDate | None:
    """Return the date that ``value`` is, or None if it is none or could be two.

    Args:
        value: A text, or a number of seconds or milliseconds since 1970.
        order: ``dmy`` or ``mdy`` if it is known how the brand writes "03/04/2026".
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _moment(value)
    if not isinstance(value, str) or not 4 <= len(text := value.strip()) <= _MAX_CHARS:  # noqa: PLR2004  # Q2 26 is no date
        return None
    if _ISO_START.match(text):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass  # "2026-06-14, late": the patterns decide
        else:
            return WrittenDate(text)
    return _written(text.casefold(), order)


def dates_in_heading(heading: str, order: str = "") -> WrittenDate | None:
    """Return the one date that stands in a heading or a file's name ("Retro, 14 June 2026"), or None."""
    heading = heading[:_MAX_HEADING]
    pieces = [heading, *_IN_HEADING.split(heading)]
    found = {read for piece in pieces if (read := read_date(piece.strip(" .,_"), order))}
    for pattern in (_ISO, _DOTTED, _DAY_MONTH, _MONTH_DAY, _MONTH_YEAR, _QUARTER, _YEAR_MONTH) if not found else ():
        for match in pattern.finditer(heading.casefold()):
            before, after = heading[: match.start()][-1:], heading[match.end() :][:1]
            if not before.isalnum() and not after.isalnum() and (read := read_date(match[0], order)):
                found.add(read)
        if found:
            break
    return found.pop() if len(found) == 1 else None


def _moment(number: float) -> WrittenDate | None:
    if not _SECONDS[0] <= number < _SECONDS[1] * 1000:  # NaN is no moment either
        return None
    seconds = number if number < _SECONDS[1] else number / 1000
    if seconds < _SECONDS[0]:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    iso = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return WrittenDate(iso.replace("+00:00", "Z"))


def _written(text: str, order: str) -> WrittenDate | None:
    if _EPOCH.fullmatch(text):
        return _moment(float(text))
    if not text.isascii():  # "２０２６年", "٢٠٢٦": digits of every script are digits
        text = "".join(str(decimal(sign, sign)) for sign in normalize("NFKC", text))
    text = _TAIL.sub("", _LEAD.sub("", text))
    for pattern in (_ISO, _COMPACT, _DOTTED, *((_DOTTED_SHORT,) if order == "dmy" else ())):
        if match := pattern.fullmatch(text):
            year = int(match["y"])
            return _day(year if year >= 100 else 2000 + year, int(match["m"]), int(match["d"]))  # noqa: PLR2004  # "26"
    if match := _SLASHED.fullmatch(text):
        return _slashed(int(match["a"]), int(match["b"]), int(match["y"]), order)
    for pattern in (_DAY_MONTH, _MONTH_DAY):
        if match := pattern.fullmatch(text):
            return _day(int(match["y"]), _MONTHS[match["n"]], int(match["d"]))
    if match := _EASTERN.fullmatch(text):
        return _day(int(match["y"]), int(match["m"]), int(match["d"] or 1), exact=bool(match["d"]))
    return _period(text)


def _period(text: str) -> WrittenDate | None:
    if match := _MONTH_YEAR.fullmatch(text):
        return _day(int(match["y"]), _MONTHS[match["n"]], 1, exact=False)
    if match := _YEAR_MONTH.fullmatch(text):
        return _day(int(match["y"] or match["y2"]), int(match["m"] or match["m2"]), 1, exact=False)
    if match := _QUARTER.fullmatch(text):
        return _day(int(match["y"] or match["y2"]), 3 * int(match["q"] or match["q2"]) - 2, 1, exact=False)
    if match := _WEEK.fullmatch(text):
        year, week = int(match["y"] or match["y2"]), int(match["w"] or match["w2"])
        try:
            return WrittenDate(date.fromisocalendar(year, week, 1).isoformat(), exact=False)
        except ValueError:
            return None
    return None


def _slashed(first: int, second: int, year: int, order: str) -> WrittenDate | None:
    if first == second or first > 12 or (order == "dmy" and second <= 12):  # noqa: PLR2004  # months
        return _day(year, second, first)
    if second > 12 or order == "mdy":  # noqa: PLR2004  # months
        return _day(year, first, second)
    return None


def _day(year: int, month: int, day: int, *, exact: bool = True) -> WrittenDate | None:
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return WrittenDate(found.isoformat(), exact) if _FIRST <= found.year < _LAST + 1 else None
