"""The first sync of a large brand as a whole process, against LanceDB written by hand; constant embeddings.

Goals: 10,500 entries in at most 1.5 times LanceDB's time and 150 MB; 100,000 (``--items 100000 --rounds 1``) within
35 s.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from functools import partial
from pathlib import Path

from measure import Line, Run, arguments, interleaved, median, our_sync, places, report, run_child

from tests.support.brands import make_home_of

_GOALS = {10_500: ("<= 1.5", "<= 150 MB"), 100_000: ("<= 35 s", "none")}


def first_sync(folder: Path, items: int) -> Run:
    """Sync a fresh brand of so many items."""
    home = Path(tempfile.mkdtemp(dir=folder))
    make_home_of(home / "home", items)
    run = our_sync(home / "home")
    assert run.said["counts"]["stored"] >= items, run.said
    assert run.said["status"] == "complete", run.said
    shutil.rmtree(home)
    return run


def by_hand(folder: Path, home: Path, items: int) -> Run:
    """Store the same brand in LanceDB."""
    target = Path(tempfile.mkdtemp(dir=folder))
    run = run_child("controls/lancedb_by_hand", home, target)
    assert run.said["stored"] == items, run.said
    shutil.rmtree(target)
    return run


def compare(place: str, folder: Path, items: int, rounds: int) -> list[Line]:
    """Measure both in turn and return the lines to print."""
    make_home_of(folder / "given", items)
    runs = interleaved(
        rounds, lance=partial(by_hand, folder, folder / "given", items), ours=partial(first_sync, folder, items)
    )
    wall = {name: median([run.wall for run in taken]) for name, taken in runs.items()}
    cpu = {name: median([run.cpu for run in taken]) for name, taken in runs.items()}
    peak = {name: median([run.peak_mb for run in taken]) for name, taken in runs.items()}
    time_goal, memory_goal = _GOALS.get(items, ("none", "none"))
    what = f"first sync, {items:,} entries, {place}"
    return [
        _line(what, wall, "s", ".2f", time_goal),
        _line(f"{what}, CPU", cpu, "s", ".2f", "none"),
        _line(f"{what}, peak memory", peak, "MB", ".0f", memory_goal),
    ]


def _line(figure: str, values: dict[str, float], unit: str, form: str, goal: str) -> Line:
    ours, lance = values["ours"], values["lance"]
    return Line(figure, f"{ours:{form}} {unit}", f"{lance:{form}} {unit}", f"{ours / lance:.2f}", goal)


def main(options: argparse.Namespace) -> None:
    """Measure on a disk and in memory."""
    with places(options.folder) as folders:
        for place, folder in folders.items():
            title = f"First sync of {options.items:,} entries, {place} (control: LanceDB by hand)"
            report(title, compare(place, folder, options.items, options.rounds))


if __name__ == "__main__":
    main(arguments(__doc__, items=10_500, rounds=5))
