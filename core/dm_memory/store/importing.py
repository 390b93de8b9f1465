"""Entries that come whole, with their identity: from the journal, a damaged file, a home of 0.2, a service.

Everything that follows from an entry (words, facts, vectors that came along) is written with it, in the caller's
transaction.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dm_memory.facts.model import Fact
from dm_memory.items import Payload, storage_id
from dm_memory.store import entries as table
from dm_memory.store.database import Store
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow, Known, Tag, statement_hash, to_json
from dm_memory.store.facts import Stated, import_facts, store_facts
from dm_memory.store.forgetting import is_correction, note_correction
from dm_memory.store.indexes import Embedded, put_vectors, put_words, remove_words
from dm_memory.store.patterns import update_patterns
from dm_memory.text.hashing import content_hash, metadata_hash
from dm_memory.text.timestamps import day_of
from dm_memory.text.words import analyse, language_of

__all__ = [
    "Imported",
    "import_entries",
    "imported_of_record",
    "list_of",
    "record_of_entry",
    "restate_facts",
]


@dataclass(frozen=True, slots=True)
class Imported:
    """An entry and what memory knows of it beside what services store.

    Attributes:
        revisions: Texts it had before, oldest first: text, recorded at, replaced at, reason.
        duplicate_of: The key of the entry that stands for the same text and is in memory already; "" for none.
        facts: Facts as another store kept them, with the moments from which it states them: those that ended can't be
            read from its text.
        facts_text: The text that the facts which have not ended were read from.
    """

    payload: Payload
    tags: tuple[Tag, ...] = ()
    list_key: str = ""
    type_origin: str = "source"
    origin: str = ""
    source_updated_at: str = ""
    prepared_hash: str = ""
    revisions: tuple[tuple[str, str, str, str], ...] = ()
    duplicate_of: str = ""
    facts: tuple[tuple[Fact, str], ...] = ()
    facts_text: str = ""


def list_of(key: str) -> str:
    """Return the list that an entry's key names, ``campaign/x#learnings`` for ``campaign/x#learnings/0``, or "".

    0.2 numbered the entries of campaigns' lists. Of insights with one moment it is the first one's key.
    """
    found = _IN_LIST.get(key.partition("/")[0], _HASHED).fullmatch(key)
    return found[1] if found else ""


_HASHED = re.compile(r"(.+#.+)/[0-9a-f]{12}(?:~\d+)?", re.DOTALL)
_IN_LIST = {
    "campaign": re.compile(r"(.+#.+)/(?:\d+|[0-9a-f]{12})(?:~\d+)?", re.DOTALL),
    "insight": re.compile(r"(.+)~\d+", re.DOTALL),
}


def import_entries(
    store: Store, imported: Sequence[Imported], now: str, run: int, languages: tuple[str, ...], reason: str
) -> list[EntryRow]:
    """Write entries as they are; those with a key that is there are replaced, and their texts become revisions.

    Args:
        store: Open, in a transaction of the caller.
        imported: With distinct keys; their texts are what their hashes say.
        now: The present moment.
        run: The run's number.
        languages: The brand's, the primary one first.
        reason: Why a text was replaced.

    Returns:
        Their rows, in order.
    """
    connection = store.connection
    known = table.known_by_key(connection, [each.payload.key for each in imported])
    owners = table.known_by_key(connection, [each.duplicate_of for each in imported if each.duplicate_of])
    first = store.value("SELECT max(seq) FROM entries") + 1
    ticks = store.ticks(len(imported)) if imported else range(0)
    rows = [
        _row(each, known.get(each.payload.key), owners.get(each.duplicate_of), first + number, tick, run, languages)
        for number, (each, tick) in enumerate(zip(imported, ticks, strict=True))
    ]
    changed = [row for row in rows if row.key in known]
    texts = table.texts_of(connection, [row.seq for row in changed])
    replaced = [row.seq for row in changed if known[row.key].content_hash != row.content_hash]
    table.add_revisions(connection, replaced, now, reason)
    table.insert_entries(connection, [row for row in rows if row.key not in known])
    table.replace_entries(connection, changed)
    pairs = list(zip(imported, rows, strict=True))
    table.put_tags(
        connection,
        {row.seq: each.tags or [Tag(tag, "source") for tag in each.payload.tags] for each, row in pairs},
    )
    _put_revisions(connection, pairs)
    if any(is_correction(reason) for each in imported for *_, reason in each.revisions):
        note_correction(store)
    remove_words(connection, [row.seq for row in changed])
    _derive(store, [(each, row) for each, row in pairs if row.duplicate_of is None], texts, now)
    update_patterns(connection, store.brand, [row.seq for row in rows], store.ticks)
    # Which files stated entries is noted, so that they are parsed again and what they drop is retired.
    sightings = [(each.origin, row.seq) for each, row in pairs if each.origin and row.kind not in _ROLLING]
    connection.executemany("INSERT OR IGNORE INTO sightings VALUES (?, ?)", sightings)
    connection.executemany(
        "INSERT OR IGNORE INTO source_files VALUES (?, NULL, '', 1)", [(path,) for path in {p for p, _ in sightings}]
    )
    return rows


def _put_revisions(connection: sqlite3.Connection, pairs: Sequence[tuple[Imported, EntryRow]]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (row.seq, number, content, content_hash(content), recorded, replaced, reason)
            for each, row in pairs
            for number, (content, recorded, replaced, reason) in enumerate(each.revisions[-table.KEPT_REVISIONS :], 1)
        ],
    )


def _derive(store: Store, standing: Sequence[tuple[Imported, EntryRow]], texts: Mapping[int, str], now: str) -> None:
    """Write what follows from entries that stand for their texts: words, vectors and facts."""
    connection = store.connection
    put_words(connection, [(row.seq, analyse(row.content, row.language)) for _, row in standing])
    vectors = [
        (row.seq, row.id, row.content_hash, Embedded(each.payload.vector_model, each.payload.vectors))
        for each, row in standing
        if each.payload.vectors
    ]
    if vectors:
        put_vectors(connection, store.brand, vectors, store.ticks(sum(len(own[3].chunks) for own in vectors)))
    import_facts(connection, [(row.seq, *fact) for each, row in standing for fact in each.facts])
    stated = [
        Stated(row.seq, each.payload, each.facts_text if each.facts else texts.get(row.seq)) for each, row in standing
    ]
    store_facts(connection, store.brand, stated, now)


_ROLLING = frozenset({"insight", "session", "prepared", "violation"})
"""Kinds whose entries leave their files, or have none, without being gone."""


def _row(  # what a row is made from
    each: Imported,
    known: Known | None,
    owner: Known | None,
    seq: int,
    tick: int,
    run: int,
    languages: tuple[str, ...],
) -> EntryRow:
    payload = each.payload
    return EntryRow(
        known.seq if known else seq,
        payload.id,
        payload.key,
        each.list_key or (known.list_key if known else list_of(payload.key)),
        payload.kind,
        payload.content_type,
        each.type_origin,
        payload.source,
        payload.content,
        payload.content_hash,
        payload.metadata_hash,
        to_json(dict(payload.facts)),
        payload.recorded_at,
        day_of(payload.recorded_at or payload.created_at),
        payload.created_at,
        payload.priority,
        payload.expires_at,
        to_json(list(payload.related)),
        payload.version,
        payload.updated_from,
        payload.state,
        payload.retired_at,
        owner.seq if owner else None,
        each.origin or (known.origin if known else ""),
        each.source_updated_at or (known.source_updated_at if known else ""),
        # What this computer's own file says is news only when somebody changes it there.
        known.source_digest if known else "",
        each.prepared_hash or (known.prepared_hash if known else ""),
        language_of(payload.content, languages),
        payload.author or (known.author if known else ""),
        payload.vector_model if payload.vectors and not owner else "",
        run,
        tick,
        statement_hash(payload.kind, payload.content),
    )


def record_of_entry(row: EntryRow, tags: Sequence[Tag], op: str, at: str) -> dict[str, Any]:
    """Return an entry as a record of the journal."""
    record: dict[str, Any] = {
        "op": op,
        "at": at,
        "key": row.key,
        "list": row.list_key,
        "kind": row.kind,
        "content_type": row.content_type,
        "type_origin": row.type_origin,
        "source": row.source,
        "content": row.content,
        "facts": orjson.loads(row.facts),
        "tags": [[tag.tag, tag.origin] for tag in tags if not tag.removed],
        "untagged": [tag.tag for tag in tags if tag.removed],
        "recorded_at": row.recorded_at,
        "created_at": row.created_at,
        "priority": row.priority,
        "expires_at": row.expires_at,
        "related": orjson.loads(row.related),
        "origin": row.origin,
        "prepared": row.prepared_hash,
        "author": row.author,
        "retired_at": row.retired_at,
        "version": row.version,
    }
    return {name: value for name, value in record.items() if value not in ("", [], {}) or name == "content"}


def record_of_payload(payload: Payload, now: str) -> dict[str, Any]:
    """Return what came from elsewhere as a record of the journal, all its tags the source's."""
    return {
        "op": "retired" if payload.state == "retired" else "entry",
        "at": payload.retired_at or now,
        "key": payload.key,
        "kind": payload.kind,
        "content_type": payload.content_type,
        "source": payload.source,
        "content": payload.content,
        "facts": dict(payload.facts),
        "tags": [[tag, "source"] for tag in payload.tags],
        "recorded_at": payload.recorded_at,
        "created_at": payload.created_at,
        "priority": payload.priority,
        "expires_at": payload.expires_at,
        "related": list(payload.related),
        "author": payload.author,
    }


