"""``dm-memory hook EVENT``: what the plugin's hooks run. It never blocks a session, whatever happens.

Each process here lives for ``_LIMIT`` seconds at most and ends with code 0. ``session-start`` prints what matters now;
``pre-compact`` and ``session-end`` hand a sync to a process of its own (``hooks.detached``) and leave. Where there is
no brand, nothing is printed and nothing is made.

Many sessions can end at once, on a machine that is busy: handing over imports nothing but the standard library, finds
out no more than whether there can be a brand, and reads its settings from the environment.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from dm_memory.brand.home import Home

__all__ = ["EVENTS", "brand_of_session", "hook"]

EVENTS = ("session-start", "pre-compact", "session-end")

_LIMIT = 1.7
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
        from dm_memory_server.hooks.log_files import append_line, hook_log  # noqa: PLC0415  # only if something went wrong

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
    if event != "session-start":
        _hand_over(event)
    elif found := brand_of_session():
        _write(_context(*found))


def brand_of_session(root: Path | None = None) -> tuple[Home, str] | None:
    """Return the home and the brand that is meant, None if there is none; ``root``: the home's folder, if known."""
    from dm_memory.brand.home import Home  # noqa: PLC0415  # a hook that is turned off imports nothing
    from dm_memory.errors import BrandNotFoundError, HomeError  # noqa: PLC0415  # as above

    home = Home(root or _root(), _setting("DM_MEMORY_ONLY_BRAND"))
    try:
        return home, home.resolve_or_only(None, _setting("DM_MEMORY_BRAND"))
    except (BrandNotFoundError, HomeError):
        return None


def _root() -> Path:
    """Return the home's folder; a relative one is below the session's folder, where the plugin's hooks don't run."""
    named = _setting("CLAUDE_MARKETING_HOME") or _setting("DM_MEMORY_HOME")
    here = Path(os.environ.get("CLAUDE_PROJECT_DIR", ""))
    return here / Path(named).expanduser() if named else Path.home() / ".claude-marketing"


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


def _hand_over(event: str) -> None:
    """Start a sync in a process of its own, unless one waits already that will see what is there now."""
    root = _root()
    if not _may_have_brand(root):
        return
    own = root / "dm-memory"
    for folder in (own, own / "hooks", own / "logs"):
        if folder.is_symlink():
            return
        folder.mkdir(mode=0o700, exist_ok=True)
    claim = own / "hooks" / f"{_meant(root):08x}.claim"
    if not _claim(claim):
        return
    log = os.open(own / "logs" / "hooks.log", _APPENDING, 0o600)
    import subprocess  # noqa: PLC0415  # only who starts a process needs it

    windows = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    subprocess.Popen(  # noqa: S603  # this program itself
        # -P: a file in the home, which is its folder, is never taken for a module.
        [
            sys.executable,
            "-P",
            "-m",
            "dm_memory_server.hooks.detached",
            str(root.absolute()),
            event,
            str(claim.absolute()),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=root,
        start_new_session=True,
        creationflags=windows,
    )


_APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND
for _flag in ("O_NOFOLLOW", "O_NONBLOCK"):  # a link is not followed, a pipe not waited for; no system has all flags
    _APPENDING |= getattr(os, _flag, 0)


def _may_have_brand(root: Path) -> bool:
    """Return whether there is a brand that can be meant: the one that is named, an active one, or the only one."""
    from unicodedata import normalize  # noqa: PLC0415  # only these events need it

    try:
        with os.scandir(root / "brands") as entries:
            brands = {normalize("NFC", entry.name) for entry in entries if entry.name[0] not in "._" and entry.is_dir()}
    except OSError:
        return False
    named = normalize("NFC", _setting("DM_MEMORY_ONLY_BRAND") or _setting("DM_MEMORY_BRAND"))
    return named in brands if named else len(brands) == 1 or (bool(brands) and (root / "brands" / _ACTIVE).is_file())


_ACTIVE = "_active-brand.json"
_ACTIVE_BYTES = 4096


def _meant(root: Path) -> int:
    """Return a number for the brand that is meant, without finding out which one that is."""
    import zlib  # noqa: PLC0415  # only these events need it

    said = f"{_setting('DM_MEMORY_ONLY_BRAND')}/{_setting('DM_MEMORY_BRAND')}/".encode("utf-8", "surrogateescape")
    path = root / "brands" / _ACTIVE
    if path.is_file():  # a pipe is never opened
        with path.open("rb") as file:
            said += file.read(_ACTIVE_BYTES)
    return zlib.crc32(said)


_CLAIMED = 20.0
"""Seconds after which a claim that nobody renewed was a dead process's; one that waits renews its own."""


def _claim(path: Path) -> bool:
    """Claim the start of a process; False if one was started and has not begun to sync."""
    import time  # noqa: PLC0415  # as above

    with contextlib.suppress(FileNotFoundError):
        if abs(time.time() - path.stat().st_mtime) > _CLAIMED:
            path.unlink()
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
