"""The command that a client starts: it must work in a program that knows no shell and no ``PATH``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from dm_memory import __version__
from dm_memory.errors import ConfigurationError
from dm_memory.extras import LAST_PYTHON, Machine, how_to_get_the_model, installed_as

__all__ = ["Launch", "launch_of_this_installation", "make_sure_it_starts"]

_PYTHONS = ">=3.11,<3.14"
"""Those that the bundled model is built for; a range, so that an environment that fits stays as it is."""

_LONGEST_START = 600
"""Seconds: the first one may have to install the dependencies over a slow line."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command with its arguments, and what a person should know about it."""

    command: str
    arguments: tuple[str, ...]
    notes: tuple[str, ...] = ()


def launch_of_this_installation(options: Sequence[str]) -> Launch:
    """Return how a client starts the installation that runs, in absolute paths.

    Args:
        options: Options for ``serve``.

    Raises:
        ConfigurationError: It runs in a temporary environment of uv, and uv can't be found.
    """
    kind, folder = installed_as()
    notes = [] if find_spec("wordllama") else [f"Search runs on words alone: {how_to_get_the_model()}"]
    if kind == "uvx" and not folder:
        notes.append("This is a temporary environment: `uv tool install dm-memory` makes one that starts faster.")
        arguments: tuple[str, ...] = ("tool", "run", "--from", f"dm-memory=={__version__}", *_pythons())
        return Launch(_uv(), (*arguments, "dm-memory", "serve", *options), tuple(notes))
    if kind in {"uvx", "checkout"}:
        arguments = ("run", "--directory", folder, "--no-dev", *_pythons())
        return Launch(_uv(), (*arguments, "dm-memory", "serve", *options), tuple(notes))
    script = _script()
    if script is None:
        return Launch(sys.executable, ("-m", "dm_memory_server", *options), tuple(notes))
    return Launch(str(script), ("serve", *options), tuple(notes))


def make_sure_it_starts(launch: Launch) -> None:
    """Start the server as a program without a shell would, which also installs what is missing; it has no client.

    Its input is empty, so it ends as soon as it is ready.

    Raises:
        ConfigurationError: It does not start.
    """
    environment = dict(os.environ)
    if os.name == "posix":
        environment["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"  # what programs with a window have
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT"):
        environment.pop(name, None)
    command = [launch.command, *launch.arguments]
    try:
        done = subprocess.run(  # noqa: S603  # this installation's own command
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_START, check=False
        )
        reason = "" if done.returncode == 0 else f"exit code {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = type(error).__name__
    if reason:
        raise ConfigurationError(
            f"The command that the client would start fails without a shell's PATH ({reason}); nothing was written.",
            f"Find out why in a terminal: {' '.join(command)}",
        )


def _pythons() -> tuple[str, ...]:
    """Return the option that chooses a Python that has the model, if another one than this has it."""
    here = Machine.here()
    return ("--python", _PYTHONS) if here.python > LAST_PYTHON and here.can_have("wordllama") else ()


def _script() -> Path | None:
    """Return the installed command, wherever the installer put it."""
    try:
        files = distribution("dm-memory").files or []
    except PackageNotFoundError:
        return None
    for file in files:
        if file.stem == "dm-memory" and file.suffix in {"", ".exe"}:
            path = Path(os.path.normpath(str(file.locate())))
            if path.is_file():
                return path
    return None


def _uv() -> str:
    """Return where uv is: it says so to what it starts; else the ``PATH`` does, or the shim that stands there."""
    found = os.environ.get("UV") or shutil.which("uv")
    if found and Path(found).is_file():
        with Path(found).open("rb") as file:
            is_shim = os.name == "posix" and file.read(2) == b"#!"
        return _behind(found) if is_shim else os.path.abspath(found)  # noqa: PTH100  # a link may be renewed: not followed
    raise ConfigurationError(
        "dm-memory was started by uv, and uv can't be found.",
        "Add the folder of uv to the PATH, or set UV to its path.",
    )


def _behind(shim: str) -> str:
    """Return the program for which a version manager's script stands: it may work in this folder only."""
    command = [shim, "run", "--no-project", "--quiet", "python", "-c", "import os; print(os.environ['UV'])"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # uv
    path = done.stdout.strip()
    return path if done.returncode == 0 and Path(path).is_file() else shim
