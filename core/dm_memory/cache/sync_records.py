"""Rows of the durable store as values of the cache, and back.

A value is JSON, then, where the row has blobs, a zero byte and the blobs one after the other; JSON holds no zero byte.
A blob's place in the JSON says its length. Rows of our own tables are a list in the table's order; those of other
programs say their columns, which differ from version to version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import orjson

from dm_memory.cache.protocol import Record
from dm_memory.services.turso.protocol import Key, Page
from dm_memory.services.turso.rows import row_checksum
from dm_memory.services.turso.schema import NATIVE, Table
from dm_memory.services.turso.statement import Row, SqlValue

__all__ = ["checksum_of", "key_of", "records_of", "row_of"]

_COLUMNS = {table: ("id", "updated_at", *layout.columns) for table, layout in NATIVE.tables.items()}


def key_of(row: Row) -> Key:
    """Return a row's place in the order of changes."""
    return int(row[1] or 0), str(row[0])


def records_of(table: Table, page: Page) -> list[Record]:
    """Return the cache's records of a page. Episodes are ordered by when they changed, as in the durable store."""
    names = None if page.columns == _COLUMNS[table] else page.columns
    if names is None and table is Table.EPISODES:  # texts and integers, and most of what is cached
        return [Record(str(row[0]), orjson.dumps(row), int(row[1] or 0)) for row in page.rows]
    owner = page.columns.index("item_id") if table is Table.EMBEDDINGS and page.rows else 0
    return [
        Record(str(row[0]), _pack(row, names), int(row[1] or 0), str(row[owner]) if owner else "") for row in page.rows
    ]


def _pack(row: Row, names: Sequence[str] | None) -> bytes:
    blobs = [value for value in row if type(value) is bytes]
    values = [_plain(value) for value in row] if blobs or float in map(type, row) else row
    text = orjson.dumps(values if names is None else {"columns": names, "values": values})
    return b"\0".join((text, b"".join(blobs))) if blobs else text


def _plain(value: SqlValue) -> Any:  # noqa: ANN401  # what JSON carries
    if type(value) is bytes:
        return {"blob": len(value)}
    if type(value) is float and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def row_of(table: Table, record: Record) -> dict[str, SqlValue]:
    """Return a record's row by column. Raises ``ValueError`` where it holds no such row.

    Where another program has a column ``updated_at`` of its own, that one counts; our moment is the record's.
    """
    return dict(zip(*_unpack(table, record), strict=True))


def checksum_of(table: Table, record: Record) -> str:
    """Return the checksum that ``DurableStore.checksums`` has for the same row; "" where the value can't be read."""
    try:
        return row_checksum(_unpack(table, record)[1])
    except (ValueError, KeyError, TypeError):
        return ""


def _unpack(table: Table, record: Record) -> tuple[Sequence[str], list[SqlValue]]:
    text, _, blobs = record.value.partition(b"\0")
    found = orjson.loads(text)
    names, values = (found["columns"], found["values"]) if isinstance(found, dict) else (_COLUMNS[table], found)
    start = 0
    for place, value in enumerate(values):
        if isinstance(value, dict):
            length = value.get("blob")
            values[place] = float(value["float"]) if length is None else blobs[start : start + length]
            start += length or 0
    return names, values
