"""``get_memory_status``: what is in memory and whether it is well."""

from __future__ import annotations

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult

from dm_memory_tools.answer import to_result, tool_errors
from dm_memory_tools.arguments import Brand, Format
from dm_memory_tools.brand import ChosenBrand, brand_of
from dm_memory_tools.runtime import runtime_of
from dm_memory_tools.tool import define

__all__ = ["GET_MEMORY_STATUS"]


async def get_memory_status(
    ctx: Context, chosen: ChosenBrand, brand: Brand = None, response_format: Format = "markdown"
) -> CallToolResult:
    """Show what is in a brand's memory: counts, pending and failed items, last sync, health, and what to do next."""
    del brand  # `chosen` is the brand, found from this argument or asked for
    with tool_errors("reading the memory's status"):
        from dm_memory.report import status_report  # noqa: PLC0415  # start-up imports only what tools/list needs

        runtime = runtime_of(ctx)
        memory = await runtime.memory()
        result = await memory.status(brand_of(chosen))
        if result.cache_is_stale:
            runtime.cache_is_stale.set()
        return to_result(status_report(result, list_limit=memory.settings.report_items), response_format)


GET_MEMORY_STATUS = define(get_memory_status, title="Memory status", read_only=True)
