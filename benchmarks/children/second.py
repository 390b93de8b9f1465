"""Unchanged syncs of a synced home in this process, each next to one plain loop over the same files.

Usage: second.py HOME ROUNDS
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controls.read_loop import read_loop

from dm_memory.api import Memory
from dm_memory.requests import SyncRequest
from dm_memory.settings import Settings


async def main(home: Path, rounds: int) -> dict[str, float]:
    """Take both in turn after one round to warm up; medians. What the sync counted is looked at."""
    memory = Memory(Settings(home=home))
    wall, cpu, control, control_cpu = [], [], [], []
    for number in range(rounds + 1):
        before = time.perf_counter(), time.process_time()
        result = await memory.sync(SyncRequest(brand="acme"))
        after = time.perf_counter(), time.process_time()
        items = read_loop(home / "brands" / "acme")
        ended = time.perf_counter(), time.process_time()
        assert (result.counts.stored, result.counts.embedded, result.store.without_vectors) == (0, 0, 0)
        assert result.counts.unchanged == result.store.entries >= items
        assert result.store.facts >= items
        if number:
            wall.append(after[0] - before[0])
            cpu.append(after[1] - before[1])
            control.append(ended[0] - after[0])
            control_cpu.append(ended[1] - after[1])
    await memory.close()
    medians = {"wall": wall, "cpu": cpu, "control": control, "control_cpu": control_cpu}
    return {"items": items} | {name: statistics.median(values) for name, values in medians.items()}


sys.stdout.buffer.write(orjson.dumps(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))))
