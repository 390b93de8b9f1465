"""The official Pinecone MCP server, unmodified, reads what we wrote."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

from dm_memory.services.pinecone.service import PineconeService
from tests.services.payloads import BRAND, payload
from tests.services.pinecone.fake_pinecone import KEY
from tests.services.pinecone.fake_server import FakeServer

SERVER = "@pinecone-database/mcp@0.3.0"

pytestmark = pytest.mark.interop


async def call(fake: FakeServer, folder: Path, tool: str, arguments: dict[str, Any]) -> str:
    """Start the server with npx, call one tool, and return the text it answered with."""
    redirection = Path(__file__).with_name("redirect_fetch.cjs")
    environment = dict(os.environ) | {
        "PINECONE_API_KEY": KEY,
        "FAKE_PINECONE_URL": fake.url,
        "NODE_OPTIONS": f"--require {redirection}",
    }
    server = StdioServerParameters(command="npx", args=["-y", SERVER], env=environment, cwd=folder)
    async with Client(server, mode="legacy") as client:
        result = await client.call_tool(tool, arguments)
        assert isinstance(result.content[0], TextContent)
        assert not result.is_error, result.content[0].text
        return result.content[0].text


def test_search_records_finds_an_entry_with_its_metadata(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], tmp_path: Path
) -> None:
    wanted = payload(1, "Podcast sponsorships brought the cheapest leads of the year.", tags=("podcast", "q1"))
    long = payload(2, "Plain words about budgets. " * 300 + "The zebra mascot tripled dwell time.")
    others = [payload(number) for number in range(3, 30)]
    outcomes = play(make(), lambda service: service.upsert([wanted, long, *others]))
    assert all(outcome.error is None for outcome in outcomes)

    def found(text: str, **conditions: Any) -> dict[str, Any]:
        query = {"topK": 3, "inputs": {"text": text}, **({"filter": conditions} if conditions else {})}
        arguments = {"name": "dm-memory", "namespace": BRAND, "query": query}
        answer = json.loads(asyncio.run(call(fake, tmp_path, "search-records", arguments)))
        return dict(answer["result"]["hits"][0])

    hit = found("cheapest leads podcast", tags={"$in": ["podcast"]})
    assert hit["_id"] == wanted.id
    assert hit["fields"]["text"] == wanted.content
    assert hit["fields"]["key"] == wanted.key
    assert hit["fields"]["tags"] == ["podcast", "q1"]
    assert hit["fields"]["lift"] == 1.5
    assert found("zebra mascot dwell time")["_id"].startswith(long.id)


def test_the_server_describes_our_index_as_one_it_can_search(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], tmp_path: Path
) -> None:
    play(make(), lambda service: service.upsert([payload(1)]))
    shown = json.loads(asyncio.run(call(fake, tmp_path, "describe-index", {"name": "dm-memory"})))
    assert shown["embed"]["model"] == "multilingual-e5-large"
    assert shown["embed"]["fieldMap"] == {"text": "text"}


def test_what_the_server_wrote_beside_ours_is_let_be(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], tmp_path: Path
) -> None:
    play(make(), lambda service: service.upsert([payload(1)]))
    note = {"_id": "note-1", "text": "Learning 1: shorter subject lines", "category": "note"}
    asyncio.run(call(fake, tmp_path, "upsert-records", {"name": "dm-memory", "namespace": BRAND, "records": [note]}))
    # Its SDK calls its lines plain text, which the vendor's description does not foresee.
    fake.violations[:] = [violation for violation in fake.violations if "'text/plain'" not in violation]
    assert "note-1" in fake.pinecone.indexes["dm-memory"].space(BRAND)
    entries, _ = play(make(), lambda service: service.entries(None, 100))
    assert [entry.id for entry in entries] == [payload(1).id]
