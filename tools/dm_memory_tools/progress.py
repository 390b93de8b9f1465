"""Between the core's calls and the protocol: progress that only grows, and cancellation that is delivered once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context

from dm_memory_tools.bugs import log_bug

__all__ = ["ProgressRelay", "cancel_once"]

T = TypeVar("T")

_STEP = 0.01


class ProgressRelay:
    """Forwards the core's progress to the client.

    The protocol wants a value that grows with every notification, while each stage of the core starts counting anew.
    A report that everything is done is left out: sent right before the result, it can arrive after it, when the client
    has already forgotten the request.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last = -_STEP

    async def __call__(self, message: str, done: int, total: int) -> None:
        """Send one notification; nothing is sent to a client that did not ask for progress."""
        if total and done >= total:
            return
        self._last = max(float(done), self._last + _STEP)
        await self._ctx.report_progress(round(self._last, 2), float(total) if total > self._last else None, message)


async def cancel_once(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` so that it is cancelled once and then left to finish its batch.

    The SDK cancels through scopes that cancel again at every ``await``; the core needs awaits to record what it has
    stored, so it runs as a task of its own that is told once and waited for.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            log_bug(error, "stopping")
        raise
