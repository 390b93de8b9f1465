"""The full text of memory.db: the analysed words of every text that is no duplicate, in FTS5.

``meta.words`` names the analysis, the stemmer and the brand's languages they were made with. If any of them changes,
the table is filled again in one transaction. Functions that write run inside the caller's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from dm_memory.text.words import analyse, language_of, words_version

__all__ = ["are_words_current", "put_words", "refresh_words", "remove_words"]

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
