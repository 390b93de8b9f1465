"""Embedding models for tests, by name: ``tests.support.embedders:constant`` and the like."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from zlib import crc32

from dm_memory.embedding.protocol import Embedder, EmbeddingSpec

__all__ = [
    "ConstantEmbedder",
    "HashEmbedder",
    "NanEmbedder",
    "PoisonedEmbedder",
    "constant",
    "hashed",
    "nan",
    "poisoned",
]

_DIMENSION = 256


class ConstantEmbedder:
    """Every text has the same vector: what is measured with it is everything but the model."""

    def __init__(self, dimension: int = _DIMENSION, name: str = "constant") -> None:
        self._spec = EmbeddingSpec(name, dimension, "1")
        self._vector = [1.0 / math.sqrt(dimension)] * dimension
        self.embedded: list[str] = []

    @property
    def spec(self) -> EmbeddingSpec:
        """The model."""
        return self._spec

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return the one vector, once per text."""
        self.embedded.extend(texts)
        return [self._vector] * len(texts)

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the one vector."""
        del text
        return self._vector


class HashEmbedder:
    """A deterministic bag of hashed words: texts that share words are near each other."""

    def __init__(self, dimension: int = _DIMENSION, name: str = "hashed") -> None:
        self._spec = EmbeddingSpec(name, dimension, "1")
        self.embedded: list[str] = []

    @property
    def spec(self) -> EmbeddingSpec:
        """The model."""
        return self._spec

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector of length 1 per text."""
        self.embedded.extend(texts)
        return [self._embed(text) for text in texts]

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a query."""
        return self._embed(text)

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * self._spec.dimension
        for word in re.findall(r"\w+", text.lower()):
            vector[crc32(word.encode("utf-8", "replace")) % self._spec.dimension] += 1.0
        length = math.hypot(*vector) or 1.0
        return [value / length for value in vector]


class PoisonedEmbedder(HashEmbedder):
    """Raises, as a model's bug would, wherever a batch holds a text with POISON in it."""

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return vectors, or raise for the whole batch."""
        if any("POISON" in text for text in texts):
            message = "the model met a poisoned text"
            raise RuntimeError(message)
        return super().embed_documents(texts)


class NanEmbedder(HashEmbedder):
    """Returns a vector with NaN in it for each text with NANVEC in it."""

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return vectors, some of them broken."""
        vectors = super().embed_documents(texts)
        return [
            [math.nan, *vector[1:]] if "NANVEC" in text else vector for text, vector in zip(texts, vectors, strict=True)
        ]


def constant() -> Embedder:
    """Return a ``ConstantEmbedder``."""
    return ConstantEmbedder()


def hashed() -> Embedder:
    """Return a ``HashEmbedder``."""
    return HashEmbedder()


def poisoned() -> Embedder:
    """Return a ``PoisonedEmbedder``."""
    return PoisonedEmbedder()


def nan() -> Embedder:
    """Return a ``NanEmbedder``."""
    return NanEmbedder()
