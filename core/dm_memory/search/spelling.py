"""Words of a question that no text has: what may stand for them among the words that texts have.

People mistype, and write together what others write apart: "runers" is "runners", "Versandkosten" are the "Kosten" of
a "Versand", "check-out" is "checkout". Only a word without any text is looked up, so that nothing here changes what a
correct word finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dm_memory.store.candidates import terms_like
from dm_memory.text.words import QueryWord, analyse

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Standing", "standing_for"]

_SHORTEST = 7
"""Letters of a word that is looked up: shorter ones have neighbours that mean something else."""

_SHORTEST_STEM = 6
_SHORTEST_PART = 4
_LINKS = ("", "s", "n", "en", "es")
"""What German, Dutch and Nordic compounds put between their parts."""


class Standing(NamedTuple):
    """Words of the index: any of them stands for the one that is asked for, or all of them together in a text."""

    forms: tuple[str, ...] = ()
    together: bool = False


def standing_for(connection: sqlite3.Connection, word: QueryWord, languages: Sequence[str]) -> Standing:
    """Return what texts have in place of a word that none has: mistyped ones, else its two parts."""
    if len(word.text) < _SHORTEST or not word.text.isalpha():
        return Standing()
    begin = word.forms[0][:1]
    near = [term for term in terms_like(connection, begin) if any(_is_mistyped(form, term) for form in word.forms)]
    return Standing(tuple(near)) if near else Standing(_parts(connection, word.text, languages), together=True)


def _is_mistyped(word: str, other: str) -> bool:
    """Return whether a letter too many or too few, or two swapped ones, make the one word of the other.

    A wrong letter does not count: "consid" and "confid", "confiance" and "confianza" are two words.
    """
    if abs(len(word) - len(other)) > 1 or min(len(word), len(other)) < _SHORTEST_STEM:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    left, right = word[start:], other[start:]
    return left[1:] == right or left == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])


def _parts(connection: sqlite3.Connection, text: str, languages: Sequence[str]) -> tuple[str, ...]:
    """Return both parts of a compound, if texts have both as words of their own."""

    def has(word: str) -> bool:
        return terms_like(connection, word, 1) == [word]

    for language in languages:
        for place in range(len(text) - _SHORTEST_PART, _SHORTEST_PART - 1, -1):
            if not has(last := analyse(text[place:], language)):
                continue
            firsts = (text[:place].removesuffix(link) for link in _LINKS if text[:place].endswith(link))
            for first in (analyse(part, language) for part in firsts if len(part) >= _SHORTEST_PART):
                if has(first):
                    return first, last
    return ()
