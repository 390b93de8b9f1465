"""The payloads waiting in ``memory/pending/``, in the plugin's own format, and their move to ``memory/stored/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from dm_memory.brand.files import BrandFileError, parse_json
from dm_memory.findings import Finding, Severity
from dm_memory.items import storage_id
from dm_memory.sync.files import make_private_folder, write_atomic
from dm_memory.sync.registry import Registry
from dm_memory.text.timestamps import to_local_iso

__all__ = ["PENDING", "STORED", "Mover", "write_pending"]

PENDING = "pending"
STORED = "stored"


def write_pending(memory_dir: Path, name: str, content: bytes) -> None:
    """Write a payload where the plugin's script and the next sync find it. Raises ``OSError``."""
    folder = memory_dir / PENDING
    make_private_folder(folder)
    write_atomic(folder / name, content)


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves pending files whose items are stored. The caller holds the brand.

    Attributes:
        layer: The layer that has to have confirmed an item.
        vector_db: What the script's files call it.
    """

    registry: Registry
    brand: str
    memory_dir: Path
    layer: str
    vector_db: str

    def move(self, names: Sequence[str]) -> list[Finding]:
        """Move those of the files ``names`` that are stored to ``stored/``; return a finding for each that can't be.

        A new file is complete before the old one goes: killed in between, the next sync finds both and ends the move.
        """
        findings = []
        for name in names:
            try:
                self._move(name)
            except FileNotFoundError:
                continue  # somebody else, the plugin's script most likely, has moved it
            except (OSError, BrandFileError, TypeError):  # TypeError: no object any more, or a number beyond JSON's
                findings.append(_unmoved(name))
        return findings

    def _move(self, name: str) -> None:
        place = _stored_place(self.registry, name.removesuffix(".json"), self.layer)
        if place is None:
            return
        key, stored_at = place
        path = self.memory_dir / PENDING / name
        document = cast("dict[str, Any]", parse_json(path.read_bytes(), f"memory/{PENDING}/{name}"))
        content = document | {
            "vector_db": self.vector_db,
            "storage_id": storage_id(self.brand, key),
            "stored_at": to_local_iso(stored_at),
        }
        make_private_folder(self.memory_dir / STORED)
        write_atomic(self.memory_dir / STORED / name, orjson.dumps(content, option=orjson.OPT_INDENT_2))
        path.unlink()


def _unmoved(name: str) -> Finding:
    message = f"memory/{PENDING}/{name} is stored, but could not be moved to memory/{STORED}."
    remedy = "Check the file and the free space; the next sync moves it."
    return Finding("export-failed", Severity.WARNING, message, remedy, path=f"memory/{PENDING}/{name}")


def _stored_place(registry: Registry, hash16: str, layer: str) -> tuple[str, str] | None:
    """Return key and time under which a prepared text is stored: its own, or those of the item that has its text."""
    rows = registry.rows(
        "SELECT o.key, d.stored_at FROM items i JOIN items o ON o.seq = coalesce(i.duplicate_of, i.seq)"
        " JOIN deliveries d ON d.seq = o.seq AND d.layer = ? AND d.state = 1 WHERE i.prepared_hash = ?",
        (layer, hash16),
    )
    return (rows[0]["key"], rows[0]["stored_at"]) if rows else None
