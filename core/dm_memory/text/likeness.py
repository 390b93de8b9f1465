"""Which new text of a list is an edit of which old one.

The two errors are not equal: a wrong match turns one learning silently into a revision of another, a missed one retires
the old text and stores the new one. So a pair needs likeness and must not differ in its subject:

* Candidates are mutual best by their sets of words (stop words count a quarter, scripts without spaces are cut into
  pairs of characters); a tie is no match, and texts that name different channels or periods are no candidates.
* Then the words that count are aligned. One or two words in the place of as many others are another subject, unless
  the text is long and no name changed: lists of findings are full of such pairs, and no rule on words separates them
  from a synonym. A corrected figure is an edit if nothing else was replaced, an added or removed "not" as well.

``docs/decisions/0026-likeness.md`` has the thresholds and the pairs that chose them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
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
_LONG, _LONG_CONTRASTS = 20, 0.1
"""Words that count, from which one replaced word in ten is no other subject any more."""
_ALIGNED = 200
"""Words that count, beyond which the sets of words decide alone."""
_CONTRASTS = 2
"""A block of so many words, replaced by as many, contrasts with it."""
_MIN_CONTAINED = 3
_MIN_BODY = 6
_MIN_STEM, _MIN_TYPO = 4, 5
_ENDING = 3

_KANA, _HIRAGANA = "\u30a1-\u30fa\u30fc-\u30ff", "\u3041-\u309f"
_LETTERS = "\u0e00-\u109f\u1780-\u17ff\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai to Myanmar, Khmer, Han: no spaces between words, a token each letter."""
_FIGURES = (
    r"(?P<period>(?:(?<![A-Za-z])[QHT][1-4]|(?<![\d.,])(?:19|20)\d\d)(?![\w]|[.,]\d)|#\d+|\d\d?:\d\d|第\d+|\d+(?:[年月週]))"
    r"|(?P<number>\d+(?:[.,]\d+)*(?:[kmx](?!\w))?)(?!-[^\W\d_])"
)
_TOKEN = re.compile(
    rf"{_FIGURES}|(?P<unspaced>[{_KANA}]+|[{_LETTERS}])|[{_HIRAGANA}]|(?:\d+-)?[^\W_{_KANA}{_HIRAGANA}{_LETTERS}]+"
)
_NUMBERED, _CONTRASTING, _UNITS, _PLAIN = (
    frozenset(words.split())
    for words in (
        # What a number or a capital letter names rather than measures: "week 2", "variant B".
        """
batch cohort day episode flight folge group groupe gruppe issue jour kohorte kw level mois monat month nr numéro option
ausgabe page part partie phase quarter quartal round runde saison schritt season seite sem semaine semana slot sprint
step stufe tag teil test tier trimestre vague variant variante version wave week weeks welle woche étape
""",
        # Stop words of search that make two findings differ.
        """
above after all before below down few first last least less many more most over under up with without
mehr mit nach ohne unter vor weniger après avant avec moins plus sans antes con después menos más sin
con dopo meno più prima senza com depois mais sem meer minder voor zonder efter etter före før mer utan uden uten
""",
        # What a number may be followed by or not: "15 euros", "€15".
        "percent prozent euro euros eur usd dollar dollars",
        # What is cut off by an apostrophe or "pour", and Chinese particles.
        "aren doesn isn d l n s t cent per 的 了 是 也 就 都 而",
    )
)
_GAP = re.compile(r"[\s.:#-]*")
_AMOUNT = re.compile(r"\s*(?:%|percent|prozent|pour cent)", re.IGNORECASE)
_LANGUAGES = tuple(STOP_WORDS)
_SCRIPTS = re.compile(
    rf"(?<=[A-Za-z])(?=[{_KANA}{_LETTERS}{_HIRAGANA}])|(?<=[{_KANA}{_LETTERS}{_HIRAGANA}])(?=[A-Za-z])"
)
_HEADING = re.compile(r"([^\n]{1,200}[^\n.!?。:])\n\s*\n(?=\S)")
_UNSPACED = re.compile(f"[{_KANA}{_LETTERS}]")


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
    matches: dict[int, int] = {}
    for here, there in enumerate(best_old):
        if there is None or best_new[there] != here:
            continue
        one, other = _body(new[here]), _body(old[there])
        if _is_edit(one, other) if one and other else _is_edit(ours[here], theirs[there]):
            matches[here] = there
    return matches


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
            smaller = size if size < other_size else other_size  # noqa: FURB136  # 40,000 times
            score = 0.0
            if (
                shared * 2 >= smaller
                and shared
                and not (channels & ~other_channels and other_channels & ~channels)  # one more is not another
                and not (periods & ~other_periods and other_periods & ~periods)
            ):
                both = shared + _STOP_WEIGHT * (stop & other_stop).bit_count()
                either = size + other_size + _STOP_WEIGHT * (stops + other_stops) - both
                score = max(both / either, _CONTAINED * shared / max(smaller, _MIN_CONTAINED))
            row.append(score if score >= _CANDIDATE else 0.0)
        scores.append(row)
    return scores


@cache
def _channels() -> TermIndex:
    return TermIndex(channel_terms((*STEMMERS, "ja", "ko", "zh")))


