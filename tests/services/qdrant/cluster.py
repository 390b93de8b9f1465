"""Qdrant without a server: the client's local mode, shared by all layers of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dm_memory.embedding.protocol import Embedder
from dm_memory.services.qdrant.server import QdrantServerLayer
from tests.services.payloads import BRAND
from tests.services.qdrant.local import local_client
from tests.support.embedders import HashEmbedder

Scenario = Callable[[QdrantServerLayer], Awaitable[Any]]


class Cluster:
    """A Qdrant cluster in this process' memory: the client's local mode."""

    def __init__(self) -> None:
        self.client = local_client(":memory:")
        self.client.close = self._stay

    async def _stay(self) -> None:
        """Let nobody close the client: other layers of the test go on."""

    def layer(
        self, brand: str = BRAND, embedder: Embedder | None = None, name: str = "dm-memory", **options: Any
    ) -> QdrantServerLayer:
        """Return another layer over this cluster."""
        embedder = embedder or HashEmbedder()
        options = {"client_factory": lambda: self.client} | options
        return QdrantServerLayer("https://cloud.example", None, name, brand, embedder, **options)

    def play(self, scenario: Scenario, **options: Any) -> Any:
        """Play a scenario on a layer of its own."""

        async def act() -> Any:
            layer = self.layer(**options)
            try:
                return await scenario(layer)
            finally:
                await layer.close()

        return asyncio.run(act())

    def names(self) -> tuple[set[str], dict[str, str]]:
        """Return the collections there are, and the aliases of them."""

        async def ask() -> tuple[set[str], dict[str, str]]:
            collections = (await self.client.get_collections()).collections
            aliases = (await self.client.get_aliases()).aliases
            return {c.name for c in collections}, {a.alias_name: a.collection_name for a in aliases}

        return asyncio.run(ask())

    def run(self, request: Callable[[Any], Awaitable[Any]]) -> Any:
        """Ask the cluster something behind the layers' back."""

        async def ask() -> Any:
            return await request(self.client)

        return asyncio.run(ask())
