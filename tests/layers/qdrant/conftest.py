"""Qdrant without a server: the client's local mode, shared by all layers of a test, and a layer to talk to a stub."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from dm_memory.layers.protocol import Embedder
from dm_memory.layers.qdrant_server import QdrantServerLayer
from tests.layers.payloads import BRAND
from tests.support.embedders import HashEmbedder

Scenario = Callable[[QdrantServerLayer], Awaitable[Any]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, visibly, what needs fastembed where it is not installed, or servers nobody asked for."""
    absent = set() if importlib.util.find_spec("fastembed") else {"fastembed"}
    absent |= set() if "qdrant" in os.environ.get("DM_MEMORY_INTEROP", "") else {"interop"}
    here = os.path.dirname(__file__)  # noqa: PTH120  # items carry paths as text
    left_out = [
        item
        for item in items
        if str(item.path).startswith(here) and any(item.get_closest_marker(name) for name in absent)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class Cluster:
    """A Qdrant cluster in this process' memory: the client's local mode."""

    def __init__(self) -> None:
        from qdrant_client import AsyncQdrantClient  # noqa: PLC0415  # 1 s of import: not by collection

        class Shared(AsyncQdrantClient):
            async def close(self, grpc_grace: float | None = None, **kwargs: Any) -> None:
                """Stay: other layers of the test go on."""

        self.client = Shared(":memory:")

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


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An empty cluster."""
    return Cluster()
