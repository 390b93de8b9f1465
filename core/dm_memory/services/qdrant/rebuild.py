"""Moving one brand to a collection of another model, while other brands stay where they are.

The brand's name moves at once. When the last brand has left the shared collection, the shared name moves after them,
and the collection they left is dropped. A collection that contains points of others is never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping

from qdrant_client import AsyncQdrantClient

from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.errors import ServiceError
from dm_memory.services.faults import Faults
from dm_memory.services.qdrant.collections import GONE, BrandCollections, Names
from dm_memory.services.qdrant.errors import translated
from dm_memory.services.qdrant.requests import Requests

__all__ = ["Rebuild"]


class Rebuild:
    """Fills another collection for one brand.

    Args:
        client: The SDK's client.
        faults: For messages.
        names: The brand's names.
        brand: The brand's slug.
        collections: What finds and makes the brand's collections.
    """

    def __init__(
        self,
        client: AsyncQdrantClient,
        faults: Faults,
        names: Names,
        brand: str,
        collections: BrandCollections,
    ) -> None:
        self._client = client
        self._faults = faults
        self._names = names
        self._brand = brand
        self._collections = collections

    async def begin(self, spec: EmbeddingSpec) -> None:
        """Direct writes into a collection for ``spec``, or resume a rebuild into it. Raises ``ServiceError``.

        Where the brand's own collection, or the shared one, is of this model already, the brand's entries are removed
        from it first: that collection is not dropped afterwards, so what is not stored again would stay for ever.
        """
        collections = self._collections
        collections.forget()
        collections.rebuilding = True
        target = await collections.for_reading()
        aliases = await collections.aliases()
        if self._names.building not in aliases or target is None or not target.fits(spec):
            collection = await self._room_for(spec)
            await self._clear(collection)
            await collections.rename(self._begun(collection, aliases.get(self._names.building)))
            collections.forget()
        await collections.for_writing(spec)

    async def finish(self) -> None:
        """Let the brand's name point at the new collection, at once, and leave the others. Raises ``ServiceError``.

        No rebuild begun is no error. Interrupted, it is done again as a whole.
        """
        collections, names = self._collections, self._names
        aliases = await collections.aliases()
        if names.building in aliases:
            target = aliases[names.building]
            shared = aliases.get(names.shared) or (names.shared if await collections.exists(names.shared) else None)
            lefts = {left for left in (aliases.get(names.own), shared) if left not in {None, target}}
            leaving = {names.leaving(str(left)): left for left in lefts}
            if switched := self._switched(aliases, shared, target) | leaving:
                await collections.rename(switched)
            for alias, left in (await collections.aliases()).items():
                if alias.startswith(names.leaving("")):
                    await self._leave(left, target)
                    await collections.rename({alias: None})
            await collections.rename({names.building: None})
        collections.rebuilding = False
        collections.forget()

    async def _room_for(self, spec: EmbeddingSpec) -> str:
        """Return the collection to fill: the brand's own, the shared one, or else the model's."""
        collections = self._collections
        collections.rebuilding = False
        places = [await collections.for_reading(), await collections.shared()]
        collections.rebuilding = True
        fitting = [place.collection for place in places if place and place.fits(spec)]
        return fitting[0] if fitting else await collections.made(spec)

    def _begun(self, collection: str, given_up: str | None) -> dict[str, str | None]:
        """Return the aliases of a rebuild into a collection; one into another collection may have been given up."""
        begun: dict[str, str | None] = {self._names.building: collection, self._names.leaving(collection): None}
        return begun | ({self._names.leaving(given_up): given_up} if given_up and given_up != collection else {})

    def _switched(self, aliases: Mapping[str, str], shared: str | None, target: str) -> dict[str, str | None]:
        """Return the aliases that make ``target`` the brand's collection."""
        if shared is None:
            return {self._names.shared: target}
        if shared != target:
            return {self._names.own: target}
        return {self._names.own: None} if self._names.own in aliases else {}

    async def _leave(self, collection: str, target: str) -> None:
        """Remove the brand's entries from a collection, and the collection where it was the last brand's."""
        try:
            await self._clear(collection)
            if await self._is_in_use(collection):
                return
            if (await self._collections.aliases()).get(self._names.shared) == collection:
                # The name moves before the last look: who would still write there meets the other model.
                await self._collections.rename(await self._gathered(target))
                if await self._is_in_use(collection):
                    return
            with translated(self._faults):
                await self._client.delete_collection(collection)
            if collection == self._names.shared:
                await self._collections.rename(await self._gathered(target))
        except ServiceError as error:
            if error.code != GONE:  # another process dropped it
                raise

    async def _is_in_use(self, collection: str) -> bool:
        """Return whether a collection has points, or other brands have aliases of their own for it."""
        with translated(self._faults):
            count = (await self._client.count(collection, exact=True)).count
        names, aliases = self._names, await self._collections.aliases()
        return count > 0 or any(
            target == collection and alias != names.shared and not names.is_this_brands(alias)
            for alias, target in aliases.items()
        )

    async def _gathered(self, target: str) -> dict[str, str | None]:
        """Return the aliases that make ``target`` the shared collection: whoever is in it needs none of its own."""
        aliases = await self._collections.aliases()
        own = [alias for alias, c in aliases.items() if c == target and self._names.is_some_brands(alias)]
        return {self._names.shared: target, **dict.fromkeys(own)}

    async def _clear(self, collection: str) -> None:
        with translated(self._faults):
            await Requests(self._client, collection, self._brand, self._faults).clear()
