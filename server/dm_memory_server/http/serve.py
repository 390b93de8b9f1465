"""``dm-memory serve --http``: one process, one memory, many clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus

from dm_memory.errors import ConfigurationError, DmMemoryError
from dm_memory_server.app import build_server
from dm_memory_server.http.app import build_app
from dm_memory_server.http.limits import DeadlineProtocol
from dm_memory_server.http.settings import load_http_settings
from dm_memory_server.http.telemetry import traced
from dm_memory_server.http.tokens import TokenFile
from dm_memory_server.signals import leave_at_once
from dm_memory_tools.runtime import Runtime

__all__ = ["GRACE", "parse_address", "serve_http"]

GRACE = 8
"""Seconds in which running calls may finish after a signal. Docker kills after ten."""

_KEEP_ALIVE = 65
"""Seconds: longer than a proxy keeps an idle connection (nginx: 60), which else sends requests into one just closed."""

_BACKLOG = 512


def serve_http(address: str, runtime: Runtime, home: Path, *, require_token: bool) -> int:
    """Serve until a signal arrives; return the exit code.

    Args:
        address: ``[HOST:]PORT``.
        runtime: What the server runs on.
        home: The home whose tokens count.
        require_token: Ask for a token on this computer's own addresses too.
    """
    try:
        settings = load_http_settings()
        with contextlib.closing(_listen(*parse_address(address))) as listening:
            public = not ip_address(listening.getsockname()[0]).is_loopback
            needed = public or require_token or settings.has_oauth
            tokens = TokenFile(home)
            if needed and not tokens.all() and not settings.has_oauth:
                reason = "Others can reach this address" if public else "A token is required"
                raise ConfigurationError(
                    f"{reason}, and there is no token yet.",
                    "Make one first: dm-memory token add NAME --brand BRAND (see docs/http.md), then start again.",
                )
            _quieten()
            with traced():
                server = build_server(runtime)
                app = build_app(server, runtime, settings, tokens if needed else None, public=public)
                asyncio.run(_run(_Server(_config(app, settings.http_connections), needed=needed), listening))
    except DmMemoryError as error:
        print(f"{error.problem}\n{error.remedy}", file=sys.stderr)  # noqa: T201  # nobody's protocol here
        return 2
    return 0


def _quieten() -> None:
    """Keep what clients send out of the log: the SDK and uvicorn quote it. Tools log their own errors."""
    if os.environ.get("DM_MEMORY_LOG_LEVEL", "").upper() != "DEBUG":
        for name in ("mcp", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``[HOST:]PORT``, by default on 127.0.0.1. Raises ``ConfigurationError``."""
    host, _, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535) or (":" in host and host[0] + host[-1] != "[]"):  # noqa: PLR2004  # the last port
        raise ConfigurationError(
            "The address to serve at can't be read.", "Pass --http 8000, --http 0.0.0.0:8000 or --http [::1]:8000."
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(place[:2], family=family, backlog=_BACKLOG)
        # An answer is two writes. asyncio turns off what holds the second back for 40 ms (Nagle's algorithm), but only
        # for connections whose protocol is named, and those of ``create_server`` have none.
        return socket.socket(made.family, made.type, socket.IPPROTO_TCP, fileno=made.detach())
    except (OSError, ValueError) as error:  # the second for a host that can't be a name
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise ConfigurationError(
            f"The server can't listen at {host[:80]} port {port} ({reason}).",
            "Choose an address of this computer and a free port.",
        ) from None


def _config(app: object, connections: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application
        http=DeadlineProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=connections,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        # Else a request that a connection delivers behind another one starts with the other one's access.
        reset_contextvars=True,
    )


class _Server(uvicorn.Server):
    """uvicorn's, which says where it listens, and ends in time whatever its calls do."""

    def __init__(self, config: uvicorn.Config, *, needed: bool) -> None:
        super().__init__(config)
        self._needed = needed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            place = f"[{host}]" if ":" in host else host
            who = "with a token" if self._needed else "without a token, for this computer alone"
            print(f"dm-memory serves http://{place}:{port}/mcp, {who}.", file=sys.stderr, flush=True)  # noqa: T201  # as above

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; from now on the process has little time."""
        if not self.should_exit:
            timer = threading.Timer(GRACE + 1.5, leave_at_once)
            timer.daemon = True
            timer.start()
        super().handle_exit(sig, frame)


async def _run(server: _Server, listening: socket.socket) -> None:
    # uvicorn raises the signal again once all is closed: what was asked for is an end, and that is a success.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    # Else each stream is cut at the signal, and calls of the older protocol lose their answers.
    AppStatus.enable_automatic_graceful_drain = False
    await server.serve(sockets=[listening])
