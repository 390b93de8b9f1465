"""The port every memory layer implements.

Contract, held by ``tests/services/contract.py`` for every adapter:

* ``upsert`` is idempotent: the same payload again changes nothing; a batch that failed half-way may be sent again.
* ``upsert`` answers with one outcome per payload, in order. A payload the layer refuses is an outcome with an error;
  trouble that concerns the whole call is a raised ``LayerError``, after which any part of the batch may have landed.
* A confirmed outcome survives a crash of the machine: ``upsert`` returns after the engine has flushed.
* ``fetch`` answers only for ids the layer holds; what it does not hold is absent from the mapping.
* Adapters do not retry, log, or know of brands' files. An exception that is not a ``LayerError`` is a bug.
* Calls may come from several tasks; an adapter serialises where its engine must be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.errors import LayerError
from dm_memory.items import Payload

__all__ = [
    "Capabilities",
    "Capacity",
    "Health",
    "Layer",
    "Outcome",
    "PausingLayer",
    "SearchHit",
    "SearchQuery",
    "SearchableLayer",
    "SizedLayer",
    "StoredRecord",
    "VectorSource",
    "Vectors",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a layer can do, as data.

    Attributes:
        batch_items: Most payloads one ``upsert`` takes.
        batch_bytes: Most bytes of text one ``upsert`` takes, or None.
        remote: True where data leaves this machine.
        embeds: True where storing costs an embedding here.
    """

    batch_items: int
    batch_bytes: int | None = None
    remote: bool = False
    embeds: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a layer answers right now. ``detail`` is one sentence for a person; ``error`` says why it does not."""

    ok: bool
    engine: str
    detail: str
    error: LayerError | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """How full a layer is, in the unit its provider counts. ``limit`` None means no known limit but the disk.

    Attributes:
        entries: Entries the layer holds for this brand, or None where it can't say.
    """

    used: int
    limit: int | None
    unit: str
    entries: int | None = None

    @property
    def percent(self) -> float | None:
        """Used in percent of the limit, or None without one."""
        return None if not self.limit else 100.0 * self.used / self.limit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one payload: stored under ``storage_id``, or not, because of ``error``."""

    storage_id: str
    error: LayerError | None = None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What a layer holds under an id: enough to tell whether it is what the registry wants there."""

    id: str
    content_hash: str
    metadata_hash: str


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search over one brand's memory. Dates are ISO-8601 days, both ends included; tags are all required."""

    text: str
    content_type: str | None = None
    tags: tuple[str, ...] = ()
    from_date: str | None = None
    to_date: str | None = None
    limit: int = 10


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One found entry, best first.

    Attributes:
        score: Fused rank score; comparable only inside one answer.
        similarity: Cosine similarity of text and query in [-1, 1], or None where only words matched.
        lexical: True where BM25 found it.
    """

    id: str
    key: str
    content: str
    content_type: str
    source: str
    tags: tuple[str, ...]
    recorded_at: str
    score: float
    similarity: float | None
    lexical: bool


@runtime_checkable
class Layer(Protocol):
    """One memory layer of one brand."""

    @property
    def name(self) -> str:
        """Under which the registry keeps what it knows of this layer.

        The role, followed for a connected service by where it is: ``vector@qdrant:host/collection``. So another place
        is another layer, which is filled by itself. Stable, and without secrets.
        """

    @property
    def role(self) -> str:
        """What it is to the brand: ``vector``, ``graph``, ``cross-session`` or ``durable``."""

    @property
    def engine(self) -> str:
        """The engine behind it, for people: ``Qdrant Edge (embedded)``."""

    @property
    def capabilities(self) -> Capabilities:
        """Limits and traits."""

    async def fingerprint(self) -> str:
        """Return what stored entries depend on besides their payload (model, dimension, weights, chunking).

        Entries written under another fingerprint are planned again.
        """

    async def health(self) -> Health:
        """Ask the engine for one round trip. Never raises."""

    async def capacity(self) -> Capacity:
        """Count what is used. Raises ``LayerError``."""

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads, replacing what their ids held. Raises ``LayerError`` for the whole call."""

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace everything but text and vectors; an id the layer does not hold is a validation error."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Tell what the layer holds under these ids. Raises ``LayerError``."""

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries; ids it does not hold are no error. Raises ``LayerError``."""

    async def close(self) -> None:
        """Flush and let go of files and connections. Idempotent."""


@runtime_checkable
class SearchableLayer(Layer, Protocol):
    """A layer that can be asked by meaning and by words."""

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """Return at most ``query.limit`` entries, best first. Raises ``LayerError``."""


@runtime_checkable
class PausingLayer(Layer, Protocol):
    """A layer that stops asking a service which is down."""

    def ask_again(self) -> None:
        """Let the next call try the service, unless that asked for a longer pause itself."""


@runtime_checkable
class SizedLayer(Layer, Protocol):
    """A layer whose provider counts something else than entries: its capacity's unit is what sizes are in."""

    def size_of(self, payload: Payload) -> int:
        """Return about what storing a payload will use of the capacity."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one entry, a chunk each, in order, and the content hash of the text they were made from."""

    content_hash: str
    chunks: Sequence[Sequence[float]]


@runtime_checkable
class VectorSource(Layer, Protocol):
    """A layer that embeds here and can hand out its vectors, so that the durable store keeps them too."""

    async def vector_model(self) -> EmbeddingSpec:
        """Return the model of the vectors held. Raises ``LayerError``."""

    async def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        """Return the vectors of entries that are held whole; others are absent. Raises ``LayerError``."""
