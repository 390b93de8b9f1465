"""The first sync of a brand against the bare engine that stores the same points; constant embeddings.

Goals: at least 0.75 of the bare engine's rate, at most 1.3 times its peak memory, less than ten times as much
memory for ten times as many items.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from measure import Run, arguments, interleaved, median, run_child, table

from tests.support.brands import make_home_of


def first_sync(folder: Path, items: int) -> Run:
    """Sync a fresh home of ``items`` items in a process of its own; the home stays in ``folder``."""
    home = Path(tempfile.mkdtemp(dir=folder))
    make_home_of(home / "home", items)
    run = run_child("children/first", home / "home")
    assert (run.said["stored"], run.said["failed"]) == (items, 0), run.said
    run.said["memory"] = str(home / "home" / "brands" / "acme" / "memory")
    return run


def bare_engine(folder: Path, points: Path, items: int) -> Run:
    """Store the dumped points with the engine alone."""
    run = run_child("controls/bare_engine", points, Path(tempfile.mkdtemp(dir=folder)) / "shard")
    assert run.said["stored"] == items, run.said
    return run


def compare(items: int, rounds: int) -> list[tuple[str, str]]:
    """Measure both in turn and return the lines to print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        points = folder / "points.pickle"
        run_child("controls/dump_points", first_sync(folder, items).said["memory"], points)
        runs = interleaved(
            rounds, ours=partial(first_sync, folder, items), bare=partial(bare_engine, folder, points, items)
        )
    seconds = {kind: median([run.said["seconds"] for run in taken]) for kind, taken in runs.items()}
    peak = {kind: median([run.peak_mb for run in taken]) for kind, taken in runs.items()}
    words = median([run.said["bm25"] for run in runs["bare"]])
    return [
        ("dm-memory", f"{seconds['ours']:.2f} s, {items / seconds['ours']:,.0f} items/s, {peak['ours']:.0f} MB"),
        ("bare engine", f"{seconds['bare']:.2f} s ({words:.2f} s of it BM25), {peak['bare']:.0f} MB"),
        ("rate ratio (goal >= 0.75)", f"{seconds['bare'] / seconds['ours']:.2f}"),
        ("the same, BM25 not counted for the engine", f"{(seconds['bare'] - words) / seconds['ours']:.2f}"),
        ("peak memory ratio (goal <= 1.3)", f"{peak['ours'] / peak['bare']:.2f}"),
    ]


def growth(items: int) -> list[tuple[str, str]]:
    """Compare the peak memory of ten times as many items."""
    with tempfile.TemporaryDirectory() as name:
        small, large = first_sync(Path(name), items), first_sync(Path(name), 10 * items)
    return [
        (f"{items:,} items", f"{small.peak_mb:.0f} MB, {small.said['seconds']:.1f} s"),
        (f"{10 * items:,} items", f"{large.peak_mb:.0f} MB, {large.said['seconds']:.1f} s"),
        ("peak memory ratio (goal < 10)", f"{large.peak_mb / small.peak_mb:.2f}"),
    ]


if __name__ == "__main__":
    options = arguments(__doc__, items=10_500, rounds=3)
    table(f"First sync of {options.items:,} items", compare(options.items, options.rounds))
    table("Ten times as many", growth(10_000))
