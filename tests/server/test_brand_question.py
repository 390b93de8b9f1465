"""No brand is named and none is active: the user is asked where the client can ask, else the error names the brands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.context import ClientRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent

from dm_memory_tools.runtime import Runtime

Serving = Callable[[Path], MCPServer[Runtime]]


class User:
    """Someone in front of a client, who gives one answer to every question."""

    def __init__(self, action: str, content: dict[str, Any] | None = None) -> None:
        self.answer = ElicitResult(action=action, content=content)  # type: ignore[arg-type]
        self.questions: list[ElicitRequestParams] = []

    async def __call__(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.questions.append(params)
        return self.answer


def status(server: MCPServer[Runtime], era: str, user: User | None, **arguments: Any) -> CallToolResult:
    async def run() -> CallToolResult:
        async with Client(server, mode=era, elicitation_callback=user) as client:
            return await client.call_tool("get_memory_status", arguments)

    return asyncio.run(run())


def text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def test_the_user_picks_one_of_the_brands(serving: Serving, two_brands: Path, era: str) -> None:
    user = User("accept", {"brand": "bolt"})
    result = status(serving(two_brands), era, user)
    assert not result.is_error
    assert result.meta is not None
    assert result.meta["io.dm-memory/report"]["brand"] == "bolt"
    (question,) = user.questions
    assert "No brand is active" in question.message
    assert question.requested_schema["properties"]["brand"]["enum"] == ["acme", "bolt"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("action", "said"), [("decline", "declined to pick a brand"), ("cancel", "closed the question")]
)
def test_a_user_who_does_not_answer_stops_the_call(
    serving: Serving, two_brands: Path, era: str, action: str, said: str
) -> None:
    result = status(serving(two_brands), era, User(action))
    assert result.is_error
    assert said in text(result)
    assert "`brand`" in text(result)


def test_an_answer_that_is_no_brand_is_an_error(serving: Serving, two_brands: Path, era: str) -> None:
    """In words that lead to the right one; the SDK's own would name functions of this program."""
    for answer in ("../acme", "Acme"):
        result = status(serving(two_brands), era, User("accept", {"brand": answer}))
        assert result.is_error
        assert "`acme`, `bolt`" in text(result)
        assert "dm_memory_tools" not in text(result)


def test_a_client_that_cannot_ask_gets_the_brands_and_the_parameter(
    serving: Serving, two_brands: Path, era: str
) -> None:
    result = status(serving(two_brands), era, None)
    assert result.is_error
    assert "`acme`, `bolt`" in text(result)
    assert "as `brand`" in text(result)


def test_nobody_is_asked_about_a_brand_that_was_named_wrongly(serving: Serving, two_brands: Path, era: str) -> None:
    user = User("accept", {"brand": "bolt"})
    assert status(serving(two_brands), era, user, brand="blot").is_error
    assert user.questions == []


def test_nobody_is_asked_where_there_is_only_one_brand(serving: Serving, home: Path, era: str) -> None:
    (home / "brands" / "_active-brand.json").unlink()
    user = User("cancel")
    result = status(serving(home), era, user)
    assert not result.is_error
    assert user.questions == []


def test_an_empty_home_is_an_error_that_says_what_to_do(serving: Serving, tmp_path: Path, era: str) -> None:
    result = status(serving(tmp_path / "nothing-here"), era, User("cancel"))
    assert result.is_error
    assert "What to do: " in text(result)
