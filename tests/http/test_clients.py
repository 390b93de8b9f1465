"""SDKs of both eras and both languages, on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.http.serving import Served, served, token

OLD_PYTHON = """
import asyncio, sys
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

async def main(url, secret):
    headers = {"Authorization": f"Bearer {secret}"}
    async with streamablehttp_client(url, headers=headers) as (read, write, _):
        async with ClientSession(read, write) as session:
            about = await session.initialize()
            tools = await session.list_tools()
            kept = await session.call_tool("sync_memory", {"session_learnings": ["Kites sell in March."]})
            found = await session.call_tool("search_memory", {"query": "kites"})
            brands = await session.read_resource("dm-memory://brands")
            print(about.protocolVersion, len(tools.tools), kept.isError, brands.contents[0].text)
            print(found.content[0].text)

asyncio.run(main(*sys.argv[1:]))
"""

NODE = """
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
const [url, secret] = process.argv.slice(2);
const client = new Client({ name: "tests", version: "1" });
const requestInit = { headers: { Authorization: `Bearer ${secret}` } };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const tools = await client.listTools();
const steps = [];
const kept = await client.callTool(
  { name: "sync_memory", arguments: { session_learnings: ["Kites sell in March."] } },
  undefined, { onprogress: (step) => steps.push(step) });
const found = await client.callTool({ name: "search_memory", arguments: { query: "kites" } });
const brands = await client.readResource({ uri: "dm-memory://brands" });
console.log(tools.tools.length, kept.isError ?? false, brands.contents[0].text, steps.length > 0);
console.log(found.content[0].text);
await client.close();
"""


@pytest.fixture
def server(home: Path) -> Iterator[tuple[Served, str]]:
    secret = token(home, "ada", "acme")
    with served(home, "--require-token") as running:
        yield running, secret


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_python_sdk_in_both_eras(server: tuple[Served, str], mode: str) -> None:
    running, secret = server

    async def talk() -> None:
        steps: list[float] = []

        async def progress(done: float, _: float | None, __: str | None) -> None:
            steps.append(done)

        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            httpx_client(headers) as http,
            Client(streamable_http_client(running.url, http_client=http), mode=mode) as client,
        ):
            assert client.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
            assert len((await client.list_tools()).tools) == 6
            learned = {"session_learnings": ["Kites sell in March."]}
            kept = await client.call_tool("sync_memory", learned, progress_callback=progress)
            assert not kept.is_error
            assert steps == sorted(steps)
            assert steps
            found = await client.call_tool("search_memory", {"query": "kites"})
            assert "Kites sell in March." in str(found.content[0])
            brands = await client.read_resource("dm-memory://brands")
            assert json.loads(brands.contents[0].text) == ["acme"]  # type: ignore[union-attr]  # it is text
            assert "sync-memory" in {prompt.name for prompt in (await client.list_prompts()).prompts}

    asyncio.run(talk())


@pytest.mark.npm
def test_the_python_sdk_before_version_2(server: tuple[Served, str], tmp_path: Path) -> None:
    running, secret = server
    script = tmp_path / "old.py"
    script.write_text(OLD_PYTHON)
    uv = shutil.which("uv")
    assert uv is not None
    command = [uv, "run", "--no-project", "--python", sys.executable, "--with", "mcp<2", "python", str(script)]
    done = subprocess.run(
        [*command, running.url, secret], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('2025-11-25 6 False ["acme"]'), done.stdout
    assert "Kites sell in March." in done.stdout


@pytest.mark.npm
def test_the_typescript_sdk(server: tuple[Served, str], tmp_path: Path) -> None:
    running, secret = server
    install(tmp_path, "@modelcontextprotocol/sdk@1")
    script = tmp_path / "client.mjs"
    script.write_text(NODE)
    done = subprocess.run(
        ["node", str(script), running.url, secret],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('6 false ["acme"] true'), done.stdout
    assert "Kites sell in March." in done.stdout


def httpx_client(headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=headers, timeout=60, trust_env=False)


def install(folder: Path, *packages: str) -> None:
    """Install packages of npm in a folder of their own."""
    environment = os.environ | {"npm_config_cache": str(folder / "npm"), "npm_config_update_notifier": "false"}
    options = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    subprocess.run(["npm", "install", *options, *packages], cwd=folder, check=True, timeout=300, env=environment)
