"""Payloads as the points of a Qdrant collection, in the layout that ``mcp-server-qdrant`` reads.

A point's payload is ``{"document": text, "metadata": {...}}``. Only entries cut into several chunks carry more:
chunk 0 ``chunks`` (how many there are), each further one ``entry`` (the entry's id) and ``chunk`` (its number).
So an entry of one chunk, and nearly every one is, costs no key and no index row that it does not need.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dm_memory.embedding.chunking import chunk, chunk_chars_of, joined
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import DmMemoryError, ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.layers.edge_errors import refused

__all__ = ["Entry", "PointData", "chunk_id", "day_number", "embed_entries", "metadata_of", "payload_of", "points_of"]

PointData = tuple[str, str, Sequence[float], dict[str, Any]]
"""A point before it becomes the engine's: id, text for BM25, dense vector, payload."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A payload with its chunks and their vectors, ready to be stored."""

    payload: Payload
    chunks: Sequence[str]
    vectors: Sequence[Sequence[float]]


def embed_entries(
    embedder: Embedder, payloads: Sequence[Payload], dimension: int
) -> tuple[list[Entry], dict[str, LayerError]]:
    """Cut and embed payloads, all chunks in one call of the model.

    A model that raises is asked again for each half, until the text it can't take stands alone.

    Returns:
        The entries that can be stored, and by id why the others can't.

    Raises:
        LayerError: The model does not work at all.
    """
    errors = {payload.id: _BAD_ID for payload in payloads if not _UUID.fullmatch(payload.id)}
    sound = [payload for payload in payloads if payload.id not in errors] if errors else payloads
    entries: list[Entry] = []
    size = chunk_chars_of(embedder)
    _embed(embedder, [(payload, chunk(payload.content, size)) for payload in sound], dimension, entries, errors)
    return entries, errors


def _embed(
    embedder: Embedder,
    cut: Sequence[tuple[Payload, list[str]]],
    dimension: int,
    entries: list[Entry],
    errors: dict[str, LayerError],
) -> None:
    texts = [text for _, chunks in cut for text in chunks]
    try:
        vectors = _as_lists(embedder.embed_documents(texts)) if texts else []
        trouble = None if len(vectors) == len(texts) else _wrong_count()
    except DmMemoryError as error:
        trouble = _of_the_model(error)
    except Exception as error:  # noqa: BLE001  # a model is anybody's code; what it raises is reported for its item
        trouble = _unknown(error)
    if trouble is None:
        _sort_out(cut, vectors, dimension, entries, errors)
    elif len(cut) == 1:
        errors[cut[0][0].id] = trouble
    else:
        middle = len(cut) // 2
        _embed(embedder, cut[:middle], dimension, entries, errors)
        _embed(embedder, cut[middle:], dimension, entries, errors)


def _sort_out(
    cut: Sequence[tuple[Payload, list[str]]],
    vectors: Sequence[Sequence[float]],
    dimension: int,
    entries: list[Entry],
    errors: dict[str, LayerError],
) -> None:
    start = 0
    for payload, chunks in cut:
        own = vectors[start : start + len(chunks)]
        start += len(chunks)
        if all(_is_sound(vector, dimension) for vector in own):
            entries.append(Entry(payload, chunks, own))
        else:
            errors[payload.id] = _bad_vector(dimension)


def _as_lists(vectors: Any) -> Sequence[Sequence[float]]:  # noqa: ANN401  # numpy arrays are welcome, numpy is not needed
    return vectors.tolist() if hasattr(vectors, "tolist") else vectors  # type: ignore[no-any-return]  # as above


def _is_sound(vector: Sequence[float], dimension: int) -> bool:
    """Tell whether a vector has the right length and no NaN or infinity: the engine would take both."""
    try:
        return len(vector) == dimension and math.isfinite(sum(vector))
    except TypeError:
        return False


def points_of(entry: Entry) -> list[PointData]:
    """Return an entry's points, chunk 0 under the entry's own id."""
    metadata = metadata_of(entry.payload)
    if len(entry.chunks) == 1:
        return [
            (entry.payload.id, entry.chunks[0], entry.vectors[0], {"document": entry.chunks[0], "metadata": metadata})
        ]
    points: list[PointData] = []
    for number, (text, vector) in enumerate(zip(entry.chunks, entry.vectors, strict=True)):
        place: dict[str, Any] = (
            {"entry": entry.payload.id, "chunk": number} if number else {"chunks": len(entry.chunks)}
        )
        point_id = chunk_id(entry.payload.id, number)
        points.append((point_id, text, vector, {"document": text, "metadata": metadata, **place}))
    return points


