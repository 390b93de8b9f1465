"""A client that knows nothing of this SDK."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.server.server_homes import SERVE


class RawClient:
    """Speaks newline-delimited JSON-RPC by hand, as clients written before this SDK do."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.heard: list[dict[str, Any]] = []

    def send(self, method: str, params: dict[str, Any] | None = None, number: int | None = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message if number is None else message | {"id": number}) + "\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert message["jsonrpc"] == "2.0"
        self.heard.append(message)
        return message

    def ask(self, number: int, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self.send(method, params, number)
        while True:
            message = self.read()
            if message.get("id") == number:
                return message

    def shake_hands(self, version: str = "2025-06-18") -> dict[str, Any]:
        client = {"name": "by-hand", "version": "1"}
        answer = self.ask(1, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": client})
        self.send("notifications/initialized")
        return answer


@contextmanager
def started(home: Path, environment: dict[str, str], *options: str) -> Iterator[RawClient]:
    command = [*SERVE, "--home", str(home), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield RawClient(process)
        finally:
            process.kill()
