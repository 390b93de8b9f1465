"""The protocol of an engine behind the cache: an ordered key-value store in one file.

Contract, checked by ``tests/cache/engines/`` for every engine:

* Keys are ordered bytes; a scan takes its start and leaves its end.
* ``write`` is one transaction over any tables: all of it is stored when the block ends, nothing if it raises.
* What a process that dies leaves behind is whole transactions. The last ones may be missing after a loss of power.
* Engines raise the errors below and no others; any other exception is a bug.
* Calls may come from any thread. One write is open at a time, in any process; others wait until the deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from dm_memory.errors import DmMemoryError

__all__ = [
    "CacheBusyError",
    "CacheClosedError",
    "CacheDamagedError",
    "CacheError",
    "CacheUnavailableError",
    "Engine",
    "Pair",
    "Reader",
    "Space",
    "Writer",
    "pages",
]

Pair = tuple[bytes, bytes]


class CacheError(DmMemoryError):
    """The base of everything that can go wrong with the local cache. The durable store is not concerned."""


class CacheBusyError(CacheError):
    """Another process had the cache for longer than the deadline. ``holder`` says who, in words."""

    def __init__(self, problem: str, remedy: str, holder: str) -> None:
        super().__init__(problem, remedy)
        self.holder = holder


class CacheDamagedError(CacheError):
    """The cache's file is damaged: quarantine it and start again from the durable store."""


class CacheUnavailableError(CacheError):
    """The cache's file can't be opened, read or written: permissions, a full disk, a link."""


class CacheClosedError(CacheError):
    """The cache was used after it was closed, or in a process forked from the one that opened it."""


class Space(StrEnum):
    """The engine's tables: the three of the durable store, two indexes, and how far it was read."""

    EPISODES = "episodes"
    PATTERNS = "patterns"
    EMBEDDINGS = "embeddings"
    ORDER = "episodes_by_moment"
    CHILDREN = "embeddings_by_parent"
    META = "meta"


class Reader(Protocol):
    """What both a file and an open transaction can be asked."""

    def get_many(self, table: str, keys: Iterable[bytes], /) -> list[bytes | None]:
        """Return the values in the order of the keys, None if there is none."""

    def scan(
        self,
        table: str,
        start: bytes | None = None,
        end: bytes | None = None,
        /,
        *,
        limit: int = 1000,
        reverse: bool = False,
    ) -> list[Pair]:
        """Return at most ``limit`` entries from ``start`` (in) to ``end`` (out), from the end where ``reverse``."""


class Writer(Reader, Protocol):
    """An open transaction; it sees its own changes."""

    def put_many(self, table: str, items: Iterable[Pair], /) -> object:
        """Put entries, replacing what their keys had."""

    def delete_many(self, table: str, keys: Iterable[bytes], /) -> object:
        """Delete entries; unknown keys are no error."""


class Engine(Reader, Protocol):
    """An open file."""

    @property
    def name(self) -> str:
        """``redb`` or ``sqlite``."""

    @property
    def trusted(self) -> bool:
        """Whether the file is new, or was closed in order and is unchanged since, or was checked; else check it."""

    def count(self, table: str) -> int:
        """Return the number of entries."""

    def write(self) -> AbstractContextManager[Writer]:
        """Open a transaction. Raises ``CacheBusyError`` after the deadline."""

    def check_integrity(self) -> bool:
        """Read the whole file; return whether it is intact. May raise ``CacheDamagedError`` instead."""

    def vouch(self) -> None:
        """Note that every value was compared with its checksum: once closed in order, the file is trusted again."""

    def file_bytes(self) -> int:
        """Return what the cache takes on disk."""

    def close(self) -> None:
        """Let go of the file. Idempotent."""


def pages(
    reader: Reader,
    table: str,
    start: bytes | None = None,
    end: bytes | None = None,
    *,
    size: int = 1000,
    reverse: bool = False,
) -> Iterator[list[Pair]]:
    """Yield the entries from ``start`` (in) to ``end`` (out) in pages.

    Raises:
        CacheDamagedError: The keys do not come in order: in a damaged file an engine may go round in circles.
    """
    while entries := reader.scan(table, start, end, limit=size, reverse=reverse):
        keys = [key for key, _ in entries]
        inside = (start is None or min(keys) >= start) and (end is None or max(keys) < end)
        if sorted(set(keys), reverse=reverse) != keys or not inside:
            raise CacheDamagedError(
                "The local cache is damaged: its keys are out of order.",
                "Run storage_sync: it sets the file aside and fills a new one from the durable store.",
            )
        yield entries
        if reverse:
            end = keys[-1]
        else:
            start = keys[-1] + b"\x00"
