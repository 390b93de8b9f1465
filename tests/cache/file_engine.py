"""The durable store's tables in a SQLite file, written by its own statements: a shared store without a server."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.turso.schema import Row, SchemaMismatchError, Statement
from dm_memory.services.turso.writing import SharedStore

__all__ = ["FileEngine", "file_store"]


def file_store(memory_dir: Path, brand: str) -> SharedStore:
    """Return a store in the file that the product reads as memory.db."""
    return SharedStore(FileEngine(memory_dir / "memory.db"), brand)


class FileEngine:
    """An engine that writes, with the errors of a server. Blocks the loop, which a test can bear.

    No connection outlives a call, as in the product.
    """

    name = "memory.db"
    remote = False
    batch_rows = 2048

    def __init__(self, path: Path) -> None:
        self._path = path

    async def connect(self) -> None:
        pass

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        with self._opened(":memory:" if not self._path.exists() else self._path) as connection:
            return [connection.execute(each.sql, each.arguments).fetchall() for each in statements]

    async def write(self, statements: Sequence[Statement]) -> None:
        self._path.parent.mkdir(exist_ok=True)
        with self._opened(self._path) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in statements:
                    connection.execute(statement.sql, statement.arguments)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    async def close(self) -> None:
        pass

    @contextlib.contextmanager
    def _opened(self, path: Path | str) -> Iterator[sqlite3.Connection]:
        with _errors(), contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            yield connection


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ServiceError("Refused.", "", error_class=ErrorClass.VALIDATION, code=error.sqlite_errorname) from error
    except sqlite3.OperationalError as error:
        if "no such" in str(error) or "has no column named" in str(error):
            raise SchemaMismatchError from None
        raise
