"""A synced home, the product in a process of its own, and who may do what only root can."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.brands import BrandHome, make_home

DEADLINE = 10.0
"""Seconds after which a call that has not ended hangs; what is measured takes a tenth of one."""


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
        """Change the process; see ``calls``."""
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


def _killing(process: subprocess.Popen[str]) -> Any:
    import threading  # noqa: PLC0415  # only here

    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    return timer


@pytest.fixture
def home(tmp_path: Path) -> BrandHome:
    return make_home(tmp_path / "home", insights=6, campaigns=1, lessons_per_campaign=3)


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    made = Calls()
    yield made
    made.close()


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was synced once; copy it before you change it."""
    home = make_home(tmp_path_factory.mktemp("synced") / "home", insights=6, campaigns=1, lessons_per_campaign=3)
    processes.run_json("sync", "--home", str(home.root))
    return home.root


@pytest.fixture
def root(synced: Path, tmp_path: Path) -> Path:
    """A home of this test's own, synced once."""
    return Path(shutil.copytree(synced, tmp_path / "home"))


@cache
def can_mount() -> bool:
    """Return whether this user may mount a disk where nobody else sees it: root outside of most containers."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return hasattr(os, "geteuid") and subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mounting = [item for item in items if item.get_closest_marker("mounts")]
    if mounting and not can_mount():
        items[:] = [item for item in items if item not in mounting]
        config.hook.pytest_deselected(items=mounting)
