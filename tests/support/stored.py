"""What a brand's memory really contains, read past the product: memory.db's rows and the exported files."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.fault_embedders import text_digest
from tests.sync.conftest import check_memory

__all__ = ["assert_everything_agrees", "embedded_digests", "entries", "texts"]


def entries(memory: Path) -> dict[str, str]:
    """Return the texts of the current entries by key, duplicates left out."""
    sql = "SELECT key, content FROM entries WHERE state = 'current' AND duplicate_of IS NULL"
    with closing(sqlite3.connect(memory / "memory.db")) as connection:
        return dict(connection.execute(sql).fetchall())


def texts(memory: Path) -> list[str]:
    """Return the texts of the current entries, sorted."""
    return sorted(entries(memory).values())


def embedded_digests(memory: Path) -> set[str]:
    """Return the digests of the texts that are in memory with their vectors; none if there is no memory yet."""
    sql = "SELECT content FROM entries WHERE embedded <> ''"
    try:
        with closing(sqlite3.connect(f"file:{memory / 'memory.db'}?mode=rw", uri=True)) as connection:
            return {text_digest(content) for (content,) in connection.execute(sql)}
    except sqlite3.OperationalError:
        return set()


def assert_everything_agrees(memory: Path, report: dict[str, Any], items: int) -> None:
    """Compare the report's counts, memory.db with itself, and the exported files with each other and with ``items``."""
    check_memory(memory)
    stored = entries(memory)
    assert len(stored) == items, "an item is stored twice or not at all"
    with closing(sqlite3.connect(memory / "memory.db")) as connection:
        assert connection.execute("SELECT count(*) FROM entries WHERE embedded = ''").fetchone() == (0,)
        ids = {id_ for (id_,) in connection.execute("SELECT id FROM entries WHERE duplicate_of IS NULL")}
    assert report["status"] == "complete", report
    assert report["checkpoint"]["total_items"] == items
    index = json.loads((memory / "_index.json").read_bytes())
    assert {entry["storage_id"] for entry in index} == ids
    assert len(index) == len(ids)
    assert json.loads((memory / "sync-state.json").read_bytes())["memory"]["items"] == items
    assert not list(memory.rglob(".dm-memory-*")), "a half-written file is left"
