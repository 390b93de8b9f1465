"""What search reads of memory.db. Every function works on a connection in a read transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from dm_memory.store.entries import in_json
from dm_memory.text.hashing import content_hash

__all__ = [
    "EntryFacts",
    "Moment",
    "Revision",
    "StoredText",
    "all_seqs",
    "entry_facts",
    "forgotten",
    "later_changes",
    "matching",
    "moment_of",
    "occurrences",
    "revisions_of",
    "seqs_of",
    "tagged",
    "texts",
    "texts_containing",
    "texts_in_force",
    "vectors_after",
    "word_counts",
]


class Moment(NamedTuple):
    """The state of a store: its clock, and how its words were made. The same moment has the same rows."""

    clock: int
    words: str


class EntryFacts(NamedTuple):
    """What decides whether an entry is a candidate."""

    seq: int
    kind: str
    content_type: str
    state: str
    day: int | None
    priority: str
    expires_at: str
    recorded_at: str
    retired_at: str
    language: str
    duplicate_of: int | None
    author: str


@dataclass(frozen=True, slots=True)
class StoredText:
    """An entry as a hit shows it."""

    seq: int
    id: str
    key: str
    content: str
    kind: str
    content_type: str
    source: str
    tags: tuple[str, ...]
    recorded_at: str
    created_at: str
    priority: str
    expires_at: str
    state: str
    retired_at: str
    version: int
    author: str
    content_hash: str

    @property
    def is_sound(self) -> bool:
        """Whether the text is the one that was stored."""
        return content_hash(self.content) == self.content_hash


class Revision(NamedTuple):
    """A text an entry had before."""

    number: int
    content: str
    recorded_at: str
    replaced_at: str
    reason: str


def moment_of(connection: sqlite3.Connection) -> Moment:
    """Return the store's state."""
    found = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('clock', 'words')"))
    return Moment(int(found.get("clock") or 0), found.get("words", ""))


def entry_facts(connection: sqlite3.Connection, after: int = -1) -> list[EntryFacts]:
    """Return the entries that changed after a moment of the store's clock; duplicates too, which are none any more."""
    rows = connection.execute(
        "SELECT seq, kind, content_type, state, day, priority, expires_at, recorded_at, retired_at, language,"
        " duplicate_of, author FROM entries WHERE updated_at > ?",
        (after,),
    )
    return [EntryFacts._make(row) for row in rows]


def all_seqs(connection: sqlite3.Connection) -> list[int]:
    """Return every entry's row number."""
    return [seq for (seq,) in connection.execute("SELECT seq FROM entries WHERE duplicate_of IS NULL")]


