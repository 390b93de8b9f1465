"""SQLite files of version 0.2, read as far as they can be, damaged or not. Nothing is written into their folder."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from dm_memory.store.files import sqlite_uri

__all__ = ["OldFile", "Row", "is_file", "nothing", "opened"]

Row = dict[str, Any]
"""A row by the names of its columns; ``rowid`` is among them."""

_SMALL_STEPS = 200
"""Row numbers that are tried one by one behind a bad page; further steps double. A page contains fewer rows."""

_LAST_ROW = 2**62


@dataclass(slots=True)
class OldFile:
    """A file of 0.2's, open. ``damaged`` becomes true when something in it can't be read.

    Attributes:
        header: ``application_id`` and ``user_version``, or None if the file is no database any more.
    """

    connection: sqlite3.Connection
    damaged: bool = False
    header: tuple[int, int] | None = None
    tables: frozenset[str] = field(default=frozenset())

    def look(self) -> None:
        """Read what the file says of itself."""
        try:
            application: int = self.connection.execute("PRAGMA application_id").fetchone()[0]
            version: int = self.connection.execute("PRAGMA user_version").fetchone()[0]
            self.header = application, version
            names = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            self.tables = frozenset(name for (name,) in names)
        except sqlite3.DatabaseError as error:
            self._note(error)

    def has_format(self, version: int) -> bool:
        """Return whether the file is of this format of 0.2's, or so damaged that it may be."""
        return self.header is None or (self.header == (0, version) and bool(self.tables or self.damaged))

    def rows(self, table: str, sql: str) -> list[Row]:
        """Return all rows that can be read; ``sql`` reads, by their numbers, those above a given one."""
        if table not in self.tables:
            return []
        try:
            cursor = self.connection.execute(sql, (0,))
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
            if all(row[0] < following[0] for row, following in pairwise(rows)):
                return [dict(zip(names, row, strict=True)) for row in rows]
            self.damaged = True
        except sqlite3.DatabaseError as error:
            self._note(error)
        return list(self._salvaged(f"{sql} LIMIT 1"))

    def _salvaged(self, sql: str) -> Iterator[Row]:
        """Yield the rows of a damaged table: one by one, for a row is lost that is read together with a bad page."""
        self.connection.text_factory = _readable
        after, failures = 0, 0
        while after <= _LAST_ROW:
            values = None
            try:
                cursor = self.connection.execute(sql, (after,))
                if (values := cursor.fetchone()) is None:
                    return
            except sqlite3.DatabaseError as error:
                self._note(error)
            if values is None or values[0] <= after:  # the end of a page that was cut is read as zeros
                failures += 1
                after += 1 << max(0, failures - _SMALL_STEPS)
            else:
                after, failures = values[0], 0
                yield dict(zip((column[0] for column in cursor.description), values, strict=True))

    def table(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a table without row numbers, up to the first that can't be read."""
        found: list[tuple[Any, ...]] = []
        while table in self.tables:
            try:
                found.extend(self.connection.execute(sql))
            except sqlite3.DatabaseError as error:
                self._note(error)
                if self.connection.text_factory is str:
                    self.connection.text_factory = _readable
                    found.clear()
                    continue
            break
        return found

    def _note(self, error: sqlite3.DatabaseError) -> None:
        """Note that the file is damaged. Raises ``OSError`` if it is the disk, or memory, that fails."""
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(_NOT_THE_FILE) and name != "SQLITE_IOERR_SHORT_READ":
            raise OSError(f"A file of version 0.2 can't be read ({name}).") from error
        self.damaged = True


def _readable(data: bytes) -> str:
    """Return a text of a damaged file; hashes show what is not as it was."""
    return data.decode("utf-8", "replace")


_NOT_THE_FILE = ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_NOMEM", "SQLITE_PERM", "SQLITE_BUSY")


@contextmanager
def opened(path: Path) -> Iterator[OldFile | None]:
    """Provide a file to read, as it is: with a log beside it, a private copy of both; None if there is none."""
    with ExitStack() as stack:
        if not is_file(path):
            yield None
            return
        path.open("rb").close()  # SQLite would not say why it can't
        log, options = path.with_name(path.name + "-wal"), "mode=ro&immutable=1"
        if is_file(log) and log.stat().st_size:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dm-memory-")))
            shutil.copyfile(log, folder / log.name)
            path, options = Path(shutil.copyfile(path, folder / path.name)), "mode=rw"
        try:
            connection = sqlite3.connect(sqlite_uri(path, options), uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise OSError(f"{path} can't be opened.") from error
        database = OldFile(stack.enter_context(closing(connection)))
        # The first lets a file be read that ends too early; the others distrust what is in it.
        for pragma in ("writable_schema = ON", "trusted_schema = OFF", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}")
        database.look()
        yield database


def nothing(stack: ExitStack) -> OldFile:
    """Provide a file without tables, in the place of one that is not there."""
    return OldFile(stack.enter_context(closing(sqlite3.connect(":memory:"))))


def is_file(path: Path) -> bool:
    """Return whether there is a file; a link, a pipe or a folder of that name is none of 0.2's."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
