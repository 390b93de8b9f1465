"""``sync_memory``: brand files and session learnings into memory."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from dm_memory_tools.answer import to_result, tool_errors
from dm_memory_tools.arguments import Brand, ContentTypeName, Exclude, Format, Learnings, ScopeName, Tags, sync_request
from dm_memory_tools.brand import ChosenBrand, brand_of
from dm_memory_tools.progress import ProgressRelay
from dm_memory_tools.runtime import runtime_of
from dm_memory_tools.tool import define

__all__ = ["SYNC_MEMORY"]


async def sync_memory(
    *,
    ctx: Context,
    chosen: ChosenBrand,
    brand: Brand = None,
    scope: Annotated[ScopeName, Field(description="Which files to read")] = "all",
    force: Annotated[bool, Field(description="Store everything again")] = False,
    dry_run: Annotated[bool, Field(description="Only show the plan; write nothing")] = False,
    content_type: Annotated[ContentTypeName | None, Field(description="Override the type of all items")] = None,
    tags: Annotated[Tags, Field(description="Tags to add to every item")] = [],  # noqa: B006  # read-only; a schema default
    exclude: Annotated[
        Exclude,
        Field(description="Skip items: type:X, status:X, source:X, tag:X, or a glob over text and key (*draft*)"),
    ] = [],  # noqa: B006  # as above
    session_learnings: Annotated[
        Learnings, Field(description="What this session taught: a sentence each, with figures; no secrets")
    ] = [],  # noqa: B006  # as above
    response_format: Format = "markdown",
) -> CallToolResult:
    """Save a brand's insights, campaigns, performance, guidelines and this session's learnings to memory.

    Stores only what is new or changed. Call it once at the end of a session. Show the report to the user as it is.
    """
    del brand  # `chosen` is the brand, found from this argument or asked for
    with tool_errors("syncing the brand"):
        from dm_memory.report import sync_report  # noqa: PLC0415  # start-up imports only what tools/list needs

        request = sync_request(
            brand=brand_of(chosen),
            scope=scope,
            force=force,
            dry_run=dry_run,
            content_type=content_type,
            tags=tags,
            exclude=exclude,
            session_learnings=session_learnings,
        )
        memory = await runtime_of(ctx).memory()
        result = await memory.sync(request, progress=ProgressRelay(ctx))
        return to_result(sync_report(result, list_limit=memory.settings.report_items), response_format)


SYNC_MEMORY = define(sync_memory, title="Sync brand memory", read_only=False)
