"""SQLite files of our own: made for nobody else to read, in WAL mode, with explicit transactions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["connect", "connect_to_write", "transaction"]

_POLL = 0.01


def connect(path: Path, busy_timeout: float, options: str) -> sqlite3.Connection:
    """Connect in autocommit mode: transactions are explicit. ``options``: of the file's URI (``mode=ro``)."""
    uri = path.absolute().as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(
        f"file:{uri}?{options}", uri=True, isolation_level=None, check_same_thread=False, timeout=busy_timeout
    )


def connect_to_write(path: Path, busy_timeout: float, pragmas: Sequence[str]) -> sqlite3.Connection:
    """Connect to a file that is made, with its folder, where it is missing; set what the connection needs.

    SQLite does not wait with its busy handler where two processes switch a new file to WAL, or one opens it while
    the last other one closes it; so the waiting is done here.

    Raises:
        OSError: The file can't be made.
        sqlite3.Error: It can't be used.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, 0o600))
    connection = connect(path, busy_timeout, "mode=rw")
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                connection.close()
                raise
            time.sleep(_POLL)
        except BaseException:
            connection.close()
            raise
        else:
            return connection


def _is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorname", "") or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Run the block between ``begin`` (``BEGIN``, ``BEGIN IMMEDIATE``) and a commit; undo it where it raises."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk rolls back by itself
            connection.execute("ROLLBACK")
        raise
