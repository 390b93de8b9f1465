"""Entries as records with a text and flat metadata, as Qdrant, Pinecone and Supermemory store them, and back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from dm_memory.embedding.batch import joined
from dm_memory.items import Payload
from dm_memory.services.faults import refused
from dm_memory.services.protocol import SearchQuery
from dm_memory.text.timestamps import day_of

__all__ = ["OURS", "chunk_id", "days_of", "is_entry_id", "metadata_of", "payload_of", "searchable"]

OURS = frozenset(
    {
        *("key", "content_type", "kind", "source", "tags", "recorded_at", "recorded_day", "created_at", "version"),
        *("hash", "meta_hash", "priority", "updated_from", "related", "expires_at", "expires_ts", "author"),
    }
)
"""The names that ``metadata_of`` can write."""


def metadata_of(payload: Payload) -> dict[str, Any]:
    """Return the flat metadata of a payload. A fact that has one of our names gives way."""
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
    if (day := day_of(payload.recorded_at)) is not None:
        metadata["recorded_day"] = day
    optional = {"updated_from": payload.updated_from, "related": list(payload.related), "author": payload.author}
    metadata.update({name: value for name, value in optional.items() if value})
    if payload.expires_at:
        metadata["expires_at"] = payload.expires_at
        with suppress(ValueError, OverflowError, OSError):  # what can't be read, no filter looks at
            metadata["expires_ts"] = int(datetime.fromisoformat(payload.expires_at).timestamp())
    return metadata


def payload_of(brand: str, entry_id: str, chunks: Sequence[Mapping[str, Any]]) -> Payload:
    """Return the payload that ``metadata_of`` was given.

    Args:
        brand: The brand's slug.
        entry_id: The entry.
        chunks: Its pieces in order, each with a ``document``, the first with ``metadata``.

    Raises:
        KeyError: It is not an entry of ours.
    """
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
        facts={name: value for name, value in metadata.items() if name not in OURS},
        recorded_at=metadata["recorded_at"],
        created_at=metadata["created_at"],
        version=metadata["version"],
        updated_from=metadata.get("updated_from", ""),
        priority=metadata["priority"],
        expires_at=metadata.get("expires_at", ""),
        related=tuple(metadata.get("related", ())),
        author=metadata.get("author", ""),
    )


def is_entry_id(text: str) -> bool:
    """Return whether an id can be one of ours: a UUID as its text is written."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def chunk_id(entry_id: str, number: int) -> str:
    """Return a chunk's id as a UUID: the entry's own for chunk 0, else uuid5 of it and the number."""
    return entry_id if number == 0 else str(uuid.uuid5(uuid.UUID(entry_id), str(number)))


def searchable(text: str) -> str:
    """Return a query's text without outer white space.

    Raises:
        ServiceError: Class validation: it can't be encoded.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("The query contains an unpaired surrogate.", "Write it in other words.") from error
    return text.strip()


def days_of(query: SearchQuery) -> tuple[int | None, int | None]:
    """Return the first and the last day a query asks for, as yyyymmdd.

    Raises:
        ServiceError: Class validation: not a date.
    """
    return _day(query.from_date), _day(query.to_date)


def _day(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return day_of(date.fromisoformat(text[:10]).isoformat())
    except ValueError as error:
        raise refused(f"{text!r} is not a date.", "Write dates as 2026-01-31.") from error
