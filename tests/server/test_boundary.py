"""Where the core meets the protocol: bugs give nothing away, and the core is opened once."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent

from dm_memory.errors import ConfigurationError
from dm_memory.requests import Progress, SyncRequest
from dm_memory_server.app import build_server
from dm_memory_tools.runtime import Runtime

SECRET = "sk-live-4242"  # noqa: S105  # a made-up one


class BrokenMemory:
    """A core with a bug that carries a secret in its text."""

    def __init__(self) -> None:
        self.closed = 0

    settings = SimpleNamespace(brand=None)
    home = SimpleNamespace(resolve_or_only=lambda name, _: name or "acme")

    async def sync(self, request: SyncRequest, *, progress: Progress) -> Any:  # noqa: ARG002  # the core's signature
        raise RuntimeError(f"401 for {SECRET} from {request.brand}")

    async def close(self) -> None:
        self.closed += 1


def serving(memory: object) -> MCPServer[Runtime]:
    return build_server(Runtime(lambda: cast("Any", memory)))


def text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def test_a_bug_is_named_in_the_log_and_its_text_goes_nowhere(era: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> CallToolResult:
        async with Client(serving(BrokenMemory()), mode=era) as client:
            return await client.call_tool("sync_memory", {})

    with caplog.at_level(logging.DEBUG):
        result = asyncio.run(run())
    assert result.is_error
    assert "while syncing the brand; nothing that was stored is lost" in text(result)
    assert "dm-memory doctor" in text(result)
    assert "unexpected RuntimeError while syncing the brand" in caplog.text
    assert SECRET not in text(result) + caplog.text


def test_a_core_that_could_not_be_opened_is_tried_again_by_the_next_call(era: str) -> None:
    attempts: list[int] = []

    def opener() -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConfigurationError("A setting can't be used.", "Correct it.")
        return BrokenMemory()

    async def run() -> list[str]:
        async with Client(build_server(Runtime(opener)), mode=era) as client:
            return [text(await client.call_tool("sync_memory", {})) for _ in range(2)]

    first, second = asyncio.run(run())
    assert "A setting can't be used." in first
    assert "Correct it." in first
    assert "Something went wrong inside dm-memory" in second


def test_calls_at_the_same_time_open_the_core_once(era: str) -> None:
    opened: list[int] = []

    def opener() -> Any:
        opened.append(1)
        return BrokenMemory()

    async def run() -> None:
        async with Client(build_server(Runtime(opener)), mode=era) as client, anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.call_tool, "sync_memory", {})

    asyncio.run(run())
    assert opened == [1]
