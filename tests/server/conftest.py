"""Homes with brands in them, and servers over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer

from dm_memory_server.app import build_server
from dm_memory_tools.runtime import Runtime, open_memory
from tests.server.server_homes import write_brand, write_json
from tests.support.calls import Calls


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One brand, active."""
    folder = tmp_path / "home"
    write_brand(folder, "acme")
    write_json(folder / "brands" / "_active-brand.json", {"active_slug": "acme", "updated_at": "2026-11-01T00:00:00"})
    return folder


@pytest.fixture
def two_brands(tmp_path: Path) -> Path:
    """Two brands, none of them active."""
    folder = tmp_path / "home"
    write_brand(folder, "acme")
    write_brand(folder, "bolt", ("Bolt sells best on rainy Mondays.",))
    return folder


@pytest.fixture
def serving() -> Callable[[Path], MCPServer[Runtime]]:
    """Return a server over a home, as ``dm-memory serve`` builds it."""
    return lambda home: build_server(Runtime(partial(open_memory, home=home)))


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    """The protocol's two eras, as the SDK's client names them."""
    return str(request.param)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    """One process for the commands of a file's tests, with the bundled model."""
    user = str(tmp_path_factory.mktemp("user"))
    made = Calls(env={"HOME": user, "PYTHONWARNINGS": "error::ResourceWarning", "DM_MEMORY_EMBEDDER": "wordllama"})
    yield made
    made.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that must not see this machine's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    return kept | {"HOME": str(tmp_path / "user"), "PYTHONWARNINGS": "error::ResourceWarning"}
