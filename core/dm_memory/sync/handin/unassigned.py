"""Learnings handed in while there is no brand: kept in the home until one is made or named, under no brand's lock.

``{home}/dm-memory/unassigned.jsonl`` has the form of a journal. What was taken over into a brand's journal leaves it; a
process killed in between hands the same texts in twice, which is once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.errors import StoreError
from dm_memory.findings import Finding
from dm_memory.requests import SessionLearning
from dm_memory.store.files import make_own_folder
from dm_memory.store.journal import Journal
from dm_memory.sync.handin.learnings import learnings_as_items
from dm_memory.sync.payloads import Preparer
from dm_memory.sync.storing import record_of
from dm_memory.text.guard import Policy

__all__ = ["FOLDER", "keep_unassigned", "take_unassigned", "unassigned"]

FOLDER = "dm-memory"
_NAME = "unassigned.jsonl"


def _journal(root: Path) -> Journal:
    return Journal(root / FOLDER, _NAME)


def keep_unassigned(
    root: Path, learnings: Sequence[SessionLearning], policy: Policy, limits: Limits, now: str, author: str = ""
) -> tuple[int, list[Finding]]:
    """Guard and keep learnings; return how many were kept, and what was wrong with the others.

    Raises:
        OSError, StoreError: They can't be written.
    """
    preparer = Preparer.of("", BrandContext(slug="", name=""), policy)
    items, findings = learnings_as_items(learnings, now, limits, preparer.clean_author(author))
    records: list[dict[str, Any]] = []
    for item in items:
        prepared = preparer.prepare(item)
        findings += prepared.findings
        if not prepared.refused:
            records.append(record_of(prepared, [[tag, "source"] for tag in prepared.given], now))
    if records:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_own_folder(root / FOLDER)
        _journal(root).append(records)
    return len(records), findings


def unassigned(root: Path) -> int:
    """Return how many learnings wait for a brand. Raises ``StoreError``."""
    if (root / FOLDER).is_symlink():
        message = f"The folder {root / FOLDER} is a link, so what may wait there was not read."
        raise StoreError(message, "Move the real folder there, then sync again.")
    journal = _journal(root)
    return sum(record.get("op") == "entry" for record in journal.read().records) if journal.size() else 0


def take_unassigned(root: Path, brand: Journal) -> int:
    """Move what waits into a brand's journal; return how many learnings that were. Raises ``StoreError``."""
    waiting = _journal(root)
    if not waiting.size():
        return 0
    with waiting.exclusively():
        records = [record for record in waiting.read().records if record.get("op") == "entry"]
        if records:
            brand.append(records)
        waiting.path.unlink(missing_ok=True)
    return len(records)
