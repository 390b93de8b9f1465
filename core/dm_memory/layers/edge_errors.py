"""What the embedded engine and the disk below it can raise, in our words."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dm_memory.errors import ErrorClass, LayerError

__all__ = ["damaged", "disk_full", "disk_trouble", "refused", "translated"]

_FORCE = "Sync with force to build it anew from the brand's files and the registry; the damaged files are kept aside."


def damaged(what: str = "The brand's vector database") -> LayerError:
    """Return the error for files that can't be what the engine left behind."""
    return LayerError(
        f"{what} is damaged or incomplete.", _FORCE, error_class=ErrorClass.UNAVAILABLE, code="damaged-collection"
    )


def disk_full() -> LayerError:
    """Return the error for a disk without room for another batch."""
    return LayerError(
        "The disk that holds the brand's vector database is full.",
        "Free some space, then sync again; what was not stored is queued.",
        error_class=ErrorClass.QUOTA,
        code="ENOSPC",
    )


def refused(problem: str, remedy: str) -> LayerError:
    """Return the error for one item, or one query, that can't be accepted as it is."""
    return LayerError(problem, remedy, error_class=ErrorClass.VALIDATION)


def disk_trouble(error: OSError, folder: Path) -> LayerError:
    """Return what an error of the operating system below ``folder`` means to the user."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full()
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return LayerError(
        f"The brand's vector database in {folder.name!r} can't be read or written.",
        "Check who owns the brand's memory folder and whether its disk is writable.",
        error_class=ErrorClass.UNAVAILABLE,
        code=code,
    )


_FULL = re.compile(r"no space left|os error 28\b|quota exceeded|os error 122\b", re.IGNORECASE)
_DENIED = re.compile(r"permission denied|read-only file system|os error (?:13|30|1)\b", re.IGNORECASE)
_BUSY = re.compile(r"wouldblock|resource temporarily unavailable", re.IGNORECASE)
_DAMAGED = re.compile(
    r"cannot load|failed to (?:load|open|read|deserialize)|no segments|incompatible|not existing vector name"
    r"|dimension error|corrupt|unexpected ?eof|checksum|mmap|i/o error|no such file|failed to dec(?:ode|ompress)"
    r"|not readable",
    re.IGNORECASE,
)


@contextmanager
def translated(*, loading: bool = False) -> Iterator[None]:
    """Turn what the engine raises inside the block into a ``LayerError``.

    The engine raises bare ``Exception`` for everything, and a Rust panic derives from ``BaseException``, so its own
    words are all there is to go by; they decide the class and go no further. What they don't explain is re-raised: a
    bug.

    Args:
        loading: Inside the block files are opened, where whatever else is wrong is wrong with the files.
    """
    try:
        yield
    except LayerError:
        raise
    except OSError as error:
        raise disk_trouble(error, Path("vector")) from error
    except BaseException as error:
        panicked = type(error).__name__ == "PanicException"
        meaning = _meaning(str(error)) if type(error) is Exception else None
        if meaning is None and (panicked or (loading and type(error) is Exception)):
            meaning = damaged()
        if meaning is None:
            raise
        raise meaning from error


def _meaning(words: str) -> LayerError | None:
    if _FULL.search(words):
        return disk_full()
    if _DENIED.search(words):
        return disk_trouble(PermissionError(errno.EACCES, ""), Path("vector"))
    if _BUSY.search(words):
        return LayerError(
            "The brand's vector database is open in a program that does not take turns.",
            "Close whatever else uses the brand's memory folder.",
            error_class=ErrorClass.UNAVAILABLE,
            code="EWOULDBLOCK",
        )
    return damaged() if _DAMAGED.search(words) else None
