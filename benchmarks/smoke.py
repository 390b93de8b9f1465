"""Every benchmark once with few items: fails on crashes and wrong counts, never on time. What CI runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import event_loop
import first_sync
import second_sync
import startup
import storage_sync
import typical_brand
from measure import environment, report, table

_ITEMS, _ROUNDS = 600, 1
_SERVICES = ("pinecone", "qdrant", "supermemory")

if __name__ == "__main__":
    print("Small runs on a shared machine: the figures show that the benchmarks work, not how fast anything is.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report("Typical brand", typical_brand.compare("disk", folder, _ROUNDS))
        report(f"First sync of {_ITEMS} entries", first_sync.compare("disk", folder, _ITEMS, _ROUNDS))
        report("Syncs of what is in memory", second_sync.compare("disk", folder, _ITEMS, _ROUNDS))
        report("Event loop", event_loop.stalls("disk", folder, _ITEMS, _ROUNDS))
    report("Start-up", startup.compare(_ROUNDS))
    storage_sync.measure(_ITEMS, _ROUNDS)
    for service in _SERVICES:
        script = Path(__file__).with_name(f"services_{service}.py")
        options = ["--items", "300", "--rounds", str(_ROUNDS), "--single"]
        subprocess.run([sys.executable, str(script), *options], env=environment(), check=True)
    table("All", [("benchmarks", "ran")])
