"""What an embedding model is to the rest of the house, and what it is called: for people, and as a vector's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["MINILM", "Embedder", "EmbeddingSpec", "describe", "is_searched_by_the_qdrant_server", "qdrant_vector_name"]


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """Which model made a vector. Vectors of different specs are never compared.

    Attributes:
        name: The model's name as its publisher writes it.
        dimension: Length of a vector.
        weights: Hex digest of the weights, or a version if they can't be read.
    """

    name: str
    dimension: int
    weights: str

    @property
    def tag(self) -> str:
        """How the model is named beside each vector it made: ``name@first 12 digits of the weights``."""
        return f"{self.name}@{self.weights[:12]}"


class Embedder(Protocol):
    """Turns texts into vectors. Called from one worker thread; may be slow on first use."""

    @property
    def spec(self) -> EmbeddingSpec:
        """The model; may load it."""

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector of ``spec.dimension`` floats per text, in order."""

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a query."""


MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The model that ``mcp-server-qdrant`` embeds with if its ``EMBEDDING_MODEL`` names no other."""


def describe(spec: EmbeddingSpec) -> str:
    """Return a model in words."""
    return f"{spec.name} ({spec.dimension} dimensions, weights {spec.weights[:12]})"


def qdrant_vector_name(spec: EmbeddingSpec) -> str:
    """Return the vector name that ``mcp-server-qdrant`` (0.8) expects of a model: ``fast-`` and its last name."""
    return f"fast-{spec.name.split('/')[-1].lower()}"


def is_searched_by_the_qdrant_server(spec: EmbeddingSpec) -> bool:
    """Return whether ``mcp-server-qdrant`` can embed queries with a model: fastembed's models have an owner's name."""
    return "/" in spec.name
