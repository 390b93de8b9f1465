"""``prepare_store``: one thing to remember, kept until the next sync stores it."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from dm_memory_tools.answer import to_result, tool_errors
from dm_memory_tools.arguments import Brand, ContentTypeName, Format, PriorityName, SourceName, Tags, prepare_request
from dm_memory_tools.brand import ChosenBrand, brand_of
from dm_memory_tools.runtime import runtime_of
from dm_memory_tools.tool import define

__all__ = ["PREPARE_STORE"]


async def prepare_store(
    *,
    ctx: Context,
    chosen: ChosenBrand,
    content: Annotated[str, Field(min_length=1, description="The text to remember")],
    content_type: Annotated[ContentTypeName, Field(description="What it is")],
    tags: Annotated[Tags, Field(description="Tags to add")] = [],  # noqa: B006  # read-only; a schema default
    source: Annotated[SourceName, Field(description="Who hands it in")] = "session",
    brand: Brand = None,
    priority: Annotated[PriorityName, Field(description="How much it matters")] = "normal",
    expires_at: Annotated[str | None, Field(description="ISO-8601; default: never")] = None,
    related: Annotated[Tags, Field(description="Keys or hashes of related entries")] = [],  # noqa: B006  # as above
    response_format: Format = "markdown",
) -> CallToolResult:
    """Keep one text for memory: checks it, finds duplicates and tags. The next sync_memory stores it."""
    del brand  # `chosen` is the brand, found from this argument or asked for
    with tool_errors("preparing the text"):
        from dm_memory.report import prepare_report  # noqa: PLC0415  # start-up imports only what tools/list needs

        request = prepare_request(
            content=content,
            content_type=content_type,
            tags=tags,
            source=source,
            brand=brand_of(chosen),
            priority=priority,
            expires_at=expires_at,
            related=related,
        )
        memory = await runtime_of(ctx).memory()
        return to_result(prepare_report(await memory.prepare(request)), response_format)


PREPARE_STORE = define(prepare_store, title="Prepare for memory", read_only=False)
