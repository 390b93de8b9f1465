"""``dm-memory serve`` as a process: what clients of any age send, how it ends, and what may appear on its output."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult

from tests.server.raw_client import RawClient, started
from tests.server.server_homes import SERVE, many

HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


@pytest.mark.parametrize("version", HANDSHAKES)
def test_clients_of_every_handshake_revision_are_served(home: Path, environment: dict[str, str], version: str) -> None:
    with started(home, environment) as client:
        assert client.shake_hands(version)["result"]["protocolVersion"] == version
        tools = client.ask(2, "tools/list")["result"]["tools"]
        assert len(tools) == 6
        answer = client.ask(3, "tools/call", {"name": "get_memory_status", "arguments": {}})["result"]
        assert answer["content"][0]["text"].startswith("#")
        assert "structuredContent" not in answer


def test_the_end_of_the_input_ends_the_server_with_code_0(home: Path, environment: dict[str, str]) -> None:
    with started(home, environment) as client:
        client.shake_hands()
        assert client.process.stdin is not None
        client.process.stdin.close()
        assert client.process.wait(timeout=20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_server_with_code_0(home: Path, environment: dict[str, str], number: int) -> None:
    with started(home, environment) as client:
        client.shake_hands()
        client.process.send_signal(number)
        assert client.process.wait(timeout=20) == 0


def test_a_signal_before_the_handshake_ends_the_server_quietly(home: Path, environment: dict[str, str]) -> None:
    with started(home, environment | {"DM_MEMORY_LOG_LEVEL": "DEBUG"}) as client:
        assert client.process.stderr is not None
        while "signals end this server" not in client.process.stderr.readline():
            pass
        client.process.send_signal(signal.SIGTERM)
        assert client.process.wait(timeout=20) == 0
        assert "Traceback" not in client.process.stderr.read()


def claude_code_ends_it(client: RawClient) -> None:
    client.process.send_signal(signal.SIGINT)
    client.process.send_signal(signal.SIGTERM)


def the_input_ends(client: RawClient) -> None:
    assert client.process.stdin is not None
    client.process.stdin.close()


@pytest.mark.parametrize("end", [claude_code_ends_it, the_input_ends])
def test_a_server_that_ends_in_the_middle_of_a_sync_loses_nothing(
    home: Path, environment: dict[str, str], end: Callable[[RawClient], None]
) -> None:
    many(home, 3000)
    with started(home, environment) as client:
        client.shake_hands()
        call = {"name": "sync_memory", "arguments": {}, "_meta": {"progressToken": "p"}}
        client.send("tools/call", call, number=2)
        while "method" not in client.read():
            pass
        end(client)
        assert client.process.wait(timeout=60) == 0
    with started(home, environment) as client:
        client.shake_hands()
        again = client.ask(2, "tools/call", {"name": "sync_memory", "arguments": {}})["result"]
        assert again["_meta"]["io.dm-memory/report"]["counts"]["failed"] == 0
        last = client.ask(3, "tools/call", {"name": "sync_memory", "arguments": {}})["result"]
        counts = last["_meta"]["io.dm-memory/report"]["counts"]
        assert (counts["unchanged"], counts["stored"]) == (3000, 0)


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
def test_the_sdks_client_is_served_in_both_eras(
    home: Path, environment: dict[str, str], mode: str, version: str
) -> None:
    command, *arguments = SERVE
    server = StdioServerParameters(command=command, args=[*arguments, "--home", str(home)], env=environment)
    heard: list[str | None] = []

    async def listen(_: float, __: float | None, message: str | None) -> None:
        heard.append(message)

    async def talk() -> tuple[str, CallToolResult]:
        async with Client(server, mode=mode) as client:
            result = await client.call_tool("sync_memory", {}, progress_callback=listen)
            return client.protocol_version, result

    negotiated, result = asyncio.run(talk())
    assert negotiated == version
    assert result.structured_content is None
    assert result.meta is not None
    assert result.meta["io.dm-memory/report"]["counts"]["stored"] == 3
    assert heard


NOISY = """
print("printed by an import")
import os
os.write(1, b"written by an import\\n")


from dm_memory.embedding.protocol import EmbeddingSpec


class Noisy:
    spec = EmbeddingSpec("noisy", 4, "1")

    def embed_documents(self, texts):
        print("printed while embedding")
        return [[1.0, 0.0, 0.0, float(len(text) % 7)] for text in texts]

    def embed_query(self, text):
        return [1.0, 0.0, 0.0, 0.0]


def make(*_):
    return Noisy()
"""


def test_whatever_a_library_prints_never_reaches_the_client(
    home: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "noisy_model.py").write_text(NOISY)
    noisy = {"DM_MEMORY_EMBEDDER": "noisy_model:make", "PYTHONPATH": str(tmp_path)}
    with started(home, environment | noisy) as client:
        client.shake_hands()
        answer = client.ask(2, "tools/call", {"name": "sync_memory", "arguments": {}})["result"]
        assert answer["_meta"]["io.dm-memory/report"]["counts"]["stored"] == 3
        assert client.process.stdin is not None
        client.process.stdin.close()
        assert client.process.stdout is not None
        assert client.process.stdout.read() == ""
        assert client.process.stderr is not None
        heard = client.process.stderr.read()
        for words in ("printed by an import", "written by an import", "printed while embedding"):
            assert words in heard


def test_placeholders_that_a_desktop_client_left_open_count_as_not_given(
    home: Path, environment: dict[str, str]
) -> None:
    own = environment | {"CLAUDE_MARKETING_HOME": str(home)}
    command = [*SERVE, "--home", "${user_config.home}", "--brand", ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own) as process:
        client = RawClient(process)
        client.shake_hands()
        answer = client.ask(2, "tools/call", {"name": "get_memory_status", "arguments": {}})["result"]
        assert answer["_meta"]["io.dm-memory/report"]["brand"] == "acme"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=20) == 0
