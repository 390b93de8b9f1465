"""Keys for insights that were recorded at the same moment.

An insight's key is the moment it was recorded, and several can share one (imports, hand-made files). The file is
rolling: entries leave it at the front without having been deleted, so a position says nothing. An entry therefore keeps
the key under which the registry knows its text; only where nothing can have rolled out is an unknown text an edit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from dm_memory.items import Item, Kind
from dm_memory.sync.rows import Known

__all__ = ["ROLLING_LIMIT", "tie_of", "tied_bases", "with_ordinals"]

ROLLING_LIMIT = 200
"""The plugin's scripts keep this many insights; a file with fewer has lost none."""


def tied_bases(items: Sequence[Item]) -> set[str]:
    """Return the keys that more than one insight carries."""
    counted = Counter(item.key for item in items if item.kind is Kind.INSIGHT)
    return {key for key, count in counted.items() if count > 1}


def tie_of(item: Item) -> str:
    """Return the key that an insight with an ordinal shares its moment with, or ""."""
    if item.kind is not Kind.INSIGHT:
        return ""
    base, _, ordinal = item.key.rpartition("~")
    return base if ordinal.isdigit() else ""


def with_ordinals(
    items: Sequence[Item],
    rows: dict[str, list[Known]],
    text_hash: Callable[[Item], str],
    *,
    may_have_rolled: bool,
) -> list[Item]:
    """Give tied insights distinct keys: the shared moment for the first, ``~2``, ``~3``, ... for the others.

    Args:
        items: Of one file, tied ones sharing a key.
        rows: By shared key, what the registry knows of those moments, oldest first.
        text_hash: The content hash an item will have.
        may_have_rolled: True where entries may have left the file unseen.
    """
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if item.key in rows:
            groups.setdefault(item.key, []).append(index)
    keyed = list(items)
    for base, members in groups.items():
        hashes = [text_hash(items[index]) for index in members]
        for index, key in zip(members, _keys(base, hashes, rows[base], may_have_rolled), strict=True):
            keyed[index] = replace(items[index], key=key)
    return keyed


def _keys(base: str, hashes: list[str], rows: list[Known], may_have_rolled: bool) -> list[str]:  # one call
    free = list(rows)
    keys = [_take(free, text) for text in hashes]
    edits_possible = not may_have_rolled and len(hashes) >= len(rows)
    taken = {row.key for row in rows}
    for index, key in enumerate(keys):
        if not key:
            keys[index] = free.pop(0).key if edits_possible and free else _next_key(base, taken)
            taken.add(keys[index])
    return keys


def _take(free: list[Known], text: str) -> str:
    for row in free:
        if row.content_hash == text:
            free.remove(row)
            return row.key
    return ""


def _next_key(base: str, taken: set[str]) -> str:
    if base not in taken:
        return base
    ordinal = 2
    while f"{base}~{ordinal}" in taken:
        ordinal += 1
    return f"{base}~{ordinal}"
