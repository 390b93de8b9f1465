"""Several layers at once: their tasks, and one progress over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from dm_memory.sync.requests import Progress

__all__ = ["all_of", "shared_progress"]


async def all_of(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run works at the same time until all have ended; then raise the first trouble, if there was one."""
    tasks = [asyncio.ensure_future(work) for work in works]
    if len(tasks) == 1:
        await tasks[0]
        return
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    troubles = [task.exception() for task in tasks]  # each is asked for: asyncio complains of those that nobody saw
    for trouble in troubles:
        if trouble is not None:
            raise trouble


def shared_progress(progress: Progress, total: int) -> Progress:
    """Return a progress that adds up what several speakers, told apart by their messages, say of their shares."""
    shares: dict[str, int] = {}

    async def report(message: str, done: int, _: int) -> None:
        shares[message] = max(done, shares.get(message, 0))
        await progress(message, min(sum(shares.values()), total), total)

    return report
