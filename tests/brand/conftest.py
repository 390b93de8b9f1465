"""A home with one brand, built by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dm_memory.brand.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    root = tmp_path / "home"
    (root / "brands" / "kopi").mkdir(parents=True)
    return Home(root)


@pytest.fixture
def brand(home: Home) -> Path:
    return home.root / "brands" / "kopi"