def chunk_id(entry_id: str, number: int) -> str:
    """Return a chunk's point id: the entry's own for chunk 0, else uuid5 (RFC 9562) of it and the number."""
    return entry_id if number == 0 else str(uuid.uuid5(uuid.UUID(entry_id), str(number)))


def metadata_of(payload: Payload) -> dict[str, Any]:
    """Return the flat ``metadata`` of a payload. A fact that has one of our names gives way."""
    metadata: dict[str, Any] = {
        **payload.facts,
        "key": payload.key,
        "content_type": payload.content_type,
        "kind": payload.kind,
        "source": payload.source,
        "tags": list(payload.tags),
        "recorded_at": payload.recorded_at,
        "created_at": payload.created_at,
        "version": payload.version,
        "hash": payload.content_hash,
        "meta_hash": payload.metadata_hash,
        "priority": payload.priority,
    }
    if (day := day_number(payload.recorded_at)) is not None:
        metadata["recorded_day"] = day
    if payload.updated_from:
        metadata["updated_from"] = payload.updated_from
    if payload.related:
        metadata["related"] = list(payload.related)
    if payload.expires_at:
        metadata.update(_expiry(payload.expires_at))
    return metadata


_OURS = frozenset(
    {
        *("key", "content_type", "kind", "source", "tags", "recorded_at", "recorded_day", "created_at", "version"),
        *("hash", "meta_hash", "priority", "updated_from", "related", "expires_at", "expires_ts"),
    }
)


def payload_of(brand: str, entry_id: str, chunks: Sequence[Mapping[str, Any]]) -> Payload:
    """Return an entry as it was given to ``points_of``; ``chunks`` are the payloads of its points, in order."""
    metadata = chunks[0]["metadata"]
    return Payload(
        id=entry_id,
        brand=brand,
        key=metadata["key"],
        content=joined([part["document"] for part in chunks]),
        content_hash=metadata["hash"],
        metadata_hash=metadata["meta_hash"],
        content_type=metadata["content_type"],
        kind=metadata["kind"],
        source=metadata["source"],
        tags=tuple(metadata["tags"]),
        facts={name: value for name, value in metadata.items() if name not in _OURS},
        recorded_at=metadata["recorded_at"],
        created_at=metadata["created_at"],
        version=metadata["version"],
        updated_from=metadata.get("updated_from", ""),
        priority=metadata["priority"],
        expires_at=metadata.get("expires_at", ""),
        related=tuple(metadata.get("related", ())),
    )


def _expiry(expires_at: str) -> Mapping[str, Any]:
    """Return the moment as it was given and, where it can be read, in seconds since 1970 for the search's filter."""
    try:
        return {"expires_at": expires_at, "expires_ts": int(datetime.fromisoformat(expires_at).timestamp())}
    except (ValueError, OverflowError, OSError):
        return {"expires_at": expires_at}


def day_number(moment: str) -> int | None:
    """Return the day of an ISO-8601 date or time as yyyymmdd, as it is written; None where it is not one."""
    digits = moment[:10].replace("-", "")
    return int(digits) if len(digits) == len("yyyymmdd") and digits.isascii() and digits.isdigit() else None


_BAD_ID = refused("An entry's id is not a UUID.", "Report it: ids are made by dm-memory.")


def _bad_vector(dimension: int) -> LayerError:
    return refused(
        f"The embedding model returned something else than {dimension} finite numbers for this text.",
        "Change the text, or set DM_MEMORY_EMBEDDER to another model and sync with force.",
    )


def _wrong_count() -> LayerError:
    return LayerError(
        "The embedding model returned another number of vectors than it was given texts.",
        "Set DM_MEMORY_EMBEDDER to another model and sync with force.",
        error_class=ErrorClass.MALFORMED_REPLY,
    )


def _unknown(error: Exception) -> LayerError:
    return LayerError(
        "The embedding model failed on this text.",
        "Change the text; the next sync tries it again.",
        error_class=ErrorClass.UNKNOWN,
        code=type(error).__name__,
    )


def _of_the_model(error: DmMemoryError) -> LayerError:
    """Return a trouble that is one text's; raise one that every text would meet."""
    if isinstance(error, LayerError) and not error.concerns_whole_layer:
        return error
    if isinstance(error, LayerError):
        raise error
    raise LayerError(error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE) from error
