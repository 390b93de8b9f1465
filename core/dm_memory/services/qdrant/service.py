"""The vector database of a team: a Qdrant server or cloud cluster, where all brands share one collection.

Importing this module imports neither the SDK nor a model: ``prepare`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.embedding.batch import batch_items_of, chunking_of
from dm_memory.embedding.protocol import (
    MINILM,
    Embedder,
    EmbeddingSpec,
    describe,
    is_searched_by_the_qdrant_server,
    qdrant_vector_name,
)
from dm_memory.errors import ConfigurationError, DmMemoryError, ErrorClass, ServiceError
from dm_memory.extras import how_to_install_vector
from dm_memory.items import Payload
from dm_memory.services.entries import days_of, searchable
from dm_memory.services.faults import NOT_STORED, Faults
from dm_memory.services.http import is_loopback
from dm_memory.services.protocol import (
    Capabilities,
    Capacity,
    Outcome,
    Proposal,
    SearchQuery,
    ServiceBase,
    StoredRecord,
)
from dm_memory.services.qdrant.points import bodies_of, labels_of, unsound

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

    from dm_memory.services.qdrant.collections import BrandCollections, Place
    from dm_memory.services.qdrant.rebuild import Rebuild
    from dm_memory.services.qdrant.requests import Requests

__all__ = ["QdrantService"]

_T = TypeVar("_T")
_PORT = 6333
"""The port that qdrant-client takes if an address names none, for https too."""

_REFUSED_IN_NAMES = frozenset('<>:"/\\|?*@+\x00\x1f')
_LONGEST_NAME = 100
_GONE = "404"


@dataclass(frozen=True, slots=True)
class _Opened:
    """What there is from ``prepare`` until ``close``."""

    client: AsyncQdrantClient
    collections: BrandCollections
    rebuild: Rebuild


class QdrantService(ServiceBase):
    """A brand's memory on a Qdrant server. See ``Service`` for the contract of its methods.

    Args:
        url: The server's address.
        api_key: Its key, or None.
        collection: What all brands share; ``mcp-server-qdrant`` reads it under this name.
        brand: The brand's slug.
        embedder: The embedding model; called on a thread, one call at a time.
        limit: Points of all brands that fit, if somebody knows.
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
        host, place, self._is_in_the_clear = _address(url)
        _check_name(collection)
        self.brand = brand
        self.name = f"vector@qdrant:{place}/{collection}"
        self.engine = f"Qdrant ({host})"
        self.capabilities = Capabilities(batch_items_of(embedder), counts=True, lists=True, proposes=True, embeds=True)
        self.faults = Faults(
            "Qdrant", host, "QDRANT_API_KEY", "QDRANT_URL", "the cluster's page in the Qdrant Cloud console"
        )
        self._url = url.strip()
        self._key = api_key or SecretStr("")
        self._shared = collection
        self._embedder = embedder
        self._limit = limit
        self._timeout = timeout
        self._client_factory = client_factory
        self._spec_known: EmbeddingSpec | None = None
        self._embedding = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._opened: _Opened | None = None

    # Opening ---------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Import the SDK, make its client, and load the model."""
        async with self._opening:
            if self._opened is None:
                key = self._key.get_secret_value()
                if not (key.isascii() and (not key or key.isprintable())):
                    raise self.faults.auth("characters")  # it can't be put into a header
                self._opened = await asyncio.to_thread(self._open)
        with contextlib.suppress(ServiceError):  # a model that does not load stops only what needs it
            await self._spec()

    def _open(self) -> _Opened:
        # The SDK takes a second of CPU; these modules import it.
        try:
            from dm_memory.services.qdrant import collections, rebuild, requests  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(
                "Qdrant is configured, but its package is not installed.", how_to_install_vector("qdrant")
            ) from error

        make = self._client_factory
        client = make() if make else requests.open_client(self._url, self._key.get_secret_value(), self._timeout)
        names = collections.Names.of(self._shared, self.brand)
        found = collections.BrandCollections(client, self.faults, names)
        return _Opened(client, found, rebuild.Rebuild(client, self.faults, names, self.brand, found))

    async def close(self) -> None:
        """Close connections. Idempotent; a later call opens others."""
        opened, self._opened = self._opened, None
        self._embedding, self._opening = asyncio.Lock(), asyncio.Lock()  # free for another event loop
        if opened is not None:
            await opened.client.close()

    async def _ready(self) -> _Opened:
        if self._opened is None:
            await self.prepare()
        if self._opened is None:  # it was closed meanwhile
            raise self.faults.unavailable("closed")
        return self._opened

    # What there is ---------------------------------------------------------------------------------------------------

    async def fingerprint(self) -> str:
        """Return the embedding model and how texts are cut for it; asks nobody. Raises ``ServiceError``."""
        return f"{describe(await self._spec())}, {chunking_of(self._embedder)}"

    async def ping(self) -> str:
        """Ask for the collection, and compare its model with the one in use. Raises ``ServiceError``."""
        spec, collections = await self._spec(), (await self._ready()).collections
        try:
            place = await collections.examine()
        except ServiceError:
            collections.forget()
            raise
        if place is not None:
            place.fitting(spec)
        said = ["Nothing is stored yet." if place is None else f"It answers; {place.points} points are stored in all."]
        if spec.name != MINILM and is_searched_by_the_qdrant_server(spec):
            said.append(f"mcp-server-qdrant finds them if EMBEDDING_MODEL is {spec.name}.")
        elif spec.name != MINILM:
            said.append(
                "mcp-server-qdrant can't search vectors of this model; those of DM_MEMORY_EMBEDDER=fastembed it can."
            )
        if place is not None and place.name == collections.names.own:
            said.append(f"Until all brands are rebuilt, mcp-server-qdrant finds this one in {place.collection}.")
        if self._is_in_the_clear:
            said.append("Its address is plain http: texts and the key travel unencrypted.")
        return " ".join(said)

    async def capacity(self) -> Capacity:
        """Count this brand's entries and, against a limit, the points of all who share the collection.

        Raises ``ServiceError``.
        """
        entries, setting = await self.count(), "DM_MEMORY_QDRANT_LIMIT"
        if self._limit is None:
            return Capacity(entries, None, "entries", entries, setting)
        points = await self._read(lambda requests: requests.count_points(), 0)
        return Capacity(points, self._limit, "points", entries, setting)

    async def count(self) -> int:
        """Return the number of this brand's entries, exactly. Raises ``ServiceError``."""
        return await self._read(lambda requests: requests.count(), 0)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of entries that are stored with all their chunks. Raises ``ServiceError``."""
        return await self._read(lambda requests: requests.stored(ids), {}) if ids else {}

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``ServiceError``."""
        nothing: tuple[list[Payload], str | None] = ([], None)
        return await self._read(lambda requests: requests.entries(after, limit), nothing)

    async def search(self, query: SearchQuery) -> list[Proposal]:
        """Return the entries nearest in meaning. Raises ``ServiceError``."""
        days_of(query)
        text = searchable(query.text)
        if query.limit < 1 or not text:
            return []
        spec = await self._spec()
        vector = await self._with_model(lambda: [float(number) for number in self._embedder.embed_query(text)])
        if not any(vector):  # it has no direction
            return []
        collections = (await self._ready()).collections
        return await self._ask(
            lambda: collections.for_search(spec),
            lambda requests: requests.nearest(query, qdrant_vector_name(spec), vector),
            [],
        )

    # Storing ---------------------------------------------------------------------------------------------------------

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads; an item that can't be embedded or represented fails alone. Raises ``ServiceError``."""
        if not payloads:
            return []
        spec = await self._spec()
        bodies, errors = await self._with_model(lambda: bodies_of(self.brand, self._embedder, payloads))

        async def store(requests: Requests) -> None:
            for body in bodies:
                await requests.store(body)

        collections = (await self._ready()).collections
        await self._ask(lambda: collections.for_writing(spec), store, None)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    def preview(self, payload: Payload) -> Mapping[str, Any]:
        """Return the payload of an entry's point."""
        return {"id": payload.id, "document": payload.content, **labels_of(payload.brand, payload)}

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace the metadata of entries that are stored with this text. Raises ``ServiceError``."""
        stored = await self.fetch([payload.id for payload in payloads])
        errors = {
            payload.id: unsound(payload)
            if payload.id in stored and stored[payload.id].content_hash == payload.content_hash
            else NOT_STORED
            for payload in payloads
        }
        if sound := [payload for payload in payloads if errors[payload.id] is None]:
            await self._read(lambda requests: requests.label(sound), None)
        return [Outcome(payload.id, errors[payload.id]) for payload in payloads]

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries. Raises ``ServiceError``."""
        if ids:
            await self._read(lambda requests: requests.remove(ids), None)

    async def begin_rebuild(self) -> None:
        """Direct writes into a collection of the model in use; an interrupted rebuild resumes.

        Another model's collection answers searches until ``finish_rebuild``. Other brands stay where they are. Raises
        ``ServiceError``.
        """
        await (await self._ready()).rebuild.begin(await self._spec())

    async def finish_rebuild(self) -> None:
        """Move the brand to the new collection, at once. Raises ``ServiceError``.

        The old one goes when its last brand has left.
        """
        await (await self._ready()).rebuild.finish()

    # Asking ----------------------------------------------------------------------------------------------------------

    async def _read(self, action: Callable[[Requests], Awaitable[_T]], nothing: _T) -> _T:
        """Ask the collection that writes go to; ``nothing`` is the answer if there is none."""
        return await self._ask((await self._ready()).collections.for_reading, action, nothing)

    async def _ask(
        self, find: Callable[[], Awaitable[Place | None]], action: Callable[[Requests], Awaitable[_T]], nothing: _T
    ) -> _T:
        """Ask a collection; if it is gone since it was found, look for it once more."""
        from dm_memory.services.qdrant.errors import translated  # noqa: PLC0415  # imported by prepare
        from dm_memory.services.qdrant.requests import Requests  # noqa: PLC0415  # as above

        opened = await self._ready()
        for is_last in (False, True):
            try:
                place = await find()
                if place is None:
                    return nothing
                with translated(self.faults):
                    return await action(Requests(opened.client, place.name, self.brand, self.faults))
            except ServiceError as error:
                if error.code == _GONE or error.error_class is ErrorClass.VALIDATION:
                    opened.collections.forget()  # another process may have moved the brand
                if is_last or error.code != _GONE:
                    raise
        return nothing

    async def _spec(self) -> EmbeddingSpec:
        if self._spec_known is None:
            self._spec_known = await self._with_model(lambda: self._embedder.spec)
        return self._spec_known

    async def _with_model(self, work: Callable[[], _T]) -> _T:
        """Run on a thread what needs the model, one at a time; one that does not load is the service's error."""
        try:
            async with self._embedding:
                return await asyncio.to_thread(work)
        except ServiceError:
            raise
        except DmMemoryError as error:
            raise ServiceError(error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE) from error


def _address(url: str) -> tuple[str, str, bool]:
    """Return the host, the place (``host:port`` and the path) and whether what is sent there could be read on its way.

    Raises:
        ConfigurationError: ``QDRANT_URL`` is no http or https address.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port or _PORT
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            "QDRANT_URL is not an address of a Qdrant server.",
            "Write it as https://host:6333, or http://localhost:6333 for a server on this machine.",
        )
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return host, place + parts.path.rstrip("/"), parts.scheme == "http" and not is_loopback(host)


def _check_name(collection: str) -> None:
    if not collection or len(collection) > _LONGEST_NAME or _REFUSED_IN_NAMES & set(collection) or collection in "..":
        raise ConfigurationError(
            "COLLECTION_NAME is not a name that a Qdrant collection can have.",
            f"Take letters, digits, - and _, at most {_LONGEST_NAME} of them.",
        )
