"""memory.db as the durable store: read through its views, and never written from here.

So is a database of another program in its place. One connection, on a thread of its own, for as long as the store is
open; it waits for nobody who writes (WAL).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dm_memory.errors import DamagedStoreError, ErrorClass, ServiceError, StoreError
from dm_memory.services.turso.schema import Row, SchemaMismatchError, Statement
from dm_memory.services.turso.store import DurableStore
from dm_memory.store.database import FILE_NAME, connect_to_read, store_errors

__all__ = ["open_memory"]


def open_memory(memory_dir: Path, brand: str) -> DurableStore:
    """Return the durable store in a brand's memory folder. Nothing is opened before it is used, nothing ever made."""
    return DurableStore(_MemoryEngine(memory_dir / FILE_NAME), brand)


class _MemoryEngine:
    """Statements on memory.db. A file that is not there reads as empty."""

    name = FILE_NAME
    remote = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = contextlib.ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Return each statement's rows, all of one state of the file."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="memory-db")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, statements)

    async def close(self) -> None:
        """Close the file. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    def _read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        with _as_service_errors(self._path):
            connection = self._connection = self._connection or self._stack.enter_context(connect_to_read(self._path))
            if connection is None:
                with contextlib.closing(sqlite3.connect(":memory:")) as nothing:
                    return [nothing.execute(each.sql, each.arguments).fetchall() for each in statements]
            connection.execute("BEGIN")
            try:
                return [connection.execute(each.sql, each.arguments).fetchall() for each in statements]
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _close(self) -> None:
        self._connection = None
        with _as_service_errors(self._path):
            self._stack.close()


@contextlib.contextmanager
def _as_service_errors(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite, the file system and the store into a durable store's. A bug passes unchanged."""
    try:
        with store_errors(path):
            try:
                yield
            except sqlite3.OperationalError as error:
                if str(error).startswith(("no such table", "no such column")):
                    raise SchemaMismatchError from None
                raise
    except StoreError as error:
        code = "damaged" if isinstance(error, DamagedStoreError) else getattr(error.__cause__, "sqlite_errorname", "")
        raise ServiceError(
            error.problem, error.remedy, error_class=ErrorClass.UNAVAILABLE, code=code or "memory-db"
        ) from error
