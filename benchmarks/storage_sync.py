"""The storage sync against a plain loop between the same two files: full, 1 % changed, nothing changed.

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

from dm_memory.cache.opening import EngineChoice
from dm_memory.cache.results import StorageSyncRequest, StorageSyncResult
from dm_memory.cache.opening import CachePlace
from dm_memory.cache.sync import sync_storage
from dm_memory.services.turso.rows import EpisodeRow
from dm_memory.services.turso.sqlite import FILE_NAME, open_sqlite_store
from dm_memory.services.turso.writing import SharedStore
from dm_memory.requests import no_progress

BRAND = "acme"
_BATCH = 1000
_FEW = 10_000


def row(number: int, text: str) -> EpisodeRow:
    """Return an episode of 2 KB."""
    return EpisodeRow(
        id=f"e{number:09}", brand=BRAND, key=f"insight/{number}", kind="insight", content_type="performance-insight",
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


async def sync(store: SharedStore, folder: Path, rows: int, engine: EngineChoice = "sqlite") -> StorageSyncResult:
    """Sync everything with validation."""
    request = StorageSyncRequest(max_episodes_cache=2 * rows, batch_size=_BATCH)
    return await sync_storage(store, CachePlace(folder, engine), request, brand=BRAND, tell=no_progress)


def fill(runner: asyncio.Runner, store: SharedStore, numbers: range, text: str) -> None:
    """Write episodes."""
    for start in range(0, len(numbers), 2000):
        runner.run(store.upsert_episodes([row(number, text) for number in numbers[start : start + 2000]]))


def measure(rows: int, rounds: int) -> None:
    """Print the figures of ``rows`` rows for each engine: control and product in turn, minimum, median and maximum."""
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        store = open_sqlite_store(Path(name), BRAND)
        fill(runner, store, range(rows), "what was learnt ")
        for engine in engines():
            table(f"{rows:,} rows into {engine}", compare(runner, store, Path(name), engine, rows=rows, rounds=rounds))
        runner.run(store.close())


def compare(
    runner: asyncio.Runner, store: SharedStore, folder: Path, engine: EngineChoice, *, rows: int, rounds: int
) -> list[tuple[str, str]]:
    """Return the figures of one engine."""
    loops, fulls, changes, nothings = [], [], [], []
    for number in range(rounds):
        place = folder / f"cache-{engine}"
        control = folder / f"loop.{engine}"
        loops.append(timed(lambda control=control: _LOOPS[engine](folder / FILE_NAME, control)))
        fulls.append(timed(lambda place=place: runner.run(sync(store, place, rows, engine))))
        fill(runner, store, range(number % 100, rows, 100), f"changed by {engine} in round {number} ")
        changes.append(timed(lambda place=place: runner.run(sync(store, place, rows, engine))))
        nothings.append(timed(lambda place=place: runner.run(sync(store, place, rows, engine))))
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
