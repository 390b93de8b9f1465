"""Which collection of a Qdrant server contains a brand's entries.

All brands share what ``COLLECTION_NAME`` names: an alias of a collection that is called after its model,
``NAME-<digest>``. A brand that was rebuilt with another model before the others were has an alias of its own,
``NAME@BRAND``, which goes before the shared one. While a rebuild runs, ``NAME@BRAND+building`` says where to, and
at its end ``NAME@BRAND+leaving...`` from where.
docs/decisions/0016-qdrant-server.md has the reasons.

A collection that was there before under the name itself, as ``mcp-server-qdrant`` makes it, is used if it has the
vector of the model in use. Importing this module imports the SDK.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from dm_memory.embedding.batch import CHUNKING_VERSION
from dm_memory.embedding.protocol import EmbeddingSpec, describe, qdrant_vector_name
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults
from dm_memory.services.qdrant.errors import TAKEN, translated
from dm_memory.services.qdrant.requests import INDEXES

__all__ = ["GONE", "BrandCollections", "Names", "Place"]

GONE = "404"
"""The code of an error about a collection that is not there."""

_FRESH = 30.0
"""Seconds for which what was found is believed: another process, with other settings, may move the brand meanwhile."""

_DESCRIPTION = "dm_memory"


@dataclass(frozen=True, slots=True)
class Place:
    """A collection as it was found.

    Attributes:
        name: What it is asked by: an alias if there is one.
        collection: What it is called itself.
        vectors: Its dense vectors' lengths by name.
        model: What its description says its vectors were made with, or None if there is none.
        indexed: The fields that have an index.
        points: About how many points it contains, of all brands.
    """

    name: str
    collection: str
    vectors: Mapping[str, int]
    model: EmbeddingSpec | None
    indexed: frozenset[str]
    points: int

    @classmethod
    def read(cls, name: str, collection: str, info: models.CollectionInfo) -> Place:
        """Return what the server says of a collection that was asked for as ``name``."""
        vectors = info.config.params.vectors
        try:
            model = (info.config.metadata or {})[_DESCRIPTION]["model"]
            spec = EmbeddingSpec(str(model["name"]), int(model["dimension"]), str(model["weights"]))
        except (KeyError, TypeError, ValueError):
            spec = None
        return cls(
            name=name,
            collection=collection,
            vectors={key: value.size for key, value in vectors.items()} if isinstance(vectors, dict) else {},
            model=spec,
            indexed=frozenset(info.payload_schema),
            points=info.points_count or 0,
        )

    def fits(self, spec: EmbeddingSpec) -> bool:
        """Return whether a model's vectors may go here. Without a description, the vector's name and length decide."""
        has_vector = self.vectors.get(qdrant_vector_name(spec)) == spec.dimension
        return has_vector and self.model in {None, spec}

    def fitting(self, spec: EmbeddingSpec) -> Place:
        """Return the place itself. Raises ``ServiceError``, class validation, if it is of another model."""
        if self.fits(spec):
            return self
        names = f"vectors called {', '.join(sorted(self.vectors))}" if self.vectors else "vectors without a name"
        raise ServiceError(
            f"The Qdrant collection was made with {describe(self.model) if self.model else names}, the embedding model"
            f" in use is {describe(spec)}.",
            "Sync with force to rebuild the brand's memory in a collection of its own model,"
            " or set DM_MEMORY_EMBEDDER back.",
            error_class=ErrorClass.VALIDATION,
            code="model-mismatch",
        )


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
        """Return whether an alias is some brand's own; not one of a rebuild."""
        return alias.startswith(f"{self.shared}@") and "+" not in alias.removeprefix(self.shared)

    def is_this_brands(self, alias: str) -> bool:
        """Return whether an alias is this brand's own, or one of its rebuild."""
        return alias.partition("+")[0] == self.own


@dataclass(frozen=True, slots=True)
class _Found:
    """The collections of a brand; either can be missing."""

    active: Place | None
    building: Place | None


