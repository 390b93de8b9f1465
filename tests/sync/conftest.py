"""A brand in a temporary home, connected services in dictionaries, and what memory.db has after a sync."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.requests import Progress, SyncRequest, no_progress
from dm_memory.results import SyncResult
from dm_memory.settings import Settings
from dm_memory.text.hashing import content_hash
from tests.support.dict_service import DictService

BRAND = "acme"


@dataclass
class Bench:
    """A brand's files, written as the plugin writes them, and what dm-memory makes of them."""

    home: Path
    services: list[DictService] = field(default_factory=list)
    now: datetime = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    settings: dict[str, Any] = field(default_factory=dict)
    embedder: Any = None

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
        settings = Settings(home=self.home, **{"embedder": "tests.support.embedders:constant", **self.settings})
        return Memory(settings, services=lambda _: self.services, clock=lambda: self.now, embedder=self.embedder)

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

    def campaign(self, learnings: list[str], name: str = "spring", **more: object) -> None:
        self.write(f"campaigns/{name}.json", {"campaign_id": name, "name": name, "learnings": learnings, **more})

    async def sync(self, progress: Progress = no_progress, **arguments: Any) -> SyncResult:
        self.now += timedelta(minutes=1)
        memory = self.memory
        try:
            return await memory.sync(SyncRequest(brand=BRAND, **arguments), progress)
        finally:
            await memory.close()

    def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.memory_dir / "memory.db")) as connection:
            return connection.execute(sql, arguments).fetchall()

    def texts(self, state: str = "current") -> dict[str, str]:
        """Return the texts in memory by key, duplicates left out."""
        sql = "SELECT key, content FROM entries WHERE state = ? AND duplicate_of IS NULL"
        return dict(self.rows(sql, state))

    def tree(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.home)): p.read_bytes() for p in self.home.rglob("*") if p.is_file()}

    def check(self) -> None:
        """Raise if an entry is not whole: its words, facts and vectors, each once, of exactly its text."""
        check_memory(self.memory_dir)


def check_memory(memory_dir: Path) -> None:
    """Compare memory.db with itself, by its own bytes and not by the product's code."""
    with closing(sqlite3.connect(memory_dir / "memory.db")) as connection:
        query = connection.execute
        assert query("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert query("PRAGMA foreign_key_check").fetchall() == []
        standing = query("SELECT seq, content, content_hash, embedded, state FROM entries WHERE duplicate_of IS NULL")
        texts: dict[str, int] = {}
        for seq, content, digest, embedded, state in standing.fetchall():
            assert content_hash(content) == digest
            if state == "current":
                assert digest not in texts, f"{seq} and {texts.get(digest)} have one text"
                texts[digest] = seq
            assert query("SELECT count(*) FROM words WHERE rowid = ?", (seq,)).fetchone() == (1,)
            assert query("SELECT count(*) FROM facts WHERE entry = ?", (seq,)).fetchone()[0] >= 1
            vectors = query("SELECT model, content_hash, crc, vector FROM vectors WHERE seq = ?", (seq,)).fetchall()
            assert vectors or not embedded
            for model, of_text, crc, vector in vectors:  # those of a model that failed since stay until it works again
                assert (model, of_text, crc) == (embedded or model, digest, zlib.crc32(vector))
        orphans = "SELECT count(*) FROM {} WHERE {} NOT IN (SELECT seq FROM entries WHERE duplicate_of IS NULL)"
        for table, column in (("words", "rowid"), ("vectors", "seq"), ("facts", "entry")):
            assert query(orphans.format(table, column)).fetchone() == (0,), table
        owners = query(
            "SELECT count(*) FROM entries d LEFT JOIN entries o ON o.seq = d.duplicate_of"
            " WHERE d.duplicate_of IS NOT NULL"
            " AND (o.seq IS NULL OR o.content_hash <> d.content_hash OR o.duplicate_of IS NOT NULL)"
        )
        assert owners.fetchone() == (0,)


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


@pytest.fixture
def service(bench: Bench) -> DictService:
    """A vector database that the bench's syncs deliver to."""
    made = DictService()
    bench.services.append(made)
    return made


def stored_texts(service: DictService) -> list[str]:
    return sorted(payload.content for payload in service.stored.values())
