"""A process that stores entries in the embedded graph: ``python -m tests.facts.writer FOLDER FIRST LAST STEP``.

Stores the entries FIRST to LAST in batches of STEP and prints the first number of each batch once it is confirmed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dm_memory.items import Payload
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from tests.facts.pieces import play, snapshot


def numbered(number: int) -> Payload:
    """Return snapshot ``number``: 28 of each campaign, on different days."""
    return snapshot(f"campaign {number // 28}", number % 28 + 1, signups=number, roas=number % 5)


def main(folder: str, first: str, last: str, step: str) -> None:
    """Store and report."""

    async def scenario(layer: SqliteGraphLayer) -> None:
        for start in range(int(first), int(last), int(step)):
            outcomes = await layer.upsert([numbered(number) for number in range(start, start + int(step))])
            assert all(outcome.error is None for outcome in outcomes)
            sys.stdout.write(f"{start}\n")
            sys.stdout.flush()

    play(Path(folder), scenario)


if __name__ == "__main__":
    main(*sys.argv[1:])
