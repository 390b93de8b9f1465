"""Prompts: what clients without the Claude plugin offer in place of ``/dm:sync-memory``."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt

__all__ = ["register_prompts"]

_TEXT = """Save what this session taught to the brand's memory.

1. Go through the session and pick what a colleague would want to know next quarter: results with their figures, \
what worked or failed and for whom, decisions with their reason, what was learned about competitors or the audience. \
Leave out chat, plans nobody decided on, and anything already in the brand's files.
2. Write each as one sentence that stands alone: name the campaign, channel, market and period. Never include \
passwords, keys or personal data.
3. Call `sync_memory` once with these sentences as `session_learnings`{brand}.
4. Show the report as it is. If items failed, say what the report says to do about them."""


def sync_memory_prompt(brand: str = "") -> str:
    """Gather what this session taught and save it with the brand's files."""
    return _TEXT.format(brand=f' and `brand` = "{brand}"' if brand else "")


def register_prompts(server: MCPServer[Any]) -> None:
    """Offer the prompts on ``server``."""
    server.add_prompt(Prompt.from_function(sync_memory_prompt, name="sync-memory", title="Save this session to memory"))
