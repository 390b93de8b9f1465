"""The brand of a working team, 200 insights and 20 campaigns (600 entries), with the model that comes along.

Its first sync is compared with one plain loop in the same run: parse, hash, embed, and one SQLite transaction with full
text and vectors. Both load the model within the measured time; a second line leaves that out on both sides.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from measure import BUNDLED, Line, Run, arguments, interleaved, median, our_sync, places, report, run_child

from tests.support.brands import make_home

_INSIGHTS, _CAMPAIGNS = 200, 20


def typical(folder: Path) -> Path:
    """Make a fresh typical brand in a folder of its own; return the home."""
    home = Path(tempfile.mkdtemp(dir=folder)) / "home"
    make_home(home, insights=_INSIGHTS, campaigns=_CAMPAIGNS)
    return home


def first(folder: Path, how: str) -> Run:
    """Sync a fresh brand in a process that runs already."""
    run = run_child("children/first", typical(folder), how, embedder=BUNDLED)
    assert run.said["status"] == "complete", run.said
    return run


def command(folder: Path) -> Run:
    """Sync a fresh brand from the command line."""
    run = our_sync(typical(folder), BUNDLED)
    assert run.said["status"] == "complete", run.said
    return run


def control(folder: Path) -> Run:
    """Store a fresh brand with the plain loop."""
    home = typical(folder)
    return run_child("controls/plain_loop", home, home / "plain.db")


def compare(place: str, folder: Path, rounds: int) -> list[Line]:
    """Measure in one place and return the lines to print."""
    synced = typical(folder)
    our_sync(synced, BUNDLED)
    runs = interleaved(
        rounds,
        control=partial(control, folder),
        cold=partial(first, folder, ""),
        warm=partial(first, folder, "warm"),
        command=partial(command, folder),
        unchanged=partial(our_sync, synced, BUNDLED),
        read=partial(run_child, "controls/read_loop", synced),
    )
    assert all(run.said["counts"]["stored"] == 0 for run in runs["unchanged"])
    said = {name: {key: _median_said(taken, key) for key in taken[0].said} for name, taken in runs.items()}
    wall = {name: median([run.wall for run in taken]) for name, taken in runs.items()}
    cpu = {name: median([run.cpu for run in taken]) for name, taken in runs.items()}
    in_process = run_child("children/second", synced, max(rounds, 9), embedder=BUNDLED).said
    own = said["control"]
    return [
        _line(f"first sync, {place}", said["cold"]["seconds"], own["with_model"], "<= 2"),
        _line(f"the same, the model loaded before, {place}", said["warm"]["seconds"], own["seconds"], "none"),
        _line(f"its CPU, {place}", said["warm"]["cpu"], own["cpu"], "none"),
        _line(f"whole command, {place}", wall["command"], wall["control"], "<= 1.8 s"),
        _line(f"whole command, nothing changed, {place}", wall["unchanged"], wall["read"], "<= 0.35 s"),
        _line(f"its CPU, {place}", cpu["unchanged"], cpu["read"], "none"),
        _line(f"nothing changed, in process, CPU, {place}", in_process["cpu"], in_process["control_cpu"], "< 0.020 s"),
    ]


def _median_said(runs: list[Run], key: str) -> float:
    values = [run.said[key] for run in runs]
    return median(values) if all(isinstance(value, int | float) for value in values) else 0.0


def _line(figure: str, product: float, control_seconds: float, goal: str) -> Line:
    return Line(figure, f"{product:.3f} s", f"{control_seconds:.3f} s", f"{product / control_seconds:.2f}", goal)


def main(options: argparse.Namespace) -> None:
    """Measure on a disk and in memory."""
    with places(options.folder) as folders:
        for place, folder in folders.items():
            title = f"Typical brand, {place} (control: a plain loop)"
            report(title, compare(place, folder, options.rounds))


if __name__ == "__main__":
    main(arguments(__doc__, items=0, rounds=9))
