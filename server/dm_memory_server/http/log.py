"""The access log: one line a request, on standard error, without anything a request says beside what it asks for."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dm_memory_tools.bugs import log_bug

__all__ = ["NOTE", "AccessLog", "Note", "note_call"]

_log = logging.getLogger("dm_memory.access")
_METHOD = re.compile(r"[a-zA-Z/_]{1,40}\Z")


@dataclass(slots=True)
class Note:
    """What is known of a request so far: who, what they call, how it was answered."""

    name: str = ""
    method: str = ""
    tool: str = ""
    status: int = 0
    is_complete: bool = False
    started: float = field(default_factory=time.monotonic)


NOTE: ContextVar[Note | None] = ContextVar("NOTE", default=None)
"""The note on the request that is being answered; shared with the tasks that answer it."""


async def note_call(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Note what a message asks for: a middleware of the SDK's server."""
    note = NOTE.get()
    if note is not None and not note.method:
        note.method = ctx.method if _METHOD.match(ctx.method) else "?"
        called = ctx.params.get("name") if ctx.params and ctx.method == "tools/call" else None
        note.tool = called if isinstance(called, str) and _METHOD.match(called) else ""
    return await call_next(ctx)


class AccessLog:
    """Writes the line when a request has been answered; what nobody expected becomes a bare 500 and a line in the log.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        if not _log.handlers:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(message)s"))
            _log.addHandler(handler)
            _log.propagate = False
            _log.setLevel(logging.INFO)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        note = Note()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                note.status = message["status"]
            note.is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        before = NOTE.set(note)
        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001  # the boundary: the client gets a sentence and the log the type
            log_bug(error, "answering over HTTP")
            if not note.status:
                text = "Something went wrong inside dm-memory. Run `dm-memory doctor` on the server."
                await JSONResponse({"error": text}, 500)(scope, receive, noting)
        finally:
            NOTE.reset(before)
            _write(scope, note)


def _write(scope: Scope, note: Note) -> None:
    path = scope["path"]
    kind = note.method or ("mcp" if path.startswith("/mcp") else path if path == "/healthz" else "other")
    milliseconds = round((time.monotonic() - note.started) * 1000)
    _log.info(
        "time=%s token=%s method=%s tool=%s status=%s%s ms=%d",
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        json.dumps(note.name) if note.name else "-",
        kind,
        note.tool or "-",
        note.status or "-",
        "" if note.is_complete else " cut",
        milliseconds,
    )
