"""The MCP server: tools, a prompt, resources, and what lives as long as it does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, InputRequiredResult, Prompt, Tool
from pydantic import AnyUrl

from dm_memory import __version__
from dm_memory_server.background import preloading, storage_syncs
from dm_memory_server.completion import register_completion
from dm_memory_server.prompts import SKILLS, register_prompts
from dm_memory_server.resources import not_found, register_resources
from dm_memory_tools.catalog import OPERATIONS
from dm_memory_tools.runtime import ACCESS, Runtime
from dm_memory_tools.tool import tool_of

__all__ = ["INSTRUCTIONS", "build_server", "serve_stdio"]

INSTRUCTIONS = (
    "dm-memory keeps what a marketing team learns, per brand. At the end of a session call sync_memory once, with what "
    "the session taught in session_learnings. Before planning, look with search_memory. Show reports as they are."
)

_WRITES = frozenset(operation.name for operation in OPERATIONS if not operation.read_only)
_WRITING = frozenset(skill.name for skill in SKILLS if skill.tool in _WRITES)


def build_server(runtime: Runtime) -> MCPServer[Runtime]:
    """Return the server over ``runtime``, ready for any transport. Nothing is opened before the first call."""
    server = _Server(
        name="dm-memory",
        title="Marketing memory",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=[tool_of(operation) for operation in OPERATIONS],
        lifespan=_lifespan(runtime),
        log_level="WARNING",
        subscriptions=False,  # lists never change, and changes inside a resource are not announced
    )
    server.runtime = runtime
    register_prompts(server, runtime)
    register_resources(server, runtime)
    register_completion(server, runtime)
    return server


class _Server(MCPServer[Runtime]):
    """Notes that a client has listed the tools, and so is likely to call one; knows what to say of what is missing."""

    runtime: Runtime

    async def list_tools(self) -> list[Tool]:
        """Return the tools: those that write are no tools for who may only read."""
        self.runtime.listed.set()
        tools = await super().list_tools()
        return [tool for tool in tools if tool.name not in _WRITES] if ACCESS.get().read_only else tools

    async def list_prompts(self) -> list[Prompt]:
        """Return the prompts: those that lead to a tool that writes are none for who may only read."""
        prompts = await super().list_prompts()
        return [prompt for prompt in prompts if prompt.name not in _WRITING] if ACCESS.get().read_only else prompts

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Runtime, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Return a prompt; to the SDK one that is not there is a bug of ours, whose text it logs."""
        if not any(prompt.name == name for prompt in await self.list_prompts()):
            raise MCPError(INVALID_PARAMS, "There is no such prompt.")
        return await super().get_prompt(name, arguments, context)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Runtime, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Return a resource; what is not there is "not found", with the brands there are."""
        try:
            return await super().read_resource(uri, context)
        except ResourceNotFoundError as error:
            raise await not_found(self.runtime, error) from None


async def serve_stdio(server: MCPServer[Runtime]) -> None:
    """Serve over standard input and output until the client leaves; from then on the process has little time."""
    from dm_memory_server.signals import leave_soon  # noqa: PLC0415  # only a process of its own may end itself
    from dm_memory_server.stdio import stdio  # noqa: PLC0415  # other transports need none of it

    lowlevel = server._lowlevel_server  # noqa: SLF001  # the SDK serves streams of one's own by this alone
    async with stdio(leave_soon) as (incoming, outgoing):
        await lowlevel.run(incoming, outgoing, lowlevel.create_initialization_options())


def _lifespan(runtime: Runtime) -> Callable[[MCPServer[Runtime]], AbstractAsyncContextManager[Runtime]]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Runtime]) -> AsyncIterator[Runtime]:
        runtime.in_use = True
        try:
            # The transport has its own handle by now; text that Python still buffers must not follow on it later.
            with contextlib.redirect_stdout(sys.stderr):
                async with preloading(runtime), storage_syncs(runtime):
                    yield runtime
        finally:
            await runtime.close()

    return lifespan
