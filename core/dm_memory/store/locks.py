"""One sync per brand at a time, over any number of processes: a lock file, and beside it a note on who has it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import filelock
import orjson

from dm_memory.errors import HomeError, LockTimeoutError, system_reason
from dm_memory.requests import Progress
from dm_memory.store.files import is_file, make_private_folder, read_own, write_atomic
from dm_memory.text.timestamps import Clock, to_iso

__all__ = ["brand_lock", "lock_holder"]

_LOCK = ".sync.lock"
_NOTE = ".sync.holder.json"
_NOTE_BYTES = 4096
_POLL_SECONDS = 0.05


@contextlib.asynccontextmanager
async def brand_lock(
    memory_dir: Path, deadline: float, clock: Clock, progress: Progress, stop: asyncio.Event | None = None
) -> AsyncIterator[float]:
    """Hold the brand. Yields the seconds it waited; says so through ``progress`` while it waits.

    Raises:
        LockTimeoutError: Another process locked the brand for longer than ``deadline`` seconds.
        HomeError: The lock file can't be made.
        CancelledError: ``stop`` was set while it waited.
    """
    try:
        make_private_folder(memory_dir)
        is_file(memory_dir / _LOCK)  # a pipe or a device is never opened
    except OSError as error:
        raise _unwritable(memory_dir, error) from error
    lock = filelock.FileLock(memory_dir / _LOCK, mode=0o600, thread_local=False)
    started = time.monotonic()
    await _acquire(lock, memory_dir, deadline, progress, stop or asyncio.Event())
    try:
        _leave_note(memory_dir, clock)
        yield time.monotonic() - started
    finally:
        with contextlib.suppress(OSError):  # a note that stays means nothing once the lock is free
            (memory_dir / _NOTE).unlink(missing_ok=True)
        lock.release()


def _leave_note(memory_dir: Path, clock: Clock) -> None:
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": to_iso(clock()),
        "program": Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python",
    }
    try:
        write_atomic(memory_dir / _NOTE, orjson.dumps(note), durable=False)
    except OSError as error:
        raise _unwritable(memory_dir, error) from error


async def _acquire(
    lock: filelock.BaseFileLock, memory_dir: Path, patience: float, progress: Progress, stop: asyncio.Event
) -> None:
    deadline = time.monotonic() + patience
    said = ""
    while True:
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            holder = lock_holder(memory_dir) or "another process"
        except OSError as error:
            raise _unwritable(memory_dir, error) from error
        else:
            return
        if time.monotonic() >= deadline:
            message = (
                f"{holder[0].upper()}{holder[1:]} has been syncing this brand for longer than {patience:g} seconds."
            )
            raise LockTimeoutError(message, "Wait for it to finish, or stop it, and sync again.", holder)
        if holder != said:
            said = holder
            await progress(f"Waiting for another sync of this brand: {holder}", 0, 0)
        await asyncio.sleep(_POLL_SECONDS)
        if stop.is_set():
            raise asyncio.CancelledError


def lock_holder(memory_dir: Path) -> str:
    """Describe who locked the brand, or return "" if there is no note. The note of a killed process may remain."""
    try:
        note = orjson.loads(read_own(memory_dir / _NOTE, _NOTE_BYTES))
        return f"process {int(note['pid'])} on {note['host']} ({note['program']}), since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_locked(memory_dir: Path) -> bool:
    """Return whether a sync is running, without writing anything and without disturbing it."""
    path = memory_dir / _LOCK
    try:
        if not is_file(path) or not os.access(path, os.W_OK):
            return False
    except OSError:
        return False  # no sync can lock that
    lock = filelock.FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except (filelock.Timeout, OSError):
        return True
    lock.release()
    return False


def _unwritable(memory_dir: Path, error: OSError) -> HomeError:
    reason, remedy = system_reason(error)
    return HomeError(f"The memory folder {memory_dir} can't be written ({reason}).", remedy)
