"""One first sync of a home in this process: its seconds and what it stored.

With ``warm`` the model is loaded before the clock starts. With ``watch`` the longest stall of the event loop is told as
well: while the model loads, during the sync, and, as control, for as long beside a thread that reads, parses and hashes
the same files. The watcher takes part in the fight for the interpreter's lock, so a run that is timed is not watched.

Usage: first.py HOME [warm | watch]
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controls.read_loop import read_loop

from dm_memory.api import Memory
from dm_memory.embedding.batch import embedded
from dm_memory.requests import SyncRequest
from dm_memory.settings import Settings

_TICK = 0.001


async def main(home: Path, how: str) -> dict[str, object]:
    """Sync, and watch the loop meanwhile if that is asked for."""
    memory = Memory(Settings(home=home))
    assert memory.embedder is not None
    said: dict[str, object] = {}
    loading = asyncio.to_thread(embedded, memory.embedder, ["one text"])
    if how == "watch":
        said["model"] = await longest_stall(loading)
    elif how == "warm":
        await loading
    else:
        loading.close()
    begun = time.perf_counter(), time.process_time()
    task = asyncio.ensure_future(memory.sync(SyncRequest(brand="acme")))
    if how == "watch":
        said["stall"] = await longest_stall(task)
    result = await task
    said |= {"seconds": time.perf_counter() - begun[0], "cpu": time.process_time() - begun[1]}
    await memory.close()
    if how == "watch":
        said["control"] = await longest_stall(asyncio.to_thread(busy, home, time.perf_counter() - begun[0]))
    assert result.store.entries == result.counts.stored
    assert not result.store.without_vectors
    return said | {"stored": result.counts.stored, "failed": result.counts.failed, "status": result.status}


def busy(home: Path, seconds: float) -> None:
    """Read, parse and hash the brand's files for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        read_loop(home / "brands" / "acme")


async def longest_stall(work: Awaitable[object]) -> float:
    """Ask for a turn every millisecond until ``work`` is done; return the longest time one came too late."""
    watched = asyncio.ensure_future(work)
    longest, last = 0.0, time.perf_counter()
    while not watched.done():
        await asyncio.sleep(_TICK)
        now = time.perf_counter()
        longest, last = max(longest, now - last - _TICK), now
    await watched
    return longest


sys.stdout.buffer.write(orjson.dumps(asyncio.run(main(Path(sys.argv[1]), (sys.argv[2:] or [""])[0]))))
