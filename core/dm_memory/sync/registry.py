"""The registry: what this machine knows about each item in each layer. One SQLite file per brand.

It is the transactional outbox of a sync: items and what is due for them are written ahead in one transaction, and each
confirmation of a layer is committed at once. Everything else in ``memory/`` that is ours is derived from it.

Tables:
    runs: One row per run; a row that still says ``running`` while its lock is free was interrupted.
    files: The digest of each source file as it was last taken in, so that unchanged bytes are not parsed again.
    items: The wanted state: text, hashes, metadata. ``duplicate_of`` points at the item that holds the same text.
    deliveries: The state of each item in each layer: what is stored there (hashes), what is due, what failed.
        SQLite takes the small index of what is due only for a query that says ``state <> 1``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from dm_memory.errors import HomeError, RegistryError

__all__ = ["FILE_NAME", "Registry", "open_snapshot", "open_writer", "read_registry"]

FILE_NAME = "registry.db"
SCHEMA_VERSION = 1

_MORE_READINGS = 4
_Answer = TypeVar("_Answer")

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, started_at TEXT NOT NULL, finished_at TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL, scope TEXT NOT NULL, holder TEXT NOT NULL DEFAULT '', counts TEXT NOT NULL DEFAULT '{}');
CREATE TABLE files (
    path TEXT PRIMARY KEY, digest BLOB, fingerprint TEXT NOT NULL, items INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE items (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, content_type TEXT NOT NULL,
    source TEXT NOT NULL, content TEXT NOT NULL, content_hash TEXT NOT NULL, metadata_hash TEXT NOT NULL,
    details TEXT NOT NULL, recorded_at TEXT NOT NULL, origin TEXT NOT NULL, created_at TEXT NOT NULL,
    version INTEGER NOT NULL, updated_from TEXT NOT NULL DEFAULT '', duplicate_of INTEGER,
    sticky_tags TEXT NOT NULL DEFAULT '', sticky_type TEXT NOT NULL DEFAULT '', prepared_hash TEXT NOT NULL DEFAULT '',
    tie_of TEXT NOT NULL DEFAULT '', source_digest TEXT NOT NULL DEFAULT '', run INTEGER NOT NULL);
CREATE INDEX items_by_hash ON items (content_hash) WHERE duplicate_of IS NULL;
CREATE INDEX items_by_type ON items (content_type) WHERE duplicate_of IS NULL;
CREATE INDEX items_by_owner ON items (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX items_tied ON items (tie_of) WHERE tie_of <> '';
CREATE INDEX items_prepared ON items (prepared_hash) WHERE prepared_hash <> '';
CREATE TABLE deliveries (
    layer TEXT NOT NULL, seq INTEGER NOT NULL, state INTEGER NOT NULL, run INTEGER NOT NULL, action TEXT NOT NULL,
    content_hash TEXT NOT NULL DEFAULT '', metadata_hash TEXT NOT NULL DEFAULT '', stored_at TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (layer, seq)) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (layer, seq) WHERE state <> 1;
CREATE TABLE foreign_index (content_hash TEXT PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID;
"""


@contextlib.contextmanager
def registry_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's and the file system's errors into ours. A bug of ours (wrong SQL, wrong types) passes unchanged."""
    try:
        yield
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        raise _translated(path, name) or error from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError):
            raise
        raise _damaged(path) from error


_REMEDIES = {
    "SQLITE_FULL": (
        "The disk is full, so the registry {path} can't be written.",
        "Free some space and sync again.",
    ),
    "SQLITE_READONLY": (
        "The registry {path} can't be written.",
        "Make the brand's memory folder writable.",
    ),
    "SQLITE_CANTOPEN": (
        "The registry {path} can't be opened.",
        "Make the brand's memory folder readable and writable.",
    ),
    "SQLITE_BUSY": (
        "The registry {path} is locked by another program.",
        "Close that program and try again.",
    ),
    "SQLITE_IOERR": (
        "The registry {path} can't be read or written: the disk reports an error.",
        "Check the disk's space and health, then sync again.",
    ),
}


def _translated(path: Path, name: str) -> RegistryError | None:
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return _damaged(path)
    for prefix, (problem, remedy) in _REMEDIES.items():
        if name.startswith(prefix):
            return RegistryError(problem.format(path=path), remedy)
    return None


class DamagedRegistryError(RegistryError):
    """The registry's file is damaged; a sync sets it aside and builds it again."""


def _damaged(path: Path) -> DamagedRegistryError:
    return DamagedRegistryError(
        f"The registry {path} is damaged.", "Run a sync: it sets the file aside and builds the registry again."
    )


