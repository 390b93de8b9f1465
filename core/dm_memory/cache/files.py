"""The cache's files: where they are, who uses them, what is set aside; and what can be wrong with them, in words."""

from __future__ import annotations

import contextlib
import json
import os
import stat
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
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.schema import Table

__all__ = [
    "CacheFiles",
    "broken_index",
    "busy",
    "closed",
    "damaged",
    "damaged_file",
    "damaged_value",
    "orphan",
    "quarantine",
    "unavailable",
]

_FORMAT = 2
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

    def make_folder(self) -> None:
        """Make the folder if it is missing; refuse what is no folder or file in it. Nothing special is ever opened.

        Raises:
            CacheUnavailableError: The folder can't be made, or something there is a link, a folder, a pipe or a device.
        """
        try:
            if stat.S_ISLNK(self._mode(self.folder)):
                raise _special(self, self.folder, "is a link")
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, exist_ok=True)
            for path in (*self.all(), self.turn, self._lock, self._note, self._making, self._request):
                mode = self._mode(path)
                if mode and not stat.S_ISREG(mode):
                    raise _special(self, path, "is a link" if stat.S_ISLNK(mode) else "is no file")
        except OSError as error:
            raise unavailable(self, error.strerror or type(error).__name__) from None

    def _mode(self, path: Path) -> int:
        """Return the mode of what is there; 0 if nothing is."""
        try:
            return path.lstat().st_mode
        except FileNotFoundError:
            return 0

    def remove_older(self) -> None:
        """Remove the files of older versions of this program: nobody reads them any more."""
        for version in range(1, _FORMAT):
            for path in self.folder.glob(f"cache.v{version}.*"):
                with contextlib.suppress(OSError):
                    path.unlink()

    @property
    def turn(self) -> Path:
        """The lock of whoever fills the cache, whichever its engine."""
        return self.folder / ".storage-sync.lock"

    @property
    def _lock(self) -> Path:
        return self.folder / f"cache.v{_FORMAT}.{self.engine}.lock"

    def lock(self) -> filelock.BaseFileLock:
        """Return the lock under which files are made and moved; kept for moments, never while the cache is used."""
        # The lock file stays: unlinking it between two processes that are about to lock it would let both in.
        return filelock.FileLock(
            self._lock, mode=0o600, thread_local=False, poll_interval=_POLL_SECONDS, preserve_lock_file=True
        )

    def make(self) -> bool:
        """Make the database's file, empty and private, if there is none. Return whether it did.

        Raises:
            CacheUnavailableError: It can't be made.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except FileExistsError:
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

        To be called under ``lock``. What such a maker left behind is empty, and goes.

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
        """Return a number that is another one once the file is replaced; 0 if there is none."""
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
        """Return whether the database looks as it did when it was closed in order, and no log has changes to it."""
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
        """Ask whoever has the file open to close it for a moment."""
        with contextlib.suppress(OSError):
            self._request.touch(0o600)

    def is_asked_for(self) -> bool:
        """Return whether somebody waits for the file."""
        return self._request.exists()

    def withdraw(self) -> None:
        """Take the request back, or note that it was met."""
        with contextlib.suppress(OSError):
            self._request.unlink()

    def write_note(self) -> None:
        """Say who has the file open. A note that can't be written is only missing from an error message."""
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
        """Describe who has the file open, as far as the note says; that of a killed process may remain."""
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
                for path in files.all():
                    with contextlib.suppress(FileNotFoundError):
                        path.rename(place.with_name(place.name + path.name.removeprefix(files.path.name)))
                kept = sorted(files.folder.glob(f"{files.path.name}.damaged-*Z"))
                for old in kept[:-_KEPT]:
                    for path in files.folder.glob(f"{old.name}*"):
                        path.unlink(missing_ok=True)
    except filelock.Timeout:
        raise busy(files) from None
    except OSError as error:
        raise unavailable(files, error.strerror or type(error).__name__) from None
    return _quarantined(place.name)


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


def _special(files: CacheFiles, path: Path, what: str) -> CacheUnavailableError:
    """Return the error for something in the place of a file that is none of ours."""
    return CacheUnavailableError(
        f"The local cache {files.path} can't be used: {path.name} {what}.",
        f"Remove {path}, then run storage_sync again: it fills the cache from the durable store.",
    )


def closed(files: CacheFiles) -> CacheClosedError:
    """Return the error for the use of a cache after its end."""
    return CacheClosedError(f"The local cache {files.path} was already closed.", "Open it again.")


# Findings -----------------------------------------------------------------------------------------------------------


def _quarantined(name: str) -> Finding:
    """Return the finding for a cache that was set aside under ``name``."""
    return Finding(
        code="cache-quarantined",
        severity=Severity.WARNING,
        message="The local cache was damaged; it was set aside, and a new one begun.",
        remedy="Nothing is lost: run storage_sync, which fills the cache from the durable store.",
        path=name,
    )


def damaged_value(space: str, key: bytes) -> Finding:
    """Return the finding for a value whose checksum or version is wrong."""
    return Finding(
        code="cache-value-damaged",
        severity=Severity.WARNING,
        message=f"A value in the local cache's {space} is damaged and was left out.",
        remedy="Run storage_sync with repair: it reads what is damaged from the durable store again.",
        key=f"{space}/{key.decode(errors='backslashreplace')}",
    )


def damaged_file() -> Finding:
    """Return the finding for a file that the engine says is not intact."""
    return Finding(
        code="cache-damaged",
        severity=Severity.ERROR,
        message="The local cache's file is damaged.",
        remedy="Run storage_sync: it sets the file aside and fills a new one from the durable store.",
    )


def broken_index(table: Table, missing: int, left_over: int) -> Finding:
    """Return the finding for an index that does not match its table."""
    return Finding(
        code="cache-index",
        severity=Severity.WARNING,
        message=f"The index of the local cache's {table} lacks {missing} entries and has {left_over} left over.",
        remedy="Run storage_sync with full, which fills the cache again.",
        key=table.value,
    )


def orphan(key: str) -> Finding:
    """Return the finding for an embedding whose episode or pattern is not there."""
    return Finding(
        code="cache-orphan",
        severity=Severity.WARNING,
        message="An embedding in the local cache belongs to nothing that is there.",
        remedy="Run storage_sync with repair, which removes it.",
        key=f"{Table.EMBEDDINGS}/{key}",
    )
