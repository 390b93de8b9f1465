"""A process that runs one command after the other: most of what a command's own process does is starting."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from tests.support import processes

__all__ = ["Calls"]

DEADLINE = 60.0
"""Seconds after which a call that has not ended hangs; on an idle machine it takes a tenth of one."""


class Calls:
    """A process that runs one command after the other; killed if one hangs."""

    def __init__(self, prefix: Sequence[str] = (), env: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.environment.calls"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=processes.command_environment(env),
            cwd=processes.REPOSITORY,
        )

    def __call__(self, *arguments: str) -> processes.Finished:
        """Run ``dm-memory ARGUMENTS``."""
        return self._ask(list(arguments))

    def do(self, what: str, **more: Any) -> None:
        """Change the process; see ``tests.environment.calls``."""
        self._ask({"do": what, **more})

    def _ask(self, order: object) -> processes.Finished:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        timer = _killing(process)
        try:
            line = process.stdout.readline()
        finally:
            timer.cancel()
        assert line, f"{order} did not end"
        answer = json.loads(line)
        finished = processes.Finished(answer["code"], answer["out"], answer["err"])
        assert "Something went wrong inside" not in finished.err, f"{order}: {finished.err}"
        return finished

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(DEADLINE)


def _killing(process: subprocess.Popen[str]) -> threading.Timer:
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    return timer
