"""What the cache stores: rows of the durable store as values, and their form on disk, in which damage shows.

A value on disk is a frame: version (1 byte), CRC-32 (4), moment (8, signed), length of the parent's id (4), that id,
the payload; numbers big-endian. The checksum covers the key as well, so that a value under another's key is damage.
CRC-32 from zlib takes 0.5 microseconds for 2 KB, BLAKE2b 2.3, and nobody forges values in their own cache.

The payload is JSON, then, if the row has blobs, a zero byte and the blobs one after the other; JSON contains no zero
byte. A blob's place in the JSON has its length. Rows of our own tables are a list in the table's order; those of other
programs name their columns, which differ from version to version.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from dm_memory.services.turso.protocol import Key
from dm_memory.services.turso.protocol import Page as StorePage
from dm_memory.services.turso.rows import row_checksum
from dm_memory.services.turso.schema import NATIVE, Row, SqlValue, Table

__all__ = [
    "Page",
    "Record",
    "Watermark",
    "checksum_of",
    "child_key",
    "children_prefix",
    "decode",
    "encode",
    "key_bytes",
    "key_of",
    "order_key",
    "place_of",
    "records_of",
    "row_of",
    "watermark_of",
    "watermark_record",
]

_VERSION = 1
_HEAD = struct.Struct(">BIqI")
_COVERED = struct.Struct(">qI")
_MIDDLE = 1 << 63


class Record(NamedTuple):
    """One row of the durable store, as bytes. A tuple, because a full sync makes one per row.

    Attributes:
        key: The row's id.
        value: The row, in whatever form the sync gives it.
        recorded_at: When the episode was recorded, in microseconds since 1970 (signed, 64 bits); orders episodes.
        parent: For an embedding the id of the episode or pattern it belongs to, else "".
    """

    key: str
    value: bytes
    recorded_at: int = 0
    parent: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Watermark:
    """How far a stream of changes was read: the last row's moment (microseconds since 1970) and id."""

    updated_at: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Changes that are stored together or not at all: first the upserts, then the deletions, then the watermarks.

    Attributes:
        upserts: Records per table; the last one of a key counts.
        deletions: Keys per table; an episode or pattern takes its embeddings along. Unknown keys are no error.
        watermarks: How far each stream is read with this page. Streams have any name: a table's, ``tombstones``.
    """

    upserts: Mapping[Table, Sequence[Record]] = field(default_factory=dict)
    deletions: Mapping[Table, Sequence[str]] = field(default_factory=dict)
    watermarks: Mapping[str, Watermark] = field(default_factory=dict)


def watermark_record(mark: Watermark) -> Record:
    """Return a watermark in the form in which it is kept."""
    return Record("", key_bytes(mark.id), mark.updated_at)


def watermark_of(record: Record) -> Watermark:
    """Return the watermark that a record keeps."""
    return Watermark(record.recorded_at, record.value.decode("utf-8", "surrogatepass"))


def key_bytes(key: str) -> bytes:
    """Return an id as bytes; any text has one form, lone surrogates included."""
    return key.encode("utf-8", "surrogatepass")


def encode(key: bytes, record: Record) -> bytes:
    """Return the frame of a record."""
    _, value, recorded_at, owner = record
    parent = key_bytes(owner) if owner else b""
    covered = _COVERED.pack(recorded_at, len(parent)) + parent
    return _HEAD.pack(_VERSION, crc32(value, crc32(key + covered)), recorded_at, len(parent)) + parent + value


def decode(key: bytes, frame: bytes) -> Record | None:
    """Return the record of a frame, or None where either is damaged or another version wrote it."""
    if len(frame) < _HEAD.size:
        return None
    version, checksum, recorded_at, length = _HEAD.unpack_from(frame)
    if version != _VERSION or crc32(memoryview(frame)[5:], crc32(key)) != checksum:
        return None
    start = _HEAD.size + length
    parent = frame[_HEAD.size : start].decode("utf-8", "surrogatepass")
    return Record(key.decode("utf-8", "surrogatepass"), frame[start:], recorded_at, parent)


def order_key(key: bytes, record: Record) -> bytes:
    """Return the key under which an episode stands in the index by moment; its last bytes are the episode's own."""
    return (record.recorded_at + _MIDDLE).to_bytes(8, "big") + key


def place_of(entry: bytes) -> Watermark:
    """Return the moment and the id that an entry of the index by moment stands for."""
    return Watermark(int.from_bytes(entry[:8], "big") - _MIDDLE, entry[8:].decode("utf-8", "surrogatepass"))


def child_key(key: bytes, record: Record) -> bytes:
    """Return the key under which an embedding stands in the index by parent."""
    return children_prefix(key_bytes(record.parent)) + key


def children_prefix(parent: bytes) -> bytes:
    """Return what the index keys of a parent's embeddings begin with. The length keeps "a" apart from "ab"."""
    return len(parent).to_bytes(4, "big") + parent


# Rows ---------------------------------------------------------------------------------------------------------------

_COLUMNS = {table: ("id", "updated_at", *layout.columns) for table, layout in NATIVE.tables.items()}


def key_of(row: Row) -> Key:
    """Return a row's place in the order of changes."""
    return int(row[1] or 0), str(row[0])


def records_of(table: Table, page: StorePage) -> list[Record]:
    """Return the cache's records of a page. Episodes are ordered by when they changed, as in the durable store."""
    names = None if page.columns == _COLUMNS[table] else page.columns
    if names is None and table is Table.EPISODES:  # texts and integers, and most of what is cached
        return [Record(str(row[0]), orjson.dumps(row), int(row[1] or 0)) for row in page.rows]
    owner = 0
    if table is Table.EMBEDDINGS and page.rows:
        owner = next(page.columns.index(name) for name in ("item_id", "episode_id") if name in page.columns)
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
    """Return a record's row by column. Raises ``ValueError`` if it is no such row.

    If another program has a column ``updated_at`` of its own, that one counts; our moment is the record's.
    """
    return dict(zip(*_unpack(table, record), strict=True))


def checksum_of(table: Table, record: Record) -> str:
    """Return ``row_checksum`` of the row that a record was made from; "" if the value can't be read."""
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
