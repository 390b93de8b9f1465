"""Caches on every engine, other processes that use them, and the rule by which redb's tests are chosen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dm_memory.cache.cache import Cache
from dm_memory.cache.opening import EngineChoice, open_cache
from tests.support.processes import REPOSITORY, command_environment

Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def engine(request: pytest.FixtureRequest) -> EngineChoice:
    """Each engine in turn."""
    choice: EngineChoice = request.param
    return choice


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the cache is; made by opening it."""
    return tmp_path / "memory"


@pytest.fixture
def cache(folder: Path, engine: EngineChoice) -> Iterator[Cache]:
    """An empty cache, which is in order when the test is done with it."""
    with open_cache(folder, engine) as cache:
        yield cache
        assert cache.check() == []


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start Python on a program; killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def spawn(program: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=command_environment(),
            cwd=REPOSITORY,
        )
        started.append(process)
        return process

    yield spawn
    for process in started:
        process.kill()
        process.communicate()
