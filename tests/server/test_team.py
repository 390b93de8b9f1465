"""A team: two clients of one server, and two computers with one libsql-server between them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.mcpserver import MCPServer

from dm_memory_tools.answer import REPORT_KEY
from dm_memory_tools.runtime import ACCESS, Access, Runtime
from tests.cache.sqld import Server, running_server
from tests.server.server_homes import COMMAND, SERVE, write_brand

LEARNING = "Carousels with people sell twice as many gift boxes."
TEXT = "Zed cut the price of its gift box by a tenth."
MINUTE = 60.0


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return dict((answer.meta or {})[REPORT_KEY])


def test_two_clients_of_one_server_see_each_other_s_learnings_at_once(
    serving: Callable[[Path], MCPServer[Runtime]], home: Path
) -> None:
    server = serving(home)

    async def conversation() -> None:
        async with Client(server) as mara, Client(server) as tom:
            await ask(mara, "sync_memory", session_learnings=[LEARNING])
            assert LEARNING in [hit["content"] for hit in (await ask(tom, "search_memory", query="gift boxes"))["hits"]]
            await ask(tom, "prepare_store", content=TEXT)
            found = await ask(mara, "search_memory", query="price of the gift box")
            assert TEXT in [hit["content"] for hit in found["hits"]]

    asyncio.run(conversation())


def test_the_token_s_name_is_the_author_of_what_its_holder_hands_in(
    serving: Callable[[Path], MCPServer[Runtime]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DM_MEMORY_AUTHOR", "The office")
    server = serving(home)

    @asynccontextmanager
    async def client_of(name: str) -> Any:
        """Connect as somebody: the server's tasks inherit what the transport knows of them."""
        token = ACCESS.set(Access(name=name))
        try:
            async with Client(server) as client:
                yield client
        finally:
            ACCESS.reset(token)

    async def hand_in(name: str, tool: str, **arguments: Any) -> None:
        async with client_of(name) as client:
            await ask(client, tool, **arguments)

    async def conversation() -> None:
        await hand_in("Mara", "sync_memory", session_learnings=[LEARNING])
        await hand_in("Tom", "prepare_store", content=TEXT)
        await hand_in("", "prepare_store", content="Gift boxes are bought in the first week of December.")
        async with Client(server) as client:
            for author, texts in (("mara", [LEARNING]), ("TOM", [TEXT])):
                found = await ask(client, "search_memory", query="gift", author=author)
                assert [hit["content"] for hit in found["hits"]] == texts
            answer = await client.call_tool("search_memory", {"query": "gift box price", "author": "Tom"})
            assert "stored by Tom" in answer.content[0].text  # type: ignore[union-attr]  # text, as always
            found = await ask(client, "search_memory", query="gift", author="the office")
            assert [hit["author"] for hit in found["hits"]] == ["The office"]

    asyncio.run(conversation())


def test_the_command_line_takes_the_name_from_the_environment_and_finds_by_it(
    home: Path, environment: dict[str, str]
) -> None:
    def run(*arguments: str, author: str = "") -> str:
        command = [*COMMAND, *arguments, "--home", str(home)]
        named = environment | ({"DM_MEMORY_AUTHOR": author} if author else {})
        done = subprocess.run(command, capture_output=True, text=True, env=named, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("sync", "--learning", LEARNING, author="Mara")
    run("prepare", TEXT, author="Tom")
    assert LEARNING in run("search", "gift", "--author", "mara")
    assert LEARNING not in run("search", "gift", "--author", "tom")
    assert TEXT in run("forget", "--author", "tom")


# Two computers -------------------------------------------------------------------------------------------------------


@pytest.fixture
def team_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "sqld", with_token=True) as server:
        yield server


def computer(folder: Path, environment: dict[str, str], server: Server, name: str) -> StdioServerParameters:
    write_brand(folder, "acme", ())
    assert server.token is not None
    own = {
        "CLAUDE_MARKETING_HOME": str(folder),
        "DM_MEMORY_AUTHOR": name,
        "TURSO_DATABASE_URL": server.url,
        "TURSO_AUTH_TOKEN": server.token.get_secret_value(),
    }
    return StdioServerParameters(command=SERVE[0], args=list(SERVE[1:]), env=environment | own)


async def finds(client: Client, text: str, **more: Any) -> float:
    """Search now and then until the text is found; return the seconds that took, which are a minute at most."""
    started = time.monotonic()
    while text not in [hit["content"] for hit in (await ask(client, "search_memory", query=text, **more))["hits"]]:
        assert time.monotonic() - started < MINUTE, f"not found within a minute: {text}"
        await asyncio.sleep(2)
    return time.monotonic() - started


@pytest.mark.sqld
def test_two_computers_with_one_turso_find_each_other_s_texts_within_a_minute(
    tmp_path: Path, environment: dict[str, str], team_server: Server
) -> None:
    one, two = (computer(tmp_path / name, environment, team_server, name) for name in ("Mara", "Tom"))

    async def conversation() -> dict[str, float]:
        async with Client(one) as mara, Client(two) as tom:
            for client in (mara, tom):
                await ask(client, "sync_memory", brand="acme")
                await ask(client, "search_memory", query="gift", brand="acme")  # it has just looked: the longest wait
            seconds = {}
            prepared = await ask(mara, "prepare_store", content=TEXT, brand="acme")
            assert [engine.partition(" ")[0] for engine in prepared["delivering"]] == ["Turso"]
            await ask(mara, "sync_memory", session_learnings=[LEARNING], brand="acme")
            seconds["prepared"] = await finds(tom, TEXT, author="Mara")
            seconds["learned"] = await finds(tom, LEARNING, author="mara")
            fifth = TEXT.replace("tenth", "fifth")
            await ask(tom, "prepare_store", content=fifth, replaces=prepared["key"], brand="acme")
            seconds["corrected"] = await finds(mara, fifth)
            preview = await ask(tom, "forget_memory", query="Carousels", brand="acme")
            await ask(tom, "forget_memory", query="Carousels", dry_run=False, token=preview["token"], brand="acme")
            started = time.monotonic()
            while (await ask(mara, "search_memory", query=LEARNING, author="Mara"))["entries"] != 1:
                assert time.monotonic() - started < MINUTE
                await asyncio.sleep(2)
            seconds["forgotten"] = time.monotonic() - started
            return seconds

    for what, seconds in asyncio.run(conversation()).items():
        logging.getLogger(__name__).info("what was %s arrived after %.1f s", what, seconds)
