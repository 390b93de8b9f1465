"""The storage sync from memory.db against a plain loop between the same two files: full, 1 % changed, nothing changed.

``--memory ROWS`` measures instead the peak memory of a full sync of so many rows against one of 10,000 (a million rows
take 7 GB of disk and some minutes).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import orjson
from measure import Run, median, run_child, table

from dm_memory.cache.opening import CachePlace, EngineChoice
from dm_memory.cache.results import StorageSyncRequest, StorageSyncResult
from dm_memory.cache.sync import sync_storage
from dm_memory.requests import no_progress
from dm_memory.services.turso.sqlite import open_memory
from dm_memory.store.database import FILE_NAME, open_store

BRAND = "acme"
_BATCH = 1000
_FEW = 10_000


_ENTRY = """
INSERT INTO entries (id, key, kind, content_type, type_origin, source, content, content_hash, metadata_hash, facts,
    recorded_at, created_at, priority, expires_at, related, version, updated_from, origin, run, updated_at)
VALUES (?, ?, 'insight', 'performance-insight', 'source', 'sync', ?, ?, '', '{}', '2026-10-01T09:00:00', '', 'normal',
    '', '[]', 1, '', '', 1, ?)
ON CONFLICT (id) DO UPDATE SET content = excluded.content, updated_at = excluded.updated_at
"""


def fill(folder: Path, numbers: range, text: str) -> None:
    """Write entries of 2 KB, or edit them."""
    store = open_store(folder, BRAND)
    for start in range(0, len(numbers), 2000):
        some = numbers[start : start + 2000]
        with store.transaction() as connection:
            rows = [
                (f"e{number:09}", f"insight/{number}", text * (2000 // len(text)), "0" * 64, moment)
                for number, moment in zip(some, store.ticks(len(some)), strict=True)
            ]
            connection.executemany(_ENTRY, rows)
    store.close()


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


def plain_loop_to_redb(source: Path, target: Path) -> None:
    """Do the same into redb."""
    from dm_memory_redb import Database  # noqa: PLC0415  # an extra

    with closing(sqlite3.connect(source)) as reader, Database.open(target) as writer:
        cursor = reader.execute("SELECT * FROM episodes")
        while rows := cursor.fetchmany(_BATCH):
            writer.put_many("episodes", [(found[0].encode(), orjson.dumps(found)) for found in rows])


_LOOPS: dict[EngineChoice, Callable[[Path, Path], None]] = {"sqlite": plain_loop, "redb": plain_loop_to_redb}


def engines() -> list[EngineChoice]:
    """Return the cache engines there are here."""
    return ["sqlite", "redb"] if importlib.util.find_spec("dm_memory_redb") else ["sqlite"]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def sync(folder: Path, place: Path, rows: int, engine: EngineChoice = "sqlite") -> StorageSyncResult:
    """Sync everything with validation."""

    async def act() -> StorageSyncResult:
        store = open_memory(folder, BRAND)
        request = StorageSyncRequest(max_episodes_cache=2 * rows, batch_size=_BATCH)
        try:
            return await sync_storage(store, CachePlace(place, engine), request, brand=BRAND, tell=no_progress)
        finally:
            await store.close()

    return asyncio.run(act())


def measure(rows: int, rounds: int) -> None:
    """Print the figures of ``rows`` rows for each engine: control and product in turn, minimum, median and maximum."""
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), range(rows), "what was learnt ")
        for engine in engines():
            table(f"{rows:,} rows into {engine}", compare(Path(name), engine, rows=rows, rounds=rounds))


def compare(folder: Path, engine: EngineChoice, *, rows: int, rounds: int) -> list[tuple[str, str]]:
    """Return the figures of one engine."""
    loops, fulls, changes, nothings = [], [], [], []
    place, control = folder / f"cache-{engine}", folder / f"loop.{engine}"

    def synced() -> float:
        return timed(lambda: sync(folder, place, rows, engine))

    for number in range(rounds):
        loops.append(timed(lambda: _LOOPS[engine](folder / FILE_NAME, control)))
        fulls.append(synced())
        fill(folder, range(number % 100, rows, 100), f"changed by {engine} in round {number} ")
        changes.append(synced())
        nothings.append(synced())
        shutil.rmtree(place)
        for left in folder.glob(f"{control.name}*"):
            left.unlink()
    return [
        ("plain loop, rows a second", f"{rows / median(loops):,.0f}"),
        ("full sync, rows a second", f"{rows / median(fulls):,.0f}"),
        ("full sync to plain loop", spread([loop / full for loop, full in zip(loops, fulls, strict=True)], "{:.2f}")),
        ("1 % changed", spread(changes, "{:.4f} s")),
        ("1 % changed to full", spread([few / full for few, full in zip(changes, fulls, strict=True)], "{:.1%}")),
        ("nothing changed", spread(nothings, "{:.4f} s")),
    ]


def spread(values: Sequence[float], form: str) -> str:
    """Return minimum, median and maximum."""
    return " / ".join(form.format(value) for value in (min(values), median(values), max(values)))


def measure_memory(rows: int) -> None:
    """Print the peak memory of a full sync of ``rows`` rows and of 10,000, each in a process of its own."""
    for engine in engines():
        few, many = full_sync(_FEW, engine), full_sync(rows, engine)
        table(
            f"Peak memory, {engine}",
            [
                (f"{_FEW:,} rows", f"{few.peak_mb:.0f} MB, {few.said['seconds']:.1f} s"),
                (f"{rows:,} rows", f"{many.peak_mb:.0f} MB, {many.said['seconds']:.1f} s"),
                ("ratio", f"{many.peak_mb / few.peak_mb:.2f}"),
            ],
        )


def full_sync(rows: int, engine: EngineChoice) -> Run:
    """Fill a store in one process, sync it in another; return what the latter cost."""
    with tempfile.TemporaryDirectory() as folder:
        run_child("children/storage", "fill", folder, rows)
        return run_child("children/storage", "sync", folder, rows, "--engine", engine)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000, help="episodes in the store")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; minimum, median and maximum are shown")
    parser.add_argument("--memory", type=int, metavar="ROWS", help="measure peak memory with so many rows instead")
    options = parser.parse_args()
    if options.memory:
        measure_memory(options.memory)
    else:
        measure(options.items, options.rounds)
