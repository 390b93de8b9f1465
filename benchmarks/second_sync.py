"""Syncs of a brand that is in memory already: nothing changed, or 1 % modified and 1 % new.

Goals: unchanged in process, with everything counted, at most as long as one plain loop that reads, parses and hashes
everything; 1 % modified and 1 % new as a whole process at most 0.12 of LangChain's ``index()`` with a record manager.
Of 100,000 entries (``--items 100000 --rounds 1``) within 2.5 s.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from measure import Line, Run, arguments, interleaved, median, our_sync, places, report, run_child

from tests.support.brands import BrandHome, make_home_of

_GOALS = {10_500: "<= 0.12", 100_000: "<= 2.5 s"}


def in_process(place: str, home: BrandHome, rounds: int) -> list[Line]:
    """Compare unchanged syncs in one process with the plain loop."""
    said = run_child("children/second", home.root, rounds).said
    what = f"nothing changed, in process, {place}"
    return [
        _line(what, said["wall"], said["control"], "<= 1"),
        _line(f"{what}, CPU", said["cpu"], said["control_cpu"], "none"),
    ]


def whole_processes(place: str, home: BrandHome, folder: Path, rounds: int) -> list[Line]:
    """Compare whole processes: nothing changed, then 1 % modified and 1 % new in every round."""
    state = folder / "langchain"
    state.mkdir()
    items = home.count_items()
    both = {
        "theirs": partial(run_child, "controls/langchain_index", home.root, state),
        "ours": partial(our_sync, home.root),
    }
    assert both["theirs"]().said["num_added"] == items
    unchanged = interleaved(rounds, **both)
    assert all(run.said["counts"]["stored"] == 0 for run in unchanged["ours"])
    assert all(run.said["num_skipped"] == items for run in unchanged["theirs"])
    changed: dict[str, list[Run]] = {name: [] for name in both}
    share = items // 100
    for _ in range(rounds):
        home.modify(share)
        home.add(share)
        for name, (run,) in interleaved(1, **both).items():
            changed[name].append(run)
        assert changed["ours"][-1].said["counts"]["stored"] == changed["theirs"][-1].said["num_added"] == 2 * share
    goal = _GOALS.get(items, "none")
    return [
        *_lines(f"nothing changed, whole process, {place}", unchanged, "none"),
        *_lines(f"1 % modified, 1 % new, whole process, {place}", changed, goal),
    ]


def _lines(figure: str, runs: dict[str, list[Run]], goal: str) -> list[Line]:
    wall, cpu = (
        {name: median([getattr(run, what) for run in taken]) for name, taken in runs.items()}
        for what in ("wall", "cpu")
    )
    return [
        _line(figure, wall["ours"], wall["theirs"], goal),
        _line(f"{figure}, CPU", cpu["ours"], cpu["theirs"], "none"),
    ]


def _line(figure: str, product: float, control: float, goal: str) -> Line:
    return Line(figure, f"{product:.3f} s", f"{control:.3f} s", f"{product / control:.2f}", goal)


def compare(place: str, folder: Path, items: int, rounds: int, *, with_langchain: bool = True) -> list[Line]:
    """Measure everything in one place and return the lines to print."""
    home = make_home_of(folder / "second", items)
    assert our_sync(home.root).said["counts"]["stored"] >= items
    lines = in_process(place, home, max(rounds, 5))
    return lines + (whole_processes(place, home, folder, rounds) if with_langchain else [])


def main(options: argparse.Namespace) -> None:
    """Measure on a disk and in memory."""
    with places(options.folder) as folders:
        for place, folder in folders.items():
            title = f"{options.items:,} entries in memory, {place} (controls: a plain loop, LangChain's index())"
            report(title, compare(place, folder, options.items, options.rounds))


if __name__ == "__main__":
    main(arguments(__doc__, items=10_500, rounds=5))
