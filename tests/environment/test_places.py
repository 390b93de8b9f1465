"""Where a home lies: among other users' folders, in a cloud service's, on a disk that can't share memory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dm_memory.operations.places import check_place, synchronised_by
from dm_memory.store import database
from dm_memory.store.database import open_store, read_store
from tests.support.brands import BrandHome
from tests.support.calls import Calls
from tests.support.product import Product


@pytest.mark.mounts
@pytest.mark.parametrize("folder", ["brands/acme", "brands/acme/memory"])
def test_a_folder_of_another_user_is_named(synced: Path, folder: str) -> None:
    other = 65534
    with tempfile.TemporaryDirectory() as made:  # not pytest's own folder: the other user may not look into that
        root = Path(shutil.copytree(synced, Path(made) / "home"))
        for path in (Path(made), root, *root.rglob("*")):
            os.chown(path, other, other)
        os.chown(root / folder, 0, 0)
        (root / folder).chmod(0o700)
        calls = Calls()
        for command in (["status"], ["doctor"], ["search", "posts"], ["sync"]):
            calls(*command, "--home", str(synced))  # loads what that user may not read where Python is installed
        calls.do("become", user=other)
        for command in (["status"], ["doctor"], ["search", "posts"], ["sync"]):
            finished = calls(*command, "--home", str(root))
            assert finished.code in {1, 2}
            assert "belongs to another user" in finished.err + finished.out, finished
        calls.close()


@pytest.mark.parametrize(
    ("folder", "service"),
    [
        ("Library/Mobile Documents/com~apple~CloudDocs/marketing", "iCloud Drive"),
        ("Library/CloudStorage/OneDrive-Acme/marketing", "OneDrive"),
        ("Library/CloudStorage/GoogleDrive-me@example.com/Shared drives/x", "Google Drive"),
        ("Library/CloudStorage/ProtonDrive-me/x", "ProtonDrive"),
        ("OneDrive - Acme GmbH/marketing", "OneDrive"),
        ("Dropbox (Personal)/marketing", "Dropbox"),
        ("dropbox/.claude-marketing", "Dropbox"),
        ("Google Drive/x", "Google Drive"),
        ("iCloudDrive/x", "iCloud Drive"),
        ("inbox/dropbox-plans-for-spring", ""),
        ("boxes/onedrives", ""),
        (".claude-marketing", ""),
        ("mydropbox/x", ""),
    ],
)
def test_a_home_in_a_folder_that_a_cloud_service_synchronises_is_warned_of(
    tmp_path: Path, folder: str, service: str
) -> None:
    found = synchronised_by(tmp_path / folder, {})
    assert found == service
    warned = check_place(tmp_path / folder)
    assert bool(warned) == bool(service)
    assert all(check.status == "warn" and service in check.detail for check in warned)


@pytest.mark.parametrize(("mark", "service"), [(".dropbox.cache", "Dropbox"), (".stfolder", "Syncthing")])
def test_what_a_cloud_service_leaves_in_its_folder_gives_it_away(tmp_path: Path, mark: str, service: str) -> None:
    (tmp_path / "files" / mark).mkdir(parents=True)
    home = tmp_path / "files" / "team" / "home"
    assert synchronised_by(home, {}) == service
    (tmp_path / "link").symlink_to(tmp_path / "files", target_is_directory=True)
    assert synchronised_by(tmp_path / "link" / "team", {}) == service
    assert synchronised_by(tmp_path / "elsewhere", {}) == ""


def test_onedrive_is_known_by_its_variable_whatever_its_folder_is_called(tmp_path: Path) -> None:
    environment = {"OneDriveCommercial": str(tmp_path / "Acme")}
    assert synchronised_by(tmp_path / "Acme" / "home", environment) == "OneDrive"
    assert synchronised_by(tmp_path / "Acme 2" / "home", environment) == ""


# Disks on which processes can't share memory, as WAL needs it -------------------------------------------------------


class _Sharing(sqlite3.Connection):
    """A connection on a disk that lets no file be mapped: WAL can be switched on, and then nothing can be read."""

    alone = False

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if "locking_mode = EXCLUSIVE" in sql:
            self.alone = True
        cursor = super().execute(sql, *arguments)
        mode = sql if "journal_mode" in sql else super().execute("PRAGMA journal_mode").fetchone()[0]
        if mode == "wal" and not self.alone:
            cursor.close()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_SHMMAP"
            raise error
        return cursor


@pytest.fixture(params=["no shared memory", "no mapping"])
def move_to_share(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes SQLite meet a disk without shared memory: by its own means, or as such a disk fails."""
    connect, uri = sqlite3.connect, database.sqlite_uri

    def without_mapping(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, **options, factory=_Sharing)

    def move() -> None:
        if request.param == "no shared memory":
            monkeypatch.setattr(database, "sqlite_uri", lambda path, options: uri(path, f"{options}&vfs=unix-none"))
        else:
            monkeypatch.setattr(sqlite3, "connect", without_mapping)

    return move


def _mode(path: Path) -> str:
    """Return how a database is written: the header says it (2: with WAL)."""
    return "wal" if path.read_bytes()[18] == 2 else "rollback"


def test_a_memory_is_made_where_processes_can_not_share_memory(
    tmp_path: Path, move_to_share: Callable[[], None]
) -> None:
    move_to_share()
    for number in range(3):
        store = open_store(tmp_path, "acme")
        with store.transaction():
            store.set_meta(f"note {number}", "kept")
        store.close()
        with read_store(tmp_path, "acme") as found:
            assert found is not None
            assert [found.meta(f"note {earlier}") for earlier in range(number + 1)] == ["kept"] * (number + 1)
    assert _mode(tmp_path / "memory.db") == "rollback"


def test_a_memory_that_was_moved_to_where_processes_can_not_share_memory_is_read_and_written(
    tmp_path: Path, move_to_share: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path, "acme")
    with store.transaction():
        store.set_meta("note", "kept")
    store.close()
    assert _mode(tmp_path / "memory.db") == "wal"
    move_to_share()
    with read_store(tmp_path, "acme") as found:
        assert found is not None
        assert found.meta("note") == "kept"
    store = open_store(tmp_path, "acme")
    store.set_meta("note", "changed")
    store.close()
    assert _mode(tmp_path / "memory.db") == "rollback"
    monkeypatch.undo()
    store = open_store(tmp_path, "acme")
    assert store.meta("note") == "changed"
    store.close()


def test_a_whole_sync_works_where_processes_can_not_share_memory(
    home: BrandHome, move_to_share: Callable[[], None]
) -> None:
    move_to_share()
    product = Product(home)
    assert product.sync().status == "complete"
    assert product.sync().counts.unchanged == 9
    assert product.status().status == "ready"


# What killed runs leave ----------------------------------------------------------------------------------------------


def test_temporary_files_of_killed_runs_go_with_the_next_sync(calls: Calls, root: Path) -> None:
    memory = root / "brands" / "acme" / "memory"
    folders = [memory, *(memory / name for name in ("pending", "stored", "cache")), root / "dm-memory"]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / ".dm-memory-abc123").write_text("half")
        (folder / "somebody-elses.tmp").write_text("theirs")
    assert calls("sync", "--home", str(root)).code == 0
    for folder in folders:
        assert not (folder / ".dm-memory-abc123").exists()
        assert (folder / "somebody-elses.tmp").exists()
