"""A real libsql-server for tests, on a loopback port, with or without a token."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

__all__ = ["BINARY", "Server", "running_server"]

BINARY = "DM_MEMORY_SQLD"
"""The environment variable with the path of the server's program."""

_DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``token`` may write; ``reading_token`` may not."""

    url: str
    token: SecretStr | None = None
    reading_token: SecretStr | None = None

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@contextlib.contextmanager
def running_server(folder: Path, *, with_token: bool = False) -> Iterator[Server]:
    """Run a server over an empty folder until the block is left; its output goes to a file in the folder."""
    folder.mkdir(parents=True)
    url = f"http://127.0.0.1:{_free_port()}"
    command = [os.environ[BINARY], "-d", str(folder / "data"), "--http-listen-addr", url.removeprefix("http://")]
    server = Server(url)
    if with_token:
        key = Ed25519PrivateKey.generate()
        (folder / "key").write_bytes(
            urlsafe_b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).rstrip(b"=")
        )
        command += ["--auth-jwt-key-file", str(folder / "key")]
        server = Server(url, _token(key, "rw"), _token(key, "ro"))
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(url, process, folder / "log")
            yield server
        finally:
            process.kill()


def _token(key: Ed25519PrivateKey, access: str) -> SecretStr:
    return SecretStr(jwt.encode({"a": access}, key, algorithm="EdDSA"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers its health check."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), direct.open(f"{url}/health", timeout=5):
            return
        time.sleep(0.02)
    raise AssertionError(f"The server did not start: {log.read_text(errors='replace')}")
