"""The product's own commands as processes: started, waited for, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

__all__ = [
    "REPOSITORY",
    "UNPRIVILEGED",
    "Finished",
    "command_environment",
    "finish",
    "kill",
    "run",
    "run_json",
    "start",
]

REPOSITORY = Path(__file__).resolve().parents[2]

UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""A command's prefix that leaves root's right to read and write everything at the door."""

_DEADLINE = 120.0
"""Seconds after which a command that has not ended is a failure; far above what any takes."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The report of a command that ran with ``--json``."""
        parsed: dict[str, Any] = orjson.loads(self.out)
        return parsed


def command_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which the embedder is the constant one and no setting of the caller's is left."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DM_MEMORY_", "CLAUDE_", "QDRANT_"))
    }
    paths = {"PYTHONPATH": str(REPOSITORY), "DM_MEMORY_EMBEDDER": "tests.support.embedders:constant"}
    return kept | paths | dict(extra or {})


def start(*arguments: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start ``dm-memory ARGUMENTS`` with its output captured; ``prefix`` is a command that runs it."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "dm_memory_server.main", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",  # a killed command's output ends in the middle of a character
        env=command_environment(env),
        cwd=REPOSITORY,
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for a started command and return what it left."""
    out, err = process.communicate(timeout=_DEADLINE)
    return Finished(process.returncode, out, err)


def run(*arguments: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Finished:
    """Run ``dm-memory ARGUMENTS`` to its end."""
    return finish(start(*arguments, env=env, prefix=prefix))


def run_json(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run ``dm-memory ARGUMENTS --json`` and return the report's data; a traceback is a failure."""
    finished = run(*arguments, "--json", env=env)
    assert "Traceback" not in finished.err, finished.err
    assert finished.out, finished.err
    return finished.data


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill without a chance to clean up. Return False where the process had ended by itself."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL
