"""Syncs of a brand that is in memory already: nothing changed, or 1 % modified and 1 % new.

Goals: unchanged in process at most as long as one plain loop that reads, parses and hashes everything; as a whole
process, unchanged and changed, at most 0.2 of LangChain's ``index()`` with a record manager; 200 insights and 20
campaigns, unchanged, in a running server: below 20 ms of CPU.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import Run, arguments, interleaved, median, run_child, run_process, table

from tests.support.brands import BrandHome, make_home, make_home_of


def in_process(home: BrandHome, rounds: int) -> list[tuple[str, str]]:
    """Compare unchanged syncs in one process with the plain loop."""
    said = run_child("children/second", home.root, rounds).said
    return [
        ("unchanged sync in process", f"{said['wall'] * 1000:.0f} ms, {said['cpu'] * 1000:.0f} ms CPU"),
        ("plain loop: read, parse, hash", f"{said['control'] * 1000:.0f} ms"),
        ("ratio (goal <= 1)", f"{said['wall'] / said['control']:.2f}"),
    ]


def small_brand(rounds: int) -> list[tuple[str, str]]:
    """Measure the CPU of an unchanged sync of 200 insights and 20 campaigns in a process that runs on."""
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home", insights=200, campaigns=20)
        our_process(home.root)
        said = run_child("children/second", home.root, max(rounds, 9)).said
    return [("200 insights, 20 campaigns, unchanged (goal < 20 ms CPU)", f"{said['cpu'] * 1000:.1f} ms CPU")]


def our_process(home: Path) -> Run:
    """Run ``dm-memory sync`` from start to end."""
    command = [sys.executable, "-m", "dm_memory_server.main", "sync", "--home", str(home), "--brand", "acme", "--json"]
    return run_process(command)


def langchain_process(home: Path, state: Path) -> Run:
    """Run LangChain's ``index()`` over the same brand from start to end."""
    return run_child("controls/langchain_index", home, state)


def whole_processes(home: BrandHome, folder: Path, rounds: int) -> list[tuple[str, str]]:
    """Compare whole processes: nothing changed, then 1 % modified and 1 % new in every round."""
    state = folder / "langchain"
    state.mkdir()
    items = home.count_items()
    assert langchain_process(home.root, state).said["num_added"] == items
    runs = interleaved(
        rounds, ours=partial(our_process, home.root), theirs=partial(langchain_process, home.root, state)
    )
    assert all(run.said["counts"]["unchanged"] == items for run in runs["ours"])
    assert all(run.said["num_skipped"] == items for run in runs["theirs"])
    lines = compare("unchanged", runs)
    changed: dict[str, list[Run]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        share = items // 100
        home.modify(share)
        home.add(share)
        taken = interleaved(
            1, ours=partial(our_process, home.root), theirs=partial(langchain_process, home.root, state)
        )
        assert taken["ours"][0].said["counts"]["stored"] == taken["theirs"][0].said["num_added"] == 2 * share
        for name, (run,) in taken.items():
            changed[name].append(run)
    return lines + compare("1 % modified, 1 % new", changed)


def compare(what: str, runs: dict[str, list[Run]]) -> list[tuple[str, str]]:
    """Return the lines of one comparison."""
    wall = {name: median([run.wall for run in taken]) for name, taken in runs.items()}
    return [
        (f"{what}: dm-memory, whole process", f"{wall['ours']:.2f} s"),
        (f"{what}: LangChain index()", f"{wall['theirs']:.2f} s"),
        ("ratio (goal <= 0.2)", f"{wall['ours'] / wall['theirs']:.2f}"),
    ]


def compare_all(items: int, rounds: int, *, with_langchain: bool = True) -> list[tuple[str, str]]:
    """Measure everything and return the lines to print."""
    folder = Path(tempfile.mkdtemp())
    try:
        home = make_home_of(folder / "home", items)
        assert our_process(home.root).said["counts"]["stored"] == items
        lines = in_process(home, rounds) + small_brand(rounds)
        return lines + (whole_processes(home, folder, rounds) if with_langchain else [])
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    options = arguments(__doc__, items=10_500, rounds=3)
    table(f"Syncs of {options.items:,} items that are in memory", compare_all(options.items, options.rounds))
