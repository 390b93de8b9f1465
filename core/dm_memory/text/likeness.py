"""Which new text of a list is an edit of which old one.

The two errors are not equal: a wrong match turns one learning silently into a revision of another, a missed one retires
the old text and stores the new one. So a pair needs likeness and must not differ in its subject:

* Candidates are mutual best by their sets of words (stop words count a quarter, scripts without spaces are cut into pairs
  of characters); a tie is no match, and texts that name different channels or periods are no candidates.
* Then the words that count are aligned. One or two words in the place of as many others are another subject, unless the
  text is long and no name changed: lists of findings are full of such pairs, and no rule on words tells them from a
  synonym. A corrected figure is an edit if nothing else was replaced, an added or removed "not" as well.

``docs/decisions/0026-likeness.md`` has the thresholds and the pairs that chose them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from unicodedata import normalize

from dm_memory.text.channels import channel_terms
from dm_memory.text.stop_words import STEMMERS, STOP_WORDS
from dm_memory.text.terms import TermIndex, words_of

__all__ = ["LIMIT", "match_texts"]

LIMIT = 200
"""Beyond so many texts on either side none is compared: the list was replaced, not edited."""

_ALIKE = 0.75
"""How much of both texts must be the same, of the words that count (Dice)."""
_CANDIDATE = 0.5
"""The likeness of the sets of words below which a pair is not looked at."""
_STOP_WEIGHT = 0.25
_CONTAINED = 0.8
"""The likeness of a text that stands whole in the other one."""
_LONG = 20
"""Words that count, from which one replaced word is no other subject any more."""
_CONTRASTS = 2
"""A block of so many words, replaced by as many, contrasts with it."""
_MIN_CONTAINED = 3
_MIN_BODY = 6
_MIN_STEM, _MIN_TYPO = 4, 5
_ENDING = 3

_KANA, _HAN, _THAI = "\u30a1-\u30fa\u30fc-\u30ff", "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "\u0e00-\u109f\u1780-\u17ff"
_HIRAGANA = "\u3041-\u309f"
_NUMBERED = (
    "weeks? woche kw semaine semana sem month monat mois quarter quartal trimestre day tag jour phase wave welle vague "
    "version variante? step schritt étape round runde test flight sprint cohort kohorte batch season saison episode folge "
    "issue ausgabe numéro nr part teil partie tier level stufe groupe? gruppe option slot page seite"
).replace(" ", "|")
_TOKEN = re.compile(
    rf"(?P<period>\b(?:{_NUMBERED})[\s.:#-]*(?:\d+(?!\d|[.,]?\d|\s*%)|(?-i:[A-Z])(?!\w))|(?<!\w)[qht][1-4](?!\w)|#\d+"
    r"|(?<![\d.,])(?:19|20)\d\d(?![\d.,]*\d)|\d\d?:\d\d|第\d+|\d+(?:年|月|週))"
    rf"|(?P<number>\d+(?:[.,]\d+)*(?:[kmx](?!\w))?(?!-[^\W\d_]))|(?P<unspaced>[{_KANA}]+|[{_HAN}{_THAI}])|[{_HIRAGANA}]"
    rf"|(?:\d+-)?(?:(?![{_KANA}{_HAN}{_THAI}{_HIRAGANA}])[^\W_])+",
    re.IGNORECASE,
)
_CONTRASTING = frozenset(
    "with without before after above below over under up down more less most least first last few many all mit ohne vor "
    "nach unter mehr weniger avec sans avant après plus moins con sin antes después más menos senza prima dopo più meno "
    "com sem depois mais zonder voor meer minder utan uden uten före før efter etter mer".split()
)
"""Stop words of search that make two findings differ."""
_PLAIN = frozenset("% percent per prozent cent euro euros eur usd dollar dollars doesn aren isn t s d l n 的 了 是 也 就 都 而".split())
_LANGUAGES = tuple(STOP_WORDS)
_SCRIPTS = re.compile(rf"(?<=[A-Za-z])(?=[{_KANA}{_HAN}{_HIRAGANA}])|(?<=[{_KANA}{_HAN}{_HIRAGANA}])(?=[A-Za-z])")
_HEADING = re.compile(r"([^\n]{1,200}[^\n.!?。:])\n\s*\n(?=\S)")
_UNSPACED = re.compile(f"[{_KANA}{_HAN}{_THAI}]")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word that counts; ``run`` numbers the words, of which a script without spaces has several characters."""

    text: str
    run: int
    capital: bool
    number: bool


