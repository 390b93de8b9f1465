"""The log files below a home, ``dm-memory/logs/``: what ran without a terminal, and how it ended."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from pathlib import Path

from dm_memory.store.files import is_file, make_own_folder, open_own, size_of

__all__ = ["append_line", "files_of", "hook_log", "last_lines", "open_log", "own_folder", "rotate"]

_MOST_BYTES = 1_000_000
"""A log is put aside when it is larger; one older file is kept."""

_TAIL_BYTES = 2_000_000


def own_folder(home: Path, name: str) -> Path:
    """Make and return a folder of ours below ``dm-memory/`` in a home. Raises ``OSError``."""
    folder = home / "dm-memory"
    make_own_folder(folder)
    make_own_folder(folder / name)
    return folder / name


def hook_log(home: Path) -> Path:
    """Return the log of the plugin's hooks, whether it exists or not."""
    return home / "dm-memory" / "logs" / "hooks.log"


def open_log(path: Path) -> int:
    """Open a log for appending, mode 0600; return its descriptor. Raises ``OSError``."""
    return open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def append_line(path: Path, line: str) -> None:
    """Append a line in one write, so that lines of several processes do not mix. Raises ``OSError``."""
    descriptor = open_log(path)
    try:
        os.write(descriptor, f"{line}\n".encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def rotate(path: Path) -> None:
    """Put a log aside that has become too large; one that can't be moved just grows on."""
    with contextlib.suppress(OSError):
        if is_file(path) and size_of(path) > _MOST_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))


def files_of(home: Path) -> list[Path]:
    """Return the logs there are, each older one before its newer one. Raises ``OSError``."""
    try:
        found = [path for path in (home / "dm-memory" / "logs").iterdir() if is_file(path)]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: (path.name.removesuffix(".1"), not path.name.endswith(".1")))


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log. Raises ``OSError``."""
    with os.fdopen(open_own(path), "rb") as file:
        file.seek(max(0, size_of(path) - _TAIL_BYTES))
        return [line.decode("utf-8", "replace").rstrip("\r\n") for line in deque(file, count)]
