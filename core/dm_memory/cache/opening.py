"""Opening the cache: choose the engine, wait for others, set aside what is damaged."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import filelock

from dm_memory.cache.engine import CacheBusyError, CacheDamagedError, CacheError, Engine
from dm_memory.cache.files import CacheFiles, busy, damaged, quarantine, unavailable
from dm_memory.cache.protocol import Cache
from dm_memory.cache.sharing import SharingEngine
from dm_memory.errors import ConfigurationError
from dm_memory.findings import Finding

__all__ = ["EngineChoice", "cache_path", "open_cache"]

EngineChoice = Literal["auto", "redb", "sqlite"]

_POLL_SECONDS = 0.01
_ATTEMPTS = 3
"""A new file that is damaged again means a failing disk."""


def open_cache(
    folder: Path,
    engine: EngineChoice = "auto",
    *,
    deadline: float = 10.0,
    verify: bool | None = None,
    set_aside: bool = True,
    share: bool = False,
) -> Cache:
    """Open the cache in ``folder``; make it where there is none. Blocks: call it on a worker thread.

    A file that is damaged, cut short, empty, of an older format or of another kind is set aside, and an empty cache
    returned whose ``findings`` say so.

    Args:
        folder: The brand's memory folder or one in it; made (0700) where missing.
        engine: ``auto`` takes redb where its package is installed, else SQLite.
        deadline: Seconds to wait for another process, here and in later writes.
        verify: Read the whole file and check it; None: where it was not closed in order, or was changed since.
            Without it damage shows when it is met.
        set_aside: False: a damaged file stays where it is, and is an error.
        share: Let other processes in between, where the engine admits only one; for whoever keeps the cache for long.

    Raises:
        CacheBusyError: Another process had it for longer than the deadline. Names it where it can.
        CacheDamagedError: The file is damaged, and is not to be set aside.
        CacheUnavailableError: The folder or the file can't be used.
        ConfigurationError: redb was asked for and is not installed.
    """
    files = CacheFiles(folder, _engine_name(engine))
    make = _maker(files.engine)
    until = time.monotonic() + deadline
    findings: list[Finding] = []
    _make_folder(files)
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
            opened = SharingEngine(files, opened, partial(_reopen, files, make, deadline, identity))
        return Cache(opened, files, identity, findings, doubtful=doubtful)
    raise unavailable(files, "it is damaged each time it is made")


def cache_path(folder: Path, engine: EngineChoice = "auto") -> Path:
    """Return the file that ``open_cache`` opens or makes. Raises ``ConfigurationError``."""
    return CacheFiles(folder, _engine_name(engine)).path


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


def _make_folder(files: CacheFiles) -> None:
    try:
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unavailable(files, error.strerror or type(error).__name__) from None


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
