"""Texts -> raw vectors: cut into chunks, embedded in batches that suit the model, packed as the store keeps them.

A vector says what a passage is about, not what a book is about: long texts are embedded in pieces.
"""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import DmMemoryError

__all__ = [
    "CHUNKING_VERSION",
    "CHUNK_CHARS",
    "MAX_CHUNKS",
    "EmbeddingError",
    "batch_chars_of",
    "batch_items_of",
    "chunk",
    "chunk_chars_of",
    "chunking_of",
    "embedded",
    "embedded_each",
    "in_batches",
    "is_installed",
    "joined",
    "model_tag",
    "pack",
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


_HOPELESS = 24
"""Calls that fail with none before them that worked, after which a model counts as one that does not work at all."""


class EmbeddingError(DmMemoryError):
    """The embedding model can't be loaded or failed; texts stay without vectors until it works again."""


def is_installed(name: str) -> bool:
    """Return whether the bundled model can be imported here; a model of one's own is thought to be."""
    return name != "wordllama" or importlib.util.find_spec("wordllama") is not None


def model_tag(embedder: Embedder) -> str:
    """Return the model's tag; loads it. Raises ``EmbeddingError``."""
    try:
        return embedder.spec.tag
    except DmMemoryError as error:
        raise EmbeddingError(error.problem, error.remedy) from error
    except Exception as error:  # the user's own model: whatever it raises
        raise _failed(error) from error


def embedded(embedder: Embedder, texts: Sequence[str]) -> list[list[bytes]]:
    """Return the raw float32 vectors of texts, a list of chunks each.

    Raises:
        EmbeddingError: The model failed, or returned something else than a vector a chunk.
    """
    try:
        size = chunk_chars_of(embedder)
        pieces = [chunk(text, size) for text in texts]
        flat = [piece for own in pieces for piece in own]
        dimension = embedder.spec.dimension
        vectors = iter(
            [
                pack(vector)
                for batch in in_batches(flat, len, batch_items_of(embedder), batch_chars_of(embedder))
                for vector in embedder.embed_documents(batch)
            ]
        )
        made = [[next(vectors) for _ in own] for own in pieces]
    except DmMemoryError as error:
        raise EmbeddingError(error.problem, error.remedy) from error
    except Exception as error:  # the user's own model: whatever it raises
        raise _failed(error) from error
    if any(len(vector) != 4 * dimension for own in made for vector in own) or next(vectors, None) is not None:
        raise _failed(ValueError("dimension"))
    return made


def embedded_each(embedder: Embedder, texts: Sequence[str]) -> list[list[bytes] | None]:
    """Return the vectors of texts, None for each that the model does not take: the others are not to suffer from it.

    Raises:
        EmbeddingError: The model does not work at all.
    """
    found: list[list[bytes] | None] = [None] * len(texts)
    parts = [(0, len(texts))]
    failures = successes = 0
    last: EmbeddingError | None = None
    while parts:
        start, end = parts.pop()
        try:
            found[start:end] = embedded(embedder, texts[start:end])
            successes += 1
        except EmbeddingError as error:
            last = error
            failures += 1
            if not successes and failures >= _HOPELESS:
                raise
            middle = (start + end) // 2
            parts += [(middle, end), (start, middle)] if end - start > 1 else []
    if last is not None and not successes:
        raise last
    return found


def pack(vector: Any) -> bytes:  # noqa: ANN401  # a row of numpy's, or any sequence of numbers
    """Return a vector as raw little-endian float32. Raises ``ValueError`` if it is not finite."""
    if not math.isfinite(vector.sum() if hasattr(vector, "sum") else sum(vector)):
        raise ValueError("not finite")
    if hasattr(vector, "astype"):
        raw: bytes = vector.astype("<f4").tobytes()
        return raw
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _failed(error: Exception) -> EmbeddingError:
    return EmbeddingError(
        f"The embedding model failed ({type(error).__name__}); new texts are found by their words alone.",
        "Check DM_MEMORY_EMBEDDER, then sync again: what has no vectors gets them.",
    )
