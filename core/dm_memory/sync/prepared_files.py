"""The payloads waiting in ``memory/pending/``, in the plugin's own format, and their move to ``memory/stored/``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
import orjson

from dm_memory.items import storage_id
from dm_memory.sync.files import make_private_folder, write_atomic
from dm_memory.sync.registry import Registry
from dm_memory.sync.timestamps import to_local_iso

__all__ = ["PENDING", "STORED", "move_stored", "write_pending"]

PENDING = "pending"
STORED = "stored"


def write_pending(memory_dir: Path, name: str, content: bytes) -> None:
    """Write a payload where the plugin's script and the next sync find it. Raises ``OSError``."""
    folder = memory_dir / PENDING
    make_private_folder(folder)
    write_atomic(folder / name, content)


def move_stored(
    registry: Registry, brand: str, memory_dir: Path, names: Sequence[str], layer: str, vector_db: str
) -> int:
    """Move the pending files whose items are stored to ``stored/``; return how many.

    The new file is complete before the old one goes: killed in between, the next sync finds both and ends the move.

    Args:
        names: File names in ``pending/``.
    """
    moved = 0
    for name in names:
        place = _stored_place(registry, name.removesuffix(".json"), layer)
        if place is None:
            continue
        key, stored_at = place
        path = memory_dir / PENDING / name
        content = orjson.loads(path.read_bytes())
        content |= {
            "vector_db": vector_db,
            "storage_id": storage_id(brand, key),
            "stored_at": to_local_iso(stored_at),
        }
        make_private_folder(memory_dir / STORED)
        write_atomic(memory_dir / STORED / name, orjson.dumps(content, option=orjson.OPT_INDENT_2))
        os.unlink(path)  # noqa: PTH108  # a plain unlink: the file has been read a moment ago
        moved += 1
    return moved


def _stored_place(registry: Registry, hash16: str, layer: str) -> tuple[str, str] | None:
    """Return the key and time under which a prepared text is stored: its own, or those of the item that has its text."""
    rows = registry.rows(
        "SELECT o.key, d.stored_at FROM items i JOIN items o ON o.seq = coalesce(i.duplicate_of, i.seq)"
        " JOIN deliveries d ON d.seq = o.seq AND d.layer = ? AND d.state = 1 WHERE i.prepared_hash = ?",
        (layer, hash16),
    )
    return (rows[0]["key"], rows[0]["stored_at"]) if rows else None
