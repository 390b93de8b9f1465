"""``storage_sync``: bring the local cache up to the durable store."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from dm_memory_tools.answer import to_result, tool_errors
from dm_memory_tools.arguments import Brand, Format
from dm_memory_tools.brand import ChosenBrand, brand_of
from dm_memory_tools.progress import ProgressRelay
from dm_memory_tools.runtime import runtime_of
from dm_memory_tools.tool import define

__all__ = ["STORAGE_SYNC"]


async def storage_sync(
    *,
    ctx: Context,
    chosen: ChosenBrand,
    brand: Brand = None,
    max_episodes_cache: Annotated[int, Field(ge=1, description="Newest kept")] = 1000,
    batch_size: Annotated[int, Field(ge=1, le=1000, description="Rows a page")] = 100,
    sync_patterns: Annotated[bool, Field(description="Cache patterns")] = True,
    sync_embeddings: Annotated[bool, Field(description="Cache vectors")] = True,
    full: Annotated[bool, Field(description="Reread all")] = False,
    dry_run: Annotated[bool, Field(description="Plan only")] = False,
    validate_only: Annotated[bool, Field(description="Check only")] = False,
    repair: Annotated[bool, Field(description="Mend")] = False,
    response_format: Format = "markdown",
) -> CallToolResult:
    """Refresh the local cache, read offline, from the durable store that sync_memory fills."""
    del brand  # `chosen` is the brand, found from this argument or asked for
    with tool_errors("bringing the cache up to the durable store"):
        from dm_memory.cache.results import StorageSyncRequest  # noqa: PLC0415  # as above
        from dm_memory.report import storage_report  # noqa: PLC0415  # start-up imports only what tools/list needs

        request = StorageSyncRequest(
            brand=brand_of(chosen),
            max_episodes_cache=max_episodes_cache,
            batch_size=batch_size,
            sync_patterns=sync_patterns,
            sync_embeddings=sync_embeddings,
            full=full,
            dry_run=dry_run,
            validate_only=validate_only,
            repair=repair,
        )
        runtime = runtime_of(ctx)
        memory = await runtime.memory()
        result = await memory.storage_sync(request, ProgressRelay(ctx))
        interval = memory.settings.storage_interval if result.brand == runtime.brand_in_background else None
        return to_result(storage_report(result, interval), response_format)


STORAGE_SYNC = define(storage_sync, title="Sync cache", read_only=False)
