"""What a user allows although the guard would change it: digests of finds, in memory.db and in the journal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from dm_memory.errors import StoreError
from dm_memory.store.database import Store, read_store
from dm_memory.store.journal import Record

__all__ = ["ALLOWED", "allow_record", "allowed_in", "allowed_of", "allowed_records", "keep_allowed", "replay_allowed"]

ALLOWED = "allowed"
"""The stored fact that has the digests, separated by blanks."""


def allowed_in(store: Store) -> frozenset[str]:
    """Return the digests of what a brand's user allowed."""
    return frozenset(store.meta(ALLOWED).split())


def allowed_of(memory_dir: Path, brand: str) -> frozenset[str]:
    """Return the same without waiting for anybody; nothing if the memory can't be read, so that the guard is strict."""
    try:
        with read_store(memory_dir, brand) as store:
            return allowed_in(store) if store is not None else frozenset()
    except StoreError:
        return frozenset()


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
