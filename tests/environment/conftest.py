"""A synced home, the product in a process of its own, and who may do what only root can."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.brands import BrandHome, make_home
from tests.support.calls import Calls


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
