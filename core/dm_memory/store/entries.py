"""Entries of memory.db: what a plan reads of them, and writing them with their tags, revisions and sightings.

Functions take an open connection; those that write run inside the caller's transaction, which ``sync.storing`` makes
whole: an entry, its vectors, its words, its facts and what is due for it are committed together.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from dm_memory.brand.sources.insights import statement_of
from dm_memory.items import Payload
from dm_memory.text.hashing import content_hash

__all__ = [
    "DROPPED",
    "KEPT_REVISIONS",
    "SELECT_ENTRIES",
    "SELECT_KNOWN",
    "SELECT_ROWS",
    "Census",
    "EntryRow",
    "Known",
    "Tag",
    "add_revisions",
    "census",
    "duplicates_of",
    "effective",
    "in_json",
    "insert_entries",
    "known_by_key",
    "known_by_list",
    "known_by_seq",
    "owners_by_hash",
    "owners_by_statement",
    "payload_of_row",
    "payloads",
    "put_tags",
    "replace_entries",
    "see",
    "seqs_by_key",
    "seqs_seen_in",
    "seqs_undated",
    "statement_hash",
    "tags_of",
    "texts_of",
    "to_json",
    "version_of",
]

DROPPED = ""
"""The path of sightings that wait for a decision: a file dropped the entry."""

KEPT_REVISIONS = 50
"""Revisions an entry keeps; the oldest go first."""


class Tag(NamedTuple):
    """A tag of an entry: ``origin`` is ``detected``, ``source``, ``merged`` (a duplicate's) or ``user``."""

    tag: str
    origin: str
    removed: bool = False


class Known(NamedTuple):
    """What a plan needs of an entry that is in memory."""

    seq: int
    id: str
    key: str
    list_key: str
    kind: str
    content_type: str
    type_origin: str
    content_hash: str
    metadata_hash: str
    duplicate_of: int | None
    state: str
    version: int
    origin: str
    created_at: str
    source_updated_at: str
    source_digest: str
    priority: str
    expires_at: str
    updated_from: str
    prepared_hash: str
    embedded: str
    author: str


class EntryRow(NamedTuple):
    """An entry as the table has it, in the order of its columns. A tuple, because that is what SQLite takes."""

    seq: int
    id: str
    key: str
    list_key: str
    kind: str
    content_type: str
    type_origin: str
    source: str
    content: str
    content_hash: str
    metadata_hash: str
    facts: str
    recorded_at: str
    day: int | None
    created_at: str
    priority: str
    expires_at: str
    related: str
    version: int
    updated_from: str
    state: str
    retired_at: str
    duplicate_of: int | None
    origin: str
    source_updated_at: str
    source_digest: str
    prepared_hash: str
    language: str
    author: str
    embedded: str
    run: int
    updated_at: int
    statement: str = ""


_COLUMNS = EntryRow._fields
_INSERT = f"INSERT INTO entries ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_UPDATE = f"UPDATE entries SET ({', '.join(_COLUMNS)}) = ({', '.join('?' * len(_COLUMNS))}) WHERE seq = ?"
SELECT_KNOWN = f"SELECT {', '.join(Known._fields)} FROM entries WHERE "
SELECT_ENTRIES = f"SELECT {', '.join(_COLUMNS)} FROM entries WHERE "
SELECT_ROWS = SELECT_ENTRIES + "seq IN (SELECT value FROM json_each(?))"


class Census(NamedTuple):
    """How many entries there are, duplicates left out.

    Attributes:
        clock: The store's clock when they were counted: what changes their number moves it.
        by_type: Current ones per content type.
        retired: Those that no file states any more.
    """

    clock: str
    by_type: dict[str, int]
    retired: int

    @property
    def current(self) -> int:
        """How many are current."""
        return sum(self.by_type.values())

    @property
    def all(self) -> int:
        """How many there are."""
        return self.current + self.retired


def census(connection: sqlite3.Connection) -> Census:
    """Count the entries, in one pass over an index."""
    clock = connection.execute("SELECT value FROM meta WHERE name = 'clock'").fetchone()
    sql = (
        "SELECT content_type, state, count(*) FROM entries WHERE duplicate_of IS NULL"
        " GROUP BY content_type, state ORDER BY content_type, state"
    )
    rows = connection.execute(sql).fetchall()
    by_type = {kind: number for kind, state, number in rows if state == "current"}
    return Census(str(clock[0]), by_type, sum(number for _, state, number in rows if state == "retired"))


def in_json(values: Iterable[object]) -> str:
    """Return values for SQLite's ``json_each``: a list of any length as one parameter."""
    return orjson.dumps(list(values)).decode()


def to_json(value: object) -> str:
    """Serialise with orjson; integers beyond 64 bits and lone surrogates, which it refuses, go through json."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":"))


def effective(tags: Iterable[Tag]) -> tuple[str, ...]:
    """Return the tags that count, sorted."""
    return tuple(sorted(tag.tag for tag in tags if not tag.removed))


def payload_of_row(brand: str, row: EntryRow, tags: tuple[str, ...]) -> Payload:
    """Return a row as services store it and facts are read from it."""
    return Payload(
        row.id,
        brand,
        row.key,
        row.content,
        row.content_hash,
        row.metadata_hash,
        row.content_type,
        row.kind,
        row.source,
        tags,
        orjson.loads(row.facts),
        row.recorded_at,
        row.created_at,
        row.version,
        row.updated_from,
        row.priority,
        row.expires_at,
        tuple(orjson.loads(row.related)),
        row.state,
        row.retired_at,
        row.author,
    )


def version_of(content_hash: str, metadata_hash: str, state: str = "current") -> str:
    """Return how the outbox names one version of an entry: its text, its metadata and whether it is retired."""
    return f"{content_hash}:{metadata_hash}" + (":retired" if state == "retired" else "")


def known_by_key(connection: sqlite3.Connection, keys: Iterable[str]) -> dict[str, Known]:
    """Return the entries with these keys, by key."""
    return {row.key: row for row in _known(connection, "key IN (SELECT value FROM json_each(?))", in_json(keys))}


def known_by_seq(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, Known]:
    """Return these entries, by ``seq``."""
    return {row.seq: row for row in _known(connection, "seq IN (SELECT value FROM json_each(?))", in_json(seqs))}


def seqs_by_key(connection: sqlite3.Connection, keys: Iterable[str]) -> dict[str, int]:
    """Return the row numbers of entries by key, from the index alone."""
    sql = "SELECT key, seq FROM entries WHERE key IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(sql, (in_json(keys),)).fetchall())


def known_by_list(
    connection: sqlite3.Connection, lists: Iterable[str], *, retired: bool = False
) -> dict[str, list[Known]]:
    """Return the entries of these lists, by list: current ones, oldest first, then retired ones if they are wanted."""
    found: dict[str, list[Known]] = {}
    states = "" if retired else " AND state = 'current'"
    where = f"list_key <> '' AND list_key IN (SELECT value FROM json_each(?)){states} ORDER BY state, seq"
    for row in _known(connection, where, in_json(lists)):
        found.setdefault(row.list_key, []).append(row)
    return found


def owners_by_hash(connection: sqlite3.Connection, hashes: Iterable[str]) -> dict[str, Known]:
    """Return the current entries that stand for these texts, by content hash."""
    where = "content_hash IN (SELECT value FROM json_each(?)) AND duplicate_of IS NULL AND state = 'current'"
    return {row.content_hash: row for row in _known(connection, where, in_json(hashes))}


def owners_by_statement(connection: sqlite3.Connection, statements: Iterable[str]) -> dict[str, Known]:
    """Return the current entries that make these statements, with whatever context, by the statement's hash."""
    sql = "SELECT statement, seq FROM entries WHERE statement IN (SELECT value FROM json_each(?))" + _OWNS
    found = dict(connection.execute(sql, (in_json(statements),)).fetchall())
    rows = known_by_seq(connection, found.values())
    return {statement: rows[seq] for statement, seq in found.items()}


_OWNS = " AND statement <> '' AND duplicate_of IS NULL AND state = 'current' ORDER BY seq DESC"


def duplicates_of(connection: sqlite3.Connection, owners: Iterable[int]) -> list[Known]:
    """Return the duplicates that these entries stand for, oldest first."""
    where = "duplicate_of IS NOT NULL AND duplicate_of IN (SELECT value FROM json_each(?)) ORDER BY seq"
    return list(_known(connection, where, in_json(owners)))


def _known(connection: sqlite3.Connection, where: str, argument: str) -> Iterator[Known]:
    for row in connection.execute(SELECT_KNOWN + where, (argument,)):
        yield Known(*row)


def tags_of(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, list[Tag]]:
    """Return the tags of entries by ``seq``, removed ones too, in their order."""
    found: dict[int, list[Tag]] = {}
    sql = "SELECT seq, tag, origin, removed FROM tags WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq, tag"
    for seq, tag, origin, removed in connection.execute(sql, (in_json(seqs),)):
        found.setdefault(seq, []).append(Tag(tag, origin, bool(removed)))
    return found


def texts_of(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, str]:
    """Return the texts of entries by ``seq``."""
    sql = "SELECT seq, content FROM entries WHERE seq IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(sql, (in_json(seqs),)).fetchall())


def seqs_undated(connection: sqlite3.Connection, origin: str) -> set[int]:
    """Return the current insights of a file that have no date, and therefore their first text for a key."""
    sql = "SELECT seq FROM entries WHERE origin = ? AND state = 'current' AND key LIKE 'insight/undated-%'"
    return {seq for (seq,) in connection.execute(sql, (origin,))}


def seqs_seen_in(connection: sqlite3.Connection, path: str) -> set[int]:
    """Return the entries that a file stated when it was last read."""
    return {seq for (seq,) in connection.execute("SELECT seq FROM sightings WHERE path = ?", (path,))}


def payloads(connection: sqlite3.Connection, brand: str, ids: Collection[str]) -> dict[str, Payload]:
    """Return entries by id as services store them; a row whose text is not what its hash says is left out.

    The columns are named once more: whole rows and their tags with origins cost half as much again (12 against 18
    microseconds an entry), and every delivery reads them.
    """
    found: dict[str, Payload] = {}
    tags: dict[str, list[str]] = {}
    wanted = (in_json(ids),)
    for id_, tag in connection.execute(_TAGS_BY_ID, wanted):
        tags.setdefault(id_, []).append(tag)
    for row in connection.execute(_PAYLOADS, wanted):
        id_, key, content, digest, metadata, content_type, kind, source, facts, *rest = row
        recorded, created, version, updated_from, priority, expires, related, state, retired, author = rest
        if content_hash(content) != digest:
            continue
        found[id_] = Payload(
            id_,
            brand,
            key,
            content,
            digest,
            metadata,
            content_type,
            kind,
            source,
            tuple(tags.get(id_, ())),
            orjson.loads(facts),
            recorded,
            created,
            version,
            updated_from,
            priority,
            expires,
            tuple(orjson.loads(related)),
            state,
            retired,
            author,
        )
    return found


_PAYLOADS = (
    "SELECT id, key, content, content_hash, metadata_hash, content_type, kind, source, facts, recorded_at, created_at,"
    " version, updated_from, priority, expires_at, related, state, retired_at, author FROM entries"
    " WHERE id IN (SELECT value FROM json_each(?))"
)
_TAGS_BY_ID = (
    "SELECT e.id, t.tag FROM entries e JOIN tags t ON t.seq = e.seq"
    " WHERE e.id IN (SELECT value FROM json_each(?)) AND t.removed = 0 ORDER BY e.seq, t.tag"
)


# Writing, inside the caller's transaction ----------------------------------------------------------------------------


def insert_entries(connection: sqlite3.Connection, rows: Sequence[EntryRow]) -> None:
    """Insert entries that are not there yet."""
    connection.executemany(_INSERT, rows)


def replace_entries(connection: sqlite3.Connection, rows: Iterable[EntryRow]) -> None:
    """Write over entries that are there."""
    connection.executemany(_UPDATE, [(*row, row.seq) for row in rows])


def put_tags(connection: sqlite3.Connection, tags: Mapping[int, Iterable[Tag]]) -> None:
    """Make these the tags of entries; others of theirs are gone."""
    connection.execute("DELETE FROM tags WHERE seq IN (SELECT value FROM json_each(?))", (in_json(tags),))
    rows = [(seq, tag.tag, tag.origin, int(tag.removed)) for seq, own in tags.items() for tag in own]
    connection.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?, ?, ?)", rows)


