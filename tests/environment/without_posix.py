"""A Windows for this project's own modules: names that only POSIX has are gone, and open files can't be renamed.

The standard library and other packages keep what they need: a wrapper stands before the modules that ours import.
"""

from __future__ import annotations

import builtins
import errno
import os
import signal
import stat
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["pretend"]

_OURS = ("dm_memory", "dm_memory_tools", "dm_memory_server")
_ABSENT_MODULES = frozenset({"fcntl", "grp", "pwd", "pty", "readline", "resource", "syslog", "termios", "tty"})
_WINDOWS_OS = frozenset(
    [
        "O_APPEND",
        "O_BINARY",
        "O_CREAT",
        "O_EXCL",
        "O_NOINHERIT",
        "O_RANDOM",
        "O_RDONLY",
        "O_RDWR",
        "O_SEQUENTIAL",
        "O_SHORT_LIVED",
        "O_TEMPORARY",
        "O_TEXT",
        "O_TRUNC",
        "O_WRONLY",
        "P_DETACH",
        "P_NOWAIT",
        "P_NOWAITO",
        "P_OVERLAY",
        "P_WAIT",
        "PathLike",
        "DirEntry",
        "F_OK",
        "R_OK",
        "W_OK",
        "X_OK",
        "SEEK_CUR",
        "SEEK_END",
        "SEEK_SET",
        "abc",
        "abort",
        "access",
        "add_dll_directory",
        "altsep",
        "chdir",
        "chmod",
        "close",
        "closerange",
        "cpu_count",
        "curdir",
        "defpath",
        "device_encoding",
        "devnull",
        "dup",
        "dup2",
        "environ",
        "error",
        "execl",
        "execle",
        "execlp",
        "execlpe",
        "execv",
        "execve",
        "execvp",
        "execvpe",
        "extsep",
        "fdopen",
        "fsdecode",
        "fsencode",
        "fspath",
        "fstat",
        "fsync",
        "ftruncate",
        "get_exec_path",
        "get_handle_inheritable",
        "get_inheritable",
        "get_terminal_size",
        "getcwd",
        "getcwdb",
        "getenv",
        "getlogin",
        "getpid",
        "getppid",
        "isatty",
        "kill",
        "linesep",
        "link",
        "listdir",
        "lseek",
        "lstat",
        "makedirs",
        "mkdir",
        "name",
        "open",
        "pardir",
        "path",
        "pathsep",
        "pipe",
        "popen",
        "putenv",
        "read",
        "readlink",
        "remove",
        "removedirs",
        "rename",
        "renames",
        "replace",
        "rmdir",
        "scandir",
        "sep",
        "set_handle_inheritable",
        "set_inheritable",
        "spawnl",
        "spawnle",
        "spawnv",
        "spawnve",
        "st",
        "startfile",
        "stat",
        "stat_result",
        "statvfs_result",
        "strerror",
        "supports_bytes_environ",
        "supports_dir_fd",
        "supports_effective_ids",
        "supports_fd",
        "supports_follow_symlinks",
        "symlink",
        "sys",
        "system",
        "terminal_size",
        "times",
        "times_result",
        "truncate",
        "umask",
        "uname_result",
        "unlink",
        "unsetenv",
        "urandom",
        "utime",
        "waitpid",
        "waitstatus_to_exitcode",
        "walk",
        "write",
        "_exit",
    ]
)
_WINDOWS_SIGNALS = frozenset(
    [
        "SIGABRT",
        "SIGFPE",
        "SIGILL",
        "SIGINT",
        "SIGSEGV",
        "SIGTERM",
        "SIG_DFL",
        "SIG_IGN",
        "Handlers",
        "Signals",
        "default_int_handler",
        "getsignal",
        "raise_signal",
        "set_wakeup_fd",
        "signal",
        "strsignal",
        "valid_signals",
    ]
)


def pretend(system: str = "posix") -> None:
    """Take the names away from modules of ours, loaded or not yet; with ``nt`` say as well that this is Windows."""
    shown = {
        "os": _View(os, _WINDOWS_OS, {"name": system}),
        "signal": _View(signal, _WINDOWS_SIGNALS, {}),
        "sys": _View(sys, None, {"platform": "win32"} if system == "nt" else {}),
    }
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _OURS:
            for each, view in shown.items():
                if getattr(module, each, None) is sys.modules[each]:
                    setattr(module, each, view)
    original = builtins.__import__

    def importing(name: str, scope: Any = None, *rest: Any, **options: Any) -> types.ModuleType:
        importer = str((scope or {}).get("__name__", "")).partition(".")[0]
        if importer in _OURS:
            if name in _ABSENT_MODULES:
                raise ModuleNotFoundError(name)
            if name in shown:
                return shown[name]
        return original(name, scope, *rest, **options)

    builtins.__import__ = importing
    for name in ("rename", "replace", "unlink", "remove"):
        setattr(os, name, _refusing_open_files(getattr(os, name)))


class _View(types.ModuleType):
    """A module with some of its names; what is set is set in the module itself."""

    def __init__(self, module: types.ModuleType, names: frozenset[str] | None, changed: dict[str, Any]) -> None:
        super().__init__(module.__name__)
        vars(self).update(changed, _module=module, _names=names)

    def __getattr__(self, name: str) -> Any:
        if self._names is None or name in self._names:
            return getattr(self._module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} here")

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)


def _refusing_open_files(function: Callable[..., None]) -> Callable[..., None]:
    """Refuse what Windows refuses: to rename, replace or remove a file that a process has open."""

    def refusing(*paths: Any, **options: Any) -> None:
        if options.get("dir_fd") is None:
            for path in paths:
                if _is_open(path):
                    error = PermissionError(errno.EACCES, "The process cannot access the file", os.fspath(path))
                    error.winerror = 32  # type: ignore[attr-defined]
                    raise error
        function(*paths, **options)

    return refusing


def _is_open(path: Any) -> bool:
    try:
        wanted = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(wanted.st_mode):
        return False
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if Path("/proc/self/fd").is_dir() else ():
        try:
            found = descriptor.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False
