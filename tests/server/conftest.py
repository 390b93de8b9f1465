"""Homes with brands in them, and servers over them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer

from dm_memory_server.app import build_server
from dm_memory_tools.runtime import Runtime, open_memory

INSIGHTS = (
    "Carousel ads brought sign-ups at half the price of single images.",
    "Subject lines with a number were opened by 31 % instead of 22 %.",
    "Buyers of the refill pack come back within six weeks.",
)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_brand(home: Path, slug: str, insights: tuple[str, ...] = INSIGHTS) -> Path:
    folder = home / "brands" / slug
    write_json(folder / "profile.json", {"brand_name": slug.title(), "brand_slug": slug})
    entries = [
        {
            "recorded_at": f"2026-10-{day:02d}T09:00:00.000001",
            "type": "performance_discovery",
            "source": "session",
            "insight": text,
            "context": "",
            "actionable": True,
        }
        for day, text in enumerate(insights, start=1)
    ]
    write_json(folder / "insights.json", entries)
    return folder


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


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that must not see this machine's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    return kept | {"HOME": str(tmp_path / "user"), "PYTHONWARNINGS": "error::ResourceWarning"}


SERVE = (sys.executable, "-m", "dm_memory_server")
COMMAND = (sys.executable, "-m", "dm_memory_server.main")
