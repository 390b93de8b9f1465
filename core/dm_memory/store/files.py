"""Writing files so that a reader sees the old or the new content, never a part, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dm_memory.errors import SpecialFileError

__all__ = [
    "is_file",
    "make_own_folder",
    "make_private_folder",
    "open_own",
    "read_own",
    "remove_leftovers",
    "size_of",
    "sqlite_uri",
    "sync_folder",
    "write_atomic",
]

_PREFIX = ".dm-memory-"
_CAREFULLY = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):  # no system has all of them
    _CAREFULLY |= getattr(os, _flag, 0)


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can read; an existing one is left as it is."""
    path.mkdir(mode=0o700, exist_ok=True)


def make_own_folder(path: Path) -> None:
    """Make a folder below one of ours; unlike a brand's ``memory`` it can't be a link, wherever that leads.

    Raises:
        OSError: It can't be made, or something else has its name.
    """
    if path.is_symlink():
        raise SpecialFileError(f"{path.name} is a link, not a folder")
    make_private_folder(path)


def size_of(path: Path) -> int:
    """Return a file's size in bytes, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_file(path: Path) -> bool:
    """Return whether a file is there; False if nothing is. Nothing is opened or followed.

    Raises:
        OSError: Something else is there, or its folder can't be read.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    _refuse_special(path, mode)
    return True


def open_own(path: Path, flags: int = 0) -> int:
    """Open a file of ours and return its descriptor; what is no file is refused, and never waited for.

    Args:
        path: The file. A link is not followed.
        flags: For ``os.open``, beside those that make it careful; 0 to read.

    Raises:
        OSError: It can't be opened, or it is a link, a folder, a pipe or a device.
    """
    is_file(path)  # opening a device can have an effect
    descriptor = os.open(path, _CAREFULLY | flags, 0o600)
    try:
        _refuse_special(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_own(path: Path, most: int = 64 * 1024 * 1024) -> bytes:
    """Return the bytes of a small file of ours, or of one that other tools write beside ours.

    Raises:
        OSError: It can't be read, is no file (see ``open_own``), or is larger than ``most`` bytes.
    """
    with os.fdopen(open_own(path), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise SpecialFileError(f"{path.name} is larger than {most:,} bytes")
    return data


def _refuse_special(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "a device")
    raise SpecialFileError(f"{path.name} is {kind}, not a file")


def write_atomic(path: Path, content: bytes | Iterable[bytes], *, durable: bool = True) -> None:
    """Replace a file's content: temporary file, fsync, rename, fsync of the folder. Mode 0600.

    Args:
        path: The file; its folder exists.
        content: All of it, or its pieces.
        durable: False leaves out the fsyncs, for notes that mean nothing after a crash.

    Raises:
        OSError: The old content is still there, and the temporary file is gone.
    """
    handle, temporary = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in (content,) if isinstance(content, bytes) else content:
                file.write(piece)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    if durable:
        sync_folder(path.parent)


def remove_leftovers(folder: Path, *below: str) -> None:
    """Remove temporary files that killed processes left in a folder, and in some below it.

    Call only while holding the brand. Somebody else's file, and what a link points at, are left alone.
    """
    for each in (folder, *(folder / name for name in below)):
        if each.is_symlink() and each != folder:
            continue
        for path in each.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def sqlite_uri(path: Path, options: str) -> str:
    """Return a file's path as SQLite opens it, with options such as ``mode=rw``."""
    text = path.absolute().as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    # An empty authority: without one, what follows two slashes (//server/share) would be taken for it.
    return f"file:{'//' if text.startswith('/') else ''}{text}?{options}"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new file, a rename."""
    if os.name == "nt":
        return  # Windows can't open folders, and its rename is journalled
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
