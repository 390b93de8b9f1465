"""Giving way: an engine that admits one process at a time lets go of its file when another process asks for it.

Whoever finds the file taken leaves a note (``CacheFiles.ask``); whoever holds it looks for notes between its calls and,
on a thread, while it has nothing to do, as when it waits for the durable store. It then closes the file, leaves time
for the other one to get in, and opens the file again with its next call. Nobody asks: nothing is closed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from dm_memory.cache.engine import CacheError, Engine, Pair, Writer
from dm_memory.cache.files import CacheFiles, closed

__all__ = ["SharingEngine"]

_LOOK_SECONDS = 0.01
_WAY_SECONDS = 0.03
"""Longer than those who wait let pass between two tries."""


class SharingEngine:
    """An engine around one that is opened and closed as others need it.

    Args:
        files: The cache's files.
        engine: The engine, open.
        reopen: Opens it again, and raises ``CacheError`` where the file is not the one it was.
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
        """Give way while nobody here uses the file. Trouble is met again by the next call, which can report it."""
        while not self._over.wait(_LOOK_SECONDS):
            if self._turn.acquire(blocking=False):
                try:
                    self._give_way()
                except CacheError:
                    return
                finally:
                    self._turn.release()
