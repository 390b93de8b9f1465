"""What a brand's memory really holds, read past the product: registry rows, the engine's points, the exported files."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qdrant_edge

from tests.support.fault_embedders import text_digest

__all__ = ["Point", "assert_everything_agrees", "durable_rows", "engine_points", "held_digests", "registry_rows"]


_LAYERS = ("vector", "durable", "graph")
"""The layers that everybody has, by role and, embedded, by name."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point as the engine gives it back."""

    id: str
    document: str
    metadata: dict[str, Any]
    chunk: int
    vectors: dict[str, Any]


def engine_points(memory: Path) -> list[Point]:
    """Return every point of the active collection; no process may have it open. Nothing was ever stored: []."""
    manifest = memory / "vector" / "collection.json"
    if not manifest.exists():
        return []
    active = json.loads(manifest.read_bytes())["active"]
    shard = qdrant_edge.EdgeShard.load(str(memory / "vector" / active["folder"]))
    try:
        records, offset = [], None
        while True:
            page, offset = shard.scroll(
                qdrant_edge.ScrollRequest(offset=offset, limit=1000, with_payload=True, with_vector=True)
            )
            records += page
            if offset is None:
                return [_point(record) for record in records]
    finally:
        shard.close()


def _point(record: Any) -> Point:
    payload = record.payload
    return Point(str(record.id), payload["document"], payload["metadata"], payload.get("chunk", 0), record.vector)


def held_digests(memory: Path) -> set[str]:
    """Return the digests of the texts that the engine holds with their vectors."""
    return {text_digest(point.document) for point in engine_points(memory)}


def registry_rows(memory: Path, layer: str = "vector") -> list[sqlite3.Row]:
    """Return key, content, hashes and delivery state (1: stored) of every item the registry knows in a layer."""
    with closing(sqlite3.connect(f"file:{memory / 'registry.db'}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(
            "SELECT i.key, i.content, i.content_hash, d.content_hash AS held_hash, d.state FROM items i"
            " JOIN deliveries d ON d.seq = i.seq WHERE d.layer = ? ORDER BY i.seq",
            (layer,),
        ).fetchall()


def durable_rows(memory: Path) -> dict[str, tuple[str, int]]:
    """Return the durable store's episodes: content hash and number of vectors of that very text, by key."""
    with closing(sqlite3.connect(f"file:{memory / 'memory.db'}?mode=ro", uri=True)) as connection:
        found = connection.execute(
            "SELECT e.key, e.content_hash, count(v.id) FROM episodes e LEFT JOIN embeddings v"
            " ON v.item_id = e.id AND v.content_hash = e.content_hash GROUP BY e.id"
        ).fetchall()
        strays = connection.execute(
            "SELECT count(*) FROM embeddings v LEFT JOIN episodes e ON e.id = v.item_id"
            " WHERE e.id IS NULL OR e.content_hash <> v.content_hash"
        ).fetchone()
    assert strays == (0,), "a vector of nothing, or of a text that changed"
    assert len(found) == len({key for key, _, _ in found})
    return {key: (text, vectors) for key, text, vectors in found}


def assert_everything_agrees(memory: Path, report: dict[str, Any], items: int) -> None:
    """Hold the report's counts, the registry, the engine and the exported files against each other and ``items``."""
    rows = registry_rows(memory)
    points = engine_points(memory)
    entries = {point.metadata["key"]: point for point in points if point.chunk == 0}
    assert len(rows) == items
    assert {row["state"] for row in rows} == {1}
    assert len([point for point in points if point.chunk == 0]) == items, "an item is stored twice or not at all"
    assert {row["key"]: row["content_hash"] for row in rows} == {
        key: point.metadata["hash"] for key, point in entries.items()
    }
    assert all(set(point.vectors) >= {"bm25"} and len(point.vectors) == 2 for point in points)
    assert report["status"] == "complete", report
    assert report["checkpoint"]["total_items"] == items
    assert {layer["role"]: layer["entries"] for layer in report["layers"]} == dict.fromkeys(_LAYERS, items)
    for layer in _LAYERS:
        assert {row["state"] for row in registry_rows(memory, layer)} == {1}, layer
    chunks = Counter(point.metadata["key"] for point in points)
    assert durable_rows(memory) == {row["key"]: (row["content_hash"], chunks[row["key"]]) for row in rows}
    index = json.loads((memory / "_index.json").read_bytes())
    assert {entry["storage_id"] for entry in index} == {point.id for point in entries.values()}
    assert len(index) == items
    assert json.loads((memory / "sync-state.json").read_bytes())["memory"]["items"] == items
    assert not list(memory.rglob(".dm-memory-*")), "a half-written file is left"
