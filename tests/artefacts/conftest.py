"""The packages, built once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.installing import copy_source, uv


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source, as a plugin's folder has it."""
    folder = tmp_path_factory.mktemp("source") / "dm-memory"
    copy_source(folder)
    return folder


@pytest.fixture(scope="session")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with both packages' wheels and the product's source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    for what in (["--package", "dm-memory"], ["--package", "dm-memory-redb", "--wheel"]):
        command = [uv(), "build", "--quiet", "--out-dir", str(folder), *what]
        subprocess.run(command, check=True, cwd=source)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    """Return the product's wheel."""
    return next(built.glob("dm_memory-*.whl"))


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    """Return the product's source distribution."""
    return next(built.glob("dm_memory-*.tar.gz"))
