"""redb, through the binding in ``native/redb``: one process has the file at a time. Needs the extra ``redb``.

So it gives way: whoever finds the file taken leaves a note (``CacheFiles.ask``); whoever has it looks for notes between
its calls and, on a thread, while it has nothing to do, as when it waits for the durable store. It then closes the file,
leaves time for the other one to get in, and opens the file again with its next call. Nobody asks: nothing is closed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

import dm_memory_redb as redb

from dm_memory.cache.engine import CacheError, Engine, Pair, Space, Writer
from dm_memory.cache.files import CacheFiles, busy, closed, damaged, unavailable

__all__ = ["RedbEngine", "SharingEngine"]

_CACHE_BYTES = 32 * 1024 * 1024
"""Pages the engine may keep in memory; its own default is 1 GiB."""


_LOOK_SECONDS = 0.01
_WAY_SECONDS = 0.03
"""Longer than those who wait let pass between two tries."""


class RedbEngine:
    """The file, opened for this process alone.

    Args:
        files: Where it is; the file exists already, with private permissions, and may be empty.
        deadline: Seconds a write waits for another thread's.

    Raises:
        CacheBusyError: Another process has it open. Said at once: whoever wants to wait asks again.
        CacheDamagedError: It is no intact database of this version.
        CacheUnavailableError: It can't be opened.
    """

    name = "redb"

    def __init__(self, files: CacheFiles, deadline: float) -> None:
        self._files = files
        self._deadline = deadline
        self._errors = _Translation(files)
        with self._errors:
            self._database = redb.Database.open(files.path, cache_bytes=_CACHE_BYTES, checksums=files.beside("-sums"))
        files.write_note()

    @property
    def trusted(self) -> bool:
        """See ``Engine``. What is read of a trusted file is compared with checksums, block by block."""
        return self._database.verified

    def get_many(self, table: str, keys: Iterable[bytes], /) -> list[bytes | None]:
        """See ``Reader``."""
        with self._errors:
            return self._database.get_many(table, keys)

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
        with self._errors:
            return self._database.scan(table, start, end, limit=limit, reverse=reverse)

    def count(self, table: str) -> int:
        """See ``Engine``."""
        with self._errors:
            return self._database.count(table)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """See ``Engine``. Verifies the file before its first change: changing a damaged one can end the process."""
        if not self.trusted and not self.check_integrity():
            raise damaged(self._files)
        with self._errors, self._database.write(timeout=self._deadline) as transaction:
            yield transaction

    def check_integrity(self) -> bool:
        """See ``Engine``. The engine repairs what it can, which need not be what was stored: that is no success."""
        with self._errors:
            known = {space.value for space in Space}
            intact = self._database.check_integrity(timeout=self._deadline)
            return intact and known.issuperset(self._database.tables())

    def vouch(self) -> None:
        """See ``Engine``. The engine's own check covers values."""

    def file_bytes(self) -> int:
        """See ``Engine``."""
        with self._errors:
            return self._files.path.stat().st_size

    def close(self) -> None:
        """See ``Engine``."""
        if self._database.closed:
            return
        # The note goes first: once the file is free, the next holder writes its own.
        self._files.remove_note()
        with self._errors:
            self._database.close()


class _Translation:
    """Turns the binding's exceptions into ours. A class, because it stands around every read."""

    __slots__ = ("_files",)

    def __init__(self, files: CacheFiles) -> None:
        self._files = files

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, (redb.Error, OSError)):
            raise _ours(self._files, error) from None


def _ours(files: CacheFiles, error: redb.Error | OSError) -> CacheError:
    match error:
        case redb.Locked() | redb.Busy():
            return busy(files)
        case redb.Closed():
            return closed(files)
        case OSError():
            return unavailable(files, error.strerror or type(error).__name__)
        case _:
            # Corrupted, UpgradeRequired, and tables of other types than ours: none of it is a cache we can use.
            return damaged(files)


class SharingEngine:
    """An engine around one that is opened and closed as others need it.

    Args:
        files: The cache's files.
        engine: The engine, open.
        reopen: Opens it again, and raises ``CacheError`` if the file is not the one it was.
    """

    def __init__(self, files: CacheFiles, engine: Engine, reopen: Callable[[], Engine]) -> None:
        self._files = files
        self._engine: Engine | None = engine
        self._reopen = reopen
        self._turn = threading.RLock()
        self._over = threading.Event()
        self._depth = 0
        self._name = engine.name
        threading.Thread(target=self._watch, name="cache-sharing", daemon=True).start()

    @property
    def name(self) -> str:
        """See ``Engine``."""
        return self._name

    @property
    def trusted(self) -> bool:
        """See ``Engine``."""
        with self._used() as engine:
            return engine.trusted

    def get_many(self, table: str, keys: Iterable[bytes], /) -> list[bytes | None]:
        """See ``Reader``."""
        with self._used() as engine:
            return engine.get_many(table, keys)

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
        with self._used() as engine:
            return engine.scan(table, start, end, limit=limit, reverse=reverse)

    def count(self, table: str) -> int:
        """See ``Engine``."""
        with self._used() as engine:
            return engine.count(table)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """See ``Engine``."""
        with self._used() as engine, engine.write() as writer:
            yield writer

    def check_integrity(self) -> bool:
        """See ``Engine``."""
        with self._used() as engine:
            return engine.check_integrity()

    def vouch(self) -> None:
        """See ``Engine``."""
        with self._used() as engine:
            engine.vouch()

    def file_bytes(self) -> int:
        """See ``Engine``."""
        with self._used() as engine:
            return engine.file_bytes()

    def close(self) -> None:
        """See ``Engine``."""
        self._over.set()
        with self._turn:
            self._let_go()

    @contextmanager
    def _used(self) -> Iterator[Engine]:
        with self._turn:
            if self._over.is_set():
                raise closed(self._files)
            if self._engine is None:
                self._engine = self._reopen()
            self._depth += 1
            try:
                yield self._engine
            finally:
                self._depth -= 1
            self._give_way()

    def _give_way(self) -> None:
        if self._depth == 0 and self._engine is not None and self._files.is_asked_for():
            self._let_go()
            self._files.withdraw()
            time.sleep(_WAY_SECONDS)

    def _let_go(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _watch(self) -> None:
        """Give way while nobody here uses the file. An error comes again in the next call, which can report it."""
        while not self._over.wait(_LOOK_SECONDS):
            if self._turn.acquire(blocking=False):
                try:
                    self._give_way()
                except CacheError:
                    return
                finally:
                    self._turn.release()
