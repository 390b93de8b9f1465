"""``search_memory``: ask a brand's memory by meaning and by words."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from dm_memory_tools.answer import to_result, tool_errors
from dm_memory_tools.arguments import Brand, ContentTypeName, Format, Tags, search_request
from dm_memory_tools.brand import ChosenBrand, brand_of
from dm_memory_tools.runtime import runtime_of
from dm_memory_tools.tool import define

__all__ = ["SEARCH_MEMORY"]


async def search_memory(
    *,
    ctx: Context,
    chosen: ChosenBrand,
    query: Annotated[str, Field(min_length=1, description="A question or keywords")],
    brand: Brand = None,
    content_type: Annotated[ContentTypeName | None, Field(description="Only this type")] = None,
    tags: Annotated[Tags, Field(description="All must match")] = [],  # noqa: B006  # read-only; a schema default
    from_date: Annotated[str | None, Field(description="YYYY-MM-DD, inclusive")] = None,
    to_date: Annotated[str | None, Field(description="YYYY-MM-DD, inclusive")] = None,
    limit: Annotated[int, Field(ge=1, le=100, description="Most results")] = 10,
    response_format: Format = "markdown",
) -> CallToolResult:
    """Find what a brand's memory holds on a question, before planning or writing."""
    del brand  # `chosen` is the brand, found from this argument or asked for
    with tool_errors("searching the memory"):
        from dm_memory.report import search_report  # noqa: PLC0415  # start-up imports only what tools/list needs

        request = search_request(
            query=query,
            brand=brand_of(chosen),
            content_type=content_type,
            tags=tags,
            from_date=from_date,
            to_date=to_date,
            limit=limit,
        )
        memory = await runtime_of(ctx).memory()
        return to_result(search_report(await memory.search(request)), response_format)


SEARCH_MEMORY = define(search_memory, title="Search brand memory", read_only=True)