@dataclass(frozen=True, slots=True)
class _Text:
    words: tuple[_Word, ...]
    counting: frozenset[str]
    stop: frozenset[str]
    channels: frozenset[str]
    periods: frozenset[str]


def match_texts(new: Sequence[str], old: Sequence[str]) -> dict[int, int]:
    """Return which new text is an edit of which old one, by position; one to one, and nothing in doubt.

    Args:
        new: What a list contains now and did not contain before.
        old: What it contained before and does not contain now.
    """
    if not new or not old or max(len(new), len(old)) > LIMIT:
        return {}
    ours, theirs = [_text(text) for text in new], [_text(text) for text in old]
    scores = _scores(ours, theirs)
    best_old = [_single_best(row) for row in scores]
    best_new = [_single_best(column) for column in zip(*scores, strict=True)]
    return {
        here: there
        for here, there in enumerate(best_old)
        if there is not None and best_new[there] == here and _is_edit(*_bodies(new[here], old[there]))
    }


def _single_best(scores: Sequence[float]) -> int | None:
    """Return where the highest score is, None if there is none or not a single one."""
    best = max(scores)
    return scores.index(best) if best > 0 and scores.count(best) == 1 else None


def _scores(ours: Sequence[_Text], theirs: Sequence[_Text]) -> list[list[float]]:
    """Return the likeness of each pair by sets of words, 0 for those that are no candidates."""
    bits: dict[str, int] = {}

    def mask(words: Iterable[str]) -> int:
        value = 0
        for word in words:
            value |= 1 << bits.setdefault(word, len(bits))
        return value

    def masks(text: _Text) -> tuple[int, int, int, int, int, int]:
        counting, stop = mask(text.counting), mask(text.stop)
        return counting, stop, len(text.counting), len(text.stop), mask(text.channels), mask(text.periods)

    columns = [masks(text) for text in theirs]
    scores = []
    for counting, stop, size, stops, channels, periods in map(masks, ours):
        row = []
        for other, other_stop, other_size, other_stops, other_channels, other_periods in columns:
            shared = (counting & other).bit_count()
            score = 0.0
            if shared and not (_differ(channels, other_channels) or _differ(periods, other_periods)):
                shared_stops = (stop & other_stop).bit_count()
                both = shared + _STOP_WEIGHT * shared_stops
                either = size + other_size - shared + _STOP_WEIGHT * (stops + other_stops - shared_stops)
                score = max(both / either, _CONTAINED * shared / max(min(size, other_size), _MIN_CONTAINED))
            row.append(score if score >= _CANDIDATE else 0.0)
        scores.append(row)
    return scores


def _differ(one: int, other: int) -> bool:
    """Return whether each names something that the other does not: one more channel is no other channel."""
    return bool(one & ~other and other & ~one)


@cache
def _channels() -> TermIndex:
    return TermIndex(channel_terms((*STEMMERS, "ja", "ko", "zh")))


def _text(text: str) -> _Text:
    plain = normalize("NFKC", text)
    found = [(match, match[0].casefold()) for match in _TOKEN.finditer(plain)]
    folded = [word for _match, word in found]
    stop_words = _stop_words(folded)
    words: list[_Word] = []
    stops: list[str] = []
    periods: list[str] = []
    run, end = 0, -1
    for match, word in found:
        if match["period"]:
            word = "".join(filter(str.isalnum, word)) if ":" not in word else word  # noqa: PLW2901  # "week #1" is "week 1"
            periods.append(word)
        elif word in stop_words or (len(word) == 1 and "\u3041" <= word <= "\u309f"):
            stops.append(word)
            continue
        together = match["unspaced"] and match.start() == end and words and _one_script(words[-1].text, word)
        run += not together
        end = match.end()
        words.append(_Word(word, run, match[0][0].isupper(), bool(match["number"])))
    pairs = [one + other for one, other in zip(folded, folded[1:], strict=False) if _UNSPACED.match(one + other)]
    counting = frozenset(word.text for word in words if not _UNSPACED.match(word.text)).union(pairs)
    spaced = plain if plain.isascii() else _SCRIPTS.sub(" ", plain)
    channels = frozenset(_channels().find(spaced, words_of(spaced)))
    return _Text(tuple(words), counting, frozenset(stops) - counting, channels, frozenset(periods))


def _one_script(one: str, other: str) -> bool:
    return len(one) == 1 == len(other) and bool(_UNSPACED.match(one))


def _stop_words(words: Sequence[str]) -> frozenset[str]:
    """Return the stop words of the language that has most of ``words`` among them."""
    return _stops_of(max(_LANGUAGES, key=lambda language: sum(map(STOP_WORDS[language].__contains__, words))))


