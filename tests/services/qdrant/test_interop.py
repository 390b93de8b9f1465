"""The unmodified mcp-server-qdrant finds what we stored, and what it stores itself stays its own.

It runs over stdio, on the client's local mode, on a folder that our service wrote. ``DM_MEMORY_MCP_SERVER_QDRANT`` may
name its program; otherwise uvx fetches it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

from dm_memory.embedding.fastembed import FastembedEmbedder
from dm_memory.embedding.protocol import Embedder
from dm_memory.services.protocol import SearchQuery
from dm_memory.services.qdrant.service import QdrantService
from tests.services.payloads import BRAND, payload
from tests.services.qdrant.local import local_client
from tests.services.qdrant.standin import StandIn
from tests.support.embedders import HashEmbedder

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]

SERVER = "uvx --from mcp-server-qdrant==0.8.1 mcp-server-qdrant"
PODCAST = "Podcast sponsorships brought the cheapest leads of the year."


class Folder:
    """A folder of the client's local mode, which one process at a time can have open."""

    def __init__(self, path: Path, models: Path) -> None:
        self.path = path
        self._models = models

    def play(self, embedder: Embedder, scenario: Callable[[QdrantService], Awaitable[Any]], brand: str = BRAND) -> Any:
        """Play a scenario on a service over this folder."""

        async def act() -> Any:
            service = QdrantService(
                "http://localhost",
                None,
                "dm-memory",
                brand,
                embedder,
                client_factory=lambda: local_client(path=str(self.path), force_disable_check_same_thread=True),
            )
            try:
                return await scenario(service)
            finally:
                await service.close()

        return asyncio.run(act())

    def ask(self, tool: str, **arguments: Any) -> str:
        """Call a tool of the vendor's server and return the text of its answer."""
        command, *rest = shlex.split(os.environ.get("DM_MEMORY_MCP_SERVER_QDRANT", SERVER))
        environment = os.environ | {
            "QDRANT_LOCAL_PATH": str(self.path),
            "COLLECTION_NAME": "dm-memory",
            "FASTEMBED_CACHE_PATH": str(self._models),
            "HF_HUB_OFFLINE": "1",
        }
        server = StdioServerParameters(command=command, args=rest, env=environment)

        async def act() -> str:
            async with Client(server, mode="legacy") as client:
                answer = await client.call_tool(tool, arguments)
                assert isinstance(answer.content[0], TextContent)
                assert not answer.is_error, answer.content[0].text
                return answer.content[0].text

        return asyncio.run(act())

    def find(self, query: str) -> list[str]:
        """Return the entries that the vendor's server finds, best first."""
        header, *entries = json.loads(self.ask("qdrant-find", query=query))
        assert query in header
        return entries


@pytest.fixture
def folder(tmp_path: Path, model_cache: Path) -> Folder:
    return Folder(tmp_path / "qdrant", model_cache)


@pytest.fixture(params=["stand-in", pytest.param("fastembed", marks=pytest.mark.fastembed)])
def minilm(request: pytest.FixtureRequest, model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Embedder:
    """The model whose files the server runs, run by us in one of two ways."""
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(model_cache))
    return FastembedEmbedder() if request.param == "fastembed" else StandIn()


def test_the_qdrant_mcp_server_finds_what_we_stored(folder: Folder, minilm: Embedder) -> None:
    long = payload(2, "Our budget is a plan with a price. " * 60 + "The zebra mascot tripled dwell time on the stand.")

    async def store(service: QdrantService) -> None:
        outcomes = await service.upsert([payload(1, PODCAST), long, *(payload(number) for number in range(3, 30))])
        assert all(outcome.error is None for outcome in outcomes)

    folder.play(minilm, store)
    found = folder.find("cheapest leads podcast")
    assert PODCAST in found[0]
    assert '"key": "insight/1"' in found[0]
    assert '"brand": "acme"' in found[0]
    assert any("zebra mascot" in text for text in folder.find("zebra mascot dwell time")[:3])


def test_what_the_qdrant_mcp_server_stores_is_not_taken_for_ours(folder: Folder) -> None:
    folder.play(StandIn(), lambda service: service.upsert([payload(1, PODCAST)]))
    folder.ask("qdrant-store", information="A note about podcast leads.", metadata={"by": "an assistant"})

    async def look(service: QdrantService) -> None:
        assert [hit.content for hit in await service.search(SearchQuery("podcast leads"))] == [PODCAST]
        assert (await service.capacity()).entries == 1
        assert len((await service.entries(None, 10))[0]) == 1

    folder.play(StandIn(), look)
    found = folder.find("podcast leads")
    assert len([text for text in found if "podcast" in text.lower()]) >= 2


def test_after_a_rebuild_the_qdrant_mcp_server_finds_it_under_the_same_name(folder: Folder) -> None:
    folder.play(HashEmbedder(), lambda service: service.upsert([payload(1, PODCAST)]))

    async def rebuild(service: QdrantService) -> None:
        await service.begin_rebuild()
        await service.upsert([payload(1, PODCAST)])
        await service.finish_rebuild()
        assert "mcp-server-qdrant" not in (await service.health()).detail

    folder.play(StandIn(), rebuild)
    assert PODCAST in folder.find("cheapest leads podcast")[0]


def test_a_collection_that_the_qdrant_mcp_server_made_is_shared_with_it(folder: Folder) -> None:
    folder.ask("qdrant-store", information="A note about podcast leads.", metadata={"by": "an assistant"})

    async def store(service: QdrantService) -> None:
        assert (await service.health()).ok
        await service.upsert([payload(1, PODCAST)])
        assert [hit.content for hit in await service.search(SearchQuery("podcast leads"))] == [PODCAST]

    folder.play(StandIn(), store)
    found = " ".join(folder.find("podcast leads"))
    assert "A note about podcast leads." in found
    assert PODCAST in found
