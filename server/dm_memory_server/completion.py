"""Completion of what prompts and resources take: brands, tags, campaigns, and names from a list."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from dm_memory.errors import DmMemoryError
from dm_memory.requests import Scope
from dm_memory_server.prompts import RECALL, SKILLS
from dm_memory_tools.bugs import log_bug
from dm_memory_tools.runtime import Runtime, resolve_brand

if TYPE_CHECKING:
    from dm_memory.api import Memory

__all__ = ["register_completion"]

_log = logging.getLogger("dm_memory")

_MOST = 100
"""What the protocol allows in one answer."""

_NAMES: dict[str, tuple[str, ...]] = {"scope": tuple(scope.value for scope in Scope), "dry_run": ("true", "false")}


def register_completion(server: MCPServer[Any], runtime: Runtime) -> None:
    """Answer ``completion/complete`` on ``server``; what can't be completed has no values, and is no error."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK's has no annotations
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        chosen = (context.arguments if context else None) or {}
        try:
            if argument.name not in _takes(ref):
                return Completion(values=[], total=0, has_more=False)
            found = await _values(await runtime.memory(), argument, chosen.get("brand", ""))
        except DmMemoryError as error:
            _log.info("nothing to complete %s with: %s", argument.name, type(error).__name__)
            found = []
        except Exception as error:  # noqa: BLE001  # a client that completes while a user types must not see it
            log_bug(error, "completing an argument")
            found = []
        return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)


def _takes(ref: PromptReference | ResourceTemplateReference) -> set[str]:
    """Return the arguments of a prompt or a resource."""
    if isinstance(ref, ResourceTemplateReference):
        return {"brand"} if ref.uri.startswith("dm-memory://") else set()
    if ref.name == RECALL:
        return {"brand"}
    return {name for skill in SKILLS if skill.name == ref.name for name, _ in skill.arguments}


async def _values(memory: Memory, argument: CompletionArgument, brand: str) -> list[str]:
    if argument.name == "brand":
        return _fitting(await asyncio.to_thread(memory.brands), argument.value)
    if argument.name in _NAMES:
        return _fitting(_NAMES[argument.name], argument.value)
    if argument.name not in {"tag", "tags", "campaign"}:
        return []
    slug = await asyncio.to_thread(resolve_brand, memory, brand or None)
    if argument.name == "campaign":
        return _fitting(await memory.campaigns(slug), argument.value)
    before, comma, last = argument.value.rpartition(",") if argument.name == "tags" else ("", "", argument.value)
    return [f"{before}{comma}{tag}" for tag in await memory.tags(slug, last.strip(), _MOST + 1)]


def _fitting(names: Iterable[str], part: str) -> list[str]:
    """Return the names that contain a part in whatever case, those that begin with it first."""
    wanted = part.strip().casefold()
    found = [name for name in names if wanted in name.casefold()]
    return sorted(found, key=lambda name: not name.casefold().startswith(wanted))
