"""``dm-memory hook EVENT``: what the plugin's hooks run. It never blocks a session, whatever happens.

Each process here lives for ``_LIMIT`` seconds at most and ends with code 0. ``session-start`` prints what matters now;
``pre-compact`` and ``session-end`` hand a sync to a process of its own (``dm_memory_server.detached``) and leave. Where
there is no brand, nothing is printed and nothing is made. Settings are read from the environment here: the module that
reads them otherwise costs as much as all of this.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from dm_memory.brand.home import Home

__all__ = ["EVENTS", "hook"]

EVENTS = ("session-start", "pre-compact", "session-end")

_LIMIT = 1.5
"""Seconds: an assistant waits for its hooks."""

_DRAIN = 0.2
"""Seconds for what the client writes to standard input; a client that keeps it open is not waited for."""

_STDIN_BYTES = 1 << 16


def hook(arguments: Sequence[str]) -> NoReturn:
    """Run the hook of an event and end the process with code 0. Nothing is raised, and no thread is waited for."""
    limit = threading.Timer(_LIMIT, os._exit, (0,))
    limit.daemon = True
    limit.start()
    drain = threading.Thread(target=_drain, daemon=True)
    drain.start()
    try:
        event = arguments[0] if arguments else ""
        if event not in EVENTS:
            sys.stderr.write(f"dm-memory hook takes one of: {', '.join(EVENTS)}.\n")
            sys.stderr.flush()
        elif _is_on(event):
            _run(event)
        drain.join(_DRAIN)
    except BaseException as error:  # noqa: BLE001  # nobody looks at a hook; its log does
        _note(f"{arguments[0]} did nothing: {type(error).__name__}")
    finally:
        os._exit(0)


def _note(words: str) -> None:
    """Write a line to the log, if there is one: a hook that fails makes nothing."""
    with contextlib.suppress(Exception):
        from dm_memory_server.log_files import append_line, hook_log  # noqa: PLC0415  # only if something went wrong

        log = hook_log(_root())
        if log.is_file():
            append_line(log, words)


def _drain() -> None:
    """Read what the client says, which nothing here needs: a client whose pipe nobody reads may fail at writing."""
    with contextlib.suppress(OSError, AttributeError):
        while os.read(sys.stdin.fileno(), _STDIN_BYTES):
            pass


def _is_on(event: str) -> bool:
    chosen = os.environ.get("DM_MEMORY_HOOKS", "").strip().casefold()
    return not chosen or event in {name.strip() for name in chosen.replace("_", "-").split(",")}


def _run(event: str) -> None:
    found = _brand()
    if found is None:
        return
    home, brand = found
    if event == "session-start":
        _write(_context(home, brand))
    else:
        _hand_over(home.root, brand, event)


def _brand() -> tuple[Home, str] | None:
    """Return the home and the brand that is meant, None if there is none."""
    from dm_memory.brand.home import Home  # noqa: PLC0415  # a hook that is turned off imports nothing
    from dm_memory.errors import BrandNotFoundError, HomeError  # noqa: PLC0415  # as above

    home = Home(_root(), _setting("DM_MEMORY_ONLY_BRAND"))
    try:
        return home, home.resolve(None, _setting("DM_MEMORY_BRAND"))
    except BrandNotFoundError as error:
        return (home, error.brands[0]) if len(error.brands) == 1 else None
    except HomeError:
        return None


def _root() -> Path:
    named = _setting("CLAUDE_MARKETING_HOME") or _setting("DM_MEMORY_HOME")
    return Path(named).expanduser() if named else Path.home() / ".claude-marketing"


def _setting(name: str) -> str:
    return os.environ.get(name, "").strip()


# The start of a session ----------------------------------------------------------------------------------------------


def _context(home: Home, brand: str) -> bytes:
    """Return what the client adds to the session's context, as it takes it from a hook."""
    import orjson  # noqa: PLC0415  # only this event needs it

    from dm_memory.brand.files import Limits  # noqa: PLC0415  # as above
    from dm_memory.operations.recall import recall_of_brand  # noqa: PLC0415  # as above
    from dm_memory.report.model import Reader  # noqa: PLC0415  # as above
    from dm_memory.report.recall import recall_report  # noqa: PLC0415  # as above
    from dm_memory.text.timestamps import utc_now  # noqa: PLC0415  # as above

    result = recall_of_brand(home, brand, Limits(), utc_now)
    text = recall_report(result, reader=Reader.TOOL).text
    output = {"hookEventName": "SessionStart", "additionalContext": text}
    return orjson.dumps({"hookSpecificOutput": output}) + b"\n"


def _write(data: bytes) -> None:
    """Write it in one go: a reader gets all of it, or nothing where the limit ends this process before."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), data)


# The end of one ------------------------------------------------------------------------------------------------------


def _hand_over(root: Path, brand: str, event: str) -> None:
    """Start a sync in a process of its own, unless one waits already that will see what is there now."""
    from dm_memory_server.detached import claim, is_waiting  # noqa: PLC0415  # only these events need it
    from dm_memory_server.log_files import hook_log, open_log, own_folder  # noqa: PLC0415  # as above

    own_folder(root, "logs")
    if is_waiting(root, brand) or not claim(root, brand):
        return
    log = open_log(hook_log(root))
    subprocess.Popen(  # noqa: S603  # this program itself
        # -P: a file in the home, which is its folder, is never taken for a module.
        [sys.executable, "-P", "-m", "dm_memory_server.detached", str(root.absolute()), brand, event],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=root,
        start_new_session=True,
        creationflags=_WINDOWS_FLAGS,
    )


_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
