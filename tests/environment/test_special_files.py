"""A pipe, a socket, a device, a folder or a link in the place of a file of ours: refused at once, never followed."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.calls import Calls

FILES = (
    "memory/memory.db",
    "memory/memory.db-wal",
    "memory/memory.db-shm",
    "memory/memory.db-journal",
    "memory/journal.jsonl",
    "memory/sync-state.json",
    "memory/_index.json",
    "memory/_last_sync.json",
    "memory/.sync.lock",
    "memory/.journal.lock",
    "memory/.sync.holder.json",
    "memory/registry.db",
    "memory/graph.db",
    "memory/memory.db.new",
    "memory/memory.db.rebuilt",
    "memory/pending/0123456789abcdef.json",
    "memory/stored/0123456789abcdef.json",
    "memory/cache/cache.v2.sqlite",
    "memory/cache/cache.v2.sqlite-wal",
    "memory/cache/.storage-sync.lock",
    "profile.json",
    "insights.json",
    "../../dm-memory/unassigned.jsonl",
    "../../dm-memory/.journal.lock",
    "../_active-brand.json",
)
FOLDERS = ("memory", "memory/pending", "memory/stored", "memory/cache", "../../dm-memory", "campaigns")
COMMANDS = (
    ["status"],
    ["search", "posts"],
    ["sync"],
    ["sync", "--learning", "Something new was learned."],
    ["prepare", "--content-type", "campaign-learning", "Another thing was learned."],
    ["storage-sync"],
    ["verify"],
    ["doctor"],
)


def _fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, _: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path, _: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero, which never ends


def _folder(path: Path, _: Path) -> None:
    path.mkdir()


def _link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def _link_to_nothing(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "nothing")


def _huge(path: Path, _: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)  # sparse


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "pipe": _fifo,
    "socket": _socket,
    "folder": _folder,
    "link out of the home": _link,
    "link to nothing": _link_to_nothing,
    "sparse file": _huge,
}


def _state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _try(calls: Calls, root: Path, tmp_path: Path, place: str, make: Callable[[Path, Path], None]) -> None:
    """Put something in a place, run every command, and look at what is outside of the home."""
    outside = tmp_path / "outside"
    is_folder = place in FOLDERS
    if is_folder:
        outside.mkdir()
        (outside / "kept.txt").write_text("kept")
        (outside / "0123456789abcdef.json").write_text('{"content": "A text that lies outside of the home."}')
    else:
        outside.write_text('{"op": "entry", "content": "A text that lies outside of the home."}')
    before = _state(outside) if is_folder else {"": outside.read_bytes()}
    path = Path(os.path.normpath(root / "brands" / "acme" / place))
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path, outside)
    for command in COMMANDS:
        finished = calls(*command, "--home", str(root))
        told = finished.out + finished.err
        assert finished.code in {0, 1, 2}, (command, told)
        assert "Usage: " not in told, (command, told)
        assert "lies outside" not in told, (command, told)
        after = _state(outside) if is_folder else {"": outside.read_bytes()}
        assert after == before, command
    if path.is_symlink():
        assert not os.path.lexists(outside / "nothing")


OFTEN = ("pipe", "link out of the home")
"""The kinds that are tried in every run of the tests, in turn: the one hangs, the other leaks."""


def _cases(places: Sequence[str], *without: str) -> list[object]:
    return [
        pytest.param(place, kind, marks=[] if kind == OFTEN[number % 2] else pytest.mark.slow)
        for number, place in enumerate(places)
        for kind in KINDS
        if kind not in without
    ]


@pytest.mark.parametrize(("place", "kind"), _cases(FILES))
def test_what_is_no_file_of_ours_is_refused_at_once(
    calls: Calls, root: Path, tmp_path: Path, place: str, kind: str
) -> None:
    _try(calls, root, tmp_path, place, KINDS[kind])


@pytest.mark.parametrize(("place", "kind"), _cases(FOLDERS, "folder"))
def test_what_is_no_folder_of_ours_is_refused_at_once(
    calls: Calls, root: Path, tmp_path: Path, place: str, kind: str
) -> None:
    _try(calls, root, tmp_path, place, KINDS[kind])


@pytest.mark.slow
@pytest.mark.mounts
@pytest.mark.parametrize("place", FILES)
def test_a_device_is_never_opened(calls: Calls, root: Path, tmp_path: Path, place: str) -> None:
    _try(calls, root, tmp_path, place, _device)
