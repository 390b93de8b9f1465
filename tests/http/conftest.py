"""Homes, and a client that waits long enough for a busy machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.server_homes import write_brand, write_json


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two brands, the first of them active."""
    folder = tmp_path / "home"
    write_brand(folder, "acme")
    write_brand(folder, "bolt", ("Bolt sells best on rainy Mondays.",))
    write_json(folder / "brands" / "_active-brand.json", {"active_slug": "acme", "updated_at": "2026-11-01T00:00:00"})
    return folder


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, trust_env=False) as made:
        yield made
