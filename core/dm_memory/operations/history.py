"""What an entry said when, and what worked and what failed over campaigns."""

from __future__ import annotations

from pathlib import Path

from dm_memory.errors import InputError
from dm_memory.results import HistoryResult, PatternsResult, Version
from dm_memory.search.knowledge import history_lines
from dm_memory.store.database import read_store
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow, effective, tags_of
from dm_memory.store.history import facts_of_entry
from dm_memory.store.naming import full_key
from dm_memory.store.patterns import pattern_line, read_patterns
from dm_memory.sync.contradictions import contradictions

__all__ = ["history_of_key", "patterns_of_brand"]


def history_of_key(memory_dir: Path, brand: str, key: str) -> HistoryResult:
    """Return what an entry said, the oldest text first.

    Raises:
        InputError: There is no such entry, or a short key fits several.
        StoreError: The memory can't be read.
    """
    with read_store(memory_dir, brand) as store:
        if store is None:
            raise InputError(f"There is no entry with the key {key[:200]!r}.", "Take the key from a search result.")
        with store.snapshot() as connection:
            lines = history_lines(connection, key)
            asked = full_key(connection, key) or key
            row = EntryRow(*store.rows(_STANDING, (asked,))[0])
            tags = effective(tags_of(connection, [row.seq]).get(row.seq, ()))
            facts = facts_of_entry(connection, brand, row.seq)
    return HistoryResult(
        brand,
        asked,
        row.key,
        row.content_type,
        row.state,
        row.origin,
        row.author,
        tags,
        tuple(Version(line.number, line.content, line.recorded_at, line.replaced_at, line.reason) for line in lines),
        tuple((each.fact.text, each.fact.valid_at, each.fact.invalid_at) for each in facts if not each.own),
    )


_STANDING = SELECT_ENTRIES + "seq = (SELECT coalesce(duplicate_of, seq) FROM entries WHERE key = ?)"


def patterns_of_brand(memory_dir: Path, brand: str, limit: int) -> PatternsResult:
    """Return a brand's patterns and contradictions. Raises ``StoreError``."""
    with read_store(memory_dir, brand) as store:
        if store is None:
            return PatternsResult(brand, (), 0)
        with store.snapshot() as connection:
            rows = read_patterns(connection, limit=limit)
            total = store.value("SELECT count(*) FROM patterns")
            return PatternsResult(brand, tuple(map(pattern_line, rows)), total, tuple(contradictions(store)))
