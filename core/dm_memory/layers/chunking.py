"""Long texts in pieces: a vector says what a passage is about, not what a book is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["CHUNKING_VERSION", "CHUNK_CHARS", "MAX_CHUNKS", "chunk", "joined"]

CHUNKING_VERSION = 1
"""Part of a layer's fingerprint: raise it with any change of where texts are cut, and everything is stored again."""

CHUNK_CHARS = 1500
"""A text up to this many characters stays whole. About 350 tokens, beyond which a mean vector blurs."""

MAX_CHUNKS = 128
"""The most pieces of one text. A text too long for it is cut into larger pieces rather than into more of them."""

_OVERLAP_CHARS = 120
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"[.!?…。！？]['\"”’)\]]*\s|\n")  # noqa: RUF001  # full-width marks end sentences too
_SPACE = re.compile(r"\s")


def chunk(text: str) -> list[str]:
    """Cut ``text`` into at most ``MAX_CHUNKS`` pieces that overlap a little and together cover all of it.

    Cuts fall behind a paragraph, else a sentence, else a word, and inside a word only where nothing else is near.
    """
    if len(text) <= CHUNK_CHARS:
        return [text]
    size = max(CHUNK_CHARS, -(-len(text) * 3 // (2 * MAX_CHUNKS)))
    pieces = []
    start = 0
    while len(text) - start > size:
        end = _cut(text, start + size // 4 * 3, start + size)
        pieces.append(text[start:end])
        start = _resume(text, end)
    pieces.append(text[start:])
    return pieces


def joined(pieces: Sequence[str]) -> str:
    """Put a text together again from its pieces: the reverse of ``chunk`` for all but texts that repeat themselves."""
    text = pieces[0]
    for piece in pieces[1:]:
        longest = min(_OVERLAP_CHARS, len(piece))
        overlap = next((size for size in range(longest, 0, -1) if text.endswith(piece[:size])), 0)
        text += piece[overlap:]
    return text


def _cut(text: str, earliest: int, latest: int) -> int:
    """Return the best place to cut in (earliest, latest]."""
    for boundary in (_PARAGRAPH, _SENTENCE, _SPACE):
        ends = [found.end() for found in boundary.finditer(text, earliest, latest)]
        if ends:
            return ends[-1]
    return latest


def _resume(text: str, end: int) -> int:
    """Return where the next piece starts: at the first word within the overlap before ``end``."""
    word = _SPACE.search(text, end - _OVERLAP_CHARS, end)
    return word.end() if word else end
