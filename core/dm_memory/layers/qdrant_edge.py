"""The embedded vector layer: Qdrant's engine in this process, one collection per brand.

Importing this module imports neither the engine nor a model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dm_memory.embedding.protocol import Embedder, EmbeddingSpec
from dm_memory.errors import DmMemoryError, ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.layers.edge_collection import Collection
from dm_memory.layers.edge_errors import disk_trouble, refused
from dm_memory.layers.edge_folder import EdgeFolder
from dm_memory.layers.edge_points import Entry, chunk_id, embed_entries, metadata_of, payload_of, points_of
from dm_memory.layers.edge_search import days_of, fuse
from dm_memory.services.protocol import (
    Capabilities,
    Capacity,
    Health,
    Outcome,
    SearchHit,
    SearchQuery,
    StoredRecord,
    Vectors,
)

__all__ = ["QdrantEdgeLayer"]

_T = TypeVar("_T")

_IDLE = 0.25
"""Seconds without a call after which the engine is closed, so that another process finds it free."""

_CANDIDATES = 50


class QdrantEdgeLayer:
    """A brand's memory in an embedded Qdrant collection. See ``SearchableLayer`` for the contract of its methods.

    The engine holds the GIL, and one process only can have it open. So it runs on one thread of its own in short calls,
    is opened when it is needed, and is closed after a moment's idleness or as soon as another process waits.

    Args:
        folder: The brand's ``memory/vector``.
        brand: The brand's slug.
        embedder: The embedding model; called from the layer's thread.
        lock_timeout: Seconds to wait for another process that has the engine open.
    """

    name = "vector"
    role = "vector"
    engine = "Qdrant Edge (embedded)"
    capabilities = Capabilities(batch_items=256, embeds=True)

    def __init__(self, folder: Path, brand: str, embedder: Embedder, *, lock_timeout: float) -> None:
        self.brand = brand
        self._path = folder
        self._embedder = embedder
        self._folder = EdgeFolder(folder, embedder, lock_timeout)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"dm-memory-vector-{brand}")
        self._idle: asyncio.TimerHandle | None = None

    async def fingerprint(self) -> str:
        """Return the embedding model and the chunking version. Raises ``LayerError``."""
        return await self._run(self._folder.fingerprint)

    async def health(self) -> Health:
        """Open the collection, hold its model against the one in use, and count. Never raises."""
        try:
            entries = await self._run(self._examine)
        except LayerError as error:
            return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        except Exception as error:  # noqa: BLE001  # health answers always; what is unknown is said to be
            return Health(ok=False, engine=self.engine, detail=_UNFORESEEN, error=_unforeseen(error))
        detail = "Nothing is stored yet." if entries is None else f"It answers and holds {entries} entries."
        return Health(ok=True, engine=self.engine, detail=detail)

    async def capacity(self) -> Capacity:
        """Count bytes on the disk and entries. Raises ``LayerError``."""
        entries = await self._run(self._count_entries)
        used = await self._run(self._folder.used_bytes)
        return Capacity(used, None, "bytes", entries or 0)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads; an item that can't be embedded or represented fails alone. Raises ``LayerError``."""
        errors = await self._run(partial(self._upsert, payloads))
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace the metadata of entries that are held. Raises ``LayerError``."""
        errors = await self._run(partial(self._update_metadata, payloads))
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of entries that are held with all their chunks. Raises ``LayerError``."""
        return await self._run(partial(self._fetch, ids))

    async def vector_model(self) -> EmbeddingSpec:
        """Return the model in use; vectors of another one are not handed out. Raises ``LayerError``."""
        return await self._run(self._model_in_use)

    async def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        """Return the vectors of entries that are held whole. Raises ``LayerError``."""
        return await self._run(partial(self._vectors, ids))

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries. Raises ``LayerError``."""
        await self._run(partial(self._delete, ids))

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """Search by meaning and by words, fused; expired entries are left out. Raises ``LayerError``."""
        return await self._run(partial(self._search, query))

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``LayerError``."""
        return await self._run(partial(self._entries, after, limit))

    async def begin_rebuild(self) -> None:
        """Direct writes into a new collection, made for the model in use; an interrupted rebuild is taken up again.

        The old collection answers searches until ``finish_rebuild``, and is not touched. Damaged files are put aside.
        Raises ``LayerError``.
        """
        await self._run(self._folder.begin_rebuild)

    async def finish_rebuild(self) -> None:
        """Put the new collection in the old one's place, and remove the old one. Raises ``LayerError``."""
        await self._run(self._folder.finish_rebuild)

    async def close(self) -> None:
        """Flush, close, and let other processes in. Idempotent; a later call opens again. Raises ``LayerError``."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        await asyncio.get_running_loop().run_in_executor(self._thread, self._folder.give_up)

    # On the event loop -------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        if self._idle is not None:
            self._idle.cancel()
        try:
            return await loop.run_in_executor(self._thread, self._operate, work)
        finally:
            self._idle = loop.call_later(_IDLE, self._thread.submit, self._give_up_quietly)

    # On the layer's thread ---------------------------------------------------------------------------------------

    def _operate(self, work: Callable[[], _T]) -> _T:
        try:
            result = _in_our_words(work, self._path)
        except LayerError as error:
            if error.concerns_whole_layer:
                # What is in memory may differ from what is on the disk now; the next call starts from the latter.
                self._give_up_quietly()
            raise
        self._folder.step_aside()
        return result

    def _give_up_quietly(self) -> None:
        """Give up after idleness. What fails here is met, and reported, by the next call."""
        try:
            self._folder.give_up()
        except LayerError:
            return

    def _upsert(self, payloads: Sequence[Payload]) -> dict[str, LayerError]:
        if not payloads:
            return {}
        collection = self._folder.for_writing()
        distinct = list({payload.id: payload for payload in payloads}.values())
        entries, errors = embed_entries(self._embedder, distinct, self._embedder.spec.dimension)
        points, counts = _made(collection, entries, errors)
        if points:
            collection.write(points, counts)
            collection.flush()
        return errors

    def _update_metadata(self, payloads: Sequence[Payload]) -> dict[str, LayerError]:
        collection = self._folder.for_reading()
        held = collection.hashes([payload.id for payload in payloads]) if collection else {}
        errors = {payload.id: _NOT_HELD for payload in payloads if payload.id not in held}
        if collection is None or not held:
            return errors
        for payload in payloads:
            if payload.id in held:
                ids = [chunk_id(payload.id, number) for number in range(held[payload.id][2])]
                try:
                    collection.set_metadata(ids, metadata_of(payload))
                except LayerError as error:
                    if error.concerns_whole_layer:
                        raise
                    errors[payload.id] = error
        collection.flush()
        return errors

    def _fetch(self, ids: Sequence[str]) -> dict[str, StoredRecord]:
        collection = self._folder.for_reading()
        if collection is None:
            return {}
        return {found: StoredRecord(found, *hashes[:2]) for found, hashes in collection.hashes(ids).items()}

    def _entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        collection = self._folder.for_reading()
        if collection is None:
            return [], None
        found, following = collection.entries(after, limit)
        return [payload_of(self.brand, entry, chunks) for entry, chunks in found], following

    def _model_in_use(self) -> EmbeddingSpec:
        self._folder.require_fit()
        return self._embedder.spec

    def _vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        collection = self._folder.for_reading()
        if collection is None:
            return {}
        return {found: Vectors(*held) for found, held in collection.vectors(ids).items()}

    def _delete(self, ids: Sequence[str]) -> None:
        collection = self._folder.for_reading()
        if collection is not None and ids:
            collection.delete(ids)
            collection.flush()

    def _search(self, query: SearchQuery) -> list[SearchHit]:
        days = days_of(query)
        _check_text(query.text)
        collection = self._folder.for_search()
        if collection is None or query.limit < 1:
            return []
        vector = self._embedder.embed_query(query.text)
        return fuse(*collection.search(query, days, vector, max(_CANDIDATES, 4 * query.limit)), query.limit)

    def _examine(self) -> int | None:
        self._folder.require_fit()
        return self._count_entries()

    def _count_entries(self) -> int | None:
        collection = self._folder.for_reading()
        return None if collection is None else collection.count_entries()


def _made(
    collection: Collection, entries: Sequence[Entry], errors: dict[str, LayerError]
) -> tuple[list[Any], dict[str, int]]:
    """Return the engine's points and the number of chunks by entry; note in ``errors`` what can't be represented.

    All at once first, because nearly always all can be.
    """
    try:
        points = collection.make_points([point for entry in entries for point in points_of(entry)])
    except LayerError as error:
        if len(entries) == 1:
            errors[entries[0].payload.id] = error
            return [], {}
        middle = len(entries) // 2
        points, counts = _made(collection, entries[:middle], errors)
        more, more_counts = _made(collection, entries[middle:], errors)
        return points + more, counts | more_counts
    return points, {entry.payload.id: len(entry.chunks) for entry in entries}


def _in_our_words(work: Callable[[], _T], folder: Path) -> _T:
    try:
        return work()
    except OSError as error:
        raise disk_trouble(error, folder) from error
    except LayerError:
        raise
    except DmMemoryError as error:
        raise LayerError(error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE) from error


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("The question holds half a character pair.", "Ask it in other words.") from error


_NOT_HELD = refused("The entry is not in the vector database.", "It is stored whole with the next sync.")

_UNFORESEEN = "The engine failed in a way dm-memory does not know."


def _unforeseen(error: Exception) -> LayerError:
    remedy = "Sync with force to build it anew; report the code if that does not help."
    return LayerError(_UNFORESEEN, remedy, error_class=ErrorClass.UNKNOWN, code=type(error).__name__)
