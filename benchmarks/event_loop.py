"""The longest stall of the event loop during a first sync: how long a server could be deaf. Goal: below 100 ms."""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import arguments, median, run_child, table

from tests.support.brands import make_home_of


def stalls(items: int, rounds: int) -> list[tuple[str, str]]:
    """Watch the loop during ``rounds`` first syncs and return the lines to print."""
    longest = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            make_home_of(Path(folder) / "home", items)
            run = run_child("children/first", Path(folder) / "home", "watch")
        assert run.said["stored"] == items, run.said
        longest.append(run.said["stall"] * 1000)
    return [
        ("longest stall (goal < 100 ms)", f"{max(longest):.0f} ms worst, {median(longest):.0f} ms median of {rounds}")
    ]


if __name__ == "__main__":
    options = arguments(__doc__, items=10_500, rounds=3)
    table(f"Event loop during a first sync of {options.items:,} items", stalls(options.items, options.rounds))
