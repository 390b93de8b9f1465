"""Between the core's progress and the protocol's: a value that only grows."""

from __future__ import annotations

from mcp.server.mcpserver import Context

__all__ = ["ProgressRelay"]

_STEP = 0.01


class ProgressRelay:
    """Forwards the core's progress to the client.

    The protocol wants a value that grows with every notification, while each stage of the core counts from zero again.
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
