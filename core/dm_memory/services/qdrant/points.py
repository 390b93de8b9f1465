"""Entries as the points of a Qdrant server's collection, which all brands of a cluster share.

``document`` and ``metadata`` are what ``mcp-server-qdrant`` reads and shows. The keys beside them are what we filter
by, each with an index: ``brand`` (the tenant), ``entry`` (the entry's id), ``chunk`` (a piece's number),
``content_type``, ``tags``, ``recorded_day`` (yyyymmdd) and ``expires_ts`` (seconds since 1970); then the number of
``chunks``, and both hashes.
A collection that ``mcp-server-qdrant`` made may have its own points as well: they have no ``brand``, and are let be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dm_memory.embedding.batch import batch_chars_of, chunk, chunk_chars_of
from dm_memory.embedding.protocol import Embedder, qdrant_vector_name
from dm_memory.errors import DmMemoryError, ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.lazy import np
from dm_memory.services.entries import chunk_id, is_entry_id, metadata_of, payload_of
from dm_memory.services.faults import refused

__all__ = ["as_payload", "bodies_of", "labels_of", "of_brand", "unsound"]

_REQUEST_POINTS = 256
_REQUEST_CHARS = 4_000_000
"""Most characters of text in one request: the server takes 32 MB, and the event loop should not encode for long."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A payload with its chunks and their vectors, ready to be stored."""

    payload: Payload
    labels: Mapping[str, Any]
    chunks: Sequence[str]
    vectors: Sequence[Any]


def bodies_of(
    brand: str, embedder: Embedder, payloads: Sequence[Payload]
) -> tuple[list[bytes], dict[str, ServiceError]]:
    """Return the requests that store payloads, and by id why some payloads are in none. For a thread.

    Vectors that came with a payload are used as they are if the same model made them; other texts are embedded. Of an
    id that occurs twice the last payload counts.

    Raises:
        ServiceError: The model does not work at all, or there is too much to embed in one call.
    """
    spec, size = embedder.spec, chunk_chars_of(embedder)
    errors: dict[str, ServiceError] = {}
    entries: list[_Entry] = []
    bare: list[_Entry] = []
    for payload in {payload.id: payload for payload in payloads}.values():
        labels = labels_of(brand, payload)
        if error := _unsound(payload, labels):
            errors[payload.id] = error
            continue
        chunks = chunk(payload.content, size)
        vectors = [np.frombuffer(vector, dtype="<f4") for vector in payload.vectors]
        fit = payload.vector_model == spec.tag and len(vectors) == len(chunks)
        fit = fit and all(vector.shape == (spec.dimension,) and np.isfinite(vector).all() for vector in vectors)
        (entries if fit else bare).append(_Entry(payload, labels, chunks, vectors))
    if len(bare) > 1 and sum(len(entry.payload.content) for entry in bare) > batch_chars_of(embedder):
        # A slow model would not be done before the deadline; the caller halves the batch.
        raise refused("The batch is too long for the embedding model.", "Send its items in smaller batches.")
    with np.errstate(over="ignore"):  # what 32 bits can't represent becomes null in JSON, which the server refuses
        entries += _embedded(embedder, spec.dimension, bare, errors)
    vector = qdrant_vector_name(spec)
    return [_body(brand, vector, group) for group in _grouped(entries)], errors


def _embedded(
    embedder: Embedder, dimension: int, entries: Sequence[_Entry], errors: dict[str, ServiceError]
) -> list[_Entry]:
    """Return entries with vectors, all chunks embedded in one call of the model.

    A model that raises is asked again for each half, until the text it can't take stands alone.
    """
    texts = [text for entry in entries for text in entry.chunks]
    try:
        vectors = np.asarray(embedder.embed_documents(texts) if texts else [], dtype=np.float32)
    except ServiceError as error:
        if error.concerns_whole_service:
            raise
        failure = error
    except DmMemoryError as error:
        raise ServiceError(error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE) from error
    except Exception as error:  # noqa: BLE001  # a model is anybody's code; what it raises is reported for its item
        failure = _failed(type(error).__name__)
    else:
        if not texts or vectors.shape == (len(texts), dimension):
            return _with_vectors(entries, vectors, dimension, errors)
        failure = _bad_vector(dimension)
    if len(entries) == 1:
        errors[entries[0].payload.id] = failure
        return []
    middle = len(entries) // 2
    halves = entries[:middle], entries[middle:]
    return [entry for half in halves for entry in _embedded(embedder, dimension, half, errors)]


