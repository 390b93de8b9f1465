"""Real graph databases for tests, on loopback ports, each with its data in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FALKORDB", "NEO4J", "free_port", "running_falkordb", "running_neo4j"]

FALKORDB = "DM_MEMORY_FALKORDB"
"""The environment variable with the path of FalkorDB's module; the redis-server it needs lies beside it."""

NEO4J = "DM_MEMORY_NEO4J"
"""The environment variable with the path of a folder of Neo4j's jars."""

_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    uri: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_falkordb(folder: Path, *options: str, module: bool = True) -> Iterator[Server]:
    """Run a FalkorDB over an empty folder until the block is left; without its module it is a plain Redis."""
    library, port = Path(os.environ[FALKORDB]), free_port()
    beside = library.with_name("redis-server")
    program = str(beside) if beside.exists() else "redis-server"
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    command += [*(["--loadmodule", str(library)] if module else []), *options]
    with _running(command, folder, f"redis://127.0.0.1:{port}") as server:
        _wait(server, folder, lambda log: "Ready to accept connections" in log)
        yield server


@contextlib.contextmanager
def running_neo4j(folder: Path, *, with_password: bool = False) -> Iterator[Server]:
    """Run a Neo4j over an empty folder until the block is left; nobody knows its password."""
    jars, port = os.environ[NEO4J], free_port()
    source = Path(__file__).with_name("Neo4jServer.java")
    command = ["java", "-Xmx512m", "-cp", f"{jars}/*", str(source), str(folder / "data"), str(port)]
    command += ["guarded"] if with_password else []
    with _running(command, folder, f"bolt://127.0.0.1:{port}") as server:
        _wait(server, folder, lambda log: "ready" in log)
        yield server


@contextlib.contextmanager
def _running(command: list[str], folder: Path, uri: str) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log) as process,
    ):
        try:
            yield Server(uri, process)
        finally:
            process.kill()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(server: Server, folder: Path, is_ready: Callable[[str], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        log = (folder / "log").read_text(errors="replace")
        if is_ready(log):
            return
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError((folder / "log").read_text(errors="replace"))
