"""The longest stall of the event loop during a first sync: how long a server could be deaf.

The control is the same watcher beside a thread that reads, parses and hashes the same files for as long: what the
interpreter's lock and this machine cost by themselves. Goals: 50 ms, and once a process 120 ms while the model loads.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from measure import BUNDLED, Line, arguments, median, places, report, run_child

from tests.support.brands import make_home_of


def stalls(place: str, folder: Path, items: int, rounds: int) -> list[Line]:
    """Watch the loop during some first syncs and return the lines to print."""
    found: dict[str, list[float]] = {"model": [], "stall": [], "control": []}
    for _ in range(rounds):
        home = Path(tempfile.mkdtemp(dir=folder)) / "home"
        make_home_of(home, items)
        said = run_child("children/first", home, "watch", embedder=BUNDLED).said
        assert said["stored"] >= items, said
        for name, values in found.items():
            values.append(1000 * said[name])
        shutil.rmtree(home)
    middle = {name: median(values) for name, values in found.items()}

    def line(figure: str, name: str, goal: str) -> Line:
        product = f"{middle[name]:.0f} ms (worst {max(found[name]):.0f})"
        control = f"{middle['control']:.0f} ms (worst {max(found['control']):.0f})"
        return Line(f"{figure}, {place}", product, control, f"{middle[name] / middle['control']:.1f}", goal)

    return [
        line("longest stall of the event loop", "stall", "<= 50 ms"),
        line("the same while the model loads", "model", "<= 120 ms"),
    ]


def main(options: argparse.Namespace) -> None:
    """Measure on a disk and in memory."""
    with places(options.folder) as folders:
        for place, folder in folders.items():
            title = f"Event loop during a first sync of {options.items:,} entries, {place} (control: a busy thread)"
            report(title, stalls(place, folder, options.items, options.rounds))


if __name__ == "__main__":
    main(arguments(__doc__, items=10_500, rounds=5))
