"""The durable store as a SQLite file: the default, and libSQL's own file format.

The standard library's module on a thread of its own. The ``libsql`` and ``pyturso`` packages were weighed and left: the
first holds the GIL through queries and hangs on silent servers, the second locks out every other process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.turso.statement import Row, SchemaMismatchError, Statement
from dm_memory.services.turso.store import SqlStore
from dm_memory.sqlite_files import connect, connect_to_write, transaction

__all__ = ["FILE_NAME", "SqliteEngine", "open_sqlite_store"]

FILE_NAME = "memory.db"

_Result = TypeVar("_Result")

"""Seconds between two tries to open a file that others are opening or closing."""


def open_sqlite_store(memory_dir: Path, brand: str, *, busy_timeout: float = 10.0) -> SqlStore:
    """Return the durable store in a brand's memory folder. Nothing is opened or made before it is used.

    Args:
        memory_dir: The folder; made (0700) by the first write.
        brand: The brand's slug.
        busy_timeout: Seconds to wait for another process that writes.
    """
    return SqlStore(SqliteEngine(memory_dir / FILE_NAME, busy_timeout), brand)


class SqliteEngine:
    """One connection on one thread. Other processes may have the file open; readers never wait for writers (WAL)."""

    def __init__(self, path: Path, busy_timeout: float = 10.0) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def name(self) -> str:
        """For people."""
        return "SQLite file"

    @property
    def remote(self) -> bool:
        """It is not: one thread answers everything."""
        return False

    @property
    def batch_rows(self) -> int:
        """Each commit waits for the disk, which at 256 rows was most of the cost of a row."""
        return 2048

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Return each statement's rows, all of one state of the file. A file that is not there reads as empty."""
        return await self._on_thread(self._read, statements)

    async def write(self, statements: Sequence[Statement]) -> None:
        """Commit all statements, or none; returns after the disk has them."""
        await self._on_thread(self._write, statements)

    async def close(self) -> None:
        """Close the file; SQLite folds its log into it."""
        if self._thread is not None:
            await self._on_thread(self._close)
            self._thread.shutdown(wait=True)
            self._thread = None

    async def _on_thread(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="durable")
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        with self._errors():
            if self._connection is None and not self._path.exists():
                with contextlib.closing(sqlite3.connect(":memory:")) as nothing:
                    return [nothing.execute(each.sql, each.arguments).fetchall() for each in statements]
            with self._transaction("BEGIN") as connection:
                return [connection.execute(each.sql, each.arguments).fetchall() for each in statements]

    def _write(self, statements: Sequence[Statement]) -> None:
        with self._errors(), self._transaction("BEGIN IMMEDIATE") as connection:
            for statement in statements:
                connection.execute(statement.sql, statement.arguments)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with self._errors():
                connection.close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connection or self._open()
        with transaction(connection, begin):
            yield connection

    def _open(self) -> sqlite3.Connection:
        writable = os.access(self._path if self._path.exists() else self._path.parent, os.W_OK)
        if not writable and self._path.exists():
            return self._keep(connect(self._path, self._busy_timeout, "mode=ro" + self._immutable()))
        return self._keep(connect_to_write(self._path, self._busy_timeout, _PRAGMAS))

    def _keep(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        self._connection = connection
        return connection

    def _immutable(self) -> str:
        """Without a log beside the file nobody writes it; SQLite then needs to make no files to read it."""
        return "" if self._path.with_name(self._path.name + "-wal").exists() else "&immutable=1"

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's and the file system's errors into ours. A bug of ours (wrong SQL) passes unchanged."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error) or error from error
        except OSError as error:
            raise _error(_ACCESS, type(error).__name__) from error


_PRAGMAS = ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY")

_FORCE = "Move memory.db out of the brand's memory folder and sync with force: it is built again from what is known."
_ACCESS = (
    "The durable store's file memory.db can't be opened or written.",
    "Check who owns the brand's memory folder, and whether its disk is writable and well.",
    ErrorClass.UNAVAILABLE,
)
_DAMAGED = ("The durable store's file memory.db is damaged.", _FORCE, ErrorClass.UNAVAILABLE)
_BUSY = (
    "The durable store's file memory.db is locked by another program.",
    "Close that program and sync again.",
    ErrorClass.UNAVAILABLE,
)
_REFUSED = (
    "The durable store refused an entry.",
    "Report it with the code; the other entries are stored.",
    ErrorClass.VALIDATION,
)
_MEANINGS = {
    "SQLITE_FULL": (
        "The disk is full, so the durable store can't be written.",
        "Free some space, then sync again; what was not stored is queued.",
        ErrorClass.QUOTA,
    ),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": _ACCESS,
    "SQLITE_CANTOPEN": _ACCESS,
    "SQLITE_IOERR": _ACCESS,
    "SQLITE_PERM": _ACCESS,
    "SQLITE_CONSTRAINT": _REFUSED,
    "SQLITE_TOOBIG": _REFUSED,
}


def _translated(error: sqlite3.Error) -> LayerError | None:
    """Return what an error means, by SQLite's own name for it; None where it is a bug of ours."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_ERROR" and str(error).startswith(("no such table", "no such column")):
        return SchemaMismatchError()
    if not name and str(error).startswith("Could not decode"):  # bytes that are no UTF-8, written by another program
        return _error(_DAMAGED, "not-utf-8")
    for prefix, meaning in _MEANINGS.items():
        if name.startswith(prefix):
            return _error(meaning, name)
    return None


def _error(meaning: tuple[str, str, ErrorClass], code: str) -> LayerError:
    problem, remedy, error_class = meaning
    return LayerError(problem, remedy, error_class=error_class, code=code)
