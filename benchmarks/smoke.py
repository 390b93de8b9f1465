"""Every benchmark once with few items: fails on crashes and wrong counts, never on time. What CI runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import first_sync
import second_sync
import startup
import storage_sync
from event_loop import stalls
from measure import environment, table

_ITEMS, _ROUNDS = 600, 1
_SERVICES = ("pinecone", "qdrant", "supermemory")

if __name__ == "__main__":
    print("Small runs on a shared machine: the figures show that the benchmarks work, not how fast anything is.")
    table("Start-up", startup.compare(_ROUNDS))
    table(f"First sync of {_ITEMS} items", first_sync.compare(_ITEMS, _ROUNDS))
    table("Event loop", stalls(_ITEMS, _ROUNDS))
    table("Syncs of what is in memory", second_sync.compare_all(_ITEMS, _ROUNDS))
    storage_sync.measure(_ITEMS, _ROUNDS)
    for name in _SERVICES:
        script = Path(__file__).with_name(f"layers_{name}.py")
        options = ["--items", "300", "--rounds", str(_ROUNDS), "--single"]
        subprocess.run([sys.executable, str(script), *options], env=environment(), check=True)
