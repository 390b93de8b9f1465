"""Prompts: the plugin's skills for clients without it, from the same files, and ``recall_memory``.

A skill is a Markdown file that tells an assistant what to do. What the user chose is put below its text as JSON
strings: data, which can't continue the text.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from dm_memory_tools.answer import tool_errors
from dm_memory_tools.runtime import Runtime, resolve_brand

__all__ = ["RECALL", "SKILLS", "Skill", "register_prompts", "skill_files"]

RECALL = "recall_memory"

_BRAND = ("brand", "The brand's slug; default: the active brand")
_TAGS = ("tags", "Tags, separated by commas")
_CAMPAIGN = ("campaign", "A campaign's id")


class Skill(NamedTuple):
    """A skill as a prompt: its folder's name, a title for people, the tool it leads to, what the user may choose."""

    name: str
    title: str
    tool: str
    arguments: tuple[tuple[str, str], ...]


SKILLS = (
    Skill(
        "sync-memory",
        "Save this session to memory",
        "sync_memory",
        (_BRAND, ("scope", "all, insights-only or campaigns-only"), _TAGS, ("dry_run", "true: only show it")),
    ),
    Skill("save-knowledge", "Keep one thing in memory", "prepare_store", (("text", "What to remember"), _BRAND, _TAGS)),
    Skill(
        "search-knowledge",
        "Look into memory",
        "search_memory",
        (("question", "What the user wants to know"), _BRAND, _TAGS, _CAMPAIGN),
    ),
    Skill("memory-status", "Show the state of memory", "get_memory_status", (_BRAND,)),
    Skill(
        "forget",
        "Forget something for good",
        "forget_memory",
        (("what", "What to forget"), _BRAND, _CAMPAIGN, ("tag", "A tag")),
    ),
)


def skill_files() -> Path:
    """Return the folder of the skills: inside an installed package, or in the checkout."""
    here = Path(__file__).parent
    return next(path for path in (here / "skills", here.parents[1] / "skills") if path.is_dir())


def register_prompts(server: MCPServer[Any], runtime: Runtime) -> None:
    """Offer the prompts on ``server``."""
    folder = skill_files()
    for skill in SKILLS:
        description, text = _read(folder / skill.name / "SKILL.md")
        prompt = _prompt(skill.name, skill.title, description, skill.arguments, partial(_text_of, skill, text))
        server.add_prompt(prompt)
    about = "What matters now for a brand: restrictions, the latest learnings, what worked and failed, what waits."
    server.add_prompt(_prompt(RECALL, "Recall what matters now", about, (_BRAND,), partial(_recall, runtime)))


def _prompt(
    name: str, title: str, description: str, arguments: tuple[tuple[str, str], ...], render: Callable[..., Any]
) -> Prompt:
    known = [PromptArgument(name=argument, description=words, required=False) for argument, words in arguments]
    return Prompt(name=name, title=title, description=description, arguments=known, fn=render, context_kwarg=None)


def _read(path: Path) -> tuple[str, str]:
    """Return a skill's description and its text, in which other skills are prompts."""
    _, front, text = path.read_text(encoding="utf-8").split("---\n", 2)
    description = re.search(r"^description: (.+)$", front, re.MULTILINE)
    return description[1] if description else "", re.sub(r"`/dm:([\w-]+)`", r"the prompt `\1`", text).strip()


def _text_of(skill: Skill, text: str, /, **given: Any) -> str:  # noqa: ANN401  # whatever a client sends
    """Return the text of a skill, with what the user chose."""
    names = [name for name, _ in skill.arguments]
    chosen = {name: str(given[name]) for name in names if str(given.get(name) or "").strip()}
    if not chosen:
        return text
    lines = "\n".join(f"- {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in chosen.items())
    return f"{text}\n\n## What the user chose\n\n{lines}"


async def _recall(runtime: Runtime, brand: str = "", **_: Any) -> str:  # noqa: ANN401  # as above
    try:
        with tool_errors("recalling what matters now"):
            from dm_memory.report import Reader, recall_report  # noqa: PLC0415  # start-up needs neither

            memory = await runtime.memory()
            slug = await asyncio.to_thread(resolve_brand, memory, brand or None)
            return recall_report(await memory.recall(slug), reader=Reader.TOOL).text
    except ToolError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
