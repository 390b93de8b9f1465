"""Changes inside one transaction: records and the indexes that go with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from dm_memory.cache.engine import Pair, Space, Writer
from dm_memory.cache.paging import pages
from dm_memory.cache.records import (
    Page,
    Record,
    child_key,
    children_prefix,
    decode,
    encode,
    key_bytes,
    order_key,
    watermark_record,
)
from dm_memory.services.turso.schema import Table

__all__ = ["INDEXES", "Packed", "apply_page", "children", "drop_oldest", "pack"]

INDEXES: Mapping[Table, tuple[Space, Callable[[bytes, Record], bytes]]] = {
    Table.EPISODES: (Space.ORDER, order_key),
    Table.EMBEDDINGS: (Space.CHILDREN, child_key),
}
"""The index of a table, and where in it a record stands."""


class Packed(NamedTuple):
    """Records of one table as they go into the file, in the order of their keys: engines then touch each page once."""

    keys: list[bytes]
    places: list[Pair]
    values: list[Pair]


def pack(table: Table, records: Sequence[Record]) -> Packed:
    """Return records in the form of the file. Needs no file, so it can be done ahead, on any thread."""
    latest = sorted({key_bytes(record.key): record for record in records}.items())  # the last record of a key counts
    index: list[Pair] = []
    if table in INDEXES:
        place = INDEXES[table][1]
        index = sorted((place(key, record), b"") for key, record in latest)
    return Packed([key for key, _ in latest], index, [(key, encode(key, record)) for key, record in latest])


def apply_page(
    writer: Writer,
    page: Page,
    packed: Mapping[Table, Packed] | None = None,
    held: Mapping[Table, Mapping[str, Record]] | None = None,
) -> None:
    """Make a page's changes; the transaction around it makes them one.

    Args:
        writer: The transaction.
        page: The changes.
        packed: The page's upserts, where they were packed already.
        held: The records that stand under the upserts' keys (and perhaps others), where they were read already.
    """
    for table, records in page.upserts.items():
        _put(
            writer, table, pack(table, records) if packed is None else packed[table], held.get(table) if held else None
        )
    for table, keys in page.deletions.items():
        _delete(writer, table, [key_bytes(key) for key in keys])
    marks = [(key_bytes(stream), watermark_record(mark)) for stream, mark in page.watermarks.items()]
    writer.put_many(Space.META, [(key, encode(key, record)) for key, record in marks])


def _put(writer: Writer, table: Table, packed: Packed, held: Mapping[str, Record] | None) -> None:
    if table in INDEXES:
        index, place = INDEXES[table]
        if held is None:
            old = _places(writer, table, packed.keys)
        else:
            standing = {key_bytes(key): record for key, record in held.items()}
            old = [place(key, standing[key]) for key in packed.keys if key in standing]
        new = {entry for entry, _ in packed.places}
        writer.delete_many(index, [entry for entry in old if entry not in new])
        writer.put_many(index, packed.places)
    writer.put_many(table.value, packed.values)


def _delete(writer: Writer, table: Table, keys: Sequence[bytes]) -> None:
    if table is not Table.EMBEDDINGS:
        _delete(writer, Table.EMBEDDINGS, list(children(writer, keys)))
    if table in INDEXES:
        writer.delete_many(INDEXES[table][0], _places(writer, table, keys))
    writer.delete_many(table.value, keys)


def _places(writer: Writer, table: Table, keys: Sequence[bytes]) -> list[bytes]:
    """Return where records stand in their table's index. One that is damaged can't say: check finds its entry."""
    place = INDEXES[table][1]
    return [
        place(key, record)
        for key, frame in zip(keys, writer.get_many(table.value, keys), strict=True)
        if frame is not None and (record := decode(key, frame)) is not None
    ]


def children(writer: Writer, parents: Iterable[bytes]) -> Iterable[bytes]:
    """Yield the keys of the embeddings that belong to ``parents``."""
    for parent in parents:
        prefix = children_prefix(parent)
        for entries in pages(writer, Space.CHILDREN, prefix, _after(prefix)):
            yield from (entry[len(prefix) :] for entry, _ in entries)


def _after(prefix: bytes) -> bytes:
    """Return the smallest key behind all that begin with ``prefix``, which begins with a length and so is no 0xFF..."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")


def drop_oldest(writer: Writer, count: int) -> int:
    """Remove the ``count`` oldest episodes with their embeddings. Return how many entries of the order that were."""
    entries = [entry for entry, _ in writer.scan(Space.ORDER, limit=count)]
    keys = [entry[8:] for entry in entries]
    frames = writer.get_many(Space.EPISODES, keys)
    gone = [
        key
        for entry, key, frame in zip(entries, keys, frames, strict=True)
        if frame is not None and not _stands_elsewhere(entry, key, frame)
    ]
    _delete(writer, Table.EPISODES, gone)
    writer.delete_many(Space.ORDER, entries)
    return len(entries)


def _stands_elsewhere(entry: bytes, key: bytes, frame: bytes) -> bool:
    """Tell whether an entry is left over from damage: its episode is intact, and ordered by another moment."""
    record = decode(key, frame)
    return record is not None and order_key(key, record) != entry
