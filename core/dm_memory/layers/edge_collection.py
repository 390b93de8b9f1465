"""One open collection of the embedded engine: the only module that touches ``qdrant_edge``.

The engine's stubs can't be type-checked, so its objects are ``Any`` here and none of them leaves this module.

What its behaviour decides (qdrant-edge-py 0.9.0, see docs/decisions/0003):

* The write-ahead log stays on. Without it a killed process leaves points with an old payload and a new vector.
* ``overwrite_payload`` ignores its ``key`` and replaces the whole payload; ``set_payload`` with a top-level name
  replaces exactly that name.
* ``set_payload`` raises for an id that is not there; ``retrieve`` and ``delete_points`` don't.
* A filter on a field without an index costs 6 microseconds for each point; all fields filtered on are indexed.
* ``optimize()`` is never called: it holds the GIL until it is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dm_memory.layers.edge_errors import disk_trouble, refused, translated
from dm_memory.layers.edge_points import PointData, chunk_id
from dm_memory.layers.edge_search import Found
from dm_memory.services.protocol import SearchQuery

__all__ = ["Collection"]

_SPARSE = "bm25"
_OPERATION_POINTS = 256
"""Most points in one call of the engine: it holds the GIL meanwhile, about 25 ms for as many."""

_INDEXES = {
    "metadata.content_type": "Keyword",
    "metadata.tags": "Keyword",
    "metadata.source": "Keyword",
    "metadata.recorded_day": "Integer",
    "metadata.expires_ts": "Integer",
    "entry": "Keyword",
    "chunk": "Integer",
}
_HASHES = ["metadata.hash", "metadata.meta_hash", "chunks"]


class Collection:
    """An open shard. Every method raises ``LayerError`` for what the engine can't do.

    Args:
        folder: The shard's folder.
        vector: Name of the dense vector.
        dimension: Its length, where the shard is to be made; None opens one that is there.
    """

    def __init__(self, folder: Path, vector: str, dimension: int | None = None) -> None:
        import qdrant_edge  # noqa: PLC0415  # on first use only: start-up pays for no engine

        self._edge: Any = qdrant_edge
        self._folder = folder
        self._vector = vector
        self._bm25: Any = qdrant_edge.Bm25(qdrant_edge.Bm25Config())
        with translated(loading=True):
            self._shard: Any = self._edge.EdgeShard.load(str(folder)) if dimension is None else self._create(dimension)
            # Nearly always there is no further chunk anywhere; then nobody has to look for surplus ones.
            self._has_further_chunks = self.count_further_chunks() > 0

    def _create(self, dimension: int) -> Any:  # noqa: ANN401  # see the module's docstring
        edge = self._edge
        self._folder.mkdir(mode=0o700, parents=True)
        config = edge.EdgeConfig(
            vectors={self._vector: edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)},
            sparse_vectors={_SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            wal_enabled=True,
        )
        shard = edge.EdgeShard.create(str(self._folder), config)
        for field, kind in _INDEXES.items():
            schema = getattr(edge.PayloadSchemaType, kind)
            shard.update(edge.UpdateOperation.create_field_index(field, schema))
        shard.flush()
        return shard

    # Writing -----------------------------------------------------------------------------------------------------

    def make_points(self, points: Iterable[PointData]) -> list[Any]:
        """Return the engine's points.

        Raises:
            LayerError: Class validation: a text or a value that the engine can't represent.
        """
        point, embed, vector = self._edge.Point, self._bm25.embed_document, self._vector
        try:
            return [
                point(point_id, {vector: dense, _SPARSE: embed(text)}, payload)
                for point_id, text, dense, payload in points
            ]
        except (ValueError, TypeError, OverflowError) as error:
            raise refused(
                "The entry holds text or values that can't be stored: half a character pair, or a number out of range.",
                "Correct it in the brand's file.",
            ) from error

    def write(self, points: Sequence[Any], chunk_counts: dict[str, int]) -> None:
        """Store made points and remove surplus chunks of their entries. Not safe before ``flush``.

        Args:
            points: The points; those of one entry next to each other.
            chunk_counts: Number of chunks by entry, for all entries concerned.
        """
        with translated():
            surplus = self._surplus(chunk_counts)
            for start in range(0, len(points), _OPERATION_POINTS):
                batch = points[start : start + _OPERATION_POINTS]
                self._shard.update(self._edge.UpdateOperation.upsert_points(list(batch)))
            if surplus:
                self._shard.update(self._edge.UpdateOperation.delete_points(surplus))
        self._has_further_chunks = self._has_further_chunks or any(count > 1 for count in chunk_counts.values())

    def set_metadata(self, point_ids: Sequence[str], metadata: dict[str, Any]) -> None:
        """Replace the metadata of points that are there; text, vectors and place stay.

        Raises:
            LayerError: Class validation: a value that the engine can't represent.
        """
        with translated():
            try:
                operation = self._edge.UpdateOperation.set_payload(list(point_ids), {"metadata": metadata})
            except (ValueError, TypeError, OverflowError) as error:
                problem = "The entry's metadata holds values that can't be stored."
                raise refused(problem, "Correct them in the brand's file.") from error
            self._shard.update(operation)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove entries with all their chunks."""
        with translated():
            surplus = self._surplus(dict.fromkeys(ids, 1))
            self._shard.update(self._edge.UpdateOperation.delete_points([*ids, *surplus]))

    def flush(self) -> None:
        """Make everything written so far survive a crash of the machine."""
        with translated():
            self._shard.flush()

    def close(self) -> None:
        """Flush, close, and take the files from other users of the machine. Idempotent."""
        if self._shard is None:
            return
        shard, self._shard = self._shard, None
        with translated():
            shard.flush()
            shard.close()
        _protect(self._folder)

    def _surplus(self, chunk_counts: dict[str, int]) -> list[str]:
        """Return the ids of chunks beyond the counts given, by entry."""
        if not self._has_further_chunks or not chunk_counts:
            return []
        records = self._scroll(self._entry_filter(list(chunk_counts)), ["entry", "chunk"])
        return [str(r.id) for r in records if r.payload["chunk"] >= chunk_counts[r.payload["entry"]]]

    # Reading -----------------------------------------------------------------------------------------------------

    def hashes(self, ids: Sequence[str]) -> dict[str, tuple[str, str, int]]:
        """Return content hash, metadata hash and number of chunks of those entries that are there with all chunks."""
        selector = self._edge.PayloadSelector.Include(_HASHES)
        with translated():
            records = self._shard.retrieve(list(ids), selector, False)  # noqa: FBT003  # the engine takes no keywords
        found = {}
        for record in records:
            metadata = record.payload.get("metadata", {})
            chunks = record.payload.get("chunks", 1)
            if chunks == 1 or self._count(self._entry_filter([str(record.id)])) == chunks - 1:
                found[str(record.id)] = (metadata.get("hash", ""), metadata.get("meta_hash", ""), chunks)
        return found

    def vectors(self, ids: Sequence[str]) -> dict[str, tuple[str, list[Sequence[float]]]]:
        """Return content hash and vectors, a chunk each, of those entries that are there with all chunks."""
        selector = self._edge.PayloadSelector.Include(_HASHES)
        with translated():
            records = self._shard.retrieve(list(ids), selector, [self._vector])
            found = {}
            for record in records:
                chunks = record.payload.get("chunks", 1)
                vectors = [record.vector[self._vector], *self._further_vectors(str(record.id), chunks)]
                if len(vectors) == chunks:
                    found[str(record.id)] = (record.payload.get("metadata", {}).get("hash", ""), vectors)
        return found

    def _further_vectors(self, entry: str, chunks: int) -> list[Sequence[float]]:
        if chunks == 1:
            return []
        wanted = [chunk_id(entry, number) for number in range(1, chunks)]
        records = {str(r.id): r.vector[self._vector] for r in self._shard.retrieve(wanted, False, [self._vector])}  # noqa: FBT003  # the engine takes no keywords
        return [records[id_] for id_ in wanted if id_ in records]

    def entries(self, after: str | None, limit: int) -> tuple[list[tuple[str, list[dict[str, Any]]]], str | None]:
        """Return at most ``limit`` entries, each with the payloads of its chunks in order, and where to go on."""
        edge = self._edge
        beyond = edge.FieldCondition("chunk", range=edge.RangeFloat(gte=1))
        request = edge.ScrollRequest(
            offset=after, limit=limit, filter=edge.Filter(must_not=[beyond]), with_payload=True, with_vector=False
        )
        with translated():
            records, following = self._shard.scroll(request)
            found = [(str(r.id), [r.payload, *self._further_chunks(r)]) for r in records]
        return found, None if following is None else str(following)

    def _further_chunks(self, record: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # as above
        if record.payload.get("chunks", 1) == 1:
            return []
        records = self._scroll(self._entry_filter([str(record.id)]), ["document", "chunk"])
        return sorted((r.payload for r in records), key=lambda payload: int(payload["chunk"]))

    def count_entries(self) -> int:
        """Return the number of entries."""
        return self._count(None) - self.count_further_chunks()

    def count_further_chunks(self) -> int:
        """Return the number of points that are not the first of their entry."""
        beyond = self._edge.FieldCondition("chunk", range=self._edge.RangeFloat(gte=1))
        return self._count(self._edge.Filter(must=[beyond]))

    def search(
        self, query: SearchQuery, days: tuple[int | None, int | None], vector: Sequence[float], limit: int
    ) -> tuple[list[Found], list[Found]]:
        """Return the nearest points by meaning and by words, best first, each at most ``limit``.

        Args:
            query: Text and filters.
            days: First and last day as yyyymmdd, or None.
            vector: The text's vector; all zeros where it has no direction, which finds nothing.
            limit: Most points of either list.
        """
        edge = self._edge
        condition = self._search_filter(query, *days)
        asked = [(self._bm25.embed_query(query.text), _SPARSE)]
        if any(vector):
            asked.append((list(vector), self._vector))
        requests = [
            edge.QueryRequest(
                limit=limit, query=edge.Query.Nearest(what, using=using), filter=condition, with_payload=True
            )
            for what, using in asked
        ]
        with translated():
            answers = self._shard.query_batch(edge.QueryBatchRequest(requests))
        lexical, *dense = [[Found(str(p.id), p.score, p.payload or {}) for p in answer] for answer in answers]
        return (dense[0] if dense else []), lexical

    def _search_filter(self, query: SearchQuery, first: int | None, last: int | None) -> Any:  # noqa: ANN401  # as above
        edge = self._edge
        wanted = [("metadata.tags", tag) for tag in query.tags]
        if query.content_type:
            wanted.append(("metadata.content_type", query.content_type))
        must = [edge.FieldCondition(field, match=edge.MatchValue(value)) for field, value in wanted]
        if first is not None or last is not None:
            must.append(edge.FieldCondition("metadata.recorded_day", range=edge.RangeFloat(gte=first, lte=last)))
        expired = edge.FieldCondition("metadata.expires_ts", range=edge.RangeFloat(lt=time.time()))
        return edge.Filter(must=must, must_not=[expired])

    def _entry_filter(self, ids: list[str]) -> Any:  # noqa: ANN401  # as above
        return self._edge.Filter(must=[self._edge.FieldCondition("entry", match=self._edge.MatchAny(ids))])

    def _count(self, condition: Any) -> int:  # noqa: ANN401  # as above
        with translated():
            return int(self._shard.count(self._edge.CountRequest(exact=True, filter=condition)))

    def _scroll(self, condition: Any, fields: list[str]) -> list[Any]:  # noqa: ANN401  # as above
        selector = self._edge.PayloadSelector.Include(fields)
        offset, records = None, []
        while True:
            request = self._edge.ScrollRequest(
                offset=offset, limit=1000, filter=condition, with_payload=selector, with_vector=False
            )
            page, offset = self._shard.scroll(request)
            records += page
            if offset is None:
                return records


def _protect(folder: Path) -> None:
    """Give the engine's files, which it makes by the process' umask, to their owner alone."""
    try:
        for path in folder.rglob("*"):
            wanted = 0o700 if path.is_dir() else 0o600
            if path.stat().st_mode & 0o777 != wanted:
                path.chmod(wanted)
    except OSError as error:
        raise disk_trouble(error, folder) from error
