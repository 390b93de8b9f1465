"""What a user allows although the guard would change it: digests of finds, in memory.db and in the journal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dm_memory.errors import StoreError
from dm_memory.store.database import Store, reading
from dm_memory.store.forgetting import Forgotten
from dm_memory.store.journal import Record

__all__ = [
    "ALLOWED",
    "allow_record",
    "allowed_in",
    "allowed_records",
    "decisions_of",
    "keep_allowed",
    "replay_allowed",
]

ALLOWED = "allowed"
"""The stored fact that has the digests, separated by blanks."""


def allowed_in(store: Store) -> frozenset[str]:
    """Return the digests of what a brand's user allowed."""
    return frozenset(store.meta(ALLOWED).split())


class _Decisions(NamedTuple):
    """What a brand's user decided about texts that are yet to come."""

    forgotten: Forgotten = Forgotten()
    allowed: frozenset[str] = frozenset()


def decisions_of(memory_dir: Path, brand: str) -> _Decisions:
    """Return what was forgotten and what is allowed, without waiting for anybody; nothing if it can't be read."""

    def look(store: Store | None) -> _Decisions:
        return _Decisions(Forgotten.load(store.connection), allowed_in(store)) if store else _Decisions()

    try:
        return reading(memory_dir, brand, look)
    except StoreError:
        return _Decisions()  # whoever opens it to write finds out what is wrong with it


def keep_allowed(store: Store, digests: Collection[str]) -> None:
    """Keep these digests, and no others. Inside a transaction."""
    store.set_meta(ALLOWED, " ".join(sorted(digests)))


def allow_record(digests: Collection[str], now: str) -> Record:
    """Return the journal's record of everything that is allowed from now on."""
    return {"op": "decision", "what": "allow", "at": now, "digests": sorted(digests)}


def allowed_records(store: Store, now: str) -> Iterator[Record]:
    """Yield that record for a journal that is written again."""
    if digests := allowed_in(store):
        yield allow_record(digests, now)


def replay_allowed(store: Store, records: Iterable[Record]) -> None:
    """Allow again what the journal has as allowed last. Inside a transaction."""
    for record in records:
        digests = record.get("digests")
        if record.get("op") == "decision" and record.get("what") == "allow" and isinstance(digests, list):
            keep_allowed(store, {digest for digest in digests if isinstance(digest, str)})