def imported_of_record(brand: str, record: Mapping[str, Any]) -> Imported | None:
    """Return an entry of the journal as it goes into memory; None if it is none that this program understands."""
    get = record.get
    try:
        content, key = str(record["content"]), str(record["key"])
        tags = [Tag(str(tag[0]), str(tag[1])) for tag in get("tags") or ()]
        tags += [Tag(str(tag), "user", removed=True) for tag in get("untagged") or ()]
        described: dict[str, Any] = {
            "content_type": str(record["content_type"]),
            "kind": str(record["kind"]),
            "source": str(get("source", "sync")),
            "tags": tuple(sorted(tag.tag for tag in tags if not tag.removed)),
            "facts": dict(get("facts") or {}),
            "recorded_at": str(get("recorded_at", "")),
            "priority": str(get("priority", "normal")),
            "expires_at": str(get("expires_at", "")),
            "related": tuple(map(str, get("related") or ())),
        }
        retired = str(get("retired_at", "")) or (str(get("at", "")) if record["op"] == "retired" else "")
        payload = Payload(
            id=storage_id(brand, key),
            brand=brand,
            key=key,
            content=content,
            content_hash=content_hash(content),
            metadata_hash=metadata_hash(**described),
            created_at=str(get("created_at", "")) or str(get("at", "")),
            version=int(get("version", 1)),
            state="retired" if retired else "current",
            retired_at=retired,
            author=str(get("author", "")),
            **described,
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    return Imported(
        payload,
        tuple(tags),
        str(get("list", "")),
        str(get("type_origin", "source")),
        str(get("origin", "")),
        prepared_hash=str(get("prepared", "")),
    )


def restate_facts(store: Store, now: str) -> None:
    """Read the facts of every entry again, after the way they are read has changed. Inside a transaction."""
    after = 0
    while page := store.rows(
        SELECT_ENTRIES + "duplicate_of IS NULL AND seq > ? ORDER BY seq LIMIT 1000",
        (after,),
    ):
        rows = [EntryRow(*row) for row in page]
        after = rows[-1].seq
        tags = table.tags_of(store.connection, [row.seq for row in rows])
        stated = [
            Stated(row.seq, table.payload_of_row(store.brand, row, table.effective(tags.get(row.seq, ()))), row.content)
            for row in rows
        ]
        store_facts(store.connection, store.brand, stated, now)
