"""Every benchmark once with few items: fails on crashes and wrong counts, never on time. What CI runs."""

from __future__ import annotations

import first_sync
import second_sync
import startup
import storage_sync
from event_loop import stalls
from measure import table

_ITEMS, _ROUNDS = 600, 1

if __name__ == "__main__":
    print("Small runs on a shared machine: the figures show that the benchmarks work, not how fast anything is.")
    table("Start-up", startup.compare(_ROUNDS))
    table(f"First sync of {_ITEMS} items", first_sync.compare(_ITEMS, _ROUNDS))
    table("Event loop", stalls(_ITEMS, _ROUNDS))
    table("Syncs of what is in memory", second_sync.compare_all(_ITEMS, _ROUNDS))
    storage_sync.measure(_ITEMS, _ROUNDS)