class BrandCollections:
    """Finds a brand's collections, and makes them.

    Args:
        client: The SDK's client.
        faults: For messages.
        names: What to look for.
    """

    def __init__(self, client: AsyncQdrantClient, faults: Faults, names: Names) -> None:
        self._client = client
        self._faults = faults
        self.names = names
        self._found: _Found | None = None
        self._found_at = 0.0
        self._ready: set[str] = set()
        self._making = asyncio.Lock()
        self.rebuilding = False

    def forget(self) -> None:
        """Look again with the next call: a collection is gone, or another process may have moved the brand."""
        self._found = None
        self._ready.clear()

    # Finding -----------------------------------------------------------------------------------------------------

    async def for_reading(self) -> Place | None:
        """Return the collection that writes go to, or None if there is none yet. Raises ``ServiceError``."""
        found = await self._look()
        return (found.building if self.rebuilding else None) or found.active

    async def for_search(self, spec: EmbeddingSpec) -> Place | None:
        """Return the collection that searches ask: during a rebuild the old one, while its model is the one in use.

        Raises:
            ServiceError: Class validation: the model is another one.
        """
        found = await self._look()
        places = [place for place in (found.active, found.building) if place]
        fitting = [place for place in places if place.fits(spec)]
        return fitting[0] if fitting else (places[0].fitting(spec) if places else None)

    async def examine(self) -> Place | None:
        """Ask the server for the brand's collection: one round trip where it is known. Raises ``ServiceError``."""
        if self._found and (known := await self.for_reading()):
            try:
                return await self.place(known.name, known.collection)
            except ServiceError as error:
                if error.code != GONE:
                    raise
        self.forget()
        return await self.for_reading()

    async def shared(self) -> Place | None:
        """Return the collection of the brands without an alias of their own. Raises ``ServiceError``."""
        return await self._named(self.names.shared, await self.aliases())

    async def _look(self) -> _Found:
        if self._found is None or time.monotonic() - self._found_at >= _FRESH:
            names, aliases = self.names, await self.aliases()
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
            ServiceError: Class validation: it contains vectors of another model.
        """
        place = await self.for_reading()
        if place is None or place.collection not in self._ready:
            async with self._making:
                place = await self.for_reading() or await self._first(spec)
                if place.fits(spec):
                    await self._make_ready(place, spec)
        return place.fitting(spec)

    async def made(self, spec: EmbeddingSpec) -> str:
        """Return the name of the collection for a model, made if need be; another process may be making it as well."""
        digest = sha256(f"{spec.name}/{spec.dimension}/{spec.weights}".encode()).hexdigest()
        name = f"{self.names.shared}-{digest[:8]}"
        if await self.exists(name):
            return name
        dense = models.VectorParams(size=spec.dimension, distance=models.Distance.COSINE)
        try:
            with translated(self._faults):
                await self._client.create_collection(
                    name,
                    vectors_config={qdrant_vector_name(spec): dense},
                    metadata=_description(spec),
                )
        except ServiceError as error:
            if error.code not in TAKEN or not await self.exists(name):
                raise
        return name

    async def _first(self, spec: EmbeddingSpec) -> Place:
        """Make the collection that all brands share, and give it its name."""
        collection = await self.made(spec)
        aliases = await self.aliases()
        if self.names.shared not in aliases and self.names.own not in aliases:
            await self.rename({self.names.shared: collection})
        self.forget()
        place = await self.for_reading()
        if place is None:
            raise self._faults.malformed("alias")
        return place

    async def _make_ready(self, place: Place, spec: EmbeddingSpec) -> None:
        """Give a collection the indexes and the description it lacks: a newly made one, or one made by others."""
        if place.collection in self._ready:
            return
        with translated(self._faults):
            for field, kind in INDEXES.items():
                if field not in place.indexed:
                    await self._client.create_payload_index(place.collection, field, _schema(kind), wait=True)
            if place.model is None:
                await self._client.update_collection(place.collection, metadata=_description(spec))
        self._ready.add(place.collection)

    # The server --------------------------------------------------------------------------------------------------

    async def aliases(self) -> dict[str, str]:
        """Return the collections' names by alias. Raises ``ServiceError``."""
        with translated(self._faults):
            listed = (await self._client.get_aliases()).aliases
        return {alias.alias_name: alias.collection_name for alias in listed}

    async def exists(self, name: str) -> bool:
        """Return whether there is a collection, or an alias of one. Raises ``ServiceError``."""
        with translated(self._faults):
            return bool(await self._client.collection_exists(name))

    async def place(self, name: str, collection: str) -> Place:
        """Return what there is under a name. Raises ``ServiceError``."""
        with translated(self._faults):
            info = await self._client.get_collection(name)
        return Place.read(name, collection, info)

    async def rename(self, wanted: Mapping[str, str | None]) -> None:
        """Point aliases at collections, or remove them (None), all at once. Raises ``ServiceError``."""
        actions: list[Any] = [
            models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name=collection))
            if collection
            else models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
            for alias, collection in wanted.items()
        ]
        with translated(self._faults):
            await self._client.update_collection_aliases(actions)


def _description(spec: EmbeddingSpec) -> dict[str, Any]:
    """Return the metadata of a collection that says which model its vectors were made with."""
    model = {"name": spec.name, "dimension": spec.dimension, "weights": spec.weights}
    return {_DESCRIPTION: {"format": 1, "model": model, "chunking": CHUNKING_VERSION}}


def _schema(kind: str) -> Any:  # noqa: ANN401  # one of the SDK's types
    if kind == "tenant":
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    return models.PayloadSchemaType(kind)
