"""From spawn to the answer of ``tools/list``: the CPU of ``dm-memory serve`` against an empty server of the same SDK.

The client is this script: newline-delimited JSON over pipes, the 2025-06-18 handshake. Goal: at most 1.15 times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import orjson
from measure import REPOSITORY, Line, Run, arguments, environment, interleaved, median, report

_HANDSHAKE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
_REQUESTS: tuple[dict[str, object], ...] = (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _HANDSHAKE},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}},
)


def start_up(command: list[str]) -> Run:
    """Start a server, list its tools, close its input, and account for its whole life."""
    before = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=REPOSITORY,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for request in _REQUESTS:
            process.stdin.write(orjson.dumps(request) + b"\n")
            process.stdin.flush()
            reply = orjson.loads(process.stdout.readline()) if "id" in request else {}
        wall = time.perf_counter() - before
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    tools = [tool["name"] for tool in reply["result"]["tools"]]
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, {"tools": tools})


def compare(rounds: int) -> list[Line]:
    """Measure both servers in turn and return the lines to print."""
    control = [sys.executable, str(Path(__file__).parent / "controls" / "empty_server.py")]
    ours = [sys.executable, "-m", "dm_memory_server.main", "serve"]
    runs = interleaved(rounds, empty=partial(start_up, control), ours=partial(start_up, ours))
    assert len(runs["ours"][0].said["tools"]) >= 4
    cpu = {name: median([run.cpu for run in taken]) for name, taken in runs.items()}
    wall = {name: median([run.wall for run in taken]) for name, taken in runs.items()}
    peak = {name: median([run.peak_mb for run in taken]) for name, taken in runs.items()}
    return [
        _line("start-up to tools/list, CPU", cpu, "s", ".3f", "<= 1.15"),
        _line("the same, wall", wall, "s", ".3f", "none"),
        _line("its peak memory", peak, "MB", ".0f", "none"),
    ]


def _line(figure: str, values: dict[str, float], unit: str, form: str, goal: str) -> Line:
    ours, empty = values["ours"], values["empty"]
    return Line(figure, f"{ours:{form}} {unit}", f"{empty:{form}} {unit}", f"{ours / empty:.2f}", goal)


if __name__ == "__main__":
    lines = compare(arguments(__doc__, items=0, rounds=9).rounds)
    report("Start-up: spawn, initialize, tools/list (control: an empty MCPServer of the same SDK)", lines)
