"""The embedded graph's file: opening, transactions, and what SQLite and the disk can raise, in our words.

Tables (``PRAGMA user_version`` is the format):
    entries: What the layer was given: text, hashes, metadata; ``names`` are those of the entities it is about.
    entities: Each once, by its id.
    facts: One row per statement and stretch of validity, in the order in which they were recorded. ``slot`` is NULL
        for what an entry states of its own, which is most of it; ``text`` is NULL where it is the entry's.
        ``stated_at`` is the moment the entry gave, ``ended_at`` when it ceased to state it, ``invalid_at`` the end that
        follows from it and from the slot's next fact.
    mentions: Entities an entry is about without being an end of one of its facts.
    search: FTS5 over texts and names; its content is ``entries``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.sqlite_files import connect, connect_to_write, transaction

__all__ = ["FILE_NAME", "GraphFile", "is_damage"]

FILE_NAME = "graph.db"
SCHEMA_VERSION = 1

"""Seconds between two tries to open a file that others are opening or closing."""

_SCHEMA = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL, content TEXT NOT NULL, names TEXT NOT NULL,
    content_hash TEXT NOT NULL, metadata_hash TEXT NOT NULL, content_type TEXT NOT NULL, source TEXT NOT NULL,
    tags TEXT NOT NULL, recorded_at TEXT NOT NULL, recorded_day INTEGER, expires_ts INTEGER, details TEXT NOT NULL,
    moment TEXT NOT NULL, extraction INTEGER NOT NULL);
CREATE TABLE entities (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL, normal TEXT NOT NULL);
CREATE INDEX entities_by_name ON entities (normal);
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, entry INTEGER NOT NULL, subject INTEGER NOT NULL, relation TEXT NOT NULL,
    object INTEGER NOT NULL, text TEXT, slot TEXT, stated_at TEXT NOT NULL, valid_at TEXT NOT NULL,
    ended_at TEXT NOT NULL DEFAULT '', invalid_at TEXT NOT NULL DEFAULT '');
CREATE INDEX facts_by_entry ON facts (entry);
CREATE INDEX facts_by_subject ON facts (subject);
CREATE INDEX facts_by_object ON facts (object);
CREATE INDEX facts_by_slot ON facts (slot) WHERE slot IS NOT NULL;
CREATE TABLE mentions (entity INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (entity, entry)) WITHOUT ROWID;
CREATE INDEX mentions_by_entry ON mentions (entry);
CREATE VIRTUAL TABLE search USING fts5(
    content, names, content = 'entries', content_rowid = 'seq', tokenize = "porter unicode61 remove_diacritics 2");
"""


class GraphFile:
    """One connection to a brand's graph, opened when it is needed. For one thread.

    Args:
        path: The file; the first write makes it (0600), and its folder (0700).
        busy_timeout: Seconds to wait for another process that writes.
    """

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Provide one state of the file; None where there is none. Raises ``LayerError``."""
        with _errors():
            connection = self._current()
            if connection is None and self.path.exists():
                connection = self._open()
            if connection is None:
                yield None
                return
            with transaction(connection, "BEGIN"):
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Commit everything inside, or nothing; returns after the disk has it. Raises ``LayerError``."""
        with _errors():
            connection = self._current() or self._open()
            with transaction(connection, "BEGIN IMMEDIATE"):
                yield connection

    def close(self) -> None:
        """Close the file; SQLite folds its log into it. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with _errors():
                connection.close()

    def check(self) -> None:
        """Read the whole file. Raises ``LayerError``: it is damaged."""
        with self.reading() as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone() if connection else ("ok",)
        if answer != ("ok",):
            raise _graph_error(_DAMAGED, "quick-check")

    def set_aside(self) -> None:
        """Rename the file and its log, so that the next write begins a new one. Raises ``LayerError``."""
        with contextlib.suppress(LayerError):
            self.close()
        number = 1
        while (target := self.path.with_name(f"{FILE_NAME}.damaged-{number}")).exists():
            number += 1
        with _errors():
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(FILE_NAME + suffix).replace(target.with_name(target.name + suffix))

    def used_bytes(self) -> int:
        """Return the bytes of the file and its log. Raises ``LayerError``."""
        paths = (self.path.with_name(FILE_NAME + suffix) for suffix in ("", "-wal"))
        with _errors():
            return sum(path.stat().st_size for path in paths if path.exists())

    def _current(self) -> sqlite3.Connection | None:
        """Return the open connection; none where somebody has put another file, or none, in its place."""
        if self._connection is not None and self._inode != _inode(self.path):
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._inode = _inode(self.path)
        self._connection = connection
        return connection

    def _connect(self) -> sqlite3.Connection:
        exists = self.path.exists()
        if exists and not os.access(self.path, os.W_OK):
            logged = self.path.with_name(FILE_NAME + "-wal").exists()
            return connect(self.path, self._busy_timeout, "mode=ro" if logged else "mode=ro&immutable=1")
        return connect_to_write(self.path, self._busy_timeout, _PRAGMAS)


_PRAGMAS = (
    "page_size = 8192",
    "journal_mode = WAL",
    "synchronous = FULL",
    "temp_store = MEMORY",
    "cache_size = -16384",
)


def _migrate(connection: sqlite3.Connection) -> None:
    """Create the tables, with the record of it in the same transaction."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        with transaction(connection, "BEGIN IMMEDIATE"):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise _graph_error(_NEWER, f"format-{version}")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Turn SQLite's and the file system's errors into ours. A bug of ours (wrong SQL) passes unchanged."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error) or error from error
    except OSError as error:
        raise _graph_error(_ACCESS, type(error).__name__) from error