@cache
def _stops_of(language: str) -> frozenset[str]:
    return (STOP_WORDS[language] - _CONTRASTING) | _PLAIN


def _bodies(new: str, old: str) -> tuple[_Text, _Text]:
    """Return what is to be compared: below a heading the body, if it says enough to be known by."""
    headings = _HEADING.match(new), _HEADING.match(old)
    if headings[0] and headings[1]:
        bodies = _text(new[headings[0].end() :]), _text(old[headings[1].end() :])
        if min(len(body.words) for body in bodies) >= _MIN_BODY:
            return bodies
    return _text(new), _text(old)


@dataclass(slots=True)
class _Changes:
    """What an alignment found, in words that count."""

    matched: int = 0
    contrasts: int = 0
    names: int = 0
    reworded: int = 0
    figures: int = 0
    removed: int = 0
    added: int = 0
    added_inside: int = 0
    blocks: int = 0


def _is_edit(new: _Text, old: _Text) -> bool:
    shorter, longer = sorted((len(new.words), len(old.words)))
    if not shorter:
        return False
    found = _changes(old.words, new.words)
    if found is None:
        return False
    is_long = shorter >= _LONG
    if found.names or found.contrasts > (shorter // _LONG if is_long else 0):
        return False
    if found.figures:
        loose = found.reworded or found.contrasts or found.added_inside or found.removed
        if not is_long and (loose or found.figures > 1):
            return False
    elif found.reworded > 1 and not is_long:
        return False
    contained = found.matched + found.figures >= shorter >= _MIN_CONTAINED and found.blocks == 1
    return contained or 2 * (found.matched + found.figures) >= _ALIKE * (shorter + longer)


def _changes(old: Sequence[_Word], new: Sequence[_Word]) -> _Changes | None:
    """Return how ``old`` became ``new``; None if words only changed places with each other."""
    found = _Changes()
    before, after = [word.text for word in old], [word.text for word in new]
    removed: list[str] = []
    added: list[str] = []
    for kind, start, end, new_start, new_end in SequenceMatcher(None, before, after).get_opcodes():
        if kind == "equal":
            found.matched += end - start
            continue
        gone, come = _unlike(old[start:end], new[new_start:new_end])
        found.matched += end - start - len(gone)
        figures = min(sum(word.number for word in gone), sum(word.number for word in come))
        if figures:
            found.figures += figures
            gone, come = [word for word in gone if not word.number], [word for word in come if not word.number]
        if gone and come:
            _replaced(found, gone, come, is_last=end == len(old) and new_end == len(new))
        elif gone or come:
            removed += [word.text for word in gone]
            added += [word.text for word in come]
            found.blocks += 1
            found.added_inside += bool(come) and start < len(old)
    found.removed, found.added = len(removed), len(added)
    moved = [word for word in removed if word in added]
    if moved and moved != [word for word in added if word in removed]:
        return None
    found.matched += len(moved)
    return found


def _replaced(found: _Changes, gone: Sequence[_Word], come: Sequence[_Word], *, is_last: bool) -> None:
    """Count words in the place of others: a contrast, another name, or the same in other words."""
    found.blocks += 1
    sizes = len({word.run for word in gone}), len({word.run for word in come})
    if sizes[0] == sizes[1] <= _CONTRASTS:
        found.contrasts += 1
        found.names += gone[0].capital and come[0].capital
    else:
        found.reworded += 1 if is_last else 2


def _unlike(gone: Sequence[_Word], come: Sequence[_Word]) -> tuple[list[_Word], list[_Word]]:
    """Return both sides without the words that differ by a typing error or an ending only."""
    left, right = [], list(come)
    for word in gone:
        same = next((other for other in right if _one_word(word.text, other.text)), None)
        if same is None:
            left.append(word)
        else:
            right.remove(same)
    return left, right


def _one_word(one: str, other: str) -> bool:
    """Return whether two words are one: another ending, or one letter missing, wrong, added or swapped."""
    if one == other:
        return True
    if not (one.isalpha() and other.isalpha()) or one[0] != other[0]:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rests = one[start:], other[start:]
    if "\uac00" <= one[0] <= "\ud7af":  # Korean particles cling to short words
        return start >= 2 and max(map(len, rests)) < _ENDING  # noqa: PLR2004
    if start >= max(_MIN_STEM, 0.6 * max(len(one), len(other))) and max(map(len, rests)) <= _ENDING:
        return True
    if min(len(one), len(other)) < _MIN_TYPO:
        return False
    a, b = rests
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]
