"""One thread for one run's blocking work: files, memory.db, planning. The event loop only waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["Worker", "worker_thread"]

_Result = TypeVar("_Result")


class Worker:
    """Runs functions one after the other on one thread."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    async def run(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """Return what ``function(*arguments)`` returns, or raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


@contextlib.asynccontextmanager
async def worker_thread(name: str) -> AsyncIterator[Worker]:
    """Provide a worker; its thread has ended when the block is left."""
    executor = ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        yield Worker(executor)
    finally:
        executor.shutdown(wait=True)
