"""One brand's namespace in an open Pinecone index: each method is a request or pages of one, errors translated.

Importing this module imports the SDK.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
from pinecone import NotFoundError, Vector
from pinecone.models.vectors.search import Hit

from dm_memory.embedding.batch import in_batches
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.entries import days_of
from dm_memory.services.faults import Faults
from dm_memory.services.pinecone.errors import is_missing_namespace, translated
from dm_memory.services.pinecone.index import Target
from dm_memory.services.pinecone.records import BATCH_BYTES, Embedding, Record, chunks_of, entry_of, record_id
from dm_memory.services.protocol import SearchQuery

__all__ = ["Namespace"]

_T = TypeVar("_T")

_PAGE_IDS = 100
"""Most ids Pinecone lists in a page; and as many go into the address of one fetch."""

_MOST_HITS = 1000
_MOST_PAGES = 20_000
"""Pages after which a listing can't be in order: two million records."""

_DELETE_IDS = 1000
_REWRITE_VECTORS = 500
_USUAL_METADATA = 1000
_USUAL_DIMENSION = 1024


class Namespace:
    """The records of one brand. Every method raises ``ServiceError``.

    Args:
        target: The index.
        name: The namespace.
        faults: For messages.
        lost: Called with the target where Pinecone no longer knows the index.
    """

    def __init__(self, target: Target, name: str, faults: Faults, lost: Callable[[Target], None]) -> None:
        self._target = target
        self._index = target.index
        self._name = name
        self._faults = faults
        self._lost = lost

    @property
    def embedding(self) -> Embedding:
        """What the index does with texts."""
        return self._target.embedding

    async def write(self, records: list[Record]) -> None:
        """Have texts embedded and stored; replaces what their ids had."""
        with self._asking():
            await self._index.upsert_records(namespace=self._name, records=records)

    async def rewrite(self, vectors: Sequence[Vector]) -> None:
        """Store records with the vectors they had: nothing is embedded."""
        for batch in in_batches(vectors, _weight, _REWRITE_VECTORS, BATCH_BYTES):
            with self._asking():
                reply = await self._index.upsert(vectors=batch, namespace=self._name)
            if reply.upserted_count != len(batch):
                raise self._faults.malformed("count")

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Return the records there are under these ids, with vectors and metadata."""
        found: dict[str, Vector] = {}
        for start in range(0, len(ids), _PAGE_IDS):
            reply = await self._read(self._index.fetch(ids=ids[start : start + _PAGE_IDS], namespace=self._name))
            if reply is None:
                break
            self._require(reply.vectors or reply.namespace or reply.usage)
            found.update(reply.vectors)
        return found

    async def surplus(self, counts: Mapping[str, int]) -> list[str]:
        """Return the ids of records beyond the number of chunks given, by entry.

        Chunks are numbered without gaps and each knows how many there were: so the first one too many leads to all.
        """
        surplus: list[str] = []
        while counts:
            further = await self.vectors([record_id(entry, count) for entry, count in counts.items()])
            longer = {}
            for found, vector in further.items():
                entry = entry_of(found)
                longer[entry] = max(chunks_of(vector.metadata), counts[entry] + 1)
                surplus += [record_id(entry, number) for number in range(counts[entry], longer[entry])]
            counts = longer
        return surplus

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove records, in order; ids without one are no error."""
        for start in range(0, len(ids), _DELETE_IDS):
            await self._read(self._index.delete(ids=ids[start : start + _DELETE_IDS], namespace=self._name))

    async def search(self, query: SearchQuery, text: str, fields: list[str]) -> list[Hit]:
        """Return the records nearest in meaning to ``text`` that meet a query's conditions, best first."""
        reply = await self._read(
            self._index.search(
                namespace=self._name,
                top_k=min(query.limit, _MOST_HITS),
                inputs={"text": text},
                filter=_conditions(query),
                fields=fields,
            )
        )
        return [] if reply is None else reply.result.hits

    async def page(self, token: str | None, limit: int) -> tuple[list[str], str | None]:
        """Return a page of record ids, in their order, and the token of the next."""
        call = self._index.list_paginated(
            namespace=self._name, limit=min(max(limit, 1), _PAGE_IDS), pagination_token=token
        )
        reply = await self._read(call)
        if reply is None:
            return [], None
        self._require(reply.vectors or reply.namespace or reply.usage or reply.pagination)
        following = reply.pagination.next if reply.pagination else None
        return [item.id for item in reply.vectors if item.id], following or None

    async def count_entries(self) -> int | None:
        """Count first chunks; None if Pinecone does not say."""
        return await self._count({"chunk": {"$eq": 0}})

    async def may_have_long_entries(self) -> bool:
        """Return whether any record is a further chunk of a long text; True where Pinecone does not say."""
        return await self._count({"chunk": {"$gte": 1}}) != 0

    async def _count(self, condition: Mapping[str, Any]) -> int | None:
        """Return how many records an update of those that meet a condition would change; nothing is changed."""
        try:
            reply = await self._read(self._index.update(filter=condition, dry_run=True, namespace=self._name))
        except ServiceError as error:
            if error.error_class in {ErrorClass.VALIDATION, ErrorClass.AUTH}:  # a key that may only read
                return None
            raise
        return 0 if reply is None else reply.matched_records

    async def dimension(self) -> int:
        """Return the length of the index's vectors."""
        with self._asking():
            return (await self._index.describe_index_stats()).dimension or _USUAL_DIMENSION

    async def used_bytes(self, dimension: int) -> int:
        """Sum up all namespaces of the index; what Pinecone gives no size for is estimated by its number of records."""
        used = records = 0
        token: str | None = None
        for _ in range(_MOST_PAGES):
            with self._asking():
                reply = await self._index.list_namespaces_paginated(limit=_PAGE_IDS, pagination_token=token)
            used += sum(space.size_bytes for space in reply.namespaces)
            records += sum(space.record_count for space in reply.namespaces if not space.size_bytes)
            following = reply.pagination.next if reply.pagination else None
            if not following:
                return used + records * (4 * dimension + _USUAL_METADATA)
            if following == token:
                break
            token = following
        raise self._faults.malformed("pagination")

    async def _read(self, call: Awaitable[_T]) -> _T | None:
        """Return a reply; None if nothing was stored for the brand yet."""
        with self._asking():
            try:
                return await call
            except NotFoundError as error:
                if is_missing_namespace(error):
                    return None
                raise

    def _require(self, something: object) -> None:
        """Refuse a reply that has nothing of an answer: the SDK would fill it up with defaults."""
        if not something:
            raise self._faults.malformed("empty")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with translated(self._faults):
                yield
        except ServiceError as error:
            if error.code.startswith("404"):
                self._lost(self._target)
            raise


def _weight(vector: Vector) -> int:
    return len(orjson.dumps(vector.values)) + len(orjson.dumps(vector.metadata)) + 200


def _conditions(query: SearchQuery) -> dict[str, Any] | None:
    """Return a query's conditions in Pinecone's filter language. Raises ``ServiceError``: a date is none."""
    first, last = days_of(query)
    conditions: list[dict[str, Any]] = [{"tags": {"$in": [tag]}} for tag in query.tags]
    if query.content_type:
        conditions.append({"content_type": {"$eq": query.content_type}})
    if first is not None:
        conditions.append({"recorded_day": {"$gte": first}})
    if last is not None:
        conditions.append({"recorded_day": {"$lte": last}})
    if len(conditions) > 1:
        return {"$and": conditions}
    return conditions[0] if conditions else None
