"""Pages of a scan, one after the other, also over a file that is damaged."""

from __future__ import annotations

from collections.abc import Iterator

from dm_memory.cache.engine import CacheDamagedError, Pair, Reader

__all__ = ["pages"]


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
        if sorted(set(keys), reverse=reverse) != keys or not _inside(keys, start, end):
            raise CacheDamagedError(
                "The local cache is damaged: its keys are out of order.",
                "Run storage_sync: it sets the file aside and fills a new one from the durable store.",
            )
        yield entries
        if reverse:
            end = keys[-1]
        else:
            start = keys[-1] + b"\x00"


def _inside(keys: list[bytes], start: bytes | None, end: bytes | None) -> bool:
    return (start is None or min(keys) >= start) and (end is None or max(keys) < end)
