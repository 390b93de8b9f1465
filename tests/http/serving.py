"""Servers over HTTP, as people start them, and raw requests to them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dm_memory_server.http.tokens import TokenFile
from tests.server.server_homes import COMMAND

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
ERAS = (MODERN, LEGACY)


@dataclass
class Served:
    """A running server: where it is, its process, and what it has logged."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        host, port = re.findall(r"//(.*):(\d+)/", self.url)[0]
        return host, int(port)

    def log(self) -> str:
        return "".join(self.lines)

    def logged(self, text: str) -> str:
        """Wait until the log says this, and return all of it: a request's line is written after its answer."""
        deadline = time.monotonic() + 30
        while text not in self.log():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return self.log()


@contextmanager
def served(
    home: Path, *options: str, address: str = "127.0.0.1:0", within: Sequence[str] = (), **environment: str
) -> Iterator[Served]:
    """Start a server, perhaps ``within`` another command, and wait until it says where it is; end it at the end."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    command = [*within, *COMMAND, "serve", "--http", address, "--home", str(home), *options]
    user = {"HOME": str(home.parent / "user"), "PYTHONWARNINGS": "error::ResourceWarning"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=kept | user | environment)
    assert process.stderr is not None
    lines: list[str] = []
    url = ""
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"serves (\S+),", line):
            url = found[1]
            break
    assert url, f"no server: {''.join(lines)}"
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield Served(url, process, lines)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        reader.join(10)
        process.stderr.close()


def token(home: Path, name: str, brand: str = "", *, read_only: bool = False) -> str:
    """Make a token and return its secret."""
    return TokenFile(home).add(name, brand, "2026-11-26T00:00:00Z", read_only=read_only)


def headers(era: str, secret: str = "", method: str = "", name: str = "") -> dict[str, str]:
    """Return the headers of a request in one of the protocol's eras."""
    found = {"accept": "application/json, text/event-stream", "mcp-protocol-version": era}
    if era == MODERN:
        found |= {"mcp-method": method} | ({"mcp-name": name} if name else {})
    return found | ({"authorization": f"Bearer {secret}"} if secret else {})


def message(era: str, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a request in one of the protocol's eras."""
    meta: dict[str, Any] = {}
    if era == MODERN:
        meta = {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": era,
                "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": meta | (params or {})}


def ask(
    client: httpx.Client,
    url: str,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    secret: str = "",
    era: str = MODERN,
) -> httpx.Response:
    """Make one request and return the response, read whole."""
    name = (params or {}).get("name") or (params or {}).get("uri") or ""
    body = message(era, method, params)
    return client.post(url, json=body, headers=headers(era, secret, method, name))


def call(
    client: httpx.Client, url: str, tool: str, *, secret: str = "", era: str = MODERN, **arguments: Any
) -> httpx.Response:
    """Call a tool."""
    return ask(client, url, "tools/call", {"name": tool, "arguments": arguments}, secret=secret, era=era)


def answer(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON-RPC message of a response, from JSON or from the last event of a stream."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
        return dict(json.loads(data[-1]))
    return dict(response.json())


def text_of(response: httpx.Response) -> str:
    """Return the text of a tool's result."""
    return str(answer(response)["result"]["content"][0]["text"])
