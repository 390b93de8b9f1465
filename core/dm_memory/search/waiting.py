"""What search needs of a brand's files: its languages, and the texts that wait in ``memory/pending/``."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dm_memory.brand.context import load_context
from dm_memory.brand.files import BrandFileError, Limits, read_brand_file
from dm_memory.brand.home import Home
from dm_memory.brand.sources.pending import parse_pending, pending_files
from dm_memory.items import Item
from dm_memory.text.guard import Guard
from dm_memory.text.markets import regions_of

__all__ = ["BrandFiles", "waiting_items"]

_MAX_FILES = 200
_SETTLED_NS = 2_000_000_000
"""A file changed within the last two seconds may change again without another time of change."""

_State = tuple[tuple[str, int, int, int], ...]


def waiting_items(brand_dir: Path, limits: Limits, guard: Guard) -> Iterator[Item]:
    """Yield what waits, as the guard lets it be seen; files that can't be used are the sync's to report."""
    for name in _names(brand_dir):
        try:
            data = read_brand_file(brand_dir, f"memory/pending/{name}", limits)
            items = parse_pending(name, data, limits).items
        except BrandFileError:
            continue
        for item in items:
            guarded = guard.apply(item.content)
            if guarded.text and not guarded.refused:
                yield replace(item, content=guarded.text)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read, and the state of the files it was read from."""

    profile: _State
    pending: _State
    languages: tuple[str, ...]
    guard: Guard
    items: tuple[Item, ...]


class BrandFiles:
    """Reads the languages and the waiting texts of brands; again only if a file has changed. For any thread."""

    def __init__(self, home: Home, limits: Limits, policy: Literal["mask", "keep"]) -> None:
        self._home = home
        self._limits = limits
        self._policy = policy
        self._known: dict[str, _Read] = {}
        self._lock = threading.Lock()

    def read(self, brand: str) -> tuple[tuple[str, ...], Sequence[Item]]:
        """Return the brand's languages, the primary one first, and what waits to be stored.

        Raises:
            BrandNotFoundError, HomeError: See ``Home.brand_dir``.
        """
        folder = self._home.brand_dir(brand)
        profile = _state(folder, ["profile.json"])
        pending = _state(folder, [f"memory/pending/{name}" for name in _names(folder)])
        with self._lock:
            known = self._known.get(brand)
        if known is None or known.profile != profile:
            context = load_context(self._home, brand, self._limits)
            guard = Guard(self._policy, regions_of(context.target_markets))
            known = _Read(profile, (), context.languages, guard, ())
        if known.pending != pending:
            items = tuple(waiting_items(folder, self._limits, known.guard))
            known = replace(known, pending=pending, items=items)
        with self._lock:
            settled = time.time_ns() - _SETTLED_NS
            if all(changed < settled for *_, changed in profile + pending):
                self._known[brand] = known
            else:
                self._known.pop(brand, None)
        return known.languages, known.items


def _names(brand_dir: Path) -> Sequence[str]:
    try:
        return pending_files(brand_dir / "memory").prepared[:_MAX_FILES]
    except BrandFileError:
        return ()


def _state(folder: Path, paths: Sequence[str]) -> _State:
    """Return name, identity, size and time of change of the files that are there."""
    found = []
    for path in paths:
        try:
            status = (folder / path).stat()
        except OSError:
            continue
        found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