class Registry:
    """An open registry. One thread at a time; every method may raise ``RegistryError``.

    Args:
        connection: In autocommit mode; transactions are explicit.
        path: For messages.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit everything inside, or nothing."""
        with registry_errors(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # SQLite ends it by itself where the disk is full
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, arguments: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with registry_errors(self.path):
            return self.connection.execute(sql, arguments).fetchall()

    def tuples(self, sql: str, arguments: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query as plain tuples: what hot loops unpack."""
        with registry_errors(self.path):
            cursor = self.connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, arguments).fetchall()

    def value(self, sql: str, arguments: tuple[object, ...] = ()) -> int:
        """Return the one number a query asks for; 0 where it finds nothing."""
        with registry_errors(self.path):
            row = self.connection.execute(sql, arguments).fetchone()
        return int(row[0] or 0) if row else 0

    def meta(self, name: str) -> str:
        """Return a stored fact, or ""."""
        with registry_errors(self.path):
            row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def set_meta(self, name: str, value: str) -> None:
        """Store a fact; inside or outside a transaction."""
        with registry_errors(self.path):
            self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the connection; SQLite folds its log into the file."""
        self.connection.close()


def open_writer(memory_dir: Path) -> Registry:
    """Open the registry of a brand for writing, creating it and its folder where they are missing.

    Raises:
        HomeError: The folder can't be made.
        RegistryError: The file can't be opened; ``DamagedRegistryError`` where it is no registry any more.
    """
    path = memory_dir / FILE_NAME
    if path.is_symlink() or path.is_dir():
        raise _damaged(path)  # never followed: it is set aside as it is
    try:
        memory_dir.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        message = f"The memory folder {memory_dir} can't be written ({error.strerror})."
        raise HomeError(message, "Make the folder writable, or free space, and sync again.") from error
    with registry_errors(path):
        connection = _connect(f"file:{_quoted(path)}?mode=rw")
        try:
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: the write-ahead rows of a session learning exist nowhere else; a power cut must not take them.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA temp_store = MEMORY")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return Registry(connection, path)


def open_snapshot(memory_dir: Path) -> Registry:
    """Return a private in-memory copy of the registry; an empty one where the brand was never synced.

    Writes nothing, takes no lock that a sync would wait for, works on a read-only home. Dry runs plan on it.
    """
    return read_registry(memory_dir, _copied)


def _copied(source: Registry) -> Registry:
    copy = _connect(":memory:")
    try:
        with registry_errors(source.path):
            source.connection.backup(copy)
    except BaseException:
        copy.close()
        raise
    return Registry(copy, source.path)


def read_registry(memory_dir: Path, question: Callable[[Registry], _Answer]) -> _Answer:
    """Return what ``question`` finds in the registry; in an empty one where the brand was never synced.

    Never waits for a sync and writes nothing. ``question`` may be asked again: a file that nobody seemed to write is
    read without locks, and what was read while a sync came and folded its log into it is worth nothing.
    """
    path = memory_dir / FILE_NAME
    for last in (*[False] * _MORE_READINGS, True):
        before = _state_of(path)
        try:
            answer = _answer(path, question)
        except DamagedRegistryError:
            if last or _state_of(path) == before:
                raise
            continue
        if _state_of(path) == before:
            break
    return answer


def _answer(path: Path, question: Callable[[Registry], _Answer]) -> _Answer:
    connection = _open_reader(path)
    registry = Registry(connection, path) if connection else empty_registry(path.parent)
    with contextlib.closing(registry):
        return question(registry)


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def empty_registry(memory_dir: Path) -> Registry:
    """Return an empty registry in memory: what a dry run of a never synced brand plans on."""
    connection = _connect(":memory:")
    _migrate(connection, memory_dir / FILE_NAME)
    return Registry(connection, memory_dir / FILE_NAME)


def _open_reader(path: Path) -> sqlite3.Connection | None:
    if path.is_symlink() or path.is_dir():
        raise _damaged(path)
    if not path.exists():
        return None
    with registry_errors(path):
        # Without a log beside it nobody writes; `immutable` then keeps SQLite from making files where we only read.
        logged = path.with_name(path.name + "-wal").exists()
        connection = _connect(f"file:{_quoted(path)}?mode=ro" + ("" if logged else "&immutable=1"))
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("SELECT name FROM meta LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            connection.close()
            if "no such table" in str(error):
                return None  # another process is creating it this very moment
            raise
        except BaseException:
            connection.close()
            raise
    _check_version(version, path)
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def _quoted(path: Path) -> str:
    return path.as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables, with the record of it in the same transaction."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _check_version(version, path)
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_version(version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        message = f"The registry {path} was written by a newer dm-memory (format {version})."
        raise RegistryError(message, "Update dm-memory on this machine.")
