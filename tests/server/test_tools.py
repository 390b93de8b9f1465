"""What a client gets back from the tools, over the core with its real engines, in both protocol eras."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent

from dm_memory_tools.runtime import Runtime
from tests.server.server_homes import INSIGHTS, many
from tests.server.talking import talk

KEY = "io.dm-memory/report"
Serving = Callable[[Path], MCPServer[Runtime]]


def call(server: MCPServer[Runtime], era: str, tool: str, **arguments: Any) -> CallToolResult:
    return talk(server, era, lambda client: client.call_tool(tool, arguments))


def text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def data(result: CallToolResult) -> dict[str, Any]:
    assert result.meta is not None
    return dict(result.meta[KEY])


def test_a_sync_answers_with_markdown_and_the_same_data_beside_it(serving: Serving, home: Path, era: str) -> None:
    result = call(serving(home), era, "sync_memory", session_learnings=["Refills sell themselves in spring."])
    assert not result.is_error
    assert result.structured_content is None
    assert text(result).startswith("#")
    counts = data(result)["counts"]
    assert (counts["new"], counts["stored"], counts["failed"]) == (4, 4, 0)


def test_json_puts_the_data_into_the_text(serving: Serving, home: Path, era: str) -> None:
    result = call(serving(home), era, "sync_memory", dry_run=True, response_format="json")
    assert json.loads(text(result)) == data(result)
    assert data(result)["dry_run"] is True
    assert not (home / "brands" / "acme" / "memory").exists()


def test_what_a_session_taught_is_found_by_its_meaning(serving: Serving, home: Path, era: str) -> None:
    async def conversation(client: Client) -> CallToolResult:
        await client.call_tool("sync_memory", {})
        return await client.call_tool("search_memory", {"query": "which subject lines get opened?", "limit": 1})

    found = talk(serving(home), era, conversation)
    assert INSIGHTS[1].split(" were ")[0] in text(found)


def test_a_prepared_text_is_in_memory_at_once(serving: Serving, home: Path, era: str) -> None:
    async def conversation(client: Client) -> tuple[CallToolResult, CallToolResult, CallToolResult]:
        given = {"content": "Competitor Zed cut its prices by a tenth.", "content_type": "competitive-intel"}
        prepared = await client.call_tool("prepare_store", given)
        synced = await client.call_tool("sync_memory", {})
        return prepared, synced, await client.call_tool("get_memory_status", {})

    prepared, synced, status = talk(serving(home), era, conversation)
    assert data(prepared)["status"] == "prepared"
    assert (data(synced)["counts"]["stored"], data(synced)["store"]["entries"]) == (3, 4)
    assert "competitive-intel" in text(status)


def test_lists_may_arrive_as_json_text_or_as_one_bare_string(serving: Serving, home: Path, era: str) -> None:
    result = call(
        serving(home),
        era,
        "sync_memory",
        tags='["spring", "video"]',
        exclude="*carousel*",
        session_learnings="One, two.",
    )
    counts = data(result)["counts"]
    assert (counts["new"], counts["excluded"]) == (3, 1)


def test_progress_grows_and_ends_before_the_result(serving: Serving, home: Path, era: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    talk(serving(home), era, lambda client: client.call_tool("sync_memory", {}, progress_callback=listen))
    values = [progress for progress, _, _ in heard]
    assert len(values) >= 2
    assert values == sorted(set(values))
    assert all(message for _, _, message in heard)
    assert all(total is None or progress < total for progress, total, _ in heard)


def test_a_cancelled_sync_stops_and_keeps_what_was_stored(serving: Serving, home: Path, era: str) -> None:
    many(home, 3000)

    async def conversation(client: Client) -> tuple[CallToolResult, CallToolResult]:
        with anyio.CancelScope() as scope:

            async def cancel(*_: object) -> None:
                scope.cancel()

            await client.call_tool("sync_memory", {}, progress_callback=cancel)
        assert scope.cancelled_caught
        return await client.call_tool("sync_memory", {}), await client.call_tool("sync_memory", {})

    second, third = talk(serving(home), era, conversation)
    assert data(second)["counts"]["failed"] == 0
    assert data(third)["counts"]["unchanged"] == 3000


GUIDELINE = {"content": "Never promise delivery dates.", "content_type": "guideline"}


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("sync_memory", {"scope": "everything"}, '`scope` must be one of "all", "insights-only", "campaigns-only".'),
        ("sync_memory", {"dryrun": True}, "sync_memory has no argument `dryrun`."),
        ("sync_memory", {"session_learnings": [{"id": 7}]}, "objects with the keys content, content_type"),
        ("prepare_store", {"content": "x", "content_type": "poem"}, '`content_type` must be one of "guideline"'),
        ("prepare_store", {"content_type": "guideline"}, "`content` must be a string that is not empty."),
        ("search_memory", {"query": "x", "limit": 0}, "`limit` must be a whole number from 1 to 100."),
        ("search_memory", {"query": "x", "from_date": "someday"}, "from_date is 'someday', which is not a date."),
        ("search_memory", {"query": "x", "from_date": "2026-02-01", "to_date": "2026-01-01"}, "is after"),
        ("search_memory", {}, "The query is empty."),
        ("prepare_store", GUIDELINE | {"expires_at": "soon"}, "expires_at is not a date."),
        ("get_memory_status", {"brand": "nobody"}, "Brands there are: `acme`"),
        ("get_memory_status", {"brand": "../../etc"}, "acme"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_answered_with_what_to_pass(
    serving: Serving, home: Path, tool: str, arguments: dict[str, Any], expected: str
) -> None:
    result = call(serving(home), "legacy", tool, **arguments)
    assert result.is_error
    assert expected in text(result)
    assert "pydantic" not in text(result)
    assert "Error executing" not in text(result)
    assert not (home / "brands" / "acme" / "memory").exists()


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("sync_memory", dict.fromkeys(("brand", "scope", "force", "dry_run", "content_type", "tags", "exclude"))),
        ("sync_memory", dict.fromkeys(("brand", "scope", "force", "content_type", "tags", "response_format"), "")),
        ("sync_memory", {"scope": "ALL", "content_type": "Performance_Insight", "response_format": "JSON"}),
        ("sync_memory", {"content_type": "auto", "tags": [2026, "Q4", None, ""], "force": "false"}),
        ("sync_memory", {"session_learnings": [{"text": "Reels win.", "type": "session_learning", "date": "2026"}]}),
        ("sync_memory", {"session_learnings": {"insight": "Reels win.", "tags": "video", "context": None}}),
        ("sync_memory", {"session_learnings": ["  ", "Reels win."], "report_items": "7"}),
        ("search_memory", {"query": "reels", "limit": None, "mode": "EXACT", "tags": 2026}),
        ("search_memory", {"query": "reels", "from_date": "2026-01-05T09:14:22Z", "to_date": "today", "as_of": ""}),
        ("search_memory", {"query": "reels", "from_date": "last 90 days", "min_priority": "Normal"}),
        ("search_memory", {"query": "reels", "from_date": 20260105, "content_type": ["Competitive Intel"]}),
        ("prepare_store", GUIDELINE | {"expires_at": "2999-12-31T18:00:00+01:00", "priority": "HIGH", "related": None}),
        ("get_memory_status", {"brand": "null", "report_items": 5}),
    ],
)  # fmt: skip
def test_what_assistants_send_for_arguments_is_understood(
    serving: Serving, home: Path, tool: str, arguments: dict[str, Any]
) -> None:
    result = call(serving(home), "legacy", tool, **arguments)
    assert not result.is_error, text(result)


def test_a_learning_under_another_name_is_stored_with_its_type_and_tags(serving: Serving, home: Path) -> None:
    learning = {"text": "Competitor Zed cut prices.", "category": "competitive_intel", "tags": ["pricing", 2026]}
    items = data(call(serving(home), "legacy", "sync_memory", session_learnings=[learning]))["items"]
    (stored,) = [item for item in items if item["title"].startswith("Competitor Zed")]
    assert stored["content_type"] == "competitive-intel"
    assert {"pricing", "2026"} <= set(stored["tags"])


def test_no_result_is_larger_than_clients_take_unless_more_is_asked_for(serving: Serving, home: Path) -> None:
    many(home, 1500)
    for arguments in ({}, {"response_format": "json"}):
        result = call(serving(home), "legacy", "sync_memory", dry_run=True, **arguments)
        assert len(result.model_dump_json(by_alias=True).encode()) <= 60_000
        report = data(result)
        assert report["cut"]["items"]["shown"] == len(report["items"]) < report["counts"]["new"] == 1500
        assert "report_items=1500" in report["rest"]
    whole = call(serving(home), "legacy", "sync_memory", dry_run=True, report_items=1500)
    assert len(data(whole)["items"]) == 1500
    assert text(whole).count("\n- “") == 1500


def test_remedies_name_tools_to_a_model_and_commands_to_nobody(serving: Serving, home: Path) -> None:
    many(home, 30)
    report = text(call(serving(home), "legacy", "sync_memory"))
    assert 'To see them: `sync_memory(brand="acme", dry_run=true, force=true, report_items=100)`' in report
    assert "dm-memory sync" not in report


def test_the_prompt_tells_an_assistant_what_to_gather(serving: Serving, home: Path, era: str) -> None:
    result = talk(serving(home), era, lambda client: client.get_prompt("sync-memory", {"brand": "acme"}))
    content = result.messages[0].content
    assert isinstance(content, TextContent)
    assert "session_learnings" in content.text
    assert '"acme"' in content.text


def test_resources_list_the_brands_and_show_a_status(serving: Serving, two_brands: Path, era: str) -> None:
    async def conversation(client: Client) -> tuple[Any, Any]:
        brands = await client.read_resource("dm-memory://brands")
        return brands, await client.read_resource("dm-memory://bolt/status")

    brands, status = talk(serving(two_brands), era, conversation)
    assert json.loads(brands.contents[0].text) == ["acme", "bolt"]
    assert "Bolt" in status.contents[0].text
