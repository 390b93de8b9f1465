"""Texts -> raw vectors: cut into chunks, embedded in batches that suit the model, packed as the store keeps them."""

from __future__ import annotations

import importlib.util
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from dm_memory.embedding.chunking import batch_chars_of, batch_items_of, chunk, chunk_chars_of, in_batches
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import DmMemoryError

__all__ = ["EmbeddingError", "embedded", "embedded_each", "is_installed", "model_tag", "pack"]

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
