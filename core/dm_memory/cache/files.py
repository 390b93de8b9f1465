"""The cache's files: where they are, who holds them, and the quarantine for damaged ones."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock

from dm_memory.cache.engine import (
    CacheBusyError,
    CacheClosedError,
    CacheDamagedError,
    CacheUnavailableError,
)
from dm_memory.cache.findings import quarantined
from dm_memory.findings import Finding

__all__ = ["CacheFiles", "busy", "closed", "damaged", "quarantine", "unavailable"]

_FORMAT = 1
"""Part of the file's name: other versions of this program use other files, and take none for damaged."""

_KEPT = 2
"""Quarantined files that stay for whoever wants to look; older ones go, so that a failing disk does not fill up."""

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class CacheFiles:
    """The files of one cache: ``{folder}/cache.v1.redb``, and what the engines keep beside it."""

    folder: Path
    engine: str

    @property
    def path(self) -> Path:
        """The database."""
        return self.folder / f"cache.v{_FORMAT}.{self.engine}"

    def all(self) -> list[Path]:
        """Every file the engine may keep, the database first."""
        return [self.path, *map(self.beside, ("-wal", "-shm", "-sums", "-seal"))]

    def beside(self, suffix: str) -> Path:
        """Return the file that has this at the end of its name: SQLite's log, redb's checksums, the seal."""
        return self.path.with_name(self.path.name + suffix)

    @property
    def _note(self) -> Path:
        return self.folder / f"cache.v{_FORMAT}.{self.engine}.holder.json"

    def lock(self) -> filelock.BaseFileLock:
        """Return the lock under which files are made and moved; held for moments, never while the cache is used."""
        # The lock file stays: unlinking it between two processes that are about to lock it would let both in.
        path = self.folder / f"cache.v{_FORMAT}.{self.engine}.lock"
        return filelock.FileLock(
            path, mode=0o600, thread_local=False, poll_interval=_POLL_SECONDS, preserve_lock_file=True
        )

    def make(self) -> bool:
        """Make the database's file, empty and private, where there is none. Return whether it did.

        Raises:
            CacheUnavailableError: It can't be made, or is a link: links out of the home are refused.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except FileExistsError:
            if self.path.is_symlink():
                raise unavailable(self, "it is a link") from None
            return False
        except OSError as error:
            raise unavailable(self, error.strerror or type(error).__name__) from None
        os.close(descriptor)
        return True

    @property
    def _making(self) -> Path:
        return self.folder / f"cache.v{_FORMAT}.{self.engine}.making"

    def begin_making(self) -> None:
        """Note that the database is being made, so that one whose maker was killed is not taken for a damaged one.

        To be called under ``lock``. What such a maker left behind never held anything, and goes.

        Raises:
            OSError: The folder can't be written.
        """
        if self._making.exists():
            for path in self.all():
                path.unlink(missing_ok=True)
        elif not self.path.exists():
            self._making.touch(0o600)

    def end_making(self) -> None:
        """Note that the database is one."""
        self._making.unlink(missing_ok=True)

    def identity(self) -> int:
        """Return a number that is another one once the file is replaced; 0 where there is none."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return 0

    def seal(self) -> None:
        """Note what the database looks like now that nobody has it open: found so again, it needs no examination.

        A change that leaves size, time and inode is not seen by this: values have checksums, and the engine says what
        is no database. A seal that can't be written costs an examination.
        """
        seal = self.beside("-seal")
        with contextlib.suppress(OSError):
            seal.touch(0o600)
            seal.write_text(self._appearance())

    def is_sealed(self) -> bool:
        """Tell whether the database looks as it did when it was closed in order, and no log holds changes to it."""
        try:
            log = self.beside("-wal")
            changes = log.stat().st_size if log.exists() else 0
            return not changes and self.beside("-seal").read_text() == self._appearance()
        except (OSError, ValueError):
            return False

    def _appearance(self) -> str:
        found = self.path.stat()
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}\n"

    @property
    def _request(self) -> Path:
        return self.folder / f"cache.v{_FORMAT}.{self.engine}.wanted"

    def ask(self) -> None:
        """Ask whoever holds the file to let go of it for a moment."""
        with contextlib.suppress(OSError):
            self._request.touch(0o600)

    def is_asked_for(self) -> bool:
        """Tell whether somebody waits for the file."""
        return self._request.exists()

    def withdraw(self) -> None:
        """Take the request back, or note that it was met."""
        with contextlib.suppress(OSError):
            self._request.unlink()

    def write_note(self) -> None:
        """Say who holds the file. A note that can't be written is only missing from an error message."""
        note = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat()}
        with contextlib.suppress(OSError):
            self._note.touch(0o600)
            self._note.write_text(json.dumps(note))

    def remove_note(self) -> None:
        """Take the note back if it is this process's."""
        with contextlib.suppress(OSError):
            if self._noted().get("pid") == os.getpid():
                self._note.unlink()

    def holder(self) -> str:
        """Say in words who holds the file, as far as the note tells; that of a killed process may linger."""
        noted = self._noted()
        try:
            return f"process {int(str(noted['pid']))} since {datetime.fromisoformat(str(noted['since'])):%H:%M:%S} UTC"
        except (KeyError, TypeError, ValueError):
            return "another process"

    def _noted(self) -> dict[str, object]:
        try:
            noted = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}


