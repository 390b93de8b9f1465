"""Rows of the registry as values, and the few statements that read and write them in bulk."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import orjson

from dm_memory.items import Facts, Payload, storage_id
from dm_memory.sync.registry import Registry
from dm_memory.text.hashing import metadata_hash

__all__ = ["IN_MEMORY", "DeliveryState", "Due", "ItemRow", "Known", "Owner"]

IN_MEMORY = "duplicate_of IS NULL AND seq NOT IN (SELECT seq FROM deliveries WHERE state <> 1 AND stored_at = '')"
"""Which ``items`` are in memory; the index of what is due answers the inner question."""

_CHUNK = 500  # below SQLite's oldest limit on parameters (999)


class DeliveryState(IntEnum):
    """The state of an item in a layer."""

    DUE = 0
    STORED = 1
    FAILED = 2
    REMOVAL_DUE = 3
    """The item became a duplicate of another one; what the layer holds under its id has to go."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a plan needs of an item the registry has."""

    seq: int
    key: str
    content_hash: str
    metadata_hash: str
    duplicate_of: int | None
    version: int
    origin: str
    created_at: str
    sticky_tags: tuple[str, ...]
    sticky_type: str
    tie_of: str
    source_digest: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The item that stands for a text; others with the same text are its duplicates."""

    seq: int
    key: str


class ItemRow(NamedTuple):
    """An item as the registry stores it, in the order of its columns. A tuple, because that is what SQLite takes."""

    seq: int
    key: str
    kind: str
    content_type: str
    source: str
    content: str
    content_hash: str
    metadata_hash: str
    details: bytes
    recorded_at: str
    origin: str
    created_at: str
    version: int
    updated_from: str
    duplicate_of: int | None
    sticky_tags: str
    sticky_type: str
    prepared_hash: str
    tie_of: str
    source_digest: str
    run: int


class Due(NamedTuple):
    """An item that a layer has yet to store, with what the layer holds of it. A tuple: one is made for each item."""

    seq: int
    run: int
    action: str
    state: DeliveryState
    attempts: int
    next_attempt_at: str
    held_content_hash: str
    held_metadata_hash: str
    payload: Payload
    prepared_hash: str
    origin: str


_ITEM_COLUMNS = ItemRow._fields
_INSERT = f"INSERT INTO items ({', '.join(_ITEM_COLUMNS)}) VALUES ({', '.join('?' * len(_ITEM_COLUMNS))})"
_REPLACE = _INSERT.replace("INSERT", "INSERT OR REPLACE", 1)
_KNOWN = (
    "seq, key, content_hash, metadata_hash, duplicate_of, version, origin, created_at, sticky_tags, sticky_type,"
    " tie_of, source_digest"
)


def pack_details(tags: Sequence[str], facts: Facts, priority: str, expires_at: str, related: Sequence[str]) -> bytes:
    """Pack the metadata that no statement filters by."""
    return orjson.dumps((tags, facts, priority, expires_at, related))


def tags_of(details: bytes) -> list[str]:
    """Return the tags out of packed metadata."""
    tags: list[str] = orjson.loads(details)[0]
    return tags


def metadata_hash_of(row: sqlite3.Row, tags: Sequence[str]) -> str:
    """Return the metadata hash of a row of ``items`` if it had these tags."""
    _, facts, priority, expires_at, related = orjson.loads(row["details"])
    return metadata_hash(
        content_type=row["content_type"],
        kind=row["kind"],
        source=row["source"],
        tags=tags,
        facts=facts,
        recorded_at=row["recorded_at"],
        priority=priority,
        expires_at=expires_at,
        related=related,
    )


def split_tags(text: str) -> tuple[str, ...]:
    """Read tags as a column keeps them. A normalised tag holds no white space, so a space can part them."""
    return tuple(text.split(" ")) if text else ()


def join_tags(tags: Iterable[str]) -> str:
    """Write tags for a column; the reverse of ``split_tags``."""
    return " ".join(sorted(set(tags)))


def known_by_key(registry: Registry, keys: Sequence[str]) -> dict[str, Known]:
    """Return what the registry knows of these keys."""
    found = {}
    for row in _select_in(registry, f"SELECT {_KNOWN} FROM items WHERE key IN ({{}})", keys):
        known = _known(row)
        found[known.key] = known
    return found


def known_ties(registry: Registry, bases: Collection[str]) -> dict[str, list[Known]]:
    """Return, for each base key, the rows beyond the first that share its moment."""
    if not registry.value("SELECT EXISTS (SELECT 1 FROM items WHERE tie_of <> '')"):
        return {}
    found: dict[str, list[Known]] = {}
    sql = f"SELECT {_KNOWN} FROM items WHERE tie_of <> '' AND tie_of IN ({{}}) ORDER BY seq"
    for row in _select_in(registry, sql, list(bases)):
        found.setdefault(row["tie_of"], []).append(_known(row))
    return found


def owners_by_hash(registry: Registry, hashes: Sequence[str]) -> dict[str, Owner]:
    """Return who stands for these texts."""
    sql = "SELECT seq, key, content_hash FROM items WHERE duplicate_of IS NULL AND content_hash IN ({})"
    return {row["content_hash"]: Owner(row["seq"], row["key"]) for row in _select_in(registry, sql, hashes)}


def _known(row: sqlite3.Row) -> Known:
    seq, key, content, metadata, duplicate, version, origin, created, tags, content_type, tie, digest = row
    return Known(
        seq, key, content, metadata, duplicate, version, origin, created, split_tags(tags), content_type, tie, digest
    )


def _select_in(registry: Registry, sql: str, values: Sequence[object]) -> Iterator[sqlite3.Row]:
    for start in range(0, len(values), _CHUNK):
        part = tuple(values[start : start + _CHUNK])
        yield from registry.rows(sql.format(", ".join("?" * len(part))), part)


def insert_items(connection: sqlite3.Connection, rows: Iterable[ItemRow]) -> None:
    """Insert items that are not there yet. Inside a transaction of the caller."""
    connection.executemany(_INSERT, rows)


def replace_items(connection: sqlite3.Connection, rows: Iterable[ItemRow]) -> None:
    """Replace items that are there, whole. Inside a transaction of the caller."""
    connection.executemany(_REPLACE, rows)


def mark_due(
    connection: sqlite3.Connection, layers: Iterable[str], due: Sequence[tuple[int, str]], run: int, *, rewrite: bool
) -> None:
    """Make items (``seq`` and action) due in layers. Inside a transaction of the caller.

    With ``rewrite``, what the layers hold of them is forgotten, so that all of it is stored anew.
    """
    held = ", content_hash = '', metadata_hash = ''" if rewrite else ""
    sql = (
        "INSERT INTO deliveries (layer, seq, state, run, action) VALUES (?, ?, 0, ?, ?) ON CONFLICT DO UPDATE SET"
        " state = 0, run = excluded.run, action = excluded.action, attempts = 0,"
        f" next_attempt_at = '', error = ''{held}"
    )
    for layer in layers:
        connection.executemany(sql, ((layer, seq, run, action) for seq, action in due))


def mark_missing(connection: sqlite3.Connection, layer: str, run: int) -> None:
    """Make everything due in a layer that was never planned for it. Inside a transaction of the caller."""
    connection.execute(
        "INSERT INTO deliveries (layer, seq, state, run, action) SELECT ?, seq, 0, ?, 'added' FROM items"
        " WHERE duplicate_of IS NULL AND seq NOT IN (SELECT seq FROM deliveries WHERE layer = ?)",
        (layer, run, layer),
    )


def mark_stale(connection: sqlite3.Connection, layer: str, run: int) -> None:
    """Make due what a layer holds otherwise than it should by now. Inside a transaction of the caller."""
    connection.execute(
        "UPDATE deliveries SET state = 0, run = ?, action = 'added' WHERE layer = ? AND state = 1 AND EXISTS ("
        "SELECT 1 FROM items i WHERE i.seq = deliveries.seq AND i.duplicate_of IS NULL"
        " AND (i.content_hash, i.metadata_hash) IS NOT (deliveries.content_hash, deliveries.metadata_hash))",
        (run, layer),
    )
    connection.execute(
        "UPDATE deliveries SET state = 3, run = ? WHERE layer = ? AND state = 1"
        " AND seq IN (SELECT seq FROM items WHERE duplicate_of IS NOT NULL)",
        (run, layer),
    )


def withdraw(connection: sqlite3.Connection, seqs: Sequence[int], run: int) -> None:
    """Plan the removal of items that became duplicates from the layers that may hold them."""
    arguments = [(run, seq) for seq in seqs]
    connection.executemany("UPDATE deliveries SET state = 3, run = ?, error = '' WHERE seq = ?", arguments)


def due_page(registry: Registry, brand: str, layer: str, after: int, limit: int) -> list[Due]:
    """Return the next items a layer has yet to store, by ``seq``."""
    return [_due(brand, row) for row in registry.tuples(_DUE.format("d.state <> 3"), (layer, after, limit))]


def removal_page(registry: Registry, brand: str, layer: str, after: int, limit: int) -> list[Due]:
    """Return the next items a layer has to let go of, by ``seq``: only those whose new text it holds already."""
    owner = "SELECT 1 FROM deliveries o WHERE o.layer = d.layer AND o.seq = i.duplicate_of AND o.state = 1"
    sql = _DUE.format(f"d.state = 3 AND EXISTS ({owner})")
    return [_due(brand, row) for row in registry.tuples(sql, (layer, after, limit))]


_DUE = (
    "SELECT d.seq, d.run, d.action, d.state, d.attempts, d.next_attempt_at, d.content_hash, d.metadata_hash,"
    " i.prepared_hash, i.origin, i.key, i.details, i.content, i.content_hash, i.metadata_hash, i.content_type,"
    " i.kind, i.source, i.recorded_at, i.created_at, i.version, i.updated_from"
    " FROM deliveries d JOIN items i ON i.seq = d.seq"
    " WHERE d.layer = ? AND d.state <> 1 AND {} AND d.seq > ? ORDER BY d.seq LIMIT ?"
)


def _due(brand: str, row: tuple[Any, ...]) -> Due:
    (seq, run, action, state, attempts, next_at, held, held_metadata, prepared, origin, key, details, *rest) = row
    (content, content_hash, metadata_hash, content_type, kind, source, recorded_at, created_at, version, before) = rest
    tags, facts, priority, expires_at, related = orjson.loads(details)
    # Positional, in the order of the class: this runs once per item, and keywords cost a third of it.
    payload = Payload(
        storage_id(brand, key),
        brand,
        key,
        content,
        content_hash,
        metadata_hash,
        content_type,
        kind,
        source,
        tuple(tags),
        facts,
        recorded_at,
        created_at,
        version,
        before,
        priority,
        expires_at,
        tuple(related),
    )
    return Due(seq, run, action, _STATES[state], attempts, next_at, held, held_metadata, payload, prepared, origin)


_STATES = tuple(DeliveryState)


def counts_by_type(registry: Registry) -> Mapping[str, int]:
    """Count the distinct entries that are in memory, in every layer, per content type.

    What was only planned, failed at its first attempt or waits is none of them; an older version that is held counts.
    """
    sql = f"SELECT content_type, count(*) FROM items WHERE {IN_MEMORY} GROUP BY content_type ORDER BY 1"  # ours
    return {row[0]: row[1] for row in registry.rows(sql)}


def waiting_among(registry: Registry, seqs: Sequence[int]) -> set[int]:
    """Return those of some items that a layer has yet to store."""
    sql = "SELECT DISTINCT seq FROM deliveries WHERE state <> 1 AND seq IN ({})"
    return {row["seq"] for row in _select_in(registry, sql, seqs)}


def entries_in(registry: Registry, layer: str) -> int:
    """Count the entries a layer is known to hold."""
    sql = "SELECT count(*) FROM deliveries WHERE layer = ? AND state <> 3 AND stored_at <> ''"
    return registry.value(sql, (layer,))


def not_seen(registry: Registry, kinds: Sequence[str], run: int) -> Iterator[list[sqlite3.Row]]:
    """Yield the items of these kinds that the run's sources did not hold (what only memory still has), in pages."""
    wanted = f"duplicate_of IS NULL AND run <> ? AND kind IN ({', '.join('?' * len(kinds))}) AND seq > ?"
    sql = f"SELECT * FROM items WHERE {wanted} ORDER BY seq LIMIT {_CHUNK}"
    after = 0
    while page := registry.rows(sql, (run, *kinds, after)):
        after = page[-1]["seq"]
        yield page
