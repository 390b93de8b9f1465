"""What is asked of a collection of a Qdrant server, one method a question. The caller translates what they raise.

Importing this module imports the SDK: a second of CPU.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from qdrant_client import AsyncQdrantClient, models

from dm_memory.items import Payload
from dm_memory.services.entries import days_of
from dm_memory.services.faults import Faults
from dm_memory.services.http import client_options
from dm_memory.services.protocol import Proposal, SearchQuery, StoredRecord
from dm_memory.services.qdrant.points import as_payload, labels_of, of_brand

__all__ = ["INDEXES", "Requests", "open_client"]

INDEXES = {
    "brand": "tenant",
    "entry": "keyword",
    "content_type": "keyword",
    "tags": "keyword",
    "chunk": "integer",
    "recorded_day": "integer",
    "expires_ts": "integer",
}
"""The fields that are filtered on. The tenant's index keeps a brand's points together on the server's disk."""

_PAGE = 1000
_HASHES = ["entry", "chunk", "chunks", "hash", "meta_hash"]


def open_client(url: str, key: str, timeout: float) -> AsyncQdrantClient:
    """Return a client of a server. Raises ``ConfigurationError``: see ``client_options``."""
    return AsyncQdrantClient(
        url=url,
        # As a header: given as api_key, the client warns on stderr about plain http, which health says in its words.
        headers={"api-key": key} if key else None,
        timeout=max(1, round(timeout)),
        check_compatibility=False,
        cloud_inference=True,  # nobody is to look for texts to embed: that walks through every vector
        **client_options(url),
    )


@dataclass(frozen=True, slots=True)
class Requests:
    """One brand's requests to one collection."""

    client: AsyncQdrantClient
    collection: str
    brand: str
    faults: Faults

    # Writing ---------------------------------------------------------------------------------------------------------

    async def store(self, body: bytes) -> None:
        """Store points, and remove chunks that their entries had beyond them: one request, made by ``bodies_of``.

        The SDK's REST interface sends text as it is. Its own way from models to JSON takes five times as long, on the
        event loop.
        """
        api = self.client.http.points_api
        reply = await api.batch_update(self.collection, wait=True, update_operations=cast("Any", body))
        if reply.result is None:
            raise self.faults.malformed("result")
        self._require_done(reply.result)

    async def label(self, payloads: Sequence[Payload]) -> None:
        """Replace everything but text, hash and vectors of entries that are stored, with all their chunks."""
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload=labels_of(self.brand, payload), filter=self._entries([payload.id])
                )
            )
            for payload in payloads
        ]
        self._require_done(await self.client.batch_update_points(self.collection, operations, wait=True))

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove entries with all their chunks."""
        selector = models.FilterSelector(filter=self._entries(ids))
        self._require_done([await self.client.delete(self.collection, selector, wait=True)])

    async def clear(self) -> None:
        """Remove all of the brand's entries."""
        await self.client.delete(self.collection, models.FilterSelector(filter=self._filter()), wait=True)

    def _require_done(self, results: Sequence[models.UpdateResult]) -> None:
        """Take nothing for stored that the server has only acknowledged."""
        if any(result.status != "completed" for result in results):
            raise self.faults.timeout("not-completed")

    # Reading ---------------------------------------------------------------------------------------------------------

    async def stored(self, ids: Sequence[str]) -> dict[str, StoredRecord]:
        """Return the hashes of entries that are stored with all their chunks, each from one and the same version."""
        return {
            entry: StoredRecord(entry, str(chunks[0].get("hash", "")), str(chunks[0].get("meta_hash", "")))
            for entry, chunks in (await self._chunks(ids, _HASHES)).items()
            if _is_whole(chunks)
        }

    async def count(self) -> int:
        """Return the number of the brand's entries: of their first chunks."""
        return (await self.client.count(self.collection, self._filter(_FIRST), exact=True)).count

    async def count_points(self) -> int:
        """Return the number of all points in the collection, whosesoever they are: a plan counts them all."""
        return (await self.client.count(self.collection, exact=True)).count

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on."""
        records, following = await self.client.scroll(
            self.collection, self._filter(_FIRST), limit=limit, offset=after, with_payload=True
        )
        first = {str(record.id): record.payload or {} for record in records}
        chunks = await self._chunks(
            [entry for entry, payload in first.items() if payload.get("chunks", 1) > 1], ["entry", "chunk", "document"]
        )
        found = [
            as_payload(self.brand, entry, [payload, *chunks.get(entry, [])[1:]]) for entry, payload in first.items()
        ]
        return found, None if following is None else str(following)

    async def nearest(self, query: SearchQuery, using: str, vector: Sequence[float]) -> list[Proposal]:
        """Return the entries nearest in meaning, best first, each with its best chunk; what has expired is left out."""
        first, last = days_of(query)
        must: list[dict[str, Any]] = [{"key": "tags", "match": {"value": tag}} for tag in query.tags]
        if query.content_type:
            must.append({"key": "content_type", "match": {"value": query.content_type}})
        if first is not None or last is not None:
            must.append({"key": "recorded_day", "range": {"gte": first, "lte": last}})
        answer = await self.client.query_points(
            self.collection,
            query=list(vector),
            using=using,
            query_filter=self._filter(*must, must_not=[{"key": "expires_ts", "range": {"lt": time.time()}}]),
            limit=query.limit,
            with_payload=True,
        )
        found: dict[str, Proposal] = {}
        for point in answer.points:
            payload = point.payload or {}
            entry, metadata = str(payload.get("entry", point.id)), payload.get("metadata") or {}
            if entry not in found:
                found[entry] = Proposal(
                    id=entry,
                    score=point.score,
                    content=str(payload.get("document", "")),
                    key=str(metadata.get("key", "")),
                    content_type=str(metadata.get("content_type", "")),
                    tags=tuple(metadata.get("tags") or ()),
                    recorded_at=str(metadata.get("recorded_at", "")),
                    brand=self.brand,
                )
        return list(found.values())

    async def _chunks(self, ids: Sequence[str], fields: list[str]) -> dict[str, list[Mapping[str, Any]]]:
        """Return the payloads of all points of some entries, in the order of the text."""
        entries: dict[str, list[Mapping[str, Any]]] = {}
        offset: Any = None
        while ids:
            page, following = await self.client.scroll(
                self.collection, self._entries(ids), limit=_PAGE, offset=offset, with_payload=fields
            )
            for record in page:
                payload = record.payload or {}
                entries.setdefault(str(payload.get("entry", record.id)), []).append(payload)
            if following is None:
                break
            if following == offset:
                raise self.faults.malformed("offset")
            offset = following
        for chunks in entries.values():
            chunks.sort(key=lambda payload: int(payload.get("chunk", 0)))
        return entries

    def _entries(self, ids: Sequence[str]) -> models.Filter:
        return self._filter({"key": "entry", "match": {"any": list(ids)}})

    def _filter(self, *must: Mapping[str, Any], must_not: Sequence[Mapping[str, Any]] = ()) -> models.Filter:
        return models.Filter.model_validate(of_brand(self.brand, *must, must_not=must_not))


_FIRST = {"key": "chunk", "match": {"value": 0}}


def _is_whole(chunks: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether these are all chunks of one version: an interrupted write leaves some of the old one or none."""
    alike = {(chunk.get("chunks"), chunk.get("hash"), chunk.get("meta_hash")) for chunk in chunks}
    return len(alike) == 1 and [chunk.get("chunk") for chunk in chunks] == list(range(chunks[0].get("chunks", 0)))
