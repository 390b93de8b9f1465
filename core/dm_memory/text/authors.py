"""Names of people who hand something in: one line, bounded, and found whichever way they are written."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["AUTHOR_CHARS", "clean_author", "is_by"]

AUTHOR_CHARS = 100
"""Longest name that is kept."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_WORD = re.compile(r"[^\W_]+")


def clean_author(name: str) -> str:
    """Return a name on one line, without invisible characters, cut to ``AUTHOR_CHARS``; "" if nothing is left."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    visible = "".join(" " if unicodedata.category(letter) in _INVISIBLE else letter for letter in text)
    clean = " ".join(visible.split())[:AUTHOR_CHARS].rstrip()
    return clean if _WORD.search(clean) else ""


def is_by(author: str, wanted: str) -> bool:
    """Return whether a name has all words of another, in any case: "mara" is found in "Mara Klein"."""
    asked = _words(wanted)
    return bool(asked) and asked <= _words(author)


def _words(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(unicodedata.normalize("NFC", name).casefold()))
