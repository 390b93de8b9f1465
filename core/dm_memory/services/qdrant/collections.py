"""Which collection of a Qdrant server holds a brand's entries.

All brands share what ``COLLECTION_NAME`` names: an alias of a collection that is called after its model,
``NAME-<digest>``. A brand that was rebuilt with another model before the others were has an alias of its own,
``NAME@BRAND``, which goes before the shared one. While a rebuild runs, ``NAME@BRAND+building`` says where to, and
at its end ``NAME@BRAND+leaving...`` from where.
docs/decisions/0016-qdrant-server.md has the reasons.

A collection that was there before under the name itself, as ``mcp-server-qdrant`` makes it, is used if it has the
vector of the model in use.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dm_memory.embedding.model_names import qdrant_vector_name
from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.errors import LayerError
from dm_memory.services.qdrant.errors import GONE, TAKEN, translated
from dm_memory.services.qdrant.filters import INDEXES
from dm_memory.services.qdrant.place import Place, collection_name, description, mismatch, read_place
from dm_memory.services.qdrant.points import LEXICAL
from dm_memory.services.remote import Service

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

__all__ = ["BrandCollections", "Names"]

_FRESH = 30.0
"""Seconds for which what was found holds: another process, with other settings, may move the brand meanwhile."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which a brand's collection is looked for.

    Attributes:
        shared: What ``COLLECTION_NAME`` says; all brands'.
        own: The alias of a brand that is elsewhere than the others.
        building: The alias of the collection that a rebuild fills.
    """

    shared: str
    own: str
    building: str

    @classmethod
    def of(cls, shared: str, brand: str) -> Names:
        """Return the names for a brand."""
        return cls(shared, f"{shared}@{brand}", f"{shared}@{brand}+building")

    def leaving(self, collection: str) -> str:
        """Return the alias of a collection that the brand is leaving, so that a broken-off departure is completed."""
        return f"{self.own}+leaving{collection.removeprefix(self.shared)}"

    def is_some_brands(self, alias: str) -> bool:
        """Tell whether an alias is some brand's own; not one of a rebuild."""
        return alias.startswith(f"{self.shared}@") and "+" not in alias.removeprefix(self.shared)

    def is_this_brands(self, alias: str) -> bool:
        """Tell whether an alias is this brand's own, or one of its rebuild."""
        return alias.partition("+")[0] == self.own


@dataclass(frozen=True, slots=True)
class _Found:
    """The collections of a brand; either can be missing."""

    active: Place | None
    building: Place | None


