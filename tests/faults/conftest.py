"""A small generated brand, and the product over it with its real engine."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.support.brands import BrandHome, make_home
from tests.support.product import CAMPAIGNS, INSIGHTS, Product


@pytest.fixture
def home(tmp_path: Path) -> BrandHome:
    return make_home(tmp_path / "home", insights=INSIGHTS, campaigns=CAMPAIGNS)


@pytest.fixture
def product(home: BrandHome) -> Product:
    return Product(home)


@cache
def can_mount() -> bool:
    """Tell whether this user may mount a memory disk where nobody else sees it: root outside of most containers."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mounting = [item for item in items if item.get_closest_marker("mounts")]
    if mounting and not can_mount():
        items[:] = [item for item in items if item not in mounting]
        config.hook.pytest_deselected(items=mounting)
