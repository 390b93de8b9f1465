"""Opening memory.db: the only place that connects to it, prepares it and turns SQLite's errors into ours.

A folder, a pipe, a link or a sparse file of ten gigabytes is refused within a millisecond, and never followed or read:
the kind of file is looked at before SQLite sees it, and its size is compared with its own page count afterwards.
Nothing else in this process may open and close the file: that would drop SQLite's locks on it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from dm_memory.errors import DamagedStoreError, HomeError, StoreError, system_reason
from dm_memory.store.files import is_file, make_private_folder, size_of, sqlite_uri
from dm_memory.store.from_0_2.files import is_home_0_2
from dm_memory.store.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

__all__ = [
    "FILE_NAME",
    "Store",
    "connect_to_read",
    "is_present",
    "open_copy",
    "open_store",
    "read_store",
    "reading",
    "store_errors",
]

FILE_NAME = "memory.db"

_BUSY_SECONDS = 30.0
_POLL_SECONDS = 0.01
_Answer = TypeVar("_Answer")


class Store:
    """An open memory.db. One thread at a time; every method may raise ``StoreError``.

    Args:
        connection: In autocommit mode; transactions are explicit.
        path: The file, for messages.
        brand: The brand's slug.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, brand: str) -> None:
        self.connection = connection
        self.path = path
        self.brand = brand

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit everything inside, or nothing; returns after the disk has it."""
        with store_errors(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:  # SQLite ends it by itself if the disk is full
                    self.connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError) and self.rows("PRAGMA integrity_check(1)") != [("ok",)]:
                    raise _damaged(self.path, "is damaged") from error  # an index that lies, not a bug of ours
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Provide one state of the database for several queries."""
        with store_errors(self.path):
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def rows(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with store_errors(self.path):
            return self.connection.execute(sql, arguments).fetchall()

    def value(self, sql: str, arguments: Sequence[object] = ()) -> int:
        """Return the one number a query asks for; 0 if it finds nothing."""
        rows = self.rows(sql, arguments)
        return int(rows[0][0] or 0) if rows else 0

    def meta(self, name: str) -> str:
        """Return a stored fact, or ""."""
        rows = self.rows("SELECT value FROM meta WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    def meta_json(self, name: str) -> Any:  # noqa: ANN401  # as it was stored
        """Return a stored fact that is JSON, None if there is none or damage has made it unreadable."""
        try:
            return orjson.loads(self.meta(name) or "null")
        except orjson.JSONDecodeError:
            return None

    def set_meta(self, name: str, value: str) -> None:
        """Store a fact; inside or outside a transaction. "" removes it."""
        with store_errors(self.path):
            if value:
                self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
            else:
                self.connection.execute("DELETE FROM meta WHERE name = ?", (name,))

    def ticks(self, count: int) -> range:
        """Take moments of the store's clock: microseconds since 1970, strictly increasing in the order of commits.

        Inside a transaction; see decision 0013.
        """
        last = int(self.meta("clock") or 0)
        first = max(last + 1, time.time_ns() // 1000)
        self.set_meta("clock", str(first + count - 1))
        return range(first, first + count)

    def close(self) -> None:
        """Close the connection; the last one folds the log into the file. Idempotent."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()


def open_store(memory_dir: Path, brand: str, busy_seconds: float = _BUSY_SECONDS, *, name: str = FILE_NAME) -> Store:
    """Open a brand's memory for writing; it is made, with its folder, if it is missing.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        busy_seconds: How long to wait for another process that writes.
        name: Of the file; another one while a takeover builds it.

    Raises:
        HomeError: The folder or the file can't be made.
        DamagedStoreError: The file is damaged, or no memory at all; a sync sets it aside.
        StoreError: It can't be opened, or a newer program wrote it.
    """
    path = memory_dir / name
    _inspect(path)
    try:
        make_private_folder(memory_dir)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
    except OSError as error:
        reason, remedy = system_reason(error)
        raise HomeError(f"The memory folder {memory_dir} can't be written ({reason}).", remedy) from error
    with store_errors(path):
        connection = _connect_to_write(path, brand, busy_seconds)
    return Store(connection, path, brand)


def _connect_to_write(path: Path, brand: str, busy_seconds: float, *, shared: bool = True) -> sqlite3.Connection:
    """Connect, with a rollback journal if the file system can't share memory between processes, as WAL needs it.

    Only trying shows it: SQLite switches to WAL first and fails then.
    """
    connection = _connect(path, "mode=rw", busy_seconds)
    try:
        if not shared:
            _leave_wal(connection)
        _check_size(connection, path)
        version = _version(connection, path)  # before anything is written into a file that may be another program's
        shared = shared and not (version and _is_without_wal(connection, path))
        _prepare(connection, time.monotonic() + busy_seconds, wal=shared)
        _migrate(connection, path, brand)
        if not shared and not _is_without_wal(connection, path):
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_WITHOUT_WAL, str(path.stat().st_dev)))
    except sqlite3.OperationalError as error:
        connection.close()
        if not shared or not _lacks_shared_memory(path, error):
            raise
        return _connect_to_write(path, brand, busy_seconds, shared=False)
    except BaseException:
        connection.close()
        raise
    return connection


_WITHOUT_WAL = "without_wal"
"""The stored fact that names the device on which WAL was tried and failed: it is not tried again at each opening."""


def _is_without_wal(connection: sqlite3.Connection, path: Path) -> bool:
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (_WITHOUT_WAL,)).fetchone()
    return found is not None and found[0] == str(path.stat().st_dev)


def _lacks_shared_memory(path: Path, error: sqlite3.OperationalError) -> bool:
    name = _name(error)
    return name.startswith(("SQLITE_IOERR_SHM", "SQLITE_PROTOCOL", "SQLITE_CANTOPEN")) and not _system_limit(path, name)


def _leave_wal(connection: sqlite3.Connection) -> None:
    """Give the database a rollback journal; a connection that has it alone needs no shared memory for that."""
    for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "locking_mode = NORMAL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("SELECT 1 FROM sqlite_master").fetchall()  # gives the lock back


@contextlib.contextmanager
def read_store(memory_dir: Path, brand: str) -> Iterator[Store | None]:
    """Provide a brand's memory for reading, None if there is none. Writes nothing and waits for no sync.

    In a folder that can't be written, SQLite can't share a log with others: without a log the file is read as it is;
    with one, private copies of both are read.

    Raises:
        DamagedStoreError: The file is damaged, or no memory at all.
        StoreError: It can't be read, or a newer program wrote it.
    """
    path = memory_dir / FILE_NAME
    with store_errors(path):
        is_old = is_home_0_2(memory_dir)
    if is_old:
        message = f"The memory of {brand} was made by version 0.2."
        raise StoreError(message, "Sync this brand once: its memory is taken over, and nothing is lost.")
    with connect_to_read(path) as connection:
        if connection is None:
            yield None
            return
        with store_errors(path):
            version = _version(connection, path)
        yield Store(connection, path, brand) if version else None


@contextlib.contextmanager
def connect_to_read(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Provide a connection that reads a database file of whatever layout; None if there is no file.

    Raises:
        DamagedStoreError: The file is damaged, or no database.
        StoreError: It can't be read.
    """
    if not _inspect(path):
        yield None
        return
    with contextlib.ExitStack() as stack:
        with store_errors(path):
            connection = stack.enter_context(contextlib.closing(_connect_to_read(path, stack)))
            _check_size(connection, path)
        yield connection


def open_copy(memory_dir: Path, brand: str) -> Store:
    """Return a private copy in memory, an empty one if the brand was never synced: what a dry run plans on."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    path = memory_dir / FILE_NAME
    try:
        with read_store(memory_dir, brand) as source:
            if source is not None:
                source.connection.backup(copy)
        _migrate(copy, path, brand)
    except BaseException:
        copy.close()
        raise
    return Store(copy, path, brand)


def is_present(memory_dir: Path) -> bool:
    """Return whether the brand has a memory. Raises ``DamagedStoreError`` if what is there can't be one.

    An empty file is none: a process was killed before it filled it, or somebody emptied it.
    """
    path = memory_dir / FILE_NAME
    return _inspect(path) and path.stat().st_size > 0


def _connect(path: Path, options: str, busy_seconds: float) -> sqlite3.Connection:
    uri = sqlite_uri(path, options)
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_seconds)


def _connect_to_read(path: Path, stack: contextlib.ExitStack) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        connection = _connect(path, "mode=rw", _BUSY_SECONDS)
        try:
            connection.execute("PRAGMA page_count").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            if not _lacks_shared_memory(path, error):
                raise
            connection = _connect(path, "mode=rw", _BUSY_SECONDS)
            _leave_wal(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection
    if not log.exists() or not log.stat().st_size:
        return _connect(path, "mode=ro&immutable=1", _BUSY_SECONDS)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dm-memory-", ignore_cleanup_errors=True)))
    for file in (path, log):
        shutil.copyfile(file, folder / file.name)
    return _connect(folder / path.name, "mode=rw", _BUSY_SECONDS)


def _inspect(path: Path) -> bool:
    """Return whether there is a file that can be a memory. Raises ``DamagedStoreError`` if something else is there.

    Only its name is looked at: opening and closing a file drops the locks that SQLite has on it in the whole process
    (POSIX), and another process would then delete a log that is still being written.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        reason, remedy = system_reason(error)
        raise StoreError(f"The memory {path} can't be opened ({reason}).", remedy) from error
    if not stat.S_ISREG(status.st_mode):
        raise _damaged(path, "is a link, a folder or a device")
    with store_errors(path):
        for suffix in ("-wal", "-shm", "-journal"):
            is_file(path.with_name(path.name + suffix))  # else it is refused: SQLite would follow and open it
    return True


def _check_size(connection: sqlite3.Connection, path: Path) -> None:
    """Compare the file's size with its own page count: what the log can't explain is no database of ours."""
    # Measured first: others may be writing. A checkpoint writes pages before it writes the header.
    size = path.stat().st_size
    log = size_of(path.with_name(f"{path.name}-wal"))
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])  # a file that is too short fails here
    page_size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    if size > pages * page_size + log:
        raise _damaged(path, "is larger than its contents")
    if size % page_size and not log:
        raise _damaged(path, "is damaged")


def _damaged(path: Path, what: str) -> DamagedStoreError:
    return DamagedStoreError(
        f"The memory {path} {what}.", "Run a sync: it sets the file aside and builds the memory again."
    )


_OF_A_NEW_FILE = ("page_size = 8192", "auto_vacuum = INCREMENTAL")
"""Into a file that is in use, SQLite would write the second at every opening, and wait for the disk."""
_PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "journal_size_limit = 33554432",
    "temp_store = MEMORY",
    "cache_size = -32768",
    "wal_autocheckpoint = 4000",  # as much as the log may keep: pages that change in every chunk are copied once
)


