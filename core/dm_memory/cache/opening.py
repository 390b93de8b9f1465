"""Opening the cache: choose the engine, wait for others, set aside what is damaged."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import filelock

from dm_memory.cache.cache import Cache
from dm_memory.cache.engine import CacheBusyError, CacheDamagedError, CacheError, Engine
from dm_memory.cache.files import CacheFiles, busy, damaged, quarantine, unavailable
from dm_memory.errors import ConfigurationError
from dm_memory.findings import Finding

__all__ = ["CachePlace", "EngineChoice", "cache_place", "open_cache"]

EngineChoice = Literal["auto", "redb", "sqlite"]

_POLL_SECONDS = 0.01
_ATTEMPTS = 3
"""A new file that is damaged again means a failing disk."""


@dataclass(frozen=True, slots=True)
class CachePlace:
    """Where a brand's cache is. ``deadline``: seconds to wait for another process that uses it."""

    folder: Path
    engine: EngineChoice = "auto"
    deadline: float = 10.0

    @property
    def exists(self) -> bool:
        """Whether there is something to open. Raises ``ConfigurationError``."""
        return os.path.lexists(self.files.path)

    @property
    def files(self) -> CacheFiles:
        """The cache's files. Raises ``ConfigurationError``."""
        return CacheFiles(self.folder, _engine_name(self.engine))


def cache_place(memory_dir: Path) -> CachePlace:
    """Return where a brand's cache is: redb if its package is installed, else SQLite."""
    return CachePlace(memory_dir / "cache")


def open_cache(
    folder: Path,
    engine: EngineChoice = "auto",
    *,
    deadline: float = 10.0,
    verify: bool | None = None,
    set_aside: bool = True,
    share: bool = False,
) -> Cache:
    """Open the cache in ``folder``; make it if there is none. Blocks: call it on a worker thread.

    A file that is damaged, cut short, empty, of an older format or of another kind is set aside, and an empty cache
    returned whose ``findings`` say so.

    Args:
        folder: The brand's memory folder or one in it; made (0700) if missing.
        engine: ``auto`` takes redb if its package is installed, else SQLite.
        deadline: Seconds to wait for another process, here and in later writes.
        verify: Read and check the whole file; None: only if it was not closed in order, or was changed since.
        set_aside: False: a damaged file stays where it is, and is an error.
        share: Let other processes in between, if the engine admits only one; for whoever keeps the cache for long.

    Raises:
        CacheBusyError: Another process had it for longer than the deadline. Names it if it can.
        CacheDamagedError: The file is damaged, and is not to be set aside.
        CacheUnavailableError: The folder or the file can't be used.
        ConfigurationError: redb was asked for and is not installed.
    """
    files = CacheFiles(folder, _engine_name(engine))
    make = _maker(files.engine)
    until = time.monotonic() + deadline
    findings: list[Finding] = []
    files.make_folder()
    for _ in range(_ATTEMPTS):
        identity = files.identity()
        try:
            opened, identity = _open(files, make, deadline, until)
            doubtful = not opened.trusted
            _verify(opened, files, wanted=doubtful if verify is None else verify)
        except CacheDamagedError:
            if not set_aside:
                raise
            findings.append(quarantine(files, identity, _left(until)))
            continue
        if share and files.engine == "redb":
            from dm_memory.cache.redb import SharingEngine  # noqa: PLC0415  # an extra

            opened = SharingEngine(files, opened, partial(_reopen, files, make, deadline, identity))
        return Cache(opened, files, identity, findings, doubtful=doubtful)
    raise unavailable(files, "it is damaged each time it is made")


def _engine_name(engine: EngineChoice) -> str:
    installed = importlib.util.find_spec("dm_memory_redb") is not None
    if engine == "redb" and not installed:
        raise ConfigurationError(
            "The cache engine redb is not installed.", "Install dm-memory[redb], or choose the engine sqlite."
        )
    if engine == "auto":
        return "redb" if installed else "sqlite"
    return engine


def _maker(engine: str) -> Callable[[CacheFiles, float], Engine]:
    if engine == "redb":
        from dm_memory.cache.redb import RedbEngine  # noqa: PLC0415  # an extra

        return RedbEngine
    from dm_memory.cache.sqlite import SqliteEngine  # noqa: PLC0415  # as above: only what is used

    return SqliteEngine


def _open(
    files: CacheFiles, make: Callable[[CacheFiles, float], Engine], deadline: float, until: float
) -> tuple[Engine, int]:
    """Open the file under the lock that keeps others from moving it meanwhile. Return it and its identity."""
    try:
        with files.lock().acquire(timeout=_left(until)):
            files.begin_making()
            if not files.make() and files.path.stat().st_size == 0:
                raise damaged(files)
            opened = _wait(files, lambda: make(files, deadline), until)
            files.end_making()
            files.remove_older()
            return opened, files.identity()
    except filelock.Timeout:
        raise busy(files) from None
    except OSError as error:
        raise unavailable(files, error.strerror or type(error).__name__) from None


def _reopen(files: CacheFiles, make: Callable[[CacheFiles, float], Engine], deadline: float, identity: int) -> Engine:
    opened, found = _open(files, make, deadline, time.monotonic() + deadline)
    if found != identity:
        opened.close()
        raise damaged(files)  # somebody set the one we had aside
    _verify(opened, files, wanted=not opened.trusted)
    return opened


def _wait(files: CacheFiles, make: Callable[[], Engine], until: float) -> Engine:
    asked = False
    try:
        while True:
            try:
                return make()
            except CacheBusyError:
                if time.monotonic() >= until:
                    raise
                files.ask()
                asked = True
                time.sleep(_POLL_SECONDS)
    finally:
        if asked:
            files.withdraw()


def _verify(engine: Engine, files: CacheFiles, *, wanted: bool) -> None:
    try:
        if wanted and not engine.check_integrity():
            raise damaged(files)
    except CacheError:
        engine.close()
        raise


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())
