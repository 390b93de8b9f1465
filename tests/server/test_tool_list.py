"""What a client is told about the tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer

from dm_memory.items import ContentType, Priority, Source
from dm_memory.requests import AUTO, Scope
from dm_memory_tools.runtime import Runtime

ERAS = ("legacy", "2026-07-28")

ARGUMENTS = {
    "sync_memory": {
        "brand", "scope", "force", "dry_run", "content_type", "tags", "retag", "untag", "exclude", "retire",
        "session_learnings", "report_items", "response_format",
    },
    "get_memory_status": {"brand", "report_items", "response_format"},
    "prepare_store": {
        "content", "content_type", "tags", "source", "brand", "priority", "expires_at", "related", "replaces", "purge",
        "response_format",
    },
    "search_memory": {
        "query", "brand", "content_type", "tags", "from_date", "to_date", "limit", "mode", "as_of", "min_priority",
        "include_expired", "include_retired", "history_of", "explain", "author", "response_format",
    },
    "storage_sync": {
        "brand", "max_episodes_cache", "batch_size", "sync_patterns", "sync_embeddings", "full", "dry_run",
        "validate_only", "repair", "response_format",
    },
    "forget_memory": {
        "query", "keys", "campaign", "tag", "author", "before", "retired", "dry_run", "token", "restore", "brand",
        "response_format",
    },
}  # fmt: skip


def never_opened() -> Any:
    raise AssertionError("listing the tools opened the core")


@pytest.fixture(params=ERAS)
def listing(request: pytest.FixtureRequest) -> dict[str, Any]:
    from dm_memory_server.app import build_server  # noqa: PLC0415  # beside its only use

    async def ask() -> dict[str, Any]:
        async with Client(build_server(Runtime(never_opened)), mode=request.param) as client:
            answer = await client.list_tools()
            return answer.model_dump(by_alias=True, exclude_none=True, mode="json")

    return asyncio.run(ask())


def by_name(listing: dict[str, Any]) -> dict[str, Any]:
    return {tool["name"]: tool for tool in listing["tools"]}


def test_the_tools_take_exactly_the_arguments_of_the_contract(listing: dict[str, Any]) -> None:
    assert {name: set(tool["inputSchema"]["properties"]) for name, tool in by_name(listing).items()} == ARGUMENTS


def test_the_whole_list_stays_below_2000_tokens(listing: dict[str, Any]) -> None:
    """Estimated without a tokenizer: that of Llama 2 needs one token for 3.83 characters of this list.

    Its 32,000 words make more tokens of a text than the larger vocabularies of the assistants that read the list do.
    """
    sent = json.dumps({"tools": listing["tools"]}, separators=(",", ":"), ensure_ascii=False)
    assert len(sent) / 3.8 <= 2000


def test_every_argument_is_described_and_free_of_schema_noise(listing: dict[str, Any]) -> None:
    for tool in listing["tools"]:
        Draft202012Validator.check_schema(tool["inputSchema"])
        for name, prop in tool["inputSchema"]["properties"].items():
            assert prop.get("description"), f"{tool['name']}.{name}"
            assert "title" not in prop
            assert "null" not in json.dumps(prop)


def test_the_choices_are_the_cores_own(listing: dict[str, Any]) -> None:
    tools = by_name(listing)
    sync, prepare = (
        tools["sync_memory"]["inputSchema"]["properties"],
        tools["prepare_store"]["inputSchema"]["properties"],
    )
    assert sync["scope"]["enum"] == [scope.value for scope in Scope]
    assert prepare["content_type"]["enum"] == [kind.value for kind in ContentType]
    assert sync["content_type"]["enum"] == [*prepare["content_type"]["enum"], AUTO]
    assert prepare["source"]["enum"] == [source.value for source in Source]
    assert prepare["priority"]["enum"] == [priority.value for priority in Priority]


def test_no_tool_promises_structured_output(listing: dict[str, Any]) -> None:
    assert not any("outputSchema" in tool for tool in listing["tools"])


@pytest.mark.parametrize(
    ("name", "reads", "destroys"),
    [
        ("sync_memory", False, True),  # a changed text takes the place of the old one
        ("prepare_store", False, True),  # a correction can purge the old text
        ("get_memory_status", True, False),
        ("search_memory", True, False),
        ("storage_sync", False, True),  # the cache's rows are replaced and evicted
        ("forget_memory", False, True),
    ],
)
def test_annotations_tell_reading_from_changing(
    listing: dict[str, Any], name: str, *, reads: bool, destroys: bool
) -> None:
    tool = by_name(listing)[name]
    assert tool["title"]
    assert tool["annotations"]["readOnlyHint"] is reads
    assert tool["annotations"].get("destructiveHint", False) is destroys
    assert tool["annotations"]["openWorldHint"] is True  # connected services are asked
    assert reads or tool["annotations"]["idempotentHint"] is True


def test_instructions_and_version_are_sent(serving: Callable[[Path], MCPServer[Runtime]], tmp_path: Path) -> None:
    from dm_memory import __version__  # noqa: PLC0415  # beside its only use

    async def ask() -> tuple[str | None, str]:
        async with Client(serving(tmp_path), mode="legacy") as client:
            return client.instructions, client.server_info.version

    instructions, version = asyncio.run(ask())
    assert instructions is not None
    assert "sync_memory once" in instructions
    assert version == __version__
