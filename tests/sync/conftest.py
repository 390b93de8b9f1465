"""A brand in a temporary home, a layer in a dictionary, and a memory over both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.services.turso.sqlite import open_sqlite_store
from dm_memory.services.turso.store import SqlStore
from dm_memory.settings import Settings
from dm_memory.requests import Progress, SyncRequest, no_progress
from dm_memory.results import SyncResult
from tests.sync.memory_layer import DictLayer

BRAND = "acme"


_OPENED: list[SqlStore] = []


def opened(folder: Path) -> SqlStore:
    """Return the durable store in a folder; it is closed after the test."""
    _OPENED.append(open_sqlite_store(folder, BRAND))
    return _OPENED[-1]


@pytest.fixture(autouse=True)
def stores_are_closed() -> Iterator[None]:
    """Close what tests opened: a connection that is only dropped is a warning from Python 3.13 on."""
    yield
    while _OPENED:
        asyncio.run(_OPENED.pop().close())


@dataclass
class Bench:
    """A brand's files, written as the plugin writes them, and what dm-memory makes of them."""

    home: Path
    layer: DictLayer = field(default_factory=DictLayer)
    now: datetime = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    settings: dict[str, Any] = field(default_factory=dict)
    more_layers: list[DictLayer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.write("profile.json", {"brand_name": "Acme", "brand_slug": BRAND})

    @property
    def folder(self) -> Path:
        return self.home / "brands" / BRAND

    @property
    def memory_dir(self) -> Path:
        return self.folder / "memory"

    @property
    def memory(self) -> Memory:
        settings = Settings(home=self.home, **self.settings)
        return Memory(settings, layers=lambda _: [self.layer, *self.more_layers], clock=lambda: self.now)

    def write(self, path: str, content: object) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")

    def read(self, path: str) -> Any:
        return json.loads((self.memory_dir / path).read_text(encoding="utf-8"))

    def insights(self, *texts: str | dict[str, Any]) -> None:
        self.write(
            "insights.json", [insight(text, i) if isinstance(text, str) else text for i, text in enumerate(texts)]
        )

    async def sync(self, progress: Progress = no_progress, **arguments: Any) -> SyncResult:
        self.now += timedelta(minutes=1)
        return await self.memory.sync(SyncRequest(brand=BRAND, **arguments), progress)

    def held_texts(self) -> list[str]:
        return sorted(payload.content for payload in self.layer.held.values())

    def tree(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.home)): p.read_bytes() for p in self.home.rglob("*") if p.is_file()}


def insight(text: str, minute: int, **more: Any) -> dict[str, Any]:
    return {
        "recorded_at": f"2026-11-02T10:{minute // 60:02d}:{minute % 60:02d}.000001",
        "type": "learning",
        "source": "weekly-review",
        "insight": text,
        "context": "",
        "actionable": True,
        **more,
    }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "home")


@pytest.fixture
def new_insight() -> Callable[..., dict[str, Any]]:
    return insight
