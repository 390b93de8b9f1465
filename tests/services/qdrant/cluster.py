"""Qdrant without a server: the client's local mode, shared by all services of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dm_memory.embedding.protocol import Embedder
from dm_memory.services.qdrant.service import QdrantService
from tests.services.payloads import BRAND
from tests.services.qdrant.local import local_client
from tests.support.embedders import HashEmbedder

Scenario = Callable[[QdrantService], Awaitable[Any]]


class Cluster:
    """A Qdrant cluster in this process' memory: the client's local mode."""

    def __init__(self) -> None:
        self.client = local_client(":memory:")
        self.client.close = self._stay

    async def _stay(self) -> None:
        """Let nobody close the client: other services of the test go on."""

    def service(
        self, brand: str = BRAND, embedder: Embedder | None = None, name: str = "dm-memory", **options: Any
    ) -> QdrantService:
        """Return another service over this cluster."""
        embedder = embedder or HashEmbedder()
        options = {"client_factory": lambda: self.client} | options
        return QdrantService("https://cloud.example", None, name, brand, embedder, **options)

    def play(self, scenario: Scenario, **options: Any) -> Any:
        """Play a scenario on a service of its own."""

        async def act() -> Any:
            service = self.service(**options)
            try:
                return await scenario(service)
            finally:
                await service.close()

        return asyncio.run(act())

    def names(self) -> tuple[set[str], dict[str, str]]:
        """Return the collections there are, and the aliases of them."""

        async def ask() -> tuple[set[str], dict[str, str]]:
            collections = (await self.client.get_collections()).collections
            aliases = (await self.client.get_aliases()).aliases
            return {c.name for c in collections}, {a.alias_name: a.collection_name for a in aliases}

        return asyncio.run(ask())

    def run(self, request: Callable[[Any], Awaitable[Any]]) -> Any:
        """Ask the cluster something behind the services' back."""

        async def ask() -> Any:
            return await request(self.client)

        return asyncio.run(ask())


class Line:
    """A client whose every call is looked at first, and may be cut."""

    def __init__(self, client: Any, look: Callable[[str], None]) -> None:
        self._client = client
        self._look = look

    def __getattr__(self, name: str) -> Any:
        self._look(name)
        return getattr(self._client, name)
