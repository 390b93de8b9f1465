"""The MCP server: tools, a prompt, resources, and what lives as long as it does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp.server.mcpserver import MCPServer

from dm_memory import __version__
from dm_memory_server.background import storage_syncs
from dm_memory_server.prompts import register_prompts
from dm_memory_server.resources import register_resources
from dm_memory_tools.catalog import TOOLS
from dm_memory_tools.runtime import Runtime

__all__ = ["INSTRUCTIONS", "build_server"]

INSTRUCTIONS = (
    "dm-memory keeps what a marketing team learns, per brand. At the end of a session call sync_memory once, with what "
    "the session taught in session_learnings. Before planning, look with search_memory. Show reports as they are."
)


def build_server(runtime: Runtime) -> MCPServer[Runtime]:
    """Return the server over ``runtime``, ready for any transport. Nothing is opened before the first call."""
    server = MCPServer[Runtime](
        name="dm-memory",
        title="Marketing memory",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=list(TOOLS),
        lifespan=_lifespan(runtime),
        log_level="WARNING",
    )
    register_prompts(server)
    register_resources(server, runtime)
    return server


def _lifespan(runtime: Runtime) -> Callable[[MCPServer[Runtime]], AbstractAsyncContextManager[Runtime]]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Runtime]) -> AsyncIterator[Runtime]:
        runtime.in_use = True
        try:
            # The transport has its own handle by now; text that Python still buffers must not follow on it later.
            with contextlib.redirect_stdout(sys.stderr):
                async with storage_syncs(runtime):
                    yield runtime
        finally:
            await runtime.close()

    return lifespan
