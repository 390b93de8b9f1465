"""The end of the stdio server: a signal, the end of its input, or a client that does not read any more; exit code 0.

The running sync is stopped and all is closed; but after ``GRACE`` seconds the process ends whatever a service does.
Clients kill what lives longer, and nothing is lost: what is stored is stored in whole transactions.

Without handlers SIGTERM would skip all of that, and SIGINT would wait until the client closes our input. Claude Code
sends SIGINT and, 100 ms later, SIGTERM: the second changes nothing, nor does any further one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import NoReturn

from dm_memory_tools.runtime import Runtime

__all__ = ["GRACE", "leave_at_once", "leave_soon", "run_until_signalled"]

GRACE = 1.5
"""Seconds for an orderly end."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def leave_at_once(_number: int = 0, _frame: FrameType | None = None) -> NoReturn:
    """Exit with code 0 and without waiting for threads; right only when nothing is open. Can be a signal handler.

    Flushes nothing: a handler can interrupt a write to the same stream, and every log record was flushed already.
    """
    os._exit(0)


def leave_soon() -> None:
    """Exit with code 0 after ``GRACE`` seconds, if the process still lives; callable on any thread, more than once."""
    timer = threading.Timer(GRACE, leave_at_once)
    timer.daemon = True
    timer.start()


async def run_until_signalled(serve: Callable[[], Awaitable[None]], runtime: Runtime) -> None:
    """Run ``serve`` until it ends by itself; on a signal cancel it, wait until ``runtime`` is closed, and exit.

    The process exits here in that case: the thread that reads the input can't be waited for.
    """
    stop = asyncio.Event()
    _listen(stop.set)
    serving = asyncio.ensure_future(serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        leave_soon()
        serving.cancel()
        if runtime.in_use:
            await runtime.closed.wait()
        leave_at_once()
    stopping.cancel()
    await serving


def _listen(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        if sys.platform == "win32":  # its event loop has no handlers of its own
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
        else:
            loop.add_signal_handler(number, stop)