def _text(text: str) -> _Text:
    plain = text if text.isascii() else normalize("NFKC", text)
    matches = list(_TOKEN.finditer(plain))
    folded = [match[0].casefold() for match in matches]
    stop_words = _stop_words(frozenset(folded))
    words: list[_Word] = []
    stops: list[str] = []
    periods: list[str] = []
    run, end = 0, -1
    for place, (match, word) in enumerate(zip(matches, folded, strict=True)):
        if match["period"] or (place and _is_numbered(plain, matches[place - 1], match)):
            name = words.pop().text if not match["period"] and words and words[-1].text == folded[place - 1] else ""
            word = f"{name} {word.lstrip('#')}".strip()  # noqa: PLW2901  # "week #1" is "week 1"
            periods.append(word)
        elif word in stop_words or "\u3041" <= word <= "\u309f":
            if not _is_name(plain, match):
                stops.append(word)
                continue
            word = match[0]  # noqa: PLW2901  # its capitals are what it differs by
        elif word in _UNITS and place and matches[place - 1]["number"]:
            continue
        together = match["unspaced"] and match.start() == end and len(match[0]) == len(words[-1].text) == 1
        run += not together
        end = match.end()
        words.append(_Word(word, run, match[0][0].isupper(), bool(match["number"]) and word not in periods[-1:]))
    pairs = () if plain.isascii() else [a + b for a, b in pairwise(folded) if _UNSPACED.match(a + b)]
    counting = frozenset([word.text for word in words if not _UNSPACED.match(word.text)]).union(pairs)
    spaced = plain if plain.isascii() else _SCRIPTS.sub(" ", plain)
    channels = frozenset(_channels().find(spaced, words_of(spaced)))
    return _Text(tuple(words), counting, frozenset(stops) - counting, channels, frozenset(periods))


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Return whether a stop word is written as a name: "US", "IT", the A of "segment A"."""
    if not match[0].isupper():
        return False
    return len(match[0]) > 1 or (match[0] != "I" and text[: match.start()].rstrip(" ")[-1:].isalnum())


def _is_numbered(text: str, before: re.Match[str], match: re.Match[str]) -> bool:
    """Return whether ``match`` is the number or letter of what stands before it, and no amount."""
    names = match["number"] or (len(match[0]) == 1 and match[0].isupper())
    if not names or before[0].casefold() not in _NUMBERED:
        return False
    return _GAP.fullmatch(text, before.end(), match.start()) is not None and not _AMOUNT.match(text, match.end())


def _stop_words(words: frozenset[str]) -> frozenset[str]:
    """Return the stop words of the language that has most of ``words`` among them."""
    return _stops_of(max(_LANGUAGES, key=lambda language: len(STOP_WORDS[language] & words)))


@cache
def _stops_of(language: str) -> frozenset[str]:
    return (STOP_WORDS[language] - _CONTRASTING) | _PLAIN


def _body(text: str) -> _Text | None:
    """Return what stands below a heading, if there is one and what follows says enough to be known by."""
    heading = _HEADING.match(text)
    body = _text(text[heading.end() :]) if heading else None
    return body if body and len(body.words) >= _MIN_BODY else None


@dataclass(slots=True)
class _Changes:
    """What an alignment found, in words that count."""

    matched: int = 0
    contrasts: int = 0
    names: int = 0
    reworded: int = 0
    figures: int = 0
    blocks: int = 0
    added_inside: int = 0
    removed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)


def _is_edit(new: _Text, old: _Text) -> bool:
    before = [word for word in old.words if word.text not in new.stop]
    after = [word for word in new.words if word.text not in old.stop]
    shorter, longer = sorted((len(before), len(after)))
    if shorter > _ALIGNED:
        return 2 * len(new.counting & old.counting) >= _ALIKE * (len(new.counting) + len(old.counting))
    found = _changes(before, after) if shorter else None
    if found is None or found.names:
        return False
    if shorter < _LONG:
        other_subject = found.contrasts or found.reworded > 1 or _is_swapped(found, new.stop, old.stop)
        other_figure = found.figures > 1 or (found.figures and (found.reworded or found.added_inside or found.removed))
        if other_subject or other_figure:
            return False
    elif found.contrasts > shorter * _LONG_CONTRASTS:
        return False
    same = found.matched + found.figures
    contained = same >= shorter >= _MIN_CONTAINED and found.blocks == 1
    return contained or 2 * same >= _ALIKE * (shorter + longer)


def _is_swapped(found: _Changes, new_stop: frozenset[str], old_stop: frozenset[str]) -> bool:
    """Return whether a stop word came in the place of the one word that went, or the reverse: "d'hiver", "d'été"."""
    if len(found.removed) + len(found.added) != 1:
        return False
    word, others = (found.removed or found.added)[0], new_stop - old_stop if found.removed else old_stop - new_stop
    return any(len(other) > 1 and not (word.startswith(other) or _one_word(word, other)) for other in others)


def _changes(old: Sequence[_Word], new: Sequence[_Word]) -> _Changes | None:
    """Return how ``old`` became ``new``; None if words only changed places with each other."""
    found = _Changes()
    alignment = SequenceMatcher(None, [word.text for word in old], [word.text for word in new])
    for kind, start, end, new_start, new_end in alignment.get_opcodes():
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
            found.removed += [word.text for word in gone]
            found.added += [word.text for word in come]
            found.blocks += 1
            found.added_inside += bool(come) and start < len(old)
    moved = [word for word in found.removed if word in found.added]
    if moved != [word for word in found.added if word in found.removed]:
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