def later_changes(connection: sqlite3.Connection, after: int) -> int:
    """Count the entries and vectors that changed after a moment."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM entries WHERE updated_at > ?1)"
        " + (SELECT count(*) FROM vectors WHERE updated_at > ?1)",
        (after,),
    ).fetchone()
    return int(row[0])


def vectors_after(
    connection: sqlite3.Connection, model: str, after: int, seqs: Collection[int] = ()
) -> Iterator[tuple[int, int, bytes]]:
    """Yield ``seq``, CRC and bytes of the model's vectors that changed after a moment, and all those of ``seqs``.

    A vector of another text than the entry's is left out: it is due to be made again.
    """
    in_order = "+" if after < 0 else ""  # all of them: in the order of the table, not of the index
    sql = f"{_VECTORS} {in_order}v.updated_at > ?"  # a sign or none
    yield from connection.execute(sql, (model, after))
    if seqs:
        sql = f"{_VECTORS} v.updated_at <= ? AND v.seq IN (SELECT value FROM json_each(?))"
        yield from connection.execute(sql, (model, after, in_json(seqs)))


_VECTORS = (
    "SELECT v.seq, v.crc, v.vector FROM vectors v CROSS JOIN entries e ON e.seq = v.seq"
    " WHERE v.model = ? AND v.content_hash = e.content_hash AND"
)


def word_counts(connection: sqlite3.Connection, seqs: Collection[int] | None = None) -> list[tuple[int, int]]:
    """Return how many words the index has of entries: FTS5 keeps the number as a varint a row."""
    if seqs is None:
        rows = connection.execute("SELECT id, sz FROM words_docsize")
    else:
        sql = "SELECT id, sz FROM words_docsize WHERE id IN (SELECT value FROM json_each(?))"
        rows = connection.execute(sql, (in_json(seqs),))
    return [(seq, size[0] if len(size) == 1 else _varint(size)) for seq, size in rows]


def _varint(data: bytes) -> int:
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value


def occurrences(connection: sqlite3.Connection, words: Iterable[str]) -> list[list[int]]:
    """Return for each word the entries it occurs in, once an occurrence."""
    connection.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words_in_entries USING fts5vocab(main, words, instance)"
    )
    sql = "SELECT doc FROM temp.words_in_entries WHERE term = ?"
    return [[seq for (seq,) in connection.execute(sql, (word,))] for word in words]


def terms_like(connection: sqlite3.Connection, start: str, most: int = -1) -> list[str]:
    """Return the words of the index that begin like this, in order; at most so many."""
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.words_in_all USING fts5vocab(main, words, row)")
    sql = "SELECT term FROM temp.words_in_all WHERE term >= ? AND term < ? || char(1114111) LIMIT ?"
    return [term for (term,) in connection.execute(sql, (start, start, most))]


def matching(connection: sqlite3.Connection, query: str) -> list[int]:
    """Return the entries that match an FTS5 query."""
    return [seq for (seq,) in connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (query,))]


def tagged(connection: sqlite3.Connection, tag: str) -> list[int]:
    """Return the entries that have a tag, or without a colon in it one of that value: ``email``, ``channel:email``."""
    is_it = "tag = :tag" if ":" in tag else "(tag = :tag OR substr(tag, -length(:tag) - 1) = ':' || :tag)"
    rows = connection.execute(f"SELECT DISTINCT seq FROM tags WHERE {is_it} AND removed = 0", {"tag": tag})
    return [seq for (seq,) in rows]


def texts(connection: sqlite3.Connection, seqs: Collection[int]) -> dict[int, StoredText]:
    """Return entries as hits show them."""
    rows = connection.execute(
        "SELECT seq, id, key, content, kind, content_type, source, (SELECT json_group_array(tag) FROM (SELECT tag FROM"
        " tags t WHERE t.seq = e.seq AND removed = 0 ORDER BY tag)), recorded_at, created_at, priority, expires_at,"
        " state, retired_at, version, author, content_hash FROM entries e"
        " WHERE seq IN (SELECT value FROM json_each(?))",
        (in_json(seqs),),
    )
    found = {}
    for row in map(list, rows):
        row[_TAGS] = tuple(orjson.loads(row[_TAGS]))
        found[row[0]] = StoredText(*row)
    return found


_TAGS = 7


def texts_containing(connection: sqlite3.Connection, part: str) -> list[int]:
    """Return the entries whose texts contain a part as it is; reads them all."""
    sql = "SELECT seq FROM entries WHERE duplicate_of IS NULL AND instr(content, ?) > 0"
    return [seq for (seq,) in connection.execute(sql, (part,))]


def texts_in_force(connection: sqlite3.Connection, moment: str) -> list[tuple[int, int, str]]:
    """Return the entries that had another text at a moment (ISO-8601): ``seq``, revision and that text."""
    rows = connection.execute(
        "SELECT seq, min(number), content FROM revisions WHERE replaced_at > ? GROUP BY seq ORDER BY seq",
        (moment,),
    )
    return rows.fetchall()


def revisions_of(connection: sqlite3.Connection, seq: int) -> list[Revision]:
    """Return the texts an entry had before, the oldest first."""
    rows = connection.execute(
        "SELECT number, content, recorded_at, replaced_at, reason FROM revisions WHERE seq = ? ORDER BY number", (seq,)
    )
    return [Revision._make(row) for row in rows]


def seqs_of(connection: sqlite3.Connection, *, ids: Collection[str] = (), keys: Collection[str] = ()) -> dict[str, int]:
    """Return the rows of entries by id or by key; a duplicate's is the row of the entry that stands for it."""
    column, values = ("key", keys) if keys else ("id", ids)
    rows = connection.execute(
        f"SELECT {column}, coalesce(duplicate_of, seq) FROM entries WHERE {column} IN"  # one of two names
        " (SELECT value FROM json_each(?))",
        (in_json(values),),
    )
    return dict(rows.fetchall())


def forgotten(connection: sqlite3.Connection, ids: Collection[str]) -> set[str]:
    """Return which of these ids were forgotten."""
    sql = "SELECT id FROM tombstones WHERE id IN (SELECT value FROM json_each(?))"
    return {identity for (identity,) in connection.execute(sql, (in_json(ids),))}
