"""A collection of a Qdrant server as it was found: its vectors, and the description of the model that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dm_memory.embedding.chunking import CHUNKING_VERSION
from dm_memory.embedding.model_names import describe, qdrant_vector_name
from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.qdrant.points import LEXICAL

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["Place", "collection_name", "description", "mismatch", "read_place"]

_DESCRIPTION = "dm_memory"


@dataclass(frozen=True, slots=True)
class Place:
    """A collection as it was found.

    Attributes:
        name: What it is asked by: an alias where there is one.
        collection: What it is called itself.
        vectors: Its dense vectors' lengths by name.
        lexical: Whether it has the sparse vector of words.
        model: What its description says its vectors were made with, or None where there is none.
        indexed: The fields that have an index.
        points: About how many points it holds, of all brands.
    """

    name: str
    collection: str
    vectors: Mapping[str, int]
    lexical: bool
    model: EmbeddingSpec | None
    indexed: frozenset[str]
    points: int

    def fits(self, spec: EmbeddingSpec) -> bool:
        """Tell whether a model's vectors may go here. Without a description, the vector's name and length decide."""
        has_vector = self.vectors.get(qdrant_vector_name(spec)) == spec.dimension
        return has_vector and self.model in {None, spec}


def collection_name(name: str, spec: EmbeddingSpec) -> str:
    """Return what the collection of a model is called where ``COLLECTION_NAME`` is ``name``."""
    digest = sha256(f"{spec.name}/{spec.dimension}/{spec.weights}".encode()).hexdigest()
    return f"{name}-{digest[:8]}"


def mismatch(place: Place, spec: EmbeddingSpec) -> LayerError:
    """Return the error for a collection that was made with another model than ``spec``."""
    names = f"vectors called {', '.join(sorted(place.vectors))}" if place.vectors else "vectors without a name"
    held = describe(place.model) if place.model else names
    return LayerError(
        f"The Qdrant collection was made with {held}, the embedding model in use is {describe(spec)}.",
        "Sync with force to build the brand's memory anew in a collection of its own model,"
        " or set DM_MEMORY_EMBEDDER back.",
        error_class=ErrorClass.VALIDATION,
        code="model-mismatch",
    )


def description(spec: EmbeddingSpec) -> dict[str, Any]:
    """Return the metadata of a collection that says which model its vectors were made with."""
    model = {"name": spec.name, "dimension": spec.dimension, "weights": spec.weights}
    return {_DESCRIPTION: {"format": 1, "model": model, "chunking": CHUNKING_VERSION}}


def read_place(name: str, collection: str, info: models.CollectionInfo) -> Place:
    """Return what the server says of a collection that was asked for as ``name``."""
    vectors = info.config.params.vectors
    return Place(
        name=name,
        collection=collection,
        vectors={key: value.size for key, value in vectors.items()} if isinstance(vectors, dict) else {},
        lexical=LEXICAL in (info.config.params.sparse_vectors or {}),
        model=_described_model(info.config.metadata or {}),
        indexed=frozenset(info.payload_schema),
        points=info.points_count or 0,
    )


def _described_model(metadata: Mapping[str, Any]) -> EmbeddingSpec | None:
    try:
        model = metadata[_DESCRIPTION]["model"]
        return EmbeddingSpec(str(model["name"]), int(model["dimension"]), str(model["weights"]))
    except (KeyError, TypeError, ValueError):
        return None
