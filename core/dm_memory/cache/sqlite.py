"""SQLite as the cache's engine, where redb is not installed: any number of processes read, one writes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain
from types import TracebackType

from dm_memory.cache.engine import CacheDamagedError, CacheError, Pair, Space, Writer
from dm_memory.cache.files import CacheFiles, busy, closed, damaged, unavailable

__all__ = ["SqliteEngine"]

# Rows of some kilobytes are faster in a table with an index beside it, bare keys in the index alone.
_INDEXES = frozenset({Space.ORDER, Space.CHILDREN, Space.META})
_SCHEMA = {
    space.value: f"CREATE TABLE {space.value} (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)"
    + (" WITHOUT ROWID" if space in _INDEXES else "")
    for space in Space
}


def _statements(template: str) -> dict[str, str]:
    return {space.value: template.format(table=space.value) for space in Space}


_LOG_PAGES = 4096
"""Pages of 8 KiB in the write-ahead log before it is folded into the file: pages written often are folded in once."""

_AT_ONCE = 250
_GET = {
    (space.value, count): f"SELECT key, value FROM {space.value} WHERE key IN ({', '.join('?' * count)})"  # noqa: S608
    for space in Space
    for count in (1, _AT_ONCE)
}
_PUT = _statements("INSERT INTO {table} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
_PUT_AT_ONCE = {name: sql.replace("(?, ?)", ", ".join(["(?, ?)"] * _AT_ONCE)) for name, sql in _PUT.items()}
"""For each statement the module lets go of the interpreter; with one for many rows others can work meanwhile."""
_DELETE = _statements("DELETE FROM {table} WHERE key = ?")
_COUNT = _statements("SELECT count(*) FROM {table}")
# A bound that is not given is one that is true for every key: X'' is the smallest blob, and texts sort before blobs.
_SCAN = _statements("SELECT key, value FROM {table} WHERE key >= ? AND (? IS NULL OR key < ?) ORDER BY key LIMIT ?")
_SCAN_BACK = _statements(
    "SELECT key, value FROM {table} WHERE key >= ? AND (? IS NULL OR key < ?) ORDER BY key DESC LIMIT ?"
)


class SqliteEngine:
    """The file, opened. It serves as its own writer: a transaction is a state of the connection.

    Args:
        files: Where it is; the file exists already, with private permissions, and may be empty.
        deadline: Seconds a write waits for another process's or thread's.

    Raises:
        CacheBusyError: Another process kept it for itself longer than the deadline.
        CacheDamagedError: It is no intact database, or not one of ours.
        CacheUnavailableError: It can't be opened.
    """

    name = "sqlite"

    def __init__(self, files: CacheFiles, deadline: float) -> None:
        self._files = files
        self._deadline = deadline
        self._closed = False
        self._turn = threading.RLock()
        self._errors = _Translation(files, self._turn)
        self._trusted = self._vouched = files.is_sealed()
        with self._errors:
            self._connection = sqlite3.connect(
                files.path, timeout=deadline, isolation_level=None, check_same_thread=False
            )
        # SQLite takes some short files of another kind for new databases; ours are new if they are empty.
        new = files.path.stat().st_size == 0
        try:
            with self._errors:
                self._prepare(new=new)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, *, new: bool) -> None:
        # Only blobs are stored. Where damage turned one into a text, its bytes come back, which need not be UTF-8.
        self._connection.text_factory = bytes
        if new:
            self._connection.execute("PRAGMA page_size = 8192")
            self._connection.execute("PRAGMA journal_mode = WAL")
            with self.write():
                for statement in _SCHEMA.values():
                    self._connection.execute(statement)
            self._trusted = self._vouched = True
        schema = "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"
        if dict(self._connection.execute(schema)) != {name.encode(): sql.encode() for name, sql in _SCHEMA.items()}:
            raise damaged(self._files)
        # In WAL mode NORMAL survives a killed process; only a loss of power can cost the last pages, which the sync
        # then reads again, because the watermark went with them.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")

    @property
    def trusted(self) -> bool:
        """See ``Engine``."""
        return self._trusted and not self._errors.damage

    def get_many(self, table: str, keys: Iterable[bytes], /) -> list[bytes | None]:
        """See ``Reader``."""
        wanted = list(keys)
        found: dict[bytes, object] = {}
        with self._errors:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                # One text for every length: filled up with NULL, which equals nothing.
                filled = some if len(some) == 1 else [*some, *[None] * (_AT_ONCE - len(some))]
                found.update(self._connection.execute(_GET[table, len(filled)], filled))
        return [None if key not in found else _blob(found[key]) for key in wanted]

    def scan(
        self,
        table: str,
        start: bytes | None = None,
        end: bytes | None = None,
        /,
        *,
        limit: int = 1000,
        reverse: bool = False,
    ) -> list[Pair]:
        """See ``Reader``."""
        statement = (_SCAN_BACK if reverse else _SCAN)[table]
        with self._errors:
            rows = self._connection.execute(statement, (start or b"", end, end, limit)).fetchall()
        return [(_blob(key), _blob(value)) for key, value in rows]

    def count(self, table: str) -> int:
        """See ``Engine``."""
        with self._errors:
            return int(self._connection.execute(_COUNT[table]).fetchone()[0])

    def put_many(self, table: str, items: Iterable[Pair], /) -> None:
        """See ``Writer``."""
        pairs = list(items)
        whole = len(pairs) - len(pairs) % _AT_ONCE
        for start in range(0, whole, _AT_ONCE):
            some = chain.from_iterable(pairs[start : start + _AT_ONCE])
            self._connection.execute(_PUT_AT_ONCE[table], tuple(some))
        self._connection.executemany(_PUT[table], pairs[whole:])

    def delete_many(self, table: str, keys: Iterable[bytes], /) -> None:
        """See ``Writer``."""
        self._connection.executemany(_DELETE[table], ((key,) for key in keys))

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """See ``Engine``."""
        if not self._turn.acquire(timeout=self._deadline):
            raise busy(self._files)
        try:
            with self._errors:
                self._connection.execute("BEGIN IMMEDIATE")
                self._files.write_note()
                try:
                    yield self
                    self._connection.execute("COMMIT")
                except BaseException:
                    # If the file is the reason, this fails as well; the error on its way out says why.
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                    raise
        finally:
            self._turn.release()

    def check_integrity(self) -> bool:
        """See ``Engine``. Finds broken pages and indexes; values have checksums of their own."""
        with self._errors:
            verdict = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        self._trusted = bool(verdict == (b"ok",))
        return self._trusted

    def vouch(self) -> None:
        """See ``Engine``. SQLite's own check looks at pages, not at what is in them."""
        self._vouched = True

    def file_bytes(self) -> int:
        """See ``Engine``."""
        return sum(path.stat().st_size for path in self._files.all() if path.exists())

    def close(self) -> None:
        """See ``Engine``. The last one out takes the write-ahead log along, and leaves the seal."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            with closing(self._connection):
                self._files.remove_note()
            if self.trusted and self._vouched and not self._files.beside("-wal").exists():
                self._files.seal()


class _Translation:
    """Lets one thread in at a time, turns SQLite's exceptions into ours. A class: it stands around every read."""

    __slots__ = ("_files", "_turn", "damage")

    def __init__(self, files: CacheFiles, turn: threading.RLock) -> None:
        self._files = files
        self._turn = turn
        self.damage = False

    def __enter__(self) -> None:
        self._turn.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._turn.release()
        if isinstance(error, (sqlite3.Error, UnicodeDecodeError)) and (ours := _ours(self._files, error)):
            self.damage = self.damage or isinstance(ours, CacheDamagedError)
            raise ours from None


_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA})
_UNAVAILABLE = {
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_AUTH: "permission denied",
}


def _blob(value: object) -> bytes:
    """Return a stored value. What damage made a number or NULL becomes no frame, and so is found to be damaged."""
    return value if isinstance(value, bytes) else b""


def _ours(files: CacheFiles, error: sqlite3.Error | UnicodeDecodeError) -> CacheError | None:
    """Return our error for SQLite's, or None for one that is a bug of ours and goes on as it is."""
    if isinstance(error, UnicodeDecodeError):
        return damaged(files)  # SQLite's message quotes the damage, and Python could not read it
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # The module's own complaint, not the engine's: the connection is closed.
        return closed(files) if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error) else None
    if code & 0xFF in _BUSY:
        return busy(files)
    if code & 0xFF in _DAMAGED or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return damaged(files)
    return unavailable(files, _UNAVAILABLE[code & 0xFF]) if code & 0xFF in _UNAVAILABLE else None
