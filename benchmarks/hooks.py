"""The plugin's hooks beside a bare interpreter and beside one that imports what the start of a session needs.

The client is this script: JSON on standard input, as Claude Code writes it. Goal: a hook ends within 2 s of wall time,
on a machine that does something else as well, so its processor time matters most.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import orjson
from measure import REPOSITORY, Line, Run, arguments, environment, interleaved, median, piped, reaped, report

_EVENTS = ("session-start", "session-end")
_INPUT = orjson.dumps({"session_id": "benchmark", "cwd": "/", "hook_event_name": "SessionStart", "source": "startup"})
_IMPORTS = "import orjson, sqlite3, filelock, pydantic.dataclasses"


def run(command: list[str], home: Path) -> Run:
    """Run a command with a hook's input and account for its whole life; what it handed over is not counted."""
    before = time.perf_counter()
    with piped(command, {"CLAUDE_MARKETING_HOME": str(home)}) as (process, given, printed):
        given.write(_INPUT)
        given.close()
        said = len(printed.read())
        usage = reaped(process)
    wall = time.perf_counter() - before
    assert process.returncode == 0
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, {"bytes": said})


def compare(rounds: int) -> list[Line]:
    """Measure in turn over the synced sample brand and return the lines to print."""
    folder = Path(tempfile.mkdtemp(prefix="dm-memory-hooks-"))
    home = folder / "home"
    try:
        shutil.copytree(REPOSITORY / "examples" / "home", home)
        ours = [sys.executable, "-m", "dm_memory_server.main"]
        subprocess.run([*ours, "sync", "--home", str(home)], check=True, capture_output=True, env=environment())
        commands = {"bare": [sys.executable, "-c", "pass"], "imports": [sys.executable, "-c", _IMPORTS]}
        commands |= {event: [*ours, "hook", event] for event in _EVENTS}
        runs = interleaved(rounds, **{name: partial(run, command, home) for name, command in commands.items()})
    finally:
        time.sleep(5)  # what the last hook handed over
        shutil.rmtree(folder, ignore_errors=True)
    lines = []
    for event in _EVENTS:
        lines += [
            _line(f"{event}, CPU beside {control}", runs[event], runs[control], "cpu")
            for control in ("bare", "imports")
        ]
        lines.append(_line(f"{event}, wall beside bare", runs[event], runs["bare"], "wall"))
    worst = max(each.wall for event in _EVENTS for each in runs[event])
    return [*lines, Line("the slowest hook, wall", f"{worst:.3f} s", "", "", "< 2 s")]


def _line(figure: str, ours: list[Run], control: list[Run], of: str) -> Line:
    own, other = (median([getattr(each, of) for each in taken]) for taken in (ours, control))
    return Line(figure, f"{own:.3f} s", f"{other:.3f} s", f"{own / other:.2f}", "none")


if __name__ == "__main__":
    lines = compare(arguments(__doc__, items=0, rounds=9).rounds)
    report("Hooks (controls: an interpreter that does nothing, and one that only imports)", lines)
