"""Turns between processes at an engine that only one process can have open."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from dm_memory.errors import ErrorClass, LayerError

__all__ = ["Turns"]

_POLL = 0.01
"""Seconds between two looks at a lock someone else holds."""


class Turns:
    """A fair lock on files: a turnstile before the door.

    Whoever wants in passes the turnstile (``turn.lock``), waits there for the door (``engine.lock``) and leaves the
    turnstile once inside. So a holder can see that someone waits, and a holder that comes back at once queues behind.
    Both are advisory locks of the operating system: they go with the process that held them.

    Not for several threads at a time.

    Args:
        folder: Where the lock files are; made (0700) when the first turn is taken.
        timeout: Seconds to wait for a turn.
    """

    def __init__(self, folder: Path, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout
        self._turnstile = _lock(folder / "turn.lock")
        self._door = _lock(folder / "engine.lock")
        self._holder = folder / "holder.json"

    @property
    def held(self) -> bool:
        """Whether it is this object's turn."""
        return self._door.is_locked

    def take(self) -> None:
        """Wait for the turn; nothing to do where it is ours already.

        Raises:
            LayerError: Class unavailable: it took longer than the timeout. Names the holder.
            OSError: The lock files can't be made.
        """
        if self.held:
            return
        deadline = time.monotonic() + self._timeout
        try:
            with self._turnstile.acquire(timeout=self._timeout):
                self._door.acquire(timeout=max(0.0, deadline - time.monotonic()))
        except Timeout:
            raise self._too_long() from None
        self._holder.write_text(json.dumps({"pid": os.getpid(), "since": datetime.now().astimezone().isoformat()}))
        self._holder.chmod(0o600)

    def wanted(self) -> bool:
        """Tell whether another process waits for the turn."""
        try:
            self._turnstile.acquire(timeout=0)
        except Timeout:
            return True
        self._turnstile.release()
        return False

    def give_up(self) -> None:
        """Let the next one in. Idempotent."""
        if self.held:
            self._door.release()

    def _too_long(self) -> LayerError:
        return LayerError(
            f"The brand's vector database was in use for more than {self._timeout:g} seconds by {self._who()}.",
            "Wait until it is done, or end that process, then try again.",
            error_class=ErrorClass.UNAVAILABLE,
            code="busy",
        )

    def _who(self) -> str:
        """Name the holder as far as the file beside the lock tells; it is written after the lock is taken."""
        try:
            holder = json.loads(self._holder.read_bytes())
            return f"process {int(holder['pid'])} since {datetime.fromisoformat(holder['since']):%H:%M:%S}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _lock(path: Path) -> FileLock:
    # A turn may be taken on one thread and given up on another (idle, close): the lock belongs to the object. The file
    # stays: unlinking it between two processes that are about to lock it would let both in.
    return FileLock(path, mode=0o600, thread_local=False, poll_interval=_POLL, preserve_lock_file=True)