def _prepare(connection: sqlite3.Connection, deadline: float, *, wal: bool) -> None:
    """Set what the connection needs.

    SQLite does not wait with its busy handler while two processes switch a new file to WAL, or while one opens it as
    the last other one closes it; so the waiting is done here.
    """
    pragmas = (*(("journal_mode = WAL",) if wal else ()), *_PRAGMAS)
    if sys.platform == "darwin":
        pragmas += ("fullfsync = ON",)
    while True:
        try:
            is_new = connection.execute("PRAGMA page_count").fetchone()[0] == 0
            for pragma in (*_OF_A_NEW_FILE, *pragmas) if is_new else pragmas:
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.OperationalError as error:
            if not _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path, brand: str) -> None:
    """Bring the tables up to date, with the record of it in the same transaction."""
    if _version(connection, path) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, path)
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";\n"):
                connection.execute(statement)
        if version == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("INSERT INTO meta VALUES ('brand', ?)", (brand,))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version, 0 for an empty file; all of it is read in one statement: others may be migrating."""
    version, application, tables = connection.execute(
        "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),"
        " (SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    if application not in {0, APPLICATION_ID} or (application == 0) != (version == 0) or (tables and not version):
        raise _damaged(path, "was made by another program")
    if version > SCHEMA_VERSION:
        message = f"The memory {path} was written by a newer dm-memory (format {version})."
        raise StoreError(message, "Update dm-memory on this computer.")
    return int(version)


_MEANINGS = (
    ("SQLITE_FULL", "The disk is full, so the memory {path} can't be written.", "Free some space and sync again."),
    ("SQLITE_READONLY", "The memory {path} can't be written.", "Make the brand's memory folder writable."),
    ("SQLITE_PERM", "The memory {path} can't be written.", "Make the brand's memory folder writable."),
    (
        "SQLITE_CANTOPEN",
        "The memory {path} can't be opened.",
        "Make the brand's memory folder readable and writable, and check the limit on open files.",
    ),
    ("SQLITE_BUSY", "The memory {path} is locked by another program.", "Close that program and try again."),
    ("SQLITE_LOCKED", "The memory {path} is locked by another program.", "Close that program and try again."),
    (
        "SQLITE_IOERR",
        "The memory {path} can't be read or written: the disk reports an error.",
        "Check the disk's space and health, then sync again.",
    ),
    ("SQLITE_TOOBIG", "A text is too large for the memory {path}.", "Shorten the text in its source, then sync again."),
)
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR_SHORT_READ")
_FOREIGN = ("no such table", "no such column", "malformed database schema")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "") or ""


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's and the file system's errors into ours. A bug of ours (wrong types) passes unchanged."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) or error from error
    except UnicodeDecodeError as error:  # SQLite's own message quotes a damaged schema
        raise _damaged(path, "is damaged") from error
    except OSError as error:
        reason, remedy = system_reason(error)
        raise StoreError(f"The memory {path} can't be read or written ({reason}).", remedy) from error


def _translated(path: Path, error: sqlite3.Error) -> StoreError | None:
    name, text = _name(error), str(error)
    no_text = not name and text.startswith("Could not decode")  # bytes that are no UTF-8
    if no_text or name.startswith(_DAMAGE) or (name == "SQLITE_ERROR" and text.startswith(_FOREIGN)):
        return _damaged(path, "is damaged")
    if limit := _system_limit(path, name):
        reason, remedy = limit
        return StoreError(f"The memory {path} can't be read or written ({reason}).", remedy)
    for prefix, problem, remedy in _MEANINGS:
        if name.startswith(prefix):
            return StoreError(problem.format(path=path), remedy)
    return None


_LONGEST_PATH = 504
"""Bytes: SQLite's own limit, less the longest ending of the files beside the database."""
_DESCRIPTORS = 4
_PROBE = bytes(1 << 16)


