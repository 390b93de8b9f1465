"""The storage sync against a plain loop between the same two SQLite files: full, 1 % changed, nothing changed."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson

from dm_memory.storage.durable_rows import EpisodeRow
from dm_memory.storage.durable_sqlite import FILE_NAME, open_sqlite_store
from dm_memory.storage.durable_store import SqlStore
from dm_memory.storage.sync import CachePlace, sync_storage
from dm_memory.storage.sync_results import StorageSyncRequest, StorageSyncResult
from dm_memory.sync.requests import no_progress

_BRAND = "acme"
_BATCH = 1000


def row(number: int, text: str) -> EpisodeRow:
    """Return an episode of 2 KB."""
    return EpisodeRow(
        id=f"e{number:09}", brand=_BRAND, key=f"insight/{number}", kind="insight", content_type="performance-insight",
        source="sync", content=text * (2000 // len(text)), content_hash="0" * 64, metadata_hash="1" * 64, tags="[]",
        facts="{}", recorded_at="2026-10-01T09:00:00", created_at="2026-10-01T09:00:00", version=1, updated_from="",
        priority="normal", expires_at="", related="[]",
    )  # fmt: skip


def plain_loop(source: Path, target: Path) -> None:
    """Stream all rows into a table of keys and values, a transaction for each thousand: the control."""
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = NORMAL")
        writer.execute("CREATE TABLE episodes (key BLOB PRIMARY KEY, value BLOB)")
        cursor = reader.execute("SELECT * FROM episodes")
        while rows := cursor.fetchmany(_BATCH):
            pairs = [(found[0].encode(), orjson.dumps(found)) for found in rows]
            with writer:
                writer.executemany("INSERT OR REPLACE INTO episodes VALUES (?, ?)", pairs)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def sync(store: SqlStore, folder: Path, rows: int) -> StorageSyncResult:
    """Sync everything with validation."""
    request = StorageSyncRequest(max_episodes_cache=2 * rows, batch_size=_BATCH)
    return await sync_storage(store, CachePlace(folder, "sqlite"), request, brand=_BRAND, tell=no_progress)


def fill(runner: asyncio.Runner, store: SqlStore, numbers: range, text: str) -> None:
    """Write episodes."""
    for start in range(0, len(numbers), 2000):
        runner.run(store.upsert_episodes([row(number, text) for number in numbers[start : start + 2000]]))


def measure(rows: int, rounds: int) -> None:
    """Print the figures of ``rows`` rows, medians of ``rounds``, control and product in turn."""
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder = Path(name)
        store = open_sqlite_store(folder, _BRAND)
        fill(runner, store, range(rows), "what was learnt ")
        loops, fulls = [], []
        for number in range(rounds):
            loops.append(timed(lambda number=number: plain_loop(folder / FILE_NAME, folder / f"loop{number}.db")))
            place = folder / f"cache{number}"
            fulls.append(timed(lambda place=place: runner.run(sync(store, place, rows))))
        fill(runner, store, range(0, rows, 100), "changed ")
        changed = timed(lambda: runner.run(sync(store, place, rows)))
        nothing = timed(lambda: runner.run(sync(store, place, rows)))
        runner.run(store.close())
    loop, full = sorted(loops)[rounds // 2], sorted(fulls)[rounds // 2]
    print(
        f"{rows:,} rows: plain loop {rows / loop:,.0f} rows/s, full sync {rows / full:,.0f} rows/s ({loop / full:.2f}x)"
    )
    print(f"  1 % changed {changed:.3f} s ({changed / full:.1%} of full), nothing changed {nothing:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000, help="episodes in the store")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are shown")
    options = parser.parse_args()
    measure(options.items, options.rounds)