def see(connection: sqlite3.Connection, seen: Mapping[str, set[int]]) -> None:
    """Note which entries files, read whole, state; what they stated before and do not any more is seen as ``DROPPED``.

    Args:
        connection: In a transaction.
        seen: Row numbers of entries by the file's path.
    """
    before: dict[str, set[int]] = {}
    sql = "SELECT path, seq FROM sightings WHERE path IN (SELECT value FROM json_each(?))"
    for path, seq in connection.execute(sql, (in_json(seen),)):
        before.setdefault(path, set()).add(seq)
    gone = [(path, seq) for path, now in seen.items() for seq in before.get(path, set()) - now]
    new = [(path, seq) for path, now in seen.items() for seq in now - before.get(path, set())]
    connection.executemany("DELETE FROM sightings WHERE path = ? AND seq = ?", gone)
    connection.executemany(
        "INSERT OR IGNORE INTO sightings VALUES (?, ?)", [*new, *((DROPPED, seq) for _, seq in gone)]
    )


def add_revisions(connection: sqlite3.Connection, seqs: Sequence[int], at: str, reason: str) -> int:
    """Keep the present texts of entries as revisions, before they are replaced; return how many old ones had to go."""
    wanted = (in_json(seqs),)
    connection.execute(_KEEP, (at, reason, *wanted))
    cursor = connection.execute(_DROP, (*wanted, KEPT_REVISIONS))
    return cursor.rowcount


_KEEP = (
    "INSERT INTO revisions SELECT seq,"
    " 1 + coalesce((SELECT max(number) FROM revisions r WHERE r.seq = entries.seq), 0),"
    " content, content_hash, recorded_at, ?, ? FROM entries WHERE seq IN (SELECT value FROM json_each(?))"
)
_DROP = (
    "DELETE FROM revisions WHERE seq IN (SELECT value FROM json_each(?))"
    " AND number <= (SELECT max(number) FROM revisions r WHERE r.seq = revisions.seq) - ?"
)


def statement_hash(kind: str, content: str) -> str:
    """Return the hash of an insight or a learning without its context; "" for other kinds of entries."""
    return content_hash(statement_of(content)) if kind in _STATEMENTS else ""


_STATEMENTS = frozenset({"insight", "session"})
