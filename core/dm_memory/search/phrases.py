"""Words and phrases as written: what the raw text decides after the index has narrowed the choice."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import normalize

__all__ = ["contains"]


def contains(text: str, parts: Iterable[str]) -> bool:
    """Return whether a text has all of some words or phrases, as whole words; case, width and spaces do not count."""
    folded = _plain(text)
    return all(_has_whole(folded, _plain(part)) for part in parts)


def _plain(text: str) -> str:
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def _has_whole(text: str, part: str) -> bool:
    start = text.find(part) if part else -1
    while start >= 0:
        end = start + len(part)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (_joins(before, part[:1]) or _joins(part[-1:], after)):
            return True
        start = text.find(part, start + 1)
    return False


def _joins(left: str, right: str) -> bool:
    """Return whether two characters are in the same word; of scripts without spaces, none are."""
    return left.isalnum() and right.isalnum() and ord(left) < _UNSPACED and ord(right) < _UNSPACED


_UNSPACED = 0x0E00
"""From here on, scripts that put no spaces between words (Thai, kana, Han) outnumber the others."""
