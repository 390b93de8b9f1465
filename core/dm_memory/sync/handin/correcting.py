"""Correcting: an entry gets the text that a user gives it, whatever its source goes on stating.

The old text becomes a revision with a reason that says so and by whom, by which later syncs know it again. Duplicates
state the same wrong text under other keys; they are corrected with it. The journal has the new text before the
transaction, with the hash of the text that it replaces: what a killed process did not come to is done by the next sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from dm_memory.errors import InputError
from dm_memory.items import ContentType, Item, Kind, Priority, Source
from dm_memory.requests import PrepareRequest
from dm_memory.store import entries as table
from dm_memory.store.entries import EntryRow
from dm_memory.store.forgetting import note_correction, reason_of
from dm_memory.store.journal import Record
from dm_memory.store.naming import full_key
from dm_memory.sync.run import Run
from dm_memory.sync.storing import SourceItems, Storing, record_of
from dm_memory.text.hashing import content_hash, script_hash

__all__ = ["correct", "correction_record", "take_unread_corrections", "to_correct"]


class _Correction:
    """An entry that is to say something else, with its duplicates.

    Args:
        rows: The entry, then its duplicates.
    """

    def __init__(self, rows: Sequence[EntryRow]) -> None:
        self.entry = rows[0]
        self._rows = rows

    def items(self, run: Run, content: str, request: PrepareRequest | None = None) -> list[Item]:
        """Return the entries as items that say ``content``."""
        tags = table.tags_of(run.store.connection, [row.seq for row in self._rows])
        return [
            Item(
                key=row.key,
                content=content,
                kind=Kind(row.kind),
                content_type=ContentType(row.content_type),
                recorded_at=row.recorded_at,
                facts={name: value for name, value in orjson.loads(row.facts).items() if name != "flags"},
                tags=tuple(tag.tag for tag in tags.get(row.seq, ()) if tag.origin == "source" and not tag.removed),
                origin=row.origin,
                source=Source(row.source),
                priority=request.priority if request else Priority.NORMAL,
                expires_at=request.expires_at if request else "",
                related=tuple(orjson.loads(row.related)) + (request.related if request else ()),
                created_at=row.created_at,
                prepared_hash=script_hash(content) if row.prepared_hash else "",
                source_updated_at=row.source_updated_at,
                author=row.author,
            )
            for row in self._rows
        ]


def to_correct(run: Run, name: str) -> _Correction:
    """Return the entry that is meant: by key or id, whole or short. Raises ``InputError``."""
    connection = run.store.connection
    key = full_key(connection, name)
    found = run.store.rows("SELECT coalesce(duplicate_of, seq) FROM entries WHERE key = ?", (key,))
    if not found:
        raise InputError(
            f"There is no entry with the key {name[:200]!r} to correct.", "Take the key from a search result."
        )
    seqs = [found[0][0], *(row.seq for row in table.duplicates_of(connection, [found[0][0]]))]
    rows = {row.seq: row for row in map(EntryRow._make, run.store.rows(table.SELECT_ROWS, (table.in_json(seqs),)))}
    return _Correction([rows[seq] for seq in seqs])


def correct(run: Run, storing: Storing, correction: _Correction, items: Sequence[Item], author: str) -> None:
    """Give an entry its new text. Its author stays; the revision says who corrected it."""
    with run.store.transaction():
        note_correction(run.store)
    run.reason = reason_of(author)
    try:
        storing.take([SourceItems("", items)])
    finally:
        run.reason = "changed"
    old = correction.entry.prepared_hash
    if old and old != items[0].prepared_hash:  # what the plugin's script would search has the wrong text
        (run.memory_dir / "stored" / f"{old}.json").unlink(missing_ok=True)


def correction_record(
    run: Run, correction: _Correction, item: Item, tags: Sequence[Sequence[str]], author: str
) -> dict[str, Any]:
    """Return what the journal says of a correction."""
    record = {**record_of(run.preparer.prepare(item), tags, run.now), "replaces": correction.entry.content_hash}
    return {**record, "corrected_by": author} if author else record


def take_unread_corrections(run: Run, storing: Storing, records: Iterable[Record]) -> None:
    """Correct what a killed process journaled and did not come to."""
    for record in records:
        known = table.known_by_key(run.store.connection, [str(record.get("key", ""))])
        for row in known.values():
            content = record.get("content")
            is_open = isinstance(content, str) and content_hash(content) != row.content_hash == record["replaces"]
            if is_open:
                correction = to_correct(run, row.key)
                items = correction.items(run, str(content))
                correct(run, storing, correction, items, str(record.get("corrected_by", "")))
