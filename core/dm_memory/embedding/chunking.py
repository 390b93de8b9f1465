"""Long texts in pieces: a vector says what a passage is about, not what a book is about."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = [
    "CHUNKING_VERSION",
    "CHUNK_CHARS",
    "MAX_CHUNKS",
    "batch_chars_of",
    "batch_items_of",
    "chunk",
    "chunk_chars_of",
    "chunking_of",
    "in_batches",
    "joined",
]

T = TypeVar("T")

CHUNKING_VERSION = 1
"""Part of a service's fingerprint: raise it with any change of where texts are cut, and everything is stored again."""

CHUNK_CHARS = 1500
"""A text up to this many characters stays whole. About 350 tokens, beyond which a mean vector blurs."""

MAX_CHUNKS = 128
"""The most pieces of one text. A text too long for it is cut into larger pieces rather than into more of them."""

_BATCH_ITEMS = 256
_OVERLAP_CHARS = 120
_OVERLAP_SHARE = 15
"""Pieces smaller than ``CHUNK_CHARS`` overlap by this part of their size: more would cost more than ``MAX_CHUNKS``."""

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"[.!?…。！？]['\"”’)\]]*\s|\n")  # noqa: RUF001  # full-width marks end sentences too
_SPACE = re.compile(r"\s")


def chunk_chars_of(embedder: object) -> int:
    """Return how many characters of a text an embedding model reads well: its ``chunk_chars``, if it has any."""
    return int(getattr(embedder, "chunk_chars", CHUNK_CHARS))


def batch_items_of(embedder: object) -> int:
    """Return how many texts of ordinary length a model embeds within a few seconds: its ``batch_items``, or many."""
    return int(getattr(embedder, "batch_items", _BATCH_ITEMS))


def batch_chars_of(embedder: object) -> float:
    """Return how many characters a model embeds within a few seconds: its ``batch_chars``, or any number."""
    return float(getattr(embedder, "batch_chars", math.inf))


def chunking_of(embedder: object) -> str:
    """Return what a service's fingerprint says of how texts are cut for an embedding model."""
    size = chunk_chars_of(embedder)
    return f"chunking {CHUNKING_VERSION}" + (f" at {size} characters" if size != CHUNK_CHARS else "")


def chunk(text: str, size: int = CHUNK_CHARS) -> list[str]:
    """Cut ``text`` into at most ``MAX_CHUNKS`` pieces that overlap a little and together cover all of it.

    Cuts fall behind a paragraph, else a sentence, else a word, and inside a word only if nothing else is near.

    Args:
        text: The text.
        size: A text up to this many characters stays whole, and so long is a piece at most unless the text is too long.
    """
    if len(text) <= size:
        return [text]
    size = max(size, -(-len(text) * 3 // (2 * MAX_CHUNKS)))
    overlap = _OVERLAP_CHARS if size >= CHUNK_CHARS else size // _OVERLAP_SHARE
    pieces = []
    start = 0
    while len(text) - start > size:
        end = _cut(text, start + size // 4 * 3, start + size)
        pieces.append(text[start:end])
        word = _SPACE.search(text, end - overlap, end)  # the next piece starts at the first word within the overlap
        start = word.end() if word else end
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


def in_batches(items: Iterable[T], weight: Callable[[T], float], most: float, heaviest: float) -> Iterator[list[T]]:
    """Yield items in batches of at most ``most``, and at most ``heaviest`` together; a heavier item goes alone."""
    batch: list[T] = []
    size = 0.0
    for item in items:
        own = weight(item)
        if batch and (len(batch) == most or size + own > heaviest):
            yield batch
            batch, size = [], 0.0
        batch.append(item)
        size += own
    if batch:
        yield batch
