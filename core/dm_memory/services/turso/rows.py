"""The rows of the durable store as values, and what they are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.facts.patterns import PatternRow
from dm_memory.items import Payload, Value
from dm_memory.services.turso.schema import NATIVE, Row, SqlValue, Table
from dm_memory.store.entries import to_json

__all__ = [
    "EmbeddingRow",
    "EpisodeRow",
    "PatternRow",
    "episode_from_row",
    "episode_of",
    "payload_of",
    "row_checksum",
    "sql_row",
]


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """An entry, whole. ``tags`` and ``related`` are JSON lists, ``facts`` is a JSON object."""

    id: str
    brand: str
    key: str
    kind: str
    content_type: str
    source: str
    content: str
    content_hash: str
    metadata_hash: str
    tags: str
    facts: str
    recorded_at: str
    created_at: str
    version: int
    updated_from: str
    priority: str
    expires_at: str
    related: str
    state: str = "current"
    retired_at: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddingRow:
    """A vector. ``item_type`` is ``episode`` or ``pattern``; ``content_hash`` is that of the text it was made from."""

    id: str
    brand: str
    item_id: str
    item_type: str
    chunk: int
    content_hash: str
    model: str
    dimension: int
    vector: bytes


DurableRow = EpisodeRow | PatternRow | EmbeddingRow

_EPISODE = ("id", *NATIVE.tables[Table.EPISODES].columns)
_VALUES = {table: attrgetter("id", *layout.columns) for table, layout in NATIVE.tables.items()}


def sql_row(table: Table, row: DurableRow) -> Row:
    """Return a row's values in the order of the table's columns, the id first.

    Raises:
        ServiceError: Class validation: a text has lone surrogates, which no SQL store can keep.
    """
    values: Row = _VALUES[table](row)
    try:
        for value in values:
            if type(value) is str and not value.isascii():
                value.encode()
    except UnicodeEncodeError:
        raise ServiceError(
            "The text of an entry contains an unpaired surrogate, which the durable store can't keep.",
            "Correct the broken character in its source, then sync again.",
            error_class=ErrorClass.VALIDATION,
            code="lone-surrogate",
        ) from None
    return values


def episode_of(payload: Payload) -> EpisodeRow:
    """Return the episode of a payload, without its vectors; ``payload_of`` is the way back."""
    return EpisodeRow(
        id=payload.id,
        brand=payload.brand,
        key=payload.key,
        kind=payload.kind,
        content_type=payload.content_type,
        source=payload.source,
        content=payload.content,
        content_hash=payload.content_hash,
        metadata_hash=payload.metadata_hash,
        tags=to_json(payload.tags),
        facts=to_json(payload.facts if type(payload.facts) is dict else dict(payload.facts)),
        recorded_at=payload.recorded_at,
        created_at=payload.created_at,
        version=payload.version,
        updated_from=payload.updated_from,
        priority=payload.priority,
        expires_at=payload.expires_at,
        related=to_json(payload.related),
        state=payload.state,
        retired_at=payload.retired_at,
        author=payload.author,
    )


def episode_from_row(row: Mapping[str, object]) -> EpisodeRow:
    """Return an episode from its columns; others are left out. A store of version 1 has no state.

    Raises:
        TypeError: One is missing.
    """
    values = {name: row[name] for name in _EPISODE if name in row}
    return EpisodeRow(**values)  # type: ignore[arg-type]  # as the store returned them


def payload_of(episode: EpisodeRow) -> Payload:
    """Return the payload of an episode.

    Raises:
        ServiceError: Class malformed reply: the JSON in it is damaged.
    """
    try:
        facts: dict[str, Value] = json.loads(episode.facts)
        tags, related = json.loads(episode.tags), json.loads(episode.related)
    except ValueError:
        raise ServiceError(
            "An entry in the durable store is damaged.",
            "Sync with force to store it again from its source.",
            error_class=ErrorClass.MALFORMED_REPLY,
            code="damaged-row",
        ) from None
    return Payload(
        id=episode.id,
        brand=episode.brand,
        key=episode.key,
        content=episode.content,
        content_hash=episode.content_hash,
        metadata_hash=episode.metadata_hash,
        content_type=episode.content_type,
        kind=episode.kind,
        source=episode.source,
        tags=tuple(tags),
        facts=facts,
        recorded_at=episode.recorded_at,
        created_at=episode.created_at,
        version=episode.version,
        updated_from=episode.updated_from,
        priority=episode.priority,
        expires_at=episode.expires_at,
        related=tuple(related),
        state=episode.state,
        retired_at=episode.retired_at,
        author=episode.author,
    )


def row_checksum(row: Sequence[SqlValue]) -> str:
    """Return 32 hex digits over a page's row (id, moment, columns), with types and lengths: no two rows share them.

    It covers the moment as well: a copy that was made before the last change differs.
    """
    digest = sha256()
    for value in row:
        data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        digest.update(f"{type(value).__name__}:{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()[:32]
