"""What a request may see and do: the one place where it is decided."""

from __future__ import annotations

import asyncio
import json
from contextvars import copy_context
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from dm_memory_server.app import build_server
from dm_memory_tools.runtime import ACCESS, Access, Runtime, open_memory


def test_each_request_sees_the_brand_of_its_own_access(tmp_path: Path) -> None:
    for slug in ("acme", "rival"):
        folder = tmp_path / "brands" / slug
        folder.mkdir(parents=True)
        (folder / "profile.json").write_text(json.dumps({"brand_name": slug, "brand_slug": slug}))
    runtime = Runtime(lambda: open_memory(home=str(tmp_path)))

    async def brands(brand: str) -> tuple[str, ...]:
        ACCESS.set(Access("ada", brand))
        memory = await runtime.memory()
        return await asyncio.to_thread(memory.brands)

    async def ask() -> None:
        tasks = [asyncio.create_task(brands(name), context=copy_context()) for name in ("rival", "", "acme", "none")]
        assert await asyncio.gather(*tasks) == [("rival",), ("acme", "rival"), ("acme",), ()]
        assert ACCESS.get() == Access()
        await runtime.close()

    asyncio.run(ask())


def test_who_may_only_read_is_offered_no_prompt_that_leads_to_a_tool_that_writes(tmp_path: Path) -> None:
    server = build_server(Runtime(lambda: open_memory(home=str(tmp_path))))

    async def offered(access: Access) -> set[str]:
        ACCESS.set(access)
        if access.read_only:
            with pytest.raises(MCPError, match="no such prompt"):
                await server.get_prompt("forget")
        return {prompt.name for prompt in await server.list_prompts()}

    assert "forget" in asyncio.run(offered(Access("ada")))
    assert asyncio.run(offered(Access("dash", read_only=True))) == {
        "search-knowledge",
        "memory-status",
        "recall_memory",
    }