_OTHER_TABLES = ("no such table", "no such column", "table entries already exists")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "") or ""


def _translated(error: sqlite3.Error) -> LayerError | None:
    """Return what an error means, by SQLite's own name for it; None where it is a bug of ours."""
    name = _name(error)
    if not name and str(error).startswith("Could not decode"):  # bytes that are no UTF-8
        return _graph_error(_DAMAGED, "not-utf-8")
    if name == "SQLITE_ERROR" and str(error).startswith(_OTHER_TABLES):
        return _graph_error(_DAMAGED, "schema")
    return next((_graph_error(meaning, name) for prefix, meaning in _MEANINGS.items() if name.startswith(prefix)), None)


Meaning = tuple[str, str, ErrorClass]

_FORCE = (
    "Sync with force: graph.db is put aside and built again from what is known; only the history of changes is lost."
)
_ACCESS: Meaning = (
    "The knowledge graph's file graph.db can't be opened or written.",
    "Check who owns the brand's memory folder, and whether its disk is writable and well.",
    ErrorClass.UNAVAILABLE,
)
_DAMAGED: Meaning = ("The knowledge graph's file graph.db is damaged.", _FORCE, ErrorClass.UNAVAILABLE)
_NEWER: Meaning = (
    "The knowledge graph's file graph.db was written by a newer dm-memory.",
    "Update dm-memory on this machine.",
    ErrorClass.UNAVAILABLE,
)
_BUSY: Meaning = (
    "The knowledge graph's file graph.db is locked by another program.",
    "Close that program and sync again.",
    ErrorClass.UNAVAILABLE,
)
_REFUSED: Meaning = (
    "The knowledge graph refused an entry.",
    "Report it with the code; the other entries are stored.",
    ErrorClass.VALIDATION,
)
_FULL: Meaning = (
    "The disk is full, so the knowledge graph can't be written.",
    "Free some space, then sync again; what was not stored is queued.",
    ErrorClass.QUOTA,
)
_MEANINGS = {
    "SQLITE_FULL": _FULL,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_IOERR_SHORT_READ": _DAMAGED,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": _ACCESS,
    "SQLITE_CANTOPEN": _ACCESS,
    "SQLITE_IOERR": _ACCESS,
    "SQLITE_PERM": _ACCESS,
    "SQLITE_CONSTRAINT": _REFUSED,
    "SQLITE_TOOBIG": _REFUSED,
}


def is_damage(error: LayerError) -> bool:
    """Tell whether an error says that the file is damaged."""
    return error.problem == _DAMAGED[0]


def _graph_error(meaning: Meaning, code: str) -> LayerError:
    """Return an error of the graph's file."""
    problem, remedy, error_class = meaning
    return LayerError(problem, remedy, error_class=error_class, code=code)
