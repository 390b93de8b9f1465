"""A real reverse proxy in front: streams, addresses, hosts and bodies come through as they should."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.http.serving import ERAS, Served, ask, call, served, text_of, token
from tests.http.test_clients import httpx_client

pytestmark = pytest.mark.nginx

ROOT = Path(__file__).parents[2]


def location() -> str:
    """Return the part of nginx's configuration that docs/http.md recommends."""
    text = (ROOT / "docs" / "http.md").read_text("utf-8")
    return text.split("```nginx\n")[1].split("```")[0]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def proxied(home: Path, tmp_path: Path) -> Iterator[tuple[Served, str, str]]:
    """A server, the address of an nginx in front of it, and a token."""
    secret = token(home, "ada", "acme")
    with served(home, "--require-token", DM_MEMORY_HTTP_HOSTS="memory.example.com") as server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        host, ours = server.address
        inner = location().replace("127.0.0.1:8000", f"{host}:{ours}")
        paths = " ".join(
            f"{each}_temp_path {tmp_path}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n"
            f"server {{ listen 127.0.0.1:{port}; server_name memory.example.com;\n{inner}\n}} }}\n"
        )
        nginx = subprocess.Popen(
            [os.environ["DM_MEMORY_NGINX"], "-p", str(tmp_path), "-c", "nginx.conf"], stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 30
            while not _listens(port):
                assert time.monotonic() < deadline
            yield server, f"http://127.0.0.1:{port}/mcp", secret
        finally:
            nginx.terminate()
            nginx.wait(30)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_behind_the_proxy_sees_progress_and_results(proxied: tuple[Served, str, str], mode: str) -> None:
    _, url, secret = proxied

    async def talk() -> None:
        steps: list[float] = []

        async def progress(done: float, _: float | None, __: str | None) -> None:
            steps.append(done)

        headers = {"Authorization": f"Bearer {secret}", "Host": "memory.example.com"}
        async with (
            httpx_client(headers) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            learned = {"session_learnings": ["Kites sell in March."]}
            kept = await client.call_tool("sync_memory", learned, progress_callback=progress)
            assert not kept.is_error
            assert steps

    asyncio.run(talk())


@pytest.mark.parametrize("era", ERAS)
def test_the_proxys_clients_need_a_token_and_the_right_host(
    proxied: tuple[Served, str, str], client: httpx.Client, era: str
) -> None:
    server, url, secret = proxied
    client.headers["host"] = "memory.example.com"
    assert "acme" in text_of(call(client, url, "get_memory_status", secret=secret, era=era))
    assert call(client, url, "get_memory_status", era=era).status_code == 401
    assert call(client, url + "/bolt", "get_memory_status", secret=secret, era=era).status_code == 404
    client.headers["host"] = "evil.example"
    assert ask(client, url, "tools/list", secret=secret, era=era).status_code == 421
    assert "Traceback" not in server.log()


def test_without_tokens_what_comes_through_a_proxy_is_refused(home: Path, client: httpx.Client) -> None:
    with served(home) as server:
        client.headers["x-forwarded-for"] = "192.0.2.7"
        assert ask(client, server.url, "tools/list").status_code == 403
