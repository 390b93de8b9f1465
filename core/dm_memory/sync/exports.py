"""The JSON files beside memory.db, derived from it: the checkpoint, and what the plugin's own script reads.

``_index.json`` and ``_last_sync.json`` belong to the script as much as to us: entries that it wrote itself are kept.
They are written at most once a run, and not if nothing changed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from dm_memory.brand.sources.pending import GRAPH_PREFIX
from dm_memory.findings import Finding, Severity
from dm_memory.store.database import Store
from dm_memory.store.entries import census
from dm_memory.store.files import read_own, write_atomic
from dm_memory.text.hashing import script_hash
from dm_memory.text.timestamps import to_local_iso

__all__ = ["CHECKPOINT", "INDEX", "INDEX_CLOCK", "LAST_SYNC", "write_checkpoint", "write_index", "write_last_sync"]

CHECKPOINT = "sync-state.json"
INDEX = "_index.json"
LAST_SYNC = "_last_sync.json"

_STAMP = "index_stamp"
INDEX_CLOCK = "index_clock"
"""The stored fact that says up to which moment of the store's clock the exports go."""
_PAGE = 1000
_STORAGE_ID = b'"storage_id":"'
_UUID_CHARS = 36
_PATCHED_BYTES = 64 * 1024 * 1024
_MOST_BYTES = 4 * _PATCHED_BYTES


def write_index(store: Store, memory_dir: Path, vector_db: str) -> list[Finding]:
    """Bring ``_index.json`` up to date if memory or the file changed since.

    Args:
        store: Open for writing.
        memory_dir: Where the file is.
        vector_db: The name the script's entries carry for the engine: ``qdrant``, ``pinecone``.

    Returns:
        Findings: the file was damaged and has been rebuilt. Raises ``OSError``.
    """
    path = memory_dir / INDEX
    stamp, clock = _stamp(path), store.meta("clock")
    is_ours = bool(stamp) and stamp == store.meta(_STAMP)
    if is_ours and clock == store.meta(INDEX_CLOCK):
        return []
    findings: list[Finding] = []
    foreign: dict[str, bytes] = {}
    if stamp and not is_ours:
        foreign, findings = _foreign(store, path)
    patched = _patched(store, path, vector_db) if is_ours else None
    write_atomic(path, patched or _index(store, vector_db, foreign), durable=False)
    with store.transaction():
        store.set_meta(_STAMP, _stamp(path))
        store.set_meta(INDEX_CLOCK, clock)
    return findings


def _foreign(store: Store, path: Path) -> tuple[dict[str, bytes], list[Finding]]:
    """Return the entries that the script wrote itself; a file that can't be read is rebuilt from memory."""
    try:
        entries = orjson.loads(read_own(path, _MOST_BYTES))
    except (OSError, ValueError):
        entries = None
    if not isinstance(entries, list):
        message = "The script's index was damaged and has been rebuilt from memory."
        return {}, [Finding("index-rebuilt", Severity.WARNING, message, path=f"memory/{INDEX}")]
    ours = {id_ for (id_,) in store.rows("SELECT id FROM entries")}
    return {
        entry["content_hash"]: orjson.dumps(entry)
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("content_hash"), str)
        and entry.get("storage_id") not in ours
    }, []


def _patched(store: Store, path: Path, vector_db: str) -> Iterator[bytes] | None:
    """Return our own last index with what changed since, or None if that does not add up.

    Making all entries again costs more than a run that changes a few of them.
    """
    if path.stat().st_size > _PATCHED_BYTES:
        return None
    data = read_own(path, _PATCHED_BYTES)
    if not (data.startswith(b"[\n") and data.endswith(b"\n]\n")):
        return None
    since = int(store.meta(INDEX_CLOCK) or 0)
    changed = {id_.encode() for (id_,) in store.rows("SELECT id FROM entries WHERE updated_at > ?", (since,))}
    fresh = {id_.encode(): entry for _, id_, entry in _entries(store, vector_db, since)}
    lines = data[2:-3].split(b",\n")
    del data  # tens of megabytes
    entries = [fresh.pop(id_, b"") if (id_ := _storage_id(line)) in changed else line for line in lines]
    entries = [entry for entry in (*entries, *fresh.values()) if entry]
    if not entries or len(entries) != census(store.connection).all:
        return None
    return _array(entries)


def _array(entries: Sequence[bytes]) -> Iterator[bytes]:
    """Yield a JSON array, an entry a line."""
    yield b"[\n"
    for start in range(0, len(entries), _PAGE):
        yield (b",\n" if start else b"") + b",\n".join(entries[start : start + _PAGE])
    yield b"\n]\n"


def _index(store: Store, vector_db: str, foreign: dict[str, bytes]) -> Iterator[bytes]:
    """Yield the index as the script writes it: a JSON array, an entry a line."""
    separator = b"[\n"
    for content_hash, _, entry in _entries(store, vector_db, 0):
        foreign.pop(content_hash, None)
        yield separator + entry
        separator = b",\n"
    for entry in foreign.values():
        yield separator + entry
        separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"


def _entries(store: Store, vector_db: str, since: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield script hash, id and line of each entry that changed after a moment of the store's clock."""
    after = 0
    local = functools.lru_cache(64)(to_local_iso)  # a batch shares one moment
    while page := store.rows(_INDEXED, (since, after, _PAGE)):
        after = page[-1][0]
        for _, id_, content, content_type, tags, prepared, created_at in page:
            own = "" if prepared.startswith(GRAPH_PREFIX) else prepared
            content_hash = own or script_hash(content)
            entry = {
                "content_hash": content_hash,
                "vector_db": vector_db,
                "storage_id": id_,
                "content_type": content_type,
                "tags": orjson.loads(tags),
                "stored_at": local(created_at),
            }
            yield content_hash, id_, orjson.dumps(entry)


_INDEXED = (
    "SELECT seq, id, content, content_type, (SELECT json_group_array(tag) FROM"
    " (SELECT tag FROM tags WHERE tags.seq = entries.seq AND removed = 0 ORDER BY tag)), prepared_hash, created_at"
    " FROM entries WHERE duplicate_of IS NULL AND updated_at > ? AND seq > ? ORDER BY seq LIMIT ?"
)


def write_last_sync(memory_dir: Path, at: str, items: int) -> None:
    """Tell the script when everything was last stored, and how many items that run stored. Raises ``OSError``."""
    state = {"last_sync_at": to_local_iso(at), "items_synced": items}
    write_atomic(memory_dir / LAST_SYNC, orjson.dumps(state, option=orjson.OPT_INDENT_2), durable=False)


def write_checkpoint(memory_dir: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint that a person or an agent can read. Raises ``OSError``."""
    write_atomic(memory_dir / CHECKPOINT, orjson.dumps(state, option=orjson.OPT_INDENT_2), durable=False)


def _storage_id(line: bytes) -> bytes:
    """Return the storage id of an entry as we write it, or the whole line of anything else."""
    start = line.find(_STORAGE_ID) + len(_STORAGE_ID)
    return line[start : start + _UUID_CHARS] if start >= len(_STORAGE_ID) else line


def _stamp(path: Path) -> str:
    """Return what distinguishes our own file from one that somebody wrote since, or "" if there is none."""
    try:
        status = path.lstat()
    except OSError:
        return ""
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
