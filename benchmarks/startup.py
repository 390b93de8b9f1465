"""From spawn to the answer of ``tools/list``: the CPU of ``dm-memory serve`` against an empty server of the same SDK.

The client is this script: newline-delimited JSON over pipes, the 2025-06-18 handshake. Goal: at most 1.15 times, also
for the plugin, whose command starts uv and its launcher; its control is started by the plugin's interpreter directly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import orjson
from measure import REPOSITORY, Line, Run, arguments, environment, interleaved, median, piped, reaped, report

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


def start_up(command: list[str], settings: Mapping[str, str] | None = None) -> Run:
    """Start a server, list its tools, close its input, and account for its whole life."""
    before = time.perf_counter()
    with piped(command, settings or {}) as (process, given, printed):
        for request in _REQUESTS:
            given.write(orjson.dumps(request) + b"\n")
            given.flush()
            reply = orjson.loads(printed.readline()) if "id" in request else {}
        wall = time.perf_counter() - before
        given.close()
        usage = reaped(process)
    tools = [tool["name"] for tool in reply["result"]["tools"]]
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, {"tools": tools})


def compare(rounds: int) -> list[Line]:
    """Measure the servers in turn and return the lines to print."""
    control = str(Path(__file__).parent / "controls" / "empty_server.py")
    ours = [sys.executable, "-m", "dm_memory_server.main", "serve"]
    with tempfile.TemporaryDirectory() as folder:
        plugin, settings, python = _plugin(Path(folder))
        runs = interleaved(
            rounds,
            empty=partial(start_up, [sys.executable, control]),
            ours=partial(start_up, ours),
            empty_there=partial(start_up, [python, control]),
            plugin=partial(start_up, plugin, settings),
        )
    assert len(runs["ours"][0].said["tools"]) >= 4
    assert runs["plugin"][0].said == runs["ours"][0].said
    cpu = {name: median([run.cpu for run in taken]) for name, taken in runs.items()}
    wall = {name: median([run.wall for run in taken]) for name, taken in runs.items()}
    peak = {name: median([run.peak_mb for run in taken]) for name, taken in runs.items()}
    there = ("plugin", "empty_there")
    return [
        _line("start-up to tools/list, CPU", cpu, "s", ".3f", "<= 1.15"),
        _line("the same, wall", wall, "s", ".3f", "none"),
        _line("its peak memory", peak, "MB", ".0f", "none"),
        _line("start-up of the plugin, CPU", cpu, "s", ".3f", "<= 1.15", there),
        _line("the same, wall", wall, "s", ".3f", "<= 1.15", there),
    ]


def _plugin(data: Path) -> tuple[list[str], dict[str, str], str]:
    """Start the plugin once, and return its command, its variables and its interpreter."""
    started = json.loads((REPOSITORY / ".claude-plugin" / "plugin.json").read_text("utf-8"))["mcpServers"]["dm-memory"]
    names = {"${CLAUDE_PLUGIN_ROOT}": str(REPOSITORY), "${CLAUDE_PLUGIN_DATA}": str(data)}

    def filled(text: str) -> str:
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    command = [os.environ.get("UV", "uv"), *map(filled, started["args"])]
    settings = {name: filled(value) for name, value in started["env"].items()}
    subprocess.run([*command[:-1], "--version"], env=environment() | settings, check=True, stdout=subprocess.DEVNULL)
    interpreter = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return command, settings, str(Path(settings["UV_PROJECT_ENVIRONMENT"]) / interpreter)


def _line(
    figure: str, values: dict[str, float], unit: str, form: str, goal: str, pair: tuple[str, str] = ("ours", "empty")
) -> Line:
    ours, empty = values[pair[0]], values[pair[1]]
    return Line(figure, f"{ours:{form}} {unit}", f"{empty:{form}} {unit}", f"{ours / empty:.2f}", goal)


if __name__ == "__main__":
    lines = compare(arguments(__doc__, items=0, rounds=9).rounds)
    report("Start-up: spawn, initialize, tools/list (control: an empty MCPServer of the same SDK)", lines)
