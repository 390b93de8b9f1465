"""One first sync of a home in this process: its seconds, what it stored and, with ``watch``, the loop's longest stall.

The watcher takes part in the fight for the interpreter's lock, so a run that is timed is not watched.

Usage: first.py HOME [watch]
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import orjson

from dm_memory.api import Memory
from dm_memory.settings import Settings
from dm_memory.requests import SyncRequest

_TICK = 0.001


async def main(home: Path, *, watch: bool) -> dict[str, float]:
    """Sync, and watch the loop meanwhile where that is asked for."""
    memory = Memory(Settings(home=home))
    watched = asyncio.create_task(longest_stall()) if watch else None
    begun = time.perf_counter()
    result = await memory.sync(SyncRequest(brand="acme"))
    seconds = time.perf_counter() - begun
    stall = 0.0
    if watched:
        watched.cancel()
        stall = await watched
    await memory.close()
    return {"seconds": seconds, "stored": result.counts.stored, "failed": result.counts.failed, "stall": stall}


async def longest_stall() -> float:
    """Ask for a turn every millisecond until cancelled; return the longest time one came too late."""
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            longest, last = max(longest, now - last - _TICK), now
    except asyncio.CancelledError:
        return longest


sys.stdout.buffer.write(orjson.dumps(asyncio.run(main(Path(sys.argv[1]), watch="watch" in sys.argv[2:]))))
