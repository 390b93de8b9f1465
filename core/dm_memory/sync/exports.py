"""The JSON files beside the registry, derived from it: the checkpoint, and what the plugin's own script reads.

``_index.json`` and ``_last_sync.json`` belong to the script as much as to us: entries that it wrote itself are kept.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dm_memory.brand.pending import GRAPH_PREFIX
from dm_memory.findings import Finding, Severity
from dm_memory.items import storage_id
from dm_memory.sync.files import write_atomic
from dm_memory.sync.registry import Registry
from dm_memory.sync.rows import tags_of
from dm_memory.text.hashing import SCRIPT_DIGITS, script_hash
from dm_memory.text.timestamps import to_local_iso

__all__ = ["CHECKPOINT", "INDEX", "LAST_SYNC", "Exporter", "mark_index_due"]

CHECKPOINT = "sync-state.json"
INDEX = "_index.json"
LAST_SYNC = "_last_sync.json"

_STAMP = "index-stamp"
_DUE = "index-due"
_RUN = "index-run"
_PAGE = 1000
_UUID_CHARS = 36
_PATCHED_BYTES = 16 * 1024 * 1024
_INDEXED = (
    "FROM deliveries d JOIN items i ON i.seq = d.seq WHERE d.layer = ? AND d.seq > ? AND d.run > ? AND d.state <> 3"
    " AND d.stored_at <> '' AND i.duplicate_of IS NULL"
)


def mark_index_due(connection: sqlite3.Connection) -> None:
    """Note that memory changed, in the transaction that records the change: a kill may come before the index."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (_DUE,))


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes the derived files of one brand. The caller holds the brand.

    Attributes:
        vector_db: The name the script's entries carry for the engine: ``qdrant``, ``pinecone``.
        layer: The layer whose storage ids and times the index shows.
    """

    registry: Registry
    brand: str
    memory_dir: Path
    layer: str
    vector_db: str

    def write_index(self) -> list[Finding]:
        """Bring ``_index.json`` up to date where memory changed (see ``mark_index_due``) or the file did.

        Returns findings: the file was damaged and has been rebuilt. Raises ``OSError``.
        """
        path = self.memory_dir / INDEX
        stamp = _stamp(path)
        if stamp and stamp == self.registry.meta(_STAMP) and not self.registry.meta(_DUE):
            return []
        is_ours = stamp != "" and stamp == self.registry.meta(_STAMP)
        findings = self._adopt_foreign(path) if stamp and not is_ours else []
        patched = self._patched(path) if is_ours else None
        write_atomic(path, self._index() if patched is None else patched)
        last_run = self.registry.value("SELECT max(id) FROM runs")
        with self.registry.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_STAMP, _stamp(path)))
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_RUN, str(last_run)))
            connection.execute("DELETE FROM meta WHERE name = ?", (_DUE,))
        return findings

    def _adopt_foreign(self, path: Path) -> list[Finding]:
        """Keep the entries that the script wrote since; a file that can't be read is rebuilt from the registry."""
        try:
            entries = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            entries = None
        if not isinstance(entries, list):
            message = "The script's index was damaged and has been rebuilt from the registry."
            return [Finding("index-rebuilt", Severity.WARNING, message, path=f"memory/{INDEX}")]
        strangers = [
            (str(entry["content_hash"]), orjson.dumps(entry).decode()) for entry in entries if _is_entry(entry)
        ]
        ours = {row[0] for row in self._own_entries()}
        with self.registry.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO foreign_index VALUES (?, ?)", [s for s in strangers if s[0] not in ours]
            )
        return []

    def _patched(self, path: Path) -> Iterator[bytes] | None:
        """Return our own last index with the entries that were confirmed since, or None where that does not add up.

        Making all entries anew costs more than a run that changes a few items.
        """
        if path.stat().st_size > _PATCHED_BYTES or self.registry.value("SELECT count(*) FROM foreign_index"):
            return None
        lines = path.read_bytes().split(b"\n")[1:-2]
        entries = {_storage_id(line): line.removesuffix(b",") for line in lines}
        for _, entry in self._own_entries(after_run=int(self.registry.meta(_RUN) or 0)):
            entries[_storage_id(entry)] = entry
        if not entries or len(entries) != self.registry.value(f"SELECT count(*) {_INDEXED}", (self.layer, 0, -1)):
            return None
        return iter((b"[\n", b",\n".join(entries.values()), b"\n]\n"))

    def _index(self) -> Iterator[bytes]:
        """Yield the index as the script writes it: a JSON array, an entry a line."""
        separator = b"[\n"
        written = set()
        for content_hash, entry in self._own_entries():
            written.add(content_hash)
            yield separator + entry
            separator = b",\n"
        for row in self.registry.rows("SELECT content_hash, entry FROM foreign_index ORDER BY content_hash"):
            if row["content_hash"] not in written:
                yield separator + row["entry"].encode()
                separator = b",\n"
        yield b"[]\n" if separator == b"[\n" else b"\n]\n"

    def _own_entries(self, after_run: int = -1) -> Iterator[tuple[str, bytes]]:
        """Yield the hash and the entry of each text that runs after ``after_run`` stored, a page of rows at a time.

        Where a layer still holds an older text, that one's hash stands for it: calling the new one stored would make
        the script drop it. Of the older text only our own hash is left; it is the script's but for folded white space.
        """
        after = 0
        sql = (
            "SELECT i.seq, i.key, i.content, i.content_type, i.details, i.prepared_hash, d.stored_at,"
            " CASE d.content_hash WHEN i.content_hash THEN '' ELSE d.content_hash END"
            f" {_INDEXED} ORDER BY d.seq LIMIT ?"
        )
        local = functools.lru_cache(64)(to_local_iso)  # a batch shares one moment
        while page := self.registry.tuples(sql, (self.layer, after, after_run, _PAGE)):
            after = page[-1][0]
            for _, key, content, content_type, details, prepared_hash, stored_at, older in page:
                own = "" if prepared_hash.startswith(GRAPH_PREFIX) else prepared_hash
                content_hash = older[:SCRIPT_DIGITS] if older else own or script_hash(content)
                entry = {
                    "content_hash": content_hash,
                    "vector_db": self.vector_db,
                    "storage_id": storage_id(self.brand, key),
                    "content_type": content_type,
                    "tags": tags_of(details),
                    "stored_at": local(stored_at),
                }
                yield content_hash, orjson.dumps(entry)

    def write_last_sync(self, at: str, items: int) -> None:
        """Tell the script when everything was last stored, and how many items that run stored. Raises ``OSError``."""
        state = {"last_sync_at": to_local_iso(at), "items_synced": items}
        write_atomic(self.memory_dir / LAST_SYNC, orjson.dumps(state, option=orjson.OPT_INDENT_2))

    def write_checkpoint(self, state: dict[str, Any]) -> None:
        """Write the checkpoint that a person or an agent can read. Raises ``OSError``."""
        write_atomic(self.memory_dir / CHECKPOINT, orjson.dumps(state, option=orjson.OPT_INDENT_2))


def _storage_id(line: bytes) -> bytes:
    """Return the storage id of an entry as we write it, or the whole line of anything else."""
    _, _, rest = line.partition(b'"storage_id":"')
    return rest[:_UUID_CHARS] or line


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("content_hash"), str)


def _stamp(path: Path) -> str:
    """Return what tells our own file from one that somebody wrote since, or "" where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