def quarantine(files: CacheFiles, identity: int, deadline: float) -> Finding:
    """Move a damaged database beside itself; every connection of this process to it is closed.

    Args:
        files: The cache's files.
        identity: What ``files.identity()`` was when the damage was found: if another process replaced the file
            meanwhile, the new one stays.
        deadline: Seconds to wait for another process that is making or moving files.

    Raises:
        CacheBusyError: It took longer than the deadline.
        CacheUnavailableError: The file can't be moved.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    place = files.path.with_name(f"{files.path.name}.damaged-{stamp}")
    try:
        with files.lock().acquire(timeout=deadline):
            if files.identity() == identity:
                _move(files, place)
                _prune(files)
    except filelock.Timeout:
        raise busy(files) from None
    except OSError as error:
        raise unavailable(files, error.strerror or type(error).__name__) from None
    return quarantined(place.name)


def _move(files: CacheFiles, place: Path) -> None:
    for path in files.all():
        with contextlib.suppress(FileNotFoundError):
            path.rename(place.with_name(place.name + path.name.removeprefix(files.path.name)))


def _prune(files: CacheFiles) -> None:
    kept = sorted(files.folder.glob(f"{files.path.name}.damaged-*Z"))
    for old in kept[:-_KEPT]:
        for path in files.folder.glob(f"{old.name}*"):
            path.unlink(missing_ok=True)


def busy(files: CacheFiles) -> CacheBusyError:
    """Return the error for a cache that another process has."""
    holder = files.holder()
    message = f"The local cache {files.path} is in use by {holder}."
    return CacheBusyError(message, "Wait until it is done, or end that process, then try again.", holder)


def damaged(files: CacheFiles) -> CacheDamagedError:
    """Return the error for a file that is no intact cache."""
    return CacheDamagedError(
        f"The local cache {files.path} is damaged.",
        "Run storage_sync: it sets the file aside and fills a new one from the durable store.",
    )


def unavailable(files: CacheFiles, why: str) -> CacheUnavailableError:
    """Return the error for a file that can't be used; ``why`` comes from the operating system."""
    return CacheUnavailableError(
        f"The local cache {files.path} can't be used: {why}.",
        "Make its folder writable, or free space, then try again.",
    )


def closed(files: CacheFiles) -> CacheClosedError:
    """Return the error for the use of a cache after its end."""
    return CacheClosedError(f"The local cache {files.path} was already closed.", "Open it again.")
