"""What was handed in and waits for the next sync."""

from __future__ import annotations

from pathlib import Path

import orjson

from dm_memory.brand.files import BrandFileError
from dm_memory.brand.sources.pending import pending_files
from dm_memory.store.database import Store
from dm_memory.store.journal import Journal

__all__ = ["count_handed_in", "count_waiting_files"]


def count_waiting_files(memory_dir: Path) -> int:
    """Count the plugin's files in ``memory/pending/``; those that can't be listed are the sync's to report."""
    try:
        waiting = pending_files(memory_dir)
    except BrandFileError:
        return 0
    return len(waiting.prepared) + len(waiting.graph)


def count_handed_in(store: Store | None, memory_dir: Path) -> int:
    """Count what stands in the journal and not yet in memory."""
    tail = Journal(memory_dir).after(store.meta("journal_read") if store else "")
    keys = {str(record.get("key")) for record in tail.records if record.get("op") == "entry"}
    if not keys or store is None:
        return len(keys)
    known = store.value(
        "SELECT count(*) FROM entries WHERE key IN (SELECT value FROM json_each(?))",
        (orjson.dumps(sorted(keys)).decode(),),
    )
    return len(keys) - known
