"""A sync without a terminal, which a hook started.

    python -m dm_memory_server.hooks.detached HOME EVENT CLAIM [SECONDS]

Of one brand one runs and one waits; further ones leave at once, because the one that waits will see what is there now.
While one waits it keeps the claim, a file, alive: hooks that see it start nothing. It lives for ``LIFETIME`` seconds at
most: what it stored until then is stored. Its log says how it ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from dm_memory.store.files import is_file
from dm_memory_server.hooks.events import brand_of_session
from dm_memory_server.hooks.log_files import append_line, hook_log, open_log, own_folder, rotate

if TYPE_CHECKING:
    from dm_memory.results import SyncResult

__all__ = ["LIFETIME", "main"]

LIFETIME = 600.0
"""Seconds, those it waits for another one included."""

_RENEWED = 5.0
_POLL = 0.1
_NICE = 10


def _lock(home: Path, brand: str, kind: str) -> filelock.FileLock:
    # A brand's name may be too long for a longer one.
    name = hashlib.sha256(brand.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = own_folder(home, "hooks") / f"{name}.{kind}"
    is_file(path)  # a pipe or a device is never opened
    return filelock.FileLock(path, mode=0o600, thread_local=False)


@contextlib.contextmanager
def _turn(home: Path, brand: str, claim: Path) -> Iterator[bool]:
    """Wait until this process may sync the brand; False at once if another one waits."""
    waiting, running = _lock(home, brand, "waiting"), _lock(home, brand, "running")
    if not _taken(waiting):
        yield False
        return
    _follow_rotated(hook_log(home))
    renewed = time.monotonic()
    while not _taken(running):  # the watchdog ends it
        time.sleep(_POLL)
        if time.monotonic() - renewed > _RENEWED:
            renewed = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(claim)
    try:
        claim.unlink(missing_ok=True)
        waiting.release()
        yield True
    finally:
        running.release()


def _taken(lock: filelock.FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    return True


def _follow_rotated(log: Path) -> None:
    """Put the log aside if it is too large, and write to the new one; nobody else does so meanwhile."""
    rotate(log)
    with contextlib.suppress(OSError):
        descriptor = open_log(log)
        for number in (1, 2):
            os.dup2(descriptor, number)
        os.close(descriptor)


def main() -> None:
    """Sync, write how that ended to the log, and end the process; never raises."""
    root, event, claim, *rest = sys.argv[1:]
    home = Path(root)
    record = _Record(home, event)
    _die_after(float(rest[0]) if rest else LIFETIME, record)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    code = 0
    try:
        found = brand_of_session(home)
        if found is None:
            Path(claim).unlink(missing_ok=True)
        else:
            _, brand = found
            record.who = f"{brand} {event}"
            _run(home, brand, Path(claim), record)
    except BaseException as error:  # noqa: BLE001  # the log is all there is
        record(_words(error))
        code = 1
    finally:
        os._exit(code)


def _run(home: Path, brand: str, claim: Path, record: _Record) -> None:
    """Sync when it is this process's turn."""
    with _turn(home, brand, claim) as mine:
        if mine:
            record(f"started, process {os.getpid()}")
            started = time.monotonic()
            words = _synced(home, brand)
            record(f"{words}, {time.monotonic() - started:.1f} s")


class _Record:
    """Writes lines to the log; a disk that is full is no reason to stop."""

    def __init__(self, home: Path, who: str) -> None:
        self._log = hook_log(home)
        self.who = who

    def __call__(self, words: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError):
            append_line(self._log, f"{moment} {self.who}: {words}")


def _die_after(seconds: float, record: _Record) -> None:
    def die() -> None:
        record(f"stopped after {seconds:g} s; what was stored so far is recorded, and the next sync resumes there")
        os._exit(1)

    watchdog = threading.Timer(seconds, die)
    watchdog.daemon = True
    watchdog.start()


def _synced(home: Path, brand: str) -> str:
    """Sync and return how that ended, in words."""
    import asyncio  # noqa: PLC0415  # only the one whose turn it is needs the core

    from dm_memory.requests import SyncRequest  # noqa: PLC0415  # as above
    from dm_memory_server.logs import log_to_stderr  # noqa: PLC0415  # as above
    from dm_memory_tools.runtime import open_memory  # noqa: PLC0415  # as above

    log_to_stderr()

    async def sync() -> SyncResult:
        memory = open_memory(home=home)
        try:
            return await memory.sync(SyncRequest(brand=brand))
        finally:
            await memory.close()

    result = asyncio.run(sync())
    counts = result.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{result.status}: {counts.stored} stored{failed}, {counts.queued} queued"


def _words(error: BaseException) -> str:
    """Return an error as the log has it: our own in words, of any other the type and where it came from."""
    from dm_memory.errors import DmMemoryError, limit_of_system  # noqa: PLC0415  # only for an error
    from dm_memory_tools.bugs import log_bug  # noqa: PLC0415  # as above

    known = error if isinstance(error, DmMemoryError) else isinstance(error, Exception) and limit_of_system(error)
    if isinstance(known, DmMemoryError):
        return f"nothing was done. {known.problem} {known.remedy}"
    log_bug(error, "syncing for a hook")
    return f"unexpected {type(error).__name__}"


if __name__ == "__main__":
    main()