class BrandCollections:
    """Finds a brand's collections, and makes them.

    Args:
        connect: Returns the client.
        service: For messages.
        names: What to look for.
    """

    def __init__(self, connect: Callable[[], Awaitable[AsyncQdrantClient]], service: Service, names: Names) -> None:
        self._connect = connect
        self._service = service
        self._names = names
        self._found: _Found | None = None
        self._found_at = 0.0
        self._ready: set[str] = set()
        self._making = asyncio.Lock()
        self.rebuilding = False

    def forget(self) -> None:
        """Look anew with the next call: a collection is gone, or another process may have moved the brand."""
        self._found = None
        self._ready.clear()

    def close(self) -> None:
        """Forget, and be free for another event loop."""
        self.forget()
        self._making = asyncio.Lock()

    # Finding -----------------------------------------------------------------------------------------------------

    async def for_reading(self) -> Place | None:
        """Return the collection that writes go to, or None where there is none yet. Raises ``LayerError``."""
        found = await self._look()
        return (found.building if self.rebuilding else None) or found.active

    async def for_search(self, spec: EmbeddingSpec) -> Place | None:
        """Return the collection that searches ask: during a rebuild the old one, while its model is the one in use.

        Raises:
            LayerError: Class validation: the model is another one.
        """
        found = await self._look()
        places = [place for place in (found.active, found.building) if place]
        fitting = [place for place in places if place.fits(spec)]
        if places and not fitting:
            raise mismatch(places[0], spec)
        return fitting[0] if fitting else None

    async def examine(self) -> Place | None:
        """Ask the server for the brand's collection: one round trip where it is known. Raises ``LayerError``."""
        if self._found and (known := await self.for_reading()):
            try:
                return await self.place(known.name, known.collection)
            except LayerError as error:
                if error.code != GONE:
                    raise
        self.forget()
        return await self.for_reading()

    async def shared(self) -> Place | None:
        """Return the collection of the brands without an alias of their own. Raises ``LayerError``."""
        return await self._named(self._names.shared, await self.aliases())

    async def _look(self) -> _Found:
        if self._found is None or time.monotonic() - self._found_at >= _FRESH:
            names, aliases = self._names, await self.aliases()
            active = await self._named(names.own if names.own in aliases else names.shared, aliases)
            building = await self._named(names.building, aliases) if names.building in aliases else None
            if active is None and building is None:
                return _Found(None, None)
            self._found, self._found_at = _Found(active, building), time.monotonic()
        return self._found

    async def _named(self, name: str, aliases: Mapping[str, str]) -> Place | None:
        if name not in aliases and not await self.exists(name):
            return None
        return await self.place(name, aliases.get(name, name))

    # Making ------------------------------------------------------------------------------------------------------

    async def for_writing(self, spec: EmbeddingSpec) -> Place:
        """Return the collection that writes go to, made if need be.

        Raises:
            LayerError: Class validation: it holds vectors of another model.
        """
        place = await self.for_reading()
        if place is None or place.collection not in self._ready:
            async with self._making:
                place = await self.for_reading() or await self._first(spec)
                if place.fits(spec):
                    await self._make_ready(place, spec)
        if not place.fits(spec):
            raise mismatch(place, spec)
        return place

    async def made(self, spec: EmbeddingSpec) -> str:
        """Return the name of the collection for a model, made if need be; another process may be making it as well."""
        from qdrant_client import models  # noqa: PLC0415  # loaded already: there is a client

        name = collection_name(self._names.shared, spec)
        if await self.exists(name):
            return name
        client = await self._connect()
        dense = models.VectorParams(size=spec.dimension, distance=models.Distance.COSINE)
        try:
            with translated(self._service):
                await client.create_collection(
                    name,
                    vectors_config={qdrant_vector_name(spec): dense},
                    sparse_vectors_config={LEXICAL: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    metadata=description(spec),
                )
        except LayerError as error:
            if error.code not in TAKEN or not await self.exists(name):
                raise
        return name

    async def _first(self, spec: EmbeddingSpec) -> Place:
        """Make the collection that all brands share, and give it its name."""
        collection = await self.made(spec)
        aliases = await self.aliases()
        if self._names.shared not in aliases and self._names.own not in aliases:
            await self.rename({self._names.shared: collection})
        self.forget()
        place = await self.for_reading()
        if place is None:
            raise self._service.malformed("alias")
        return place

    async def _make_ready(self, place: Place, spec: EmbeddingSpec) -> None:
        """Give a collection the indexes and the description it lacks: a newly made one, or one made by others."""
        if place.collection in self._ready:
            return
        client = await self._connect()
        with translated(self._service):
            for field, kind in INDEXES.items():
                if field not in place.indexed:
                    await client.create_payload_index(place.collection, field, _schema(kind), wait=True)
            if place.model is None:
                await client.update_collection(place.collection, metadata=description(spec))
        self._ready.add(place.collection)

    # The server --------------------------------------------------------------------------------------------------

    async def aliases(self) -> dict[str, str]:
        """Return the collections' names by alias. Raises ``LayerError``."""
        client = await self._connect()
        with translated(self._service):
            listed = (await client.get_aliases()).aliases
        return {alias.alias_name: alias.collection_name for alias in listed}

    async def exists(self, name: str) -> bool:
        """Tell whether there is a collection, or an alias of one. Raises ``LayerError``."""
        client = await self._connect()
        with translated(self._service):
            return bool(await client.collection_exists(name))

    async def place(self, name: str, collection: str) -> Place:
        """Return what there is under a name. Raises ``LayerError``."""
        client = await self._connect()
        with translated(self._service):
            info = await client.get_collection(name)
        return read_place(name, collection, info)

    async def rename(self, wanted: Mapping[str, str | None]) -> None:
        """Point aliases at collections, or remove them (None), all at once. Raises ``LayerError``."""
        from qdrant_client import models  # noqa: PLC0415  # as above

        actions: list[Any] = [
            models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name=collection))
            if collection
            else models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
            for alias, collection in wanted.items()
        ]
        client = await self._connect()
        with translated(self._service):
            await client.update_collection_aliases(actions)


def _schema(kind: str) -> Any:  # noqa: ANN401  # one of the SDK's types
    from qdrant_client import models  # noqa: PLC0415  # as above

    if kind == "tenant":
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    return models.PayloadSchemaType(kind)
