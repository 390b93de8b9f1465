"""Resources: what a client can attach to a conversation without calling a tool.

Their list never changes, and changes inside are not announced: neither is claimed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from dm_memory.errors import BrandNotFoundError, DmMemoryError, InputError
from dm_memory_tools.answer import tool_errors
from dm_memory_tools.runtime import Runtime

if TYPE_CHECKING:
    from dm_memory.api import Memory

__all__ = ["not_found", "register_resources"]

_SHOWN_BRANDS = 50
_PATTERNS = 50
_ENTRY_CHARS = 8_000

_Work = Callable[["Memory"], Awaitable[str]]


def register_resources(server: MCPServer[Any], runtime: Runtime) -> None:
    """Offer the brands, and of each its status, its last sync, its patterns and its entries on ``server``."""

    @server.resource(
        "dm-memory://brands",
        name="brands",
        title="Brands",
        description="Slugs of the brands",
        mime_type="application/json",
    )
    async def brands() -> str:
        return await _text(runtime, "listing the brands", _brands)

    def of_a_brand(path: str, name: str, title: str, description: str) -> Callable[[Callable[..., Any]], Any]:
        address = f"dm-memory://{{brand}}/{path}"
        return server.resource(address, name=name, title=title, description=description, mime_type="text/markdown")

    @of_a_brand("status", "status", "Memory status", "The status report of a brand")
    async def status(brand: str) -> str:
        return await _text(runtime, "reading the memory's status", lambda memory: _status(memory, brand))

    @of_a_brand(
        "last-report", "last-report", "Last sync", "When a brand was last synced, how that ended, what it wrote"
    )
    async def last_report(brand: str) -> str:
        return await _text(runtime, "reading the last sync", lambda memory: _last_sync(memory, brand))

    @of_a_brand("patterns", "patterns", "Patterns", "What worked and what failed over a brand's campaigns")
    async def patterns(brand: str) -> str:
        return await _text(runtime, "reading the patterns", lambda memory: _patterns(memory, brand))

    @of_a_brand("entry/{id}", "entry", "Entry", "An entry: its text, what it said before, where it is from")
    async def entry(brand: str, id: str) -> str:  # noqa: A002  # the template's name for it
        return await _text(runtime, "reading an entry", lambda memory: _entry(memory, brand, id))


async def not_found(runtime: Runtime, error: ResourceNotFoundError) -> ResourceNotFoundError:
    """Return the error with the brands there are."""
    try:
        brands = await asyncio.to_thread((await runtime.memory()).brands)
    except DmMemoryError:
        brands = ()
    shown = ", ".join(brands[:_SHOWN_BRANDS]) or "none yet"
    return ResourceNotFoundError(f"{str(error).rstrip('.')}. Brands there are: {shown}.")


async def _text(runtime: Runtime, stage: str, work: _Work) -> str:
    """Return the text that ``work`` makes.

    Raises:
        ResourceNotFoundError: There is no such brand or entry.
        ResourceError: It could not be read.
    """
    missing = ""
    try:
        with tool_errors(stage):
            try:
                return await work(await runtime.memory())
            except (BrandNotFoundError, InputError) as error:
                missing = error.problem
    except ToolError as error:
        raise ResourceError(str(error)) from None
    raise ResourceNotFoundError(missing)


async def _brands(memory: Memory) -> str:
    import orjson  # noqa: PLC0415  # start-up imports only what tools/list needs

    return orjson.dumps(await asyncio.to_thread(memory.brands)).decode()


async def _status(memory: Memory, brand: str) -> str:
    from dm_memory.report import Reader, status_report  # noqa: PLC0415  # as above

    result = await memory.status(brand)
    patterns = await memory.patterns(result.brand, 5)
    return status_report(result, patterns, list_limit=memory.settings.report_items, reader=Reader.TOOL).text


async def _last_sync(memory: Memory, brand: str) -> str:
    from dm_memory.report import last_sync_report  # noqa: PLC0415  # as above

    return last_sync_report(await memory.last_sync(brand)).text


async def _patterns(memory: Memory, brand: str) -> str:
    from dm_memory.report import patterns_report  # noqa: PLC0415  # as above

    return patterns_report(await memory.patterns(brand, _PATTERNS)).text


async def _entry(memory: Memory, brand: str, name: str) -> str:
    from dm_memory.report import history_report  # noqa: PLC0415  # as above

    return history_report(await memory.history(name, brand), chars=_ENTRY_CHARS).text
