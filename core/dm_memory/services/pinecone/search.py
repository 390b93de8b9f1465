"""Searching Pinecone's records: the filter, and the hits as entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dm_memory.layers.edge_search import days_of
from dm_memory.services.pinecone.errors import refused
from dm_memory.services.pinecone.records import entry_of
from dm_memory.services.protocol import SearchHit, SearchQuery

if TYPE_CHECKING:
    from pinecone.models.vectors.search import Hit

__all__ = ["checked_text", "entries_among", "fields_wanted", "filter_of"]


def filter_of(query: SearchQuery) -> dict[str, Any] | None:
    """Return a query's conditions in Pinecone's filter language. Raises ``LayerError``: a date is none."""
    first, last = days_of(query)
    conditions: list[dict[str, Any]] = [{"tags": {"$in": [tag]}} for tag in query.tags]
    if query.content_type:
        conditions.append({"content_type": {"$eq": query.content_type}})
    if first is not None:
        conditions.append({"recorded_day": {"$gte": first}})
    if last is not None:
        conditions.append({"recorded_day": {"$lte": last}})
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else {"$and": conditions}


def checked_text(text: str) -> str:
    """Return a question without outer white space. Raises ``LayerError``: it is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("The question holds half a character pair.", "Ask it in other words.") from error
    return text.strip()


def fields_wanted(text_field: str) -> list[str]:
    """Return what a hit needs of a record."""
    return [text_field, "key", "content_type", "source", "tags", "recorded_at", "expires_ts"]


def entries_among(hits: Iterable[Hit], text_field: str, *, cosine: bool, now: float, limit: int) -> list[SearchHit]:
    """Return the first ``limit`` entries among hits, each with its best chunk.

    Left out: what expired before ``now`` (seconds since 1970), and records that other programs keep in the namespace.
    """
    found: dict[str, SearchHit] = {}
    for hit in hits:
        entry = entry_of(hit.id)
        if entry in found or "key" not in hit.fields or hit.fields.get("expires_ts", now) < now:
            continue
        found[entry] = _as_hit(entry, hit, text_field, cosine=cosine)
        if len(found) == limit:
            break
    return list(found.values())


def _as_hit(entry: str, hit: Hit, text_field: str, *, cosine: bool) -> SearchHit:
    fields = hit.fields
    return SearchHit(
        id=entry,
        key=str(fields["key"]),
        content=str(fields.get(text_field, "")),
        content_type=str(fields.get("content_type", "")),
        source=str(fields.get("source", "")),
        tags=tuple(fields.get("tags") or ()),
        recorded_at=str(fields.get("recorded_at", "")),
        score=hit.score,
        similarity=hit.score if cosine else None,
        lexical=not cosine,
    )
