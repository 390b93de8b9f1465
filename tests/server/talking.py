"""A conversation of the SDK's client with a server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer

from dm_memory_tools.runtime import Runtime

T = TypeVar("T")


def talk(server: MCPServer[Runtime], era: str, conversation: Callable[[Client], Awaitable[T]]) -> T:
    """Return what a conversation returns."""

    async def run() -> T:
        async with Client(server, mode=era) as client:
            return await conversation(client)

    return asyncio.run(run())
