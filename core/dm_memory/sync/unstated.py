"""Entries that no file states: handed in, or rolled out of their file. What is asked of all concerns them too."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import orjson

from dm_memory.items import ContentType, Item, Kind, Priority, Source
from dm_memory.requests import AUTO
from dm_memory.store import entries as table
from dm_memory.store.entries import EntryRow
from dm_memory.sync.run import KINDS, Run

__all__ = ["unstated_items"]

_AT_ONCE = 1024
_UNSTATED = (
    "SELECT seq FROM entries WHERE state = 'current' AND duplicate_of IS NULL"
    " AND kind IN (SELECT value FROM json_each(?)) AND key NOT IN (SELECT value FROM json_each(?)) ORDER BY seq"
)


def unstated_items(run: Run, planned: Collection[str]) -> Iterator[list[Item]]:
    """Yield the current entries in scope whose keys were not planned, as items, some at a time.

    What the guard would change today is left as it is: a user allowed it, or the guard knew less.
    """
    kinds = table.in_json(sorted(KINDS[run.request.scope]))
    seqs = [seq for (seq,) in run.store.rows(_UNSTATED, (kinds, table.in_json(planned)))]
    types = _first_types(run) if seqs and run.request.content_type == AUTO else {}
    for at in range(0, len(seqs), _AT_ONCE):
        chosen = seqs[at : at + _AT_ONCE]
        rows = [EntryRow(*row) for row in run.store.rows(table.SELECT_ROWS, (table.in_json(chosen),))]
        tags = table.tags_of(run.store.connection, chosen)
        items = []
        for row in rows:
            given = tuple(tag.tag for tag in tags.get(row.seq, ()) if tag.origin == "source" and not tag.removed)
            item = _item(row, types.get(row.key, row.content_type), given)
            if run.preparer.prepare(item).content_hash == row.content_hash:
                items.append(item)
        yield items


def _first_types(run: Run) -> dict[str, str]:
    """Return the types that entries had when they were journalled: before a user gave them another one."""
    types: dict[str, str] = {}
    for record in run.journal.read().records:
        if record.get("op") != "entry" or record.get("type_origin") == "user":
            continue
        if record.get("content_type") in set(ContentType):
            types.setdefault(str(record.get("key", "")), str(record["content_type"]))
    return types


def _item(row: EntryRow, content_type: str, tags: tuple[str, ...]) -> Item:
    return Item(
        key=row.key,
        content=row.content,
        kind=Kind(row.kind),
        content_type=ContentType(content_type),
        recorded_at=row.recorded_at,
        facts=orjson.loads(row.facts),
        tags=tags,
        origin=row.origin,
        source=Source(row.source),
        priority=Priority(row.priority),
        expires_at=row.expires_at,
        related=tuple(orjson.loads(row.related)),
        created_at=row.created_at,
        prepared_hash=row.prepared_hash,
        list_key=row.list_key,
        author=row.author,
    )
