"""What is asked of a collection of a Qdrant server, one method a question. The caller translates what they raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import orjson

from dm_memory.errors import LayerError
from dm_memory.items import Payload
from dm_memory.layers.edge_errors import refused
from dm_memory.layers.edge_search import Found, days_of
from dm_memory.services.protocol import SearchQuery, StoredRecord, Vectors
from dm_memory.services.qdrant.filters import BrandFilters
from dm_memory.services.qdrant.place import Place
from dm_memory.services.qdrant.points import LEXICAL, Part, as_payload, labels_of
from dm_memory.services.remote import Service

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, models

__all__ = ["Requests", "missing", "storing"]

_PAGE = 1000
_VECTOR_PAGE = 256
_HASHES = ["entry", "chunk", "chunks", "hash", "meta_hash"]


@dataclass(frozen=True, slots=True)
class Requests:
    """One brand's requests to one collection."""

    client: AsyncQdrantClient
    place: Place
    brand: str
    service: Service

    # Writing -----------------------------------------------------------------------------------------------------

    async def store(self, body: bytes) -> None:
        """Store points, and remove chunks that their entries had beyond them: one request, made by ``storing``.

        The SDK's REST interface sends text as it is. Its own way from models to JSON takes five times as long, on the
        event loop.
        """
        api = self.client.http.points_api
        reply = await api.batch_update(self.place.name, wait=True, update_operations=cast("Any", body))
        if reply.result is None:
            raise self.service.malformed("result")
        self._require_done(reply.result)

    async def label(self, payloads: Sequence[Payload]) -> None:
        """Replace everything but text, hash and vectors of entries that are held, with all their chunks."""
        from qdrant_client import models  # noqa: PLC0415  # as above

        filters = BrandFilters(self.brand)
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload=labels_of(self.brand, payload), filter=filters.entries([payload.id])
                )
            )
            for payload in payloads
        ]
        await self._update(operations)

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove entries with all their chunks."""
        from qdrant_client import models  # noqa: PLC0415  # as above

        selector = models.FilterSelector(filter=BrandFilters(self.brand).entries(ids))
        self._require_done([await self.client.delete(self.place.name, selector, wait=True)])

    async def _update(self, operations: Sequence[models.UpdateOperation]) -> None:
        if operations:
            self._require_done(await self.client.batch_update_points(self.place.name, operations, wait=True))

    def _require_done(self, results: Sequence[models.UpdateResult]) -> None:
        """Take nothing for stored that the server has only acknowledged."""
        if any(result.status != "completed" for result in results):
            raise self.service.timeout("not-completed")

    # Reading -----------------------------------------------------------------------------------------------------

    async def held(self, ids: Sequence[str]) -> dict[str, StoredRecord]:
        """Return the hashes of entries that are held with all their chunks, each from one and the same version."""
        points = await self._scroll(ids, _HASHES) if ids else []
        return {
            entry: StoredRecord(entry, *_hashes(chunks[0]))
            for entry, chunks in _by_entry(points).items()
            if _is_whole([chunk.payload or {} for chunk in chunks])
        }

    async def vectors(self, ids: Sequence[str], name: str) -> dict[str, Vectors]:
        """Return the dense vectors called ``name`` of entries that are held whole."""
        points = await self._scroll(ids, _HASHES, vector=name) if ids else []
        return {
            entry: Vectors(_hashes(chunks[0])[0], [_vector(chunk, name) for chunk in chunks])
            for entry, chunks in _by_entry(points).items()
            if _is_whole([chunk.payload or {} for chunk in chunks]) and all(_vector(chunk, name) for chunk in chunks)
        }

    async def count(self) -> int:
        """Return the number of the brand's entries."""
        answer = await self.client.count(self.place.name, BrandFilters(self.brand).firsts(), exact=True)
        return answer.count

    async def count_points(self) -> int:
        """Return the number of all points in the collection, whosesoever they are: a plan counts them all."""
        answer = await self.client.count(self.place.name, exact=True)
        return answer.count

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on."""
        records, following = await self.client.scroll(
            self.place.name, BrandFilters(self.brand).firsts(), limit=limit, offset=after, with_payload=True
        )
        long = [str(record.id) for record in records if (record.payload or {}).get("chunks", 1) > 1]
        chunks = _by_entry(await self._scroll(long, ["entry", "chunk", "document"])) if long else {}
        found = []
        for record in records:
            further = [chunk.payload or {} for chunk in chunks.get(str(record.id), [])[1:]]
            found.append(as_payload(self.brand, str(record.id), [record.payload or {}, *further]))
        return found, None if following is None else str(following)

    async def search(
        self, query: SearchQuery, dense: Mapping[str, Sequence[float]], words: models.SparseVector | None, limit: int
    ) -> tuple[list[Found], list[Found]]:
        """Return the nearest points by meaning and by words, best first, in one round trip.

        Args:
            query: Its filters.
            dense: The text's vector by its name; all zeros, which have no direction, find nothing.
            words: The text's words, or None.
            limit: Most points of either ranking.
        """
        from qdrant_client import models  # noqa: PLC0415  # as above

        condition = BrandFilters(self.brand).found(query, *days_of(query))
        asked: list[tuple[str, Any]] = [(name, list(vector)) for name, vector in dense.items() if any(vector)]
        meant = len(asked)
        if words is not None:
            asked.append((LEXICAL, words))
        requests = [
            models.QueryRequest(query=what, using=using, filter=condition, limit=limit, with_payload=True)
            for using, what in asked
        ]
        answers = await self.client.query_batch_points(self.place.name, requests) if requests else []
        if len(answers) != len(requests):
            raise self.service.malformed("answers")
        return _found(answers[:meant]), _found(answers[meant:])

    async def _scroll(self, ids: Sequence[str], fields: list[str], vector: str = "") -> list[models.Record]:
        """Return all points of some entries."""
        records: list[models.Record] = []
        offset: Any = None
        while True:
            page, following = await self.client.scroll(
                self.place.name,
                BrandFilters(self.brand).entries(ids),
                limit=_VECTOR_PAGE if vector else _PAGE,
                offset=offset,
                with_payload=fields,
                with_vectors=[vector] if vector else False,
            )
            records += page
            if following is None:
                return records
            if following == offset:
                raise self.service.malformed("offset")
            offset = following


def storing(brand: str, part: Part) -> bytes:
    """Return the request that stores points, then removes chunks that their entries had beyond them."""
    surplus = BrandFilters(brand).surplus(part.chunks).model_dump(mode="json", exclude_none=True)
    operations = [{"upsert": {"points": part.points}}, {"delete": {"filter": surplus}}]
    return orjson.dumps({"operations": operations}, option=orjson.OPT_SERIALIZE_NUMPY)


def _by_entry(points: Sequence[models.Record]) -> dict[str, list[models.Record]]:
    """Return points by their entry, in the order of its text."""
    entries: dict[str, list[models.Record]] = {}
    for point in points:
        entries.setdefault(str((point.payload or {}).get("entry", point.id)), []).append(point)
    for chunks in entries.values():
        chunks.sort(key=lambda point: int((point.payload or {}).get("chunk", 0)))
    return entries


def _is_whole(chunks: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether these are all chunks of one version: an interrupted write leaves some of the old one or none."""
    alike = {(chunk.get("chunks"), chunk.get("hash"), chunk.get("meta_hash")) for chunk in chunks}
    return len(alike) == 1 and [chunk.get("chunk") for chunk in chunks] == list(range(chunks[0].get("chunks", 0)))


def _hashes(point: models.Record) -> tuple[str, str]:
    payload = point.payload or {}
    return str(payload.get("hash", "")), str(payload.get("meta_hash", ""))


def _vector(point: models.Record, name: str) -> list[float]:
    vectors = point.vector if isinstance(point.vector, dict) else {}
    vector = vectors.get(name)
    return vector if isinstance(vector, list) else []  # type: ignore[return-value]  # a dense vector's list has numbers


def _found(answers: Sequence[models.QueryResponse]) -> list[Found]:
    return [Found(str(point.id), point.score, point.payload or {}) for answer in answers for point in answer.points]


def missing(payload: Payload, held: Mapping[str, StoredRecord]) -> LayerError | None:
    """Return why the metadata of an entry can't be changed alone: it is not held, or not with this text."""
    record = held.get(payload.id)
    return None if record and record.content_hash == payload.content_hash else _NOT_HELD


_NOT_HELD = refused("The entry is not in the vector database.", "It is stored whole with the next sync.")