def _system_limit(path: Path, name: str) -> tuple[str, str] | None:
    """Return which limit of the system made SQLite fail, which says no more than that it can't open or write."""
    if name.startswith("SQLITE_CANTOPEN") and len(os.fsencode(path.absolute())) > _LONGEST_PATH:
        return system_reason(OSError(errno.ENAMETOOLONG, ""))
    if not name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR")):
        return None
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(_DESCRIPTORS):  # as many as SQLite opens
                stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123  # no path of ours
            if name.startswith("SQLITE_IOERR"):
                with tempfile.TemporaryFile(dir=path.parent) as file:
                    file.write(_PROBE)
    except OSError as error:
        return system_reason(error)
    return system_reason(OSError(errno.EFBIG, "")) if name in _GROWING and _is_size_limited() else None


_GROWING = frozenset({"SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE"})


def _is_size_limited() -> bool:
    """Return whether this process may not make files of any size."""
    try:
        import resource  # noqa: PLC0415  # Windows has none, and no such limit
    except ImportError:
        return False
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def reading(memory_dir: Path, brand: str, question: Callable[[Store | None], _Answer]) -> _Answer:
    """Return what ``question`` finds in the memory, in one state of it. Raises as ``read_store`` does."""
    with read_store(memory_dir, brand) as store:
        if store is None:
            return question(None)
        with store.snapshot():
            return question(store)
