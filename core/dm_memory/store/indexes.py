"""What an entry is found by, in memory.db: its vectors, raw float32 with a CRC each, and its words, in FTS5.

``meta.words`` names the analysis, the stemmer and the brand's languages that the words were made with. If any of them
changes, the table is filled again in one transaction. Functions that write run inside the caller's.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dm_memory.items import storage_id
from dm_memory.store.entries import in_json
from dm_memory.text.words import analyse, language_of, words_version

__all__ = [
    "Embedded",
    "are_words_current",
    "count_without",
    "put_vectors",
    "put_words",
    "refresh_words",
    "remove_words",
    "vector_id",
    "vectors_of",
    "without_vectors",
]


class Embedded(NamedTuple):
    """The vectors of one text, a chunk each, raw little-endian float32."""

    model: str
    chunks: Sequence[bytes]


def vector_id(brand: str, entry: str, model: str, chunk: int) -> str:
    """Return the id of a chunk's vector, the same on every machine."""
    return storage_id(brand, f"embedding/{model}/{entry}/{chunk}")


def put_vectors(
    connection: sqlite3.Connection, brand: str, rows: Sequence[tuple[int, str, str, Embedded]], clock: Iterable[int]
) -> None:
    """Make these the vectors of entries: ``seq``, entry id, content hash and vectors. Inside a transaction."""
    connection.execute(
        "DELETE FROM vectors WHERE seq IN (SELECT value FROM json_each(?))", (in_json(row[0] for row in rows),)
    )
    ticks = iter(clock)
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                vector_id(brand, entry, embedded.model, number),
                seq,
                number,
                embedded.model,
                digest,
                len(vector) // 4,
                zlib.crc32(vector),
                vector,
                next(ticks),
            )
            for seq, entry, digest, embedded in rows
            for number, vector in enumerate(embedded.chunks)
        ],
    )


def vectors_of(connection: sqlite3.Connection, ids: Iterable[str], model: str) -> Mapping[str, tuple[bytes, ...]]:
    """Return the vectors of entries by id, in the order of their chunks; damaged ones are left out."""
    found: dict[str, list[bytes]] = {}
    damaged = set()
    for id_, crc, vector in connection.execute(_OF, (model, in_json(ids))):
        if zlib.crc32(vector) != crc:
            damaged.add(id_)
        found.setdefault(id_, []).append(vector)
    return {id_: tuple(chunks) for id_, chunks in found.items() if id_ not in damaged}


_OF = (
    "SELECT e.id, v.crc, v.vector FROM entries e JOIN vectors v ON v.seq = e.seq"
    " WHERE v.model = ? AND v.content_hash = e.content_hash AND e.id IN (SELECT value FROM json_each(?))"
    " ORDER BY e.seq, v.chunk"
)


def without_vectors(
    connection: sqlite3.Connection, model: str, after: int, limit: int
) -> list[tuple[int, str, str, str]]:
    """Return the next entries that have no vectors of a model: ``seq``, id, content hash and text."""
    sql = f"SELECT seq, id, content_hash, content FROM entries WHERE {_DUE} AND seq > ? ORDER BY seq LIMIT ?"
    return connection.execute(sql, (model, model, after, limit)).fetchall()


def count_without(connection: sqlite3.Connection, model: str) -> int:
    """Count the entries that have no vectors of a model; answered by an index."""
    count = "(SELECT count(*) FROM entries WHERE duplicate_of IS NULL AND embedded"
    return int(connection.execute(f"SELECT {count} < ?) + {count} > ?)", (model, model)).fetchone()[0])


_DUE = "duplicate_of IS NULL AND (embedded < ? OR embedded > ?)"


_CHUNK = 2000


def put_words(connection: sqlite3.Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Make these the words of entries: ``seq`` and ``text.words.analyse`` of the text."""
    connection.executemany("INSERT OR REPLACE INTO words (rowid, text) VALUES (?, ?)", rows)


def remove_words(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Remove the words of entries; those that have none are no error."""
    connection.executemany("DELETE FROM words WHERE rowid = ?", [(seq,) for seq in seqs])


def are_words_current(connection: sqlite3.Connection, languages: Sequence[str]) -> bool:
    """Return whether the words were made as they would be made now."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'words'").fetchone()
    return row is not None and row[0] == words_version(languages)


def refresh_words(connection: sqlite3.Connection, languages: Sequence[str]) -> int:
    """Make the words of all texts again if they were made otherwise; return how many texts that were.

    Args:
        connection: In a transaction.
        languages: The brand's, the primary one first; each text's is found again among them.
    """
    if are_words_current(connection, languages):
        return 0
    connection.execute("DELETE FROM words")
    last = count = 0
    sql = "SELECT seq, content, language FROM entries WHERE duplicate_of IS NULL AND seq > ? ORDER BY seq LIMIT ?"
    while rows := connection.execute(sql, (last, _CHUNK)).fetchall():
        found = [(seq, content, before, language_of(content, languages)) for seq, content, before in rows]
        connection.executemany(
            "UPDATE entries SET language = ? WHERE seq = ?",
            [(language, seq) for seq, _, before, language in found if language != before],
        )
        put_words(connection, ((seq, analyse(content, language)) for seq, content, _, language in found))
        last, count = rows[-1][0], count + len(rows)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('words', ?)", (words_version(languages),))
    return count
