"""Entries as the points of a Qdrant server's collection, which all brands of a cluster share.

``document`` and ``metadata`` are what ``mcp-server-qdrant`` reads and shows. The keys beside them are what we filter
by, each with an index: ``brand`` (the tenant), ``entry`` (the entry's id), ``chunk`` (a piece's number),
``content_type``, ``tags``, ``recorded_day`` (yyyymmdd) and ``expires_ts`` (seconds since 1970); then the number of
``chunks``, and both hashes.
A collection that ``mcp-server-qdrant`` made may hold its own points as well: they have no ``brand``, and are let be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import LayerError
from dm_memory.items import Payload
from dm_memory.layers.edge_errors import refused
from dm_memory.layers.edge_points import Entry, chunk_id, embed_entries, metadata_of, payload_of

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["LEXICAL", "Part", "PointMaker", "as_payload", "labels_of", "unsound"]

LEXICAL = "bm25"
"""The sparse vector of a point's words."""

_REQUEST_POINTS = 256
_REQUEST_CHARS = 4_000_000
"""Most characters of text in one request: the server takes 32 MB, and the event loop should not encode for long."""


@dataclass(frozen=True, slots=True)
class Part:
    """The points of some entries, for one request, as JSON has them, and how many chunks each entry has."""

    points: list[dict[str, Any]]
    chunks: dict[str, int]


class PointMaker:
    """Makes points of payloads, and vectors of questions. For one thread.

    Args:
        brand: The brand's slug.
        embedder: The embedding model.
    """

    def __init__(self, brand: str, embedder: Embedder) -> None:
        self._brand = brand
        self._embedder = embedder
        self._bm25: Any = None

    def parts(
        self, payloads: Sequence[Payload], vector: str, *, lexical: bool
    ) -> tuple[list[Part], dict[str, LayerError]]:
        """Return the points of payloads, and by id why some payloads have none.

        Args:
            payloads: Of an id that occurs twice the last one counts.
            vector: Name of the dense vector.
            lexical: Whether the collection has the sparse vector.

        Raises:
            LayerError: The model does not work at all.
        """
        distinct = list({payload.id: payload for payload in payloads}.values())
        labels = {payload.id: labels_of(self._brand, payload) for payload in distinct}
        unfit = {payload.id: error for payload in distinct if (error := _unsound(payload, labels[payload.id]))}
        sound = [payload for payload in distinct if payload.id not in unfit] if unfit else distinct
        entries, errors = embed_entries(self._embedder, sound, self._embedder.spec.dimension)
        import numpy as np  # noqa: PLC0415  # on first use only

        with np.errstate(over="ignore"):  # what 32 bits can't hold becomes null in JSON, which the server refuses
            return list(self._grouped(entries, labels, vector, lexical=lexical)), errors | unfit

    def question(self, text: str, *, lexical: bool) -> tuple[Sequence[float], models.SparseVector | None]:
        """Return a question's dense vector (all zeros: it has no direction) and its words (None: it has none)."""
        dense = self._embedder.embed_query(text)
        return dense, self._asked(text) if lexical else None

    def _grouped(
        self, entries: Sequence[Entry], labels: Mapping[str, Mapping[str, Any]], vector: str, *, lexical: bool
    ) -> Iterator[Part]:
        part = Part([], {})
        size = 0
        for entry in entries:
            chars = sum(map(len, entry.chunks))
            if part.points and (
                len(part.points) + len(entry.chunks) > _REQUEST_POINTS or size + chars > _REQUEST_CHARS
            ):
                yield part
                part, size = Part([], {}), 0
            part.points.extend(self._points(entry, labels[entry.payload.id], vector, lexical=lexical))
            part.chunks[entry.payload.id] = len(entry.chunks)
            size += chars
        if part.points:
            yield part

    def _points(
        self, entry: Entry, labels: Mapping[str, Any], vector: str, *, lexical: bool
    ) -> Iterator[dict[str, Any]]:
        import numpy as np  # noqa: PLC0415  # as above

        payload = entry.payload
        common = {
            "brand": self._brand,
            "entry": payload.id,
            "chunks": len(entry.chunks),
            "hash": payload.content_hash,
            **{name: value for name, value in labels.items() if value is not None},
        }
        for number, (text, dense) in enumerate(zip(entry.chunks, entry.vectors, strict=True)):
            # As the server keeps it: in the 9 digits of 32 bits, numbers take little more than half of a request.
            vectors: dict[str, Any] = {vector: np.array(dense, dtype=np.float32)}
            if lexical and (indices := (words := self._counter.embed_document(text)).indices):
                vectors[LEXICAL] = {"indices": indices, "values": words.values}
            content = {"document": text, "chunk": number, **common}
            yield {"id": chunk_id(payload.id, number), "vector": vectors, "payload": content}

    def _asked(self, text: str) -> models.SparseVector | None:
        from qdrant_client import models  # noqa: PLC0415  # 1 s of CPU: on first use only

        words = self._counter.embed_query(text)
        indices = words.indices
        return models.SparseVector.model_construct(indices=indices, values=words.values) if indices else None

    @property
    def _counter(self) -> Any:  # noqa: ANN401  # the engine ships no types for it
        """The embedded engine's BM25, so that memory is found alike on both; the server knows the IDF."""
        if self._bm25 is None:
            import qdrant_edge  # noqa: PLC0415  # on first use only

            self._bm25 = qdrant_edge.Bm25(qdrant_edge.Bm25Config())
        return self._bm25


def labels_of(brand: str, payload: Payload) -> dict[str, Any]:
    """Return all of an entry's keys that its text does not decide; None removes a key that was there."""
    metadata = metadata_of(payload)
    return {
        "meta_hash": payload.metadata_hash,
        "content_type": payload.content_type,
        "tags": list(payload.tags),
        "recorded_day": metadata.get("recorded_day"),
        "expires_ts": metadata.get("expires_ts"),
        "metadata": {**metadata, "brand": brand},
    }


def as_payload(brand: str, entry_id: str, chunks: Sequence[Mapping[str, Any]]) -> Payload:
    """Return an entry as it was stored; ``chunks`` are the payloads of its points, in order."""
    metadata = {name: value for name, value in chunks[0]["metadata"].items() if name != "brand"}
    return payload_of(brand, entry_id, [{**chunks[0], "metadata": metadata}, *chunks[1:]])


def unsound(payload: Payload) -> LayerError | None:
    """Return why a payload can't travel as JSON, or None: one such entry would make its whole request fail."""
    return _unsound(payload, labels_of(payload.brand, payload))


def _unsound(payload: Payload, labels: Mapping[str, Any]) -> LayerError | None:
    try:
        orjson.dumps([payload.content, labels])
    except (orjson.JSONEncodeError, ValueError):
        return _UNSOUND
    finite = all(math.isfinite(value) for value in payload.facts.values() if isinstance(value, float))
    return None if finite else _UNSOUND


_UNSOUND = refused(
    "The entry holds text or values that can't be stored: half a character pair, or a number out of range.",
    "Correct it in the brand's file.",
)
