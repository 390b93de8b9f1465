"""Writing files so that a reader sees the old or the new content, never a part, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["make_private_folder", "remove_leftovers", "sync_folder", "write_atomic"]

_PREFIX = ".dm-memory-"


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can read; an existing one is left as it is."""
    path.mkdir(mode=0o700, exist_ok=True)


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


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in a folder. Call only while holding the brand."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*"):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new file, a rename."""
    if os.name == "nt":
        return  # Windows can't open folders, and its rename is journalled
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
