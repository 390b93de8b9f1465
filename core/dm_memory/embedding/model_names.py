"""How embedding models are called: for people, and as the name of a vector."""

from __future__ import annotations

from dm_memory.embedding.protocol import EmbeddingSpec

__all__ = ["MINILM", "describe", "is_searched_by_the_qdrant_server", "qdrant_vector_name"]

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
