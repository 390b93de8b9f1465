"""One brand's namespace in an open Pinecone index: each method is a request, or pages of one, in our words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.pinecone.errors import is_missing_namespace, translated
from dm_memory.services.pinecone.index import Embedding, Target
from dm_memory.services.pinecone.records import BATCH_BYTES, Record, chunks_of, entry_of, record_id
from dm_memory.services.remote import Service

if TYPE_CHECKING:
    from pinecone import Vector
    from pinecone.models.vectors.search import Hit

__all__ = ["MOST_HITS", "MOST_PAGES", "PAGE_IDS", "Namespace"]

_T = TypeVar("_T")

PAGE_IDS = 100
"""Most ids Pinecone lists in a page; and as many go into the address of one fetch."""

MOST_HITS = 1000
MOST_PAGES = 20_000
"""Pages after which a listing can't be in order: two million records."""

_DELETE_IDS = 1000
_REWRITE_VECTORS = 500
_USUAL_METADATA = 1000
_USUAL_DIMENSION = 1024


class Namespace:
    """The records of one brand. Every method raises ``LayerError``.

    Args:
        target: The index.
        name: The namespace.
        service: Pinecone, for messages.
        lost: Called with the target where Pinecone no longer knows the index.
    """

    def __init__(self, target: Target, name: str, service: Service, lost: Callable[[Target], None]) -> None:
        self._target = target
        self._index = target.index
        self._name = name
        self._service = service
        self._lost = lost

    @property
    def embedding(self) -> Embedding:
        """What the index does with texts."""
        return self._target.embedding

    async def write(self, records: list[Record]) -> None:
        """Have texts embedded and stored; replaces what their ids held."""
        with self._asking():
            await self._index.upsert_records(namespace=self._name, records=records)

    async def rewrite(self, vectors: Sequence[Vector]) -> None:
        """Store records with the vectors they had: nothing is embedded."""
        for batch in _by_bytes(vectors):
            with self._asking():
                reply = await self._index.upsert(vectors=batch, namespace=self._name)
            if reply.upserted_count != len(batch):
                raise self._service.malformed("count")

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Return the records there are under these ids, with vectors and metadata."""
        held: dict[str, Vector] = {}
        for start in range(0, len(ids), PAGE_IDS):
            reply = await self._read(self._index.fetch(ids=ids[start : start + PAGE_IDS], namespace=self._name))
            if reply is None:
                break
            self._require(reply.vectors or reply.namespace or reply.usage)
            held.update(reply.vectors)
        return held

    async def surplus(self, counts: Mapping[str, int]) -> list[str]:
        """Return the ids of records beyond the number of chunks given, by entry.

        Chunks are numbered without gaps and each knows how many there were: so the first one too many tells of all.
        """
        surplus: list[str] = []
        while counts:
            held = await self.vectors([record_id(entry, count) for entry, count in counts.items()])
            longer = {}
            for found, vector in held.items():
                entry = entry_of(found)
                longer[entry] = max(chunks_of(vector.metadata), counts[entry] + 1)
                surplus += [record_id(entry, number) for number in range(counts[entry], longer[entry])]
            counts = longer
        return surplus

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove records, in order; ids that hold none are no error."""
        for start in range(0, len(ids), _DELETE_IDS):
            await self._read(self._index.delete(ids=ids[start : start + _DELETE_IDS], namespace=self._name))

    async def search(self, text: str, top_k: int, conditions: Mapping[str, Any] | None, fields: list[str]) -> list[Hit]:
        """Return the records nearest in meaning, best first."""
        call = self._index.search(
            namespace=self._name, top_k=top_k, inputs={"text": text}, filter=conditions, fields=fields
        )
        reply = await self._read(call)
        return [] if reply is None else reply.result.hits

    async def page(self, token: str | None, limit: int) -> tuple[list[str], str | None]:
        """Return a page of record ids, in their order, and the token of the next."""
        call = self._index.list_paginated(
            namespace=self._name, limit=min(max(limit, 1), PAGE_IDS), pagination_token=token
        )
        reply = await self._read(call)
        if reply is None:
            return [], None
        self._require(reply.vectors or reply.namespace or reply.usage or reply.pagination)
        following = reply.pagination.next if reply.pagination else None
        return [item.id for item in reply.vectors if item.id], following or None

    async def count_entries(self) -> int | None:
        """Count first chunks; None where Pinecone does not say."""
        return await self._count({"chunk": {"$eq": 0}})

    async def may_have_long_entries(self) -> bool:
        """Tell whether any record is a further chunk of a long text; True where Pinecone does not say."""
        return await self._count({"chunk": {"$gte": 1}}) != 0

    async def _count(self, condition: Mapping[str, Any]) -> int | None:
        """Return how many records an update of those that meet a condition would change; nothing is changed."""
        try:
            reply = await self._read(self._index.update(filter=condition, dry_run=True, namespace=self._name))
        except LayerError as error:
            if error.error_class in {ErrorClass.VALIDATION, ErrorClass.AUTH}:  # a key that may only read
                return None
            raise
        return 0 if reply is None else reply.matched_records

    async def used_bytes(self) -> int:
        """Sum up all namespaces of the index; where Pinecone gives no size, estimate it from the number of records."""
        used = records = 0
        token: str | None = None
        for _ in range(MOST_PAGES):
            with self._asking():
                reply = await self._index.list_namespaces_paginated(limit=PAGE_IDS, pagination_token=token)
            used += sum(space.size_bytes for space in reply.namespaces)
            records += sum(space.record_count for space in reply.namespaces if not space.size_bytes)
            following = reply.pagination.next if reply.pagination else None
            if not following:
                return used + (records * await self._usual_bytes() if records else 0)
            if following == token:
                break
            token = following
        raise self._service.malformed("pagination")

    async def _usual_bytes(self) -> int:
        """Return about what a record takes: its vector, and the metadata of a usual one."""
        with self._asking():
            stats = await self._index.describe_index_stats()
        return 4 * (stats.dimension or _USUAL_DIMENSION) + _USUAL_METADATA

    async def _read(self, call: Awaitable[_T]) -> _T | None:
        """Return a reply; None where nothing was stored for the brand yet."""
        from pinecone import NotFoundError  # noqa: PLC0415  # on first use

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
            raise self._service.malformed("empty")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with translated(self._service):
                yield
        except LayerError as error:
            if error.code.startswith("404"):
                self._lost(self._target)
            raise


def _by_bytes(vectors: Sequence[Vector]) -> Iterator[list[Vector]]:
    batch: list[Vector] = []
    size = 0
    for vector in vectors:
        bytes_ = len(orjson.dumps(vector.values)) + len(orjson.dumps(vector.metadata)) + 200
        if batch and (size + bytes_ > BATCH_BYTES or len(batch) == _REWRITE_VECTORS):
            yield batch
            batch, size = [], 0
        batch.append(vector)
        size += bytes_
    if batch:
        yield batch
