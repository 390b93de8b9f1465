"""Items with one text: one of them stands for it and carries everybody's tags; the others point at it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import orjson

from dm_memory.items import ContentType, Item, Kind, Source
from dm_memory.sync import rows
from dm_memory.sync.payloads import Prepared
from dm_memory.sync.plan import Planned
from dm_memory.sync.results import Action
from dm_memory.text.tags import MAX_TAGS

__all__ = ["merge_tags", "promote"]


def merge_tags(connection: sqlite3.Connection, key: str, tags: Sequence[str], run: int) -> tuple[str, ...]:
    """Add tags to an item on record and make its metadata due. Inside a transaction; returns the tags it gained."""
    row = connection.execute("SELECT * FROM items WHERE key = ?", (key,)).fetchone()
    old, facts, priority, expires_at, related = orjson.loads(row["details"])
    gained = tuple(sorted(set(tags) - set(old))[: max(0, MAX_TAGS - len(old))])
    if not gained:
        return ()
    merged = sorted({*old, *gained})
    digest = rows.metadata_hash_of(row, merged)
    details = rows.pack_details(merged, facts, priority, expires_at, related)
    sticky = rows.join_tags((*rows.split_tags(row["sticky_tags"]), *gained))
    connection.execute(
        "UPDATE items SET details = ?, metadata_hash = ?, sticky_tags = ? WHERE seq = ?",
        (details, digest, sticky, row["seq"]),
    )
    connection.execute(
        "UPDATE deliveries SET state = 0, run = ?, action = 'metadata' WHERE seq = ? AND state = 1", (run, row["seq"])
    )
    return gained


def promote(connection: sqlite3.Connection, layers: Iterable[str], owner: int, run: int) -> list[Planned]:
    """Let duplicates stand for themselves whose owner no longer holds their text. Inside a transaction."""
    orphans = connection.execute(
        "SELECT d.* FROM items d JOIN items o ON o.seq = d.duplicate_of"
        " WHERE o.seq = ? AND d.content_hash <> o.content_hash ORDER BY d.seq",
        (owner,),
    ).fetchall()
    if not orphans:
        return []
    if standing := _standing(connection, orphans[0]):
        for row in orphans:
            merge_tags(connection, standing["key"], rows.tags_of(row["details"]), run)
        _point(connection, orphans, standing["seq"])
        return []
    heir, *others = orphans
    connection.execute("UPDATE items SET duplicate_of = NULL WHERE seq = ?", (heir["seq"],))
    _point(connection, others, heir["seq"])
    rows.mark_due(connection, layers, [(heir["seq"], Action.NEW)], run, rewrite=False)
    return [planned_from_row(heir, Action.NEW, "the entry that held the same text has changed")]


def _standing(connection: sqlite3.Connection, orphan: sqlite3.Row) -> sqlite3.Row | None:
    """Return who stands for the orphan's text by now: a newcomer of the same plan, if there is one."""
    found: sqlite3.Row | None = connection.execute(
        "SELECT seq, key FROM items WHERE content_hash = ? AND duplicate_of IS NULL", (orphan["content_hash"],)
    ).fetchone()
    return found


def _point(connection: sqlite3.Connection, orphans: Sequence[sqlite3.Row], owner: int) -> None:
    arguments = [(owner, row["seq"]) for row in orphans]
    connection.executemany("UPDATE items SET duplicate_of = ? WHERE seq = ?", arguments)


def planned_from_row(row: sqlite3.Row, action: Action, reason: str = "") -> Planned:
    """Return a row of ``items`` as a planned item, for the report and for exclude patterns."""
    tags, facts, *_ = orjson.loads(row["details"])
    item = Item(
        row["key"],
        row["content"],
        Kind(row["kind"]),
        ContentType(row["content_type"]),
        facts=facts,
        origin=row["origin"],
        source=Source(row["source"]),
    )
    prepared = Prepared(
        item, row["content"], row["content_hash"], row["metadata_hash"], row["content_type"], tuple(tags), facts
    )
    return Planned(prepared, None, action, reason=reason)