def _with_vectors(
    entries: Sequence[_Entry],
    vectors: Any,  # noqa: ANN401  # an array of numpy
    dimension: int,
    errors: dict[str, ServiceError],
) -> list[_Entry]:
    found, start = [], 0
    for entry in entries:
        own = vectors[start : start + len(entry.chunks)]
        start += len(entry.chunks)
        if np.isfinite(own).all():
            found.append(_Entry(entry.payload, entry.labels, entry.chunks, list(own)))
        else:
            errors[entry.payload.id] = _bad_vector(dimension)
    return found


def _grouped(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """Yield entries in groups of what one request takes."""
    group: list[_Entry] = []
    points = size = 0
    for entry in entries:
        chars = sum(map(len, entry.chunks))
        if group and (points + len(entry.chunks) > _REQUEST_POINTS or size + chars > _REQUEST_CHARS):
            yield group
            group, points, size = [], 0, 0
        group.append(entry)
        points, size = points + len(entry.chunks), size + chars
    if group:
        yield group


def _body(brand: str, vector: str, entries: Sequence[_Entry]) -> bytes:
    """Return the request that stores entries' points, then removes chunks that the entries had beyond them."""
    points = [
        {
            "id": chunk_id(entry.payload.id, number),
            # As the server keeps it: in the 9 digits of 32 bits, numbers take little more than half of a request.
            "vector": {vector: np.asarray(dense, dtype=np.float32)},
            "payload": {
                "document": text,
                "chunk": number,
                "brand": brand,
                "entry": entry.payload.id,
                "chunks": len(entry.chunks),
                "hash": entry.payload.content_hash,
                **{name: value for name, value in entry.labels.items() if value is not None},
            },
        }
        for entry in entries
        for number, (text, dense) in enumerate(zip(entry.chunks, entry.vectors, strict=True))
    ]
    by_count: dict[int, list[str]] = {}
    for entry in entries:
        by_count.setdefault(len(entry.chunks), []).append(entry.payload.id)
    surplus = [
        {"must": [{"key": "entry", "match": {"any": ids}}, {"key": "chunk", "range": {"gte": count}}]}
        for count, ids in by_count.items()
    ]
    operations = [{"upsert": {"points": points}}, {"delete": {"filter": of_brand(brand, {"should": surplus})}}]
    return orjson.dumps({"operations": operations}, option=orjson.OPT_SERIALIZE_NUMPY)


def of_brand(brand: str, *must: Mapping[str, Any], must_not: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return a filter, as JSON has it, of one brand's points."""
    return {"must": [{"key": "brand", "match": {"value": brand}}, *must], "must_not": [*must_not]}


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


def unsound(payload: Payload) -> ServiceError | None:
    """Return why a payload can't travel as JSON, or None: one such entry would make its whole request fail."""
    return _unsound(payload, labels_of(payload.brand, payload))


def _unsound(payload: Payload, labels: Mapping[str, Any]) -> ServiceError | None:
    if not is_entry_id(payload.id):
        return refused("An entry's id is not a UUID.", "Report it: ids are made by dm-memory.")
    try:
        orjson.dumps([payload.content, labels])
    except (orjson.JSONEncodeError, ValueError):
        return _UNSOUND
    finite = all(math.isfinite(value) for value in payload.facts.values() if isinstance(value, float))
    return None if finite else _UNSOUND


_UNSOUND = refused(
    "The entry contains an unpaired surrogate, or a number out of range, which can't be stored.",
    "Correct it in the brand's file.",
)


def _bad_vector(dimension: int) -> ServiceError:
    return refused(
        f"The embedding model returned something else than {dimension} finite numbers for this text.",
        "Change the text, or set DM_MEMORY_EMBEDDER to another model and sync with force.",
    )


def _failed(code: str) -> ServiceError:
    return ServiceError(
        "The embedding model failed on this text.",
        "Change the text; the next sync tries it again.",
        error_class=ErrorClass.UNKNOWN,
        code=code,
    )
