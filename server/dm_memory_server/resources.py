"""Resources: what a client can attach to a conversation without calling a tool."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from dm_memory.errors import BrandNotFoundError
from dm_memory_tools.answer import tool_errors
from dm_memory_tools.runtime import Runtime

__all__ = ["register_resources"]


def register_resources(server: MCPServer[Any], runtime: Runtime) -> None:
    """Offer ``dm-memory://brands`` and ``dm-memory://{brand}/status`` on ``server``."""

    @server.resource(
        "dm-memory://brands",
        name="brands",
        title="Brands",
        description="Slugs of the brands",
        mime_type="application/json",
    )
    async def brands() -> str:
        import orjson  # noqa: PLC0415  # start-up imports only what tools/list needs

        try:
            with tool_errors("listing the brands"):
                memory = await runtime.memory()
                return orjson.dumps(await asyncio.to_thread(memory.brands)).decode()
        except ToolError as error:
            raise ResourceError(str(error)) from None

    @server.resource(
        "dm-memory://{brand}/status",
        name="status",
        title="Memory status",
        description="The status report of a brand",
        mime_type="text/markdown",
    )
    async def status(brand: str) -> str:
        try:
            with tool_errors("reading the memory's status"):
                return await _status_text(runtime, brand)
        except ToolError as error:
            raise ResourceError(str(error)) from None


async def _status_text(runtime: Runtime, brand: str) -> str:
    from dm_memory.report import status_report  # noqa: PLC0415  # start-up imports only what tools/list needs

    memory = await runtime.memory()
    try:
        result = await memory.status(brand)
        patterns = await memory.patterns(result.brand, 5)
        return status_report(result, patterns, list_limit=memory.settings.report_items).text
    except BrandNotFoundError as error:
        raise ResourceNotFoundError(f"{error.problem} {error.remedy}") from None
