"""Unchanged syncs of a synced home in this process, each next to one plain loop over the same files.

The plain loop reads, parses (orjson) and hashes (SHA-256) everything, and keeps nothing. Usage: second.py HOME ROUNDS
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import sys
import time
from pathlib import Path

import orjson

from dm_memory.api import Memory
from dm_memory.settings import Settings
from dm_memory.requests import SyncRequest
from tests.support.brands import brand_texts


def plain_loop(brand: Path) -> int:
    """Read, parse and hash everything; return how many texts that were."""
    return len([hashlib.sha256(text.encode()).hexdigest() for _, text in brand_texts(brand, orjson.loads)])


async def main(home: Path, rounds: int) -> dict[str, float]:
    """Take both in turn after one round to warm up; medians."""
    memory = Memory(Settings(home=home))
    wall, cpu, control = [], [], []
    for number in range(rounds + 1):
        before = time.perf_counter(), time.process_time()
        result = await memory.sync(SyncRequest(brand="acme"))
        after = time.perf_counter(), time.process_time()
        items = plain_loop(home / "brands" / "acme")
        assert (result.counts.unchanged, result.counts.stored, result.counts.embedded) == (items, 0, 0)
        if number:
            wall.append(after[0] - before[0])
            cpu.append(after[1] - before[1])
            control.append(time.perf_counter() - after[0])
    await memory.close()
    assert "qdrant_edge" not in sys.modules, "an unchanged sync imported the engine"
    medians = {"wall": wall, "cpu": cpu, "control": control}
    return {"items": items} | {name: statistics.median(values) for name, values in medians.items()}


sys.stdout.buffer.write(orjson.dumps(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))))
