"""Texts that wait in ``memory/pending/`` for the next sync: found before they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dm_memory.brand.files import BrandFileError, Limits, read_brand_file
from dm_memory.brand.sources.pending import parse_pending, pending_files
from dm_memory.items import Item
from dm_memory.text.guard import Guard

__all__ = ["waiting_items"]

_MAX_FILES = 200


def waiting_items(brand_dir: Path, limits: Limits, guard: Guard) -> Iterator[Item]:
    """Yield what waits, as the guard lets it be seen; files that can't be used are the sync's to report."""
    try:
        names = pending_files(brand_dir / "memory").prepared
    except BrandFileError:
        return
    for name in names[:_MAX_FILES]:
        try:
            data = read_brand_file(brand_dir, f"memory/pending/{name}", limits)
            items = parse_pending(name, data, limits).items
        except BrandFileError:
            continue
        for item in items:
            guarded = guard.apply(item.content)
            if guarded.text and not guarded.refused:
                yield replace(item, content=guarded.text)
