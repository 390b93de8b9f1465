"""The files of version 0.2: whether they are there, and their rows as far as they can be read, damaged or not.

Nothing is written into their folder.
"""

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
from dm_memory.store.schema import APPLICATION_ID

__all__ = [
    "DURABLE",
    "GRAPH",
    "REGISTRY",
    "UNFINISHED",
    "OldFile",
    "Row",
    "is_file",
    "is_home_0_2",
    "is_registry_of_newer_version",
    "nothing",
    "opened",
]

UNFINISHED = "memory.db.new"
"""The store that a takeover builds; complete as soon as ``registry.db`` says that a newer version was here."""

REGISTRY = "registry.db"
DURABLE = "memory.db"
GRAPH = "graph.db"

_NEWER = 2
_HEADER_BYTES = 100
_SQLITE = b"SQLite format 3\0"

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


@dataclass(frozen=True, slots=True)
class _Header:
    """What the first bytes of a regular file say (SQLite's documentation, "Database File Format", section 1.3)."""

    application: int = 0
    version: int = 0
    pages: int = 0

    @classmethod
    def of(cls, path: Path) -> _Header | None:
        """Return the header; an empty one for a file that is no database or can't be read; None without a file."""
        if not is_file(path):
            return None
        try:
            with path.open("rb") as file:
                data = file.read(_HEADER_BYTES)
        except OSError:
            return cls()  # whoever opens it finds out why
        if len(data) < _HEADER_BYTES or not data.startswith(_SQLITE):
            return cls()
        return cls(*(int.from_bytes(data[start : start + 4], "big") for start in (68, 60, 28)))


def is_home_0_2(memory_dir: Path) -> bool:
    """Return whether 0.2's files wait to be taken over, or a takeover to be finished. Reads a few headers.

    memory.db is opened only if other files of 0.2 stand beside it: in a home of ours that would drop SQLite's locks on
    it in the whole process (see ``database``).
    """
    registry = _Header.of(memory_dir / REGISTRY)
    if registry is not None and registry.version >= _NEWER:
        return is_file(memory_dir / UNFINISHED)
    graph = _Header.of(memory_dir / GRAPH)
    if registry is None and graph is None and not (memory_dir / "vector").is_dir():
        return False
    durable = _Header.of(memory_dir / DURABLE)
    if durable is not None and durable.application == APPLICATION_ID:
        return False
    is_old = durable is not None and durable.version == 0 and durable.pages > 1  # ours has one before it has tables
    return registry is not None or graph is not None or is_old


def is_registry_of_newer_version(memory_dir: Path) -> bool:
    """Return whether ``registry.db`` makes 0.2 stop, as it stands there since a takeover had built its store."""
    registry = _Header.of(memory_dir / REGISTRY)
    return registry is not None and registry.version >= _NEWER
