"""The vector layer of a team: a Qdrant server or cloud cluster, where all brands share one collection.

Importing this module imports neither the SDK nor a model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from dm_memory.embedding.chunking import batch_chars_of, batch_items_of, chunking_of
from dm_memory.embedding.model_names import MINILM, describe, is_searched_by_the_qdrant_server, qdrant_vector_name
from dm_memory.embedding.protocol import Embedder, EmbeddingSpec
from dm_memory.errors import ConfigurationError, DmMemoryError, ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.layers.edge_errors import refused
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
from dm_memory.services.qdrant.collections import BrandCollections, Names
from dm_memory.services.qdrant.connection import Connection, parse_address
from dm_memory.services.qdrant.errors import GONE, translated
from dm_memory.services.qdrant.place import Place, mismatch
from dm_memory.services.qdrant.points import PointMaker, unsound
from dm_memory.services.qdrant.rebuild import Rebuild
from dm_memory.services.qdrant.requests import Requests, missing, storing
from dm_memory.services.remote import Service

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

__all__ = ["QdrantServerLayer"]

_T = TypeVar("_T")
_CANDIDATES = 50
_REFUSED_IN_NAMES = frozenset('<>:"/\\|?*@+\x00\x1f')
_LONGEST_NAME = 100


class QdrantServerLayer:
    """A brand's memory on a Qdrant server. See ``SearchableLayer`` for the contract of its methods.

    Args:
        url: The server's address.
        api_key: Its key, or None.
        collection: What all brands share; ``mcp-server-qdrant`` reads it under this name.
        brand: The brand's slug.
        embedder: The embedding model; called from the layer's own thread.
        limit: Entries of one brand that fit, where somebody knows.
        timeout: Seconds to wait for a connection, and for each part of a reply.
        client_factory: Makes another client than one of ``url``, for tests.

    Raises:
        ConfigurationError: The address or the collection's name can't be one.
    """

    role = "vector"

    def __init__(
        self,
        url: str,
        api_key: SecretStr | None,
        collection: str,
        brand: str,
        embedder: Embedder,
        *,
        limit: int | None = None,
        timeout: float = 30,
        client_factory: Callable[[], AsyncQdrantClient] | None = None,
    ) -> None:
        address = parse_address(url)
        _check_name(collection)
        self.brand = brand
        self.name = f"vector@qdrant:{address.place}/{collection}"
        self.engine = f"Qdrant ({address.host})"
        self._address = address
        self._names = Names.of(collection, brand)
        self.capabilities = Capabilities(batch_items_of(embedder), remote=True, embeds=True)
        self._embedder = embedder
        self._known: EmbeddingSpec | None = None
        self._limit = limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"dm-memory-qdrant-{brand}")
        self._maker = PointMaker(brand, embedder)
        self._connection = Connection(url, api_key, timeout, client_factory)
        self.service = Service(
            "Qdrant", address.host, "QDRANT_API_KEY", "QDRANT_URL", "the cluster's page in the Qdrant Cloud console"
        )
        self._collections = BrandCollections(self._client, self.service, self._names)
        self._rebuild = Rebuild(self._client, self.service, self._names, brand, self._collections)

    async def fingerprint(self) -> str:
        """Return the embedding model and how texts are cut for it; asks nobody. Raises ``LayerError``."""
        return f"{describe(await self._spec())}, {chunking_of(self._embedder)}"

    async def health(self) -> Health:
        """Ask for the collection, and hold its model against the one in use. Never raises."""
        try:
            spec = await self._spec()
            place = _fitting(await self._collections.examine(), spec)
        except LayerError as error:
            self._collections.forget()
            return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        except Exception as error:  # noqa: BLE001  # health answers always; what is unknown is said to be
            return Health(ok=False, engine=self.engine, detail=_UNFORESEEN, error=_unforeseen(error))
        return Health(ok=True, engine=self.engine, detail=self._detail(place, spec))

    async def capacity(self) -> Capacity:
        """Count this brand's entries and, against a limit, the points of all who share the collection.

        Raises ``LayerError``.
        """
        entries = await self._read(lambda requests: requests.count(), 0)
        if self._limit is None:
            return Capacity(entries, None, "entries", entries)
        return Capacity(await self._read(lambda requests: requests.count_points(), 0), self._limit, "points", entries)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads; an item that can't be embedded or represented fails alone. Raises ``LayerError``."""
        if not payloads:
            return []
        self._check_size(payloads)
        spec = await self._spec()
        errors: dict[str, LayerError] = {}

        async def store(requests: Requests) -> None:
            make = partial(self._bodies, payloads, qdrant_vector_name(spec), lexical=requests.place.lexical)
            bodies, unfit = await self._on_thread(make)
            errors.update(unfit)
            with translated(self.service):
                for body in bodies:
                    await requests.store(body)

        await self._ask(partial(self._collections.for_writing, spec), store, None)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    def _bodies(
        self, payloads: Sequence[Payload], vector: str, *, lexical: bool
    ) -> tuple[list[bytes], dict[str, LayerError]]:
        """Return the requests that store payloads, and why some have none; for the layer's thread."""
        parts, unfit = self._maker.parts(payloads, vector, lexical=lexical)
        return [storing(self.brand, part) for part in parts], unfit

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace the metadata of entries that are held with this text. Raises ``LayerError``."""
        held = await self.fetch([payload.id for payload in payloads])
        errors = {payload.id: missing(payload, held) or unsound(payload) for payload in payloads}
        sound = [payload for payload in payloads if errors[payload.id] is None]
        if sound:
            await self._read(lambda requests: requests.label(sound), None)
        return [Outcome(payload.id, errors[payload.id]) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of entries that are held with all their chunks. Raises ``LayerError``."""
        return await self._read(lambda requests: requests.held(ids), {}) if ids else {}

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries. Raises ``LayerError``."""
        if ids:
            await self._read(lambda requests: requests.remove(ids), None)

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """Search by meaning and by words, fused; expired entries are left out. Raises ``LayerError``."""
        days_of(query)
        _check_text(query.text)
        if query.limit < 1:
            return []
        spec = await self._spec()

        async def search(requests: Requests) -> list[SearchHit]:
            dense, words = await self._on_thread(
                partial(self._maker.question, query.text, lexical=requests.place.lexical)
            )
            vectors = {qdrant_vector_name(spec): dense}
            with translated(self.service):
                rankings = await requests.search(query, vectors, words, max(_CANDIDATES, 4 * query.limit))
            return fuse(*rankings, query.limit)

        return await self._ask(partial(self._collections.for_search, spec), search, [])

    async def vector_model(self) -> EmbeddingSpec:
        """Return the model of the vectors held. Raises ``LayerError``, also where they are another model's."""
        spec = await self._spec()
        _fitting(await self._collections.for_reading(), spec)
        return spec

    async def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        """Return the vectors of entries that are held whole, scaled to length 1. Raises ``LayerError``."""
        spec = await self.vector_model()
        return await self._read(lambda requests: requests.vectors(ids, qdrant_vector_name(spec)), {})

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``LayerError``."""
        nothing: tuple[list[Payload], str | None] = ([], None)
        return await self._read(lambda requests: requests.entries(after, limit), nothing)

    async def begin_rebuild(self) -> None:
        """Direct writes into a collection of the model in use; an interrupted rebuild is taken up again.

        Another model's collection answers searches until ``finish_rebuild``. Other brands stay where they are. Raises
        ``LayerError``.
        """
        await self._rebuild.begin(await self._spec())

    async def finish_rebuild(self) -> None:
        """Move the brand to the new collection, at once. Raises ``LayerError``.

        The old one goes when its last brand has left.
        """
        await self._rebuild.finish()

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call opens others."""
        self._collections.close()
        await self._connection.close()

    # Asking ------------------------------------------------------------------------------------------------------

    async def _read(self, action: Callable[[Requests], Awaitable[_T]], nothing: _T) -> _T:
        """Ask the collection that writes go to; ``nothing`` is the answer where there is none."""

        async def read(requests: Requests) -> _T:
            with translated(self.service):
                return await action(requests)

        return await self._ask(self._collections.for_reading, read, nothing)

    async def _ask(
        self, find: Callable[[], Awaitable[Place | None]], action: Callable[[Requests], Awaitable[_T]], nothing: _T
    ) -> _T:
        """Ask a collection; where it is gone since it was found, look for it once more."""
        for is_last in (False, True):
            try:
                place = await find()
                if place is None:
                    return nothing
                return await action(Requests(await self._client(), place, self.brand, self.service))
            except LayerError as error:
                if error.code == GONE or error.error_class is ErrorClass.VALIDATION:
                    self._collections.forget()  # another process may have moved the brand
                if is_last or error.code != GONE:
                    raise
        return nothing

    async def _client(self) -> AsyncQdrantClient:
        if not self._connection.key_fits_a_header:
            raise self.service.auth("characters")
        return await self._connection.client(self._thread)

    async def _spec(self) -> EmbeddingSpec:
        if self._known is None:
            self._known = await self._on_thread(lambda: self._embedder.spec)
        return self._known

    async def _on_thread(self, work: Callable[[], _T]) -> _T:
        """Run what takes a processor's time off the event loop; a model that does not load is the layer's trouble."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except LayerError:
            raise
        except DmMemoryError as error:
            raise LayerError(error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE) from error

    def _check_size(self, payloads: Sequence[Payload]) -> None:
        """Refuse a batch that a slow model would not embed before the deadline; whoever sent it halves it."""
        chars = sum(len(payload.content) for payload in payloads)
        if len(payloads) > 1 and chars > batch_chars_of(self._embedder):
            raise refused("The batch is too long for the embedding model.", "Send its items in smaller batches.")

    # Words -------------------------------------------------------------------------------------------------------

    def _detail(self, place: Place | None, spec: EmbeddingSpec) -> str:
        points = "Nothing is stored yet." if place is None else f"It answers and holds {place.points} points in all."
        said = [points, _seen_by_others(spec)]
        if place is not None and place.name == self._names.own:
            said.append(f"Until all brands are rebuilt, mcp-server-qdrant finds this one in {place.collection}.")
        if self._address.in_the_clear:
            said.append("Its address is plain http: texts and the key travel unencrypted.")
        return " ".join(filter(None, said))


def _fitting(place: Place | None, spec: EmbeddingSpec) -> Place | None:
    """Return a collection whose vectors are the model's; raise ``LayerError`` for another one."""
    if place is not None and not place.fits(spec):
        raise mismatch(place, spec)
    return place


def _seen_by_others(spec: EmbeddingSpec) -> str:
    """Say whether ``mcp-server-qdrant`` can search what is stored; "" where it can as it is."""
    if spec.name == MINILM:
        return ""
    if is_searched_by_the_qdrant_server(spec):
        return f"mcp-server-qdrant finds it where EMBEDDING_MODEL is {spec.name}."
    return "mcp-server-qdrant can't search vectors of this model; those of DM_MEMORY_EMBEDDER=fastembed it can."


def _check_name(collection: str) -> None:
    if not collection or len(collection) > _LONGEST_NAME or _REFUSED_IN_NAMES & set(collection) or collection in "..":
        raise ConfigurationError(
            "COLLECTION_NAME is not a name that a Qdrant collection can have.",
            f"Take letters, digits, - and _, at most {_LONGEST_NAME} of them.",
        )


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("The question holds half a character pair.", "Ask it in other words.") from error


_UNFORESEEN = "Qdrant failed in a way dm-memory does not know."


def _unforeseen(error: Exception) -> LayerError:
    remedy = "Sync again; report the code if that does not help."
    return LayerError(_UNFORESEEN, remedy, error_class=ErrorClass.UNKNOWN, code=type(error).__name__)
