"""Opening memory.db: whatever lies there is served, or refused at once with a way out; nothing is followed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dm_memory.errors import DamagedStoreError, DmMemoryError, HomeError, StoreError
from dm_memory.store.database import FILE_NAME, Store, is_present, open_copy, open_store, read_store, reading
from dm_memory.store.schema import APPLICATION_ID, SCHEMA_VERSION
from tests.store.conftest import BRAND
from tests.support.processes import REPOSITORY, UNPRIVILEGED, command_environment

Opened = Callable[[], Store]


def read(memory_dir: Path) -> str:
    """Return the fact that ``filled`` stored, as a reader finds it."""
    return reading(memory_dir, BRAND, lambda store: store.meta("fact") if store else "none")


@pytest.fixture
def filled(memory_dir: Path) -> Path:
    """Return a memory with some pages."""
    with closing(open_store(memory_dir, BRAND)) as store:
        store.set_meta("fact", "kept")
        with store.transaction() as connection:
            rows = [(f"runs {n}", "x" * 2000) for n in range(100)]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
    return memory_dir / FILE_NAME


def test_only_the_store_connects_to_a_memory() -> None:
    """Other files have engines of their own: the cache, and the durable store as a file."""
    core = REPOSITORY / "core" / "dm_memory"
    others = [path for path in core.rglob("*.py") if path.relative_to(core).parts[0] not in {"store", "cache"}]
    found = {
        path.relative_to(core).as_posix(): re.findall(r"sqlite3\.connect\((.*?)\)", path.read_text(encoding="utf-8"))
        for path in others
    }
    assert {path: calls for path, calls in found.items() if set(calls) - {'":memory:"'}} == {}


NEWER_SQL = re.compile(
    r"ON CONFLICT DO UPDATE|\bRETURNING\b|\bMATERIALIZED\b|\bDROP COLUMN\b|->>|\b(?:RIGHT|FULL) (?:OUTER )?JOIN\b"
    r"|\bIS (?:NOT )?DISTINCT FROM\b|\b(?:unixepoch|string_agg|octet_length|unhex|jsonb?_pretty|timediff)\("
)
"""What SQLite learned after 3.34."""


def test_no_statement_needs_an_sqlite_newer_than_the_doctor_asks_for() -> None:
    """An upsert without its target, for one, is a syntax error in 3.34, at the first sync with a connected service."""
    sources = sorted((REPOSITORY / "core").rglob("*.py"))
    texts = {path: "".join(re.findall(r'"([^"\n]*)"', path.read_text(encoding="utf-8"))) for path in sources}
    assert not {str(path): found for path, text in texts.items() if (found := NEWER_SQL.findall(text))}


# A new one -----------------------------------------------------------------------------------------------------------


def test_a_new_memory_is_private_and_says_whose_it_is(memory_dir: Path, opened: Opened) -> None:
    store = opened()
    assert stat.S_IMODE((memory_dir / FILE_NAME).stat().st_mode) == 0o600
    assert store.rows("PRAGMA application_id") == [(APPLICATION_ID,)]
    assert store.rows("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert store.meta("brand") == BRAND
    wanted = {"page_size": 8192, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    wanted |= {"auto_vacuum": 2, "trusted_schema": 0, "cell_size_check": 1, "journal_size_limit": 32 << 20}
    assert {pragma: store.rows(f"PRAGMA {pragma}")[0][0] for pragma in wanted} == wanted


def test_reading_makes_nothing(memory_dir: Path) -> None:
    assert read(memory_dir) == "none"
    assert not is_present(memory_dir)
    assert list(memory_dir.iterdir()) == []


def test_a_file_that_a_killed_process_made_and_never_filled_is_a_new_memory(memory_dir: Path, opened: Opened) -> None:
    (memory_dir / FILE_NAME).touch()
    assert read(memory_dir) == "none"
    assert opened().meta("brand") == BRAND


def test_many_threads_open_a_new_memory_at_once(memory_dir: Path) -> None:
    found: list[object] = []

    def work() -> None:
        try:
            with closing(open_store(memory_dir, BRAND)) as store:
                found.append(store.meta("brand"))
        except DmMemoryError as error:  # pragma: no cover  # only a failure
            found.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BRAND] * 8


# What is no memory ---------------------------------------------------------------------------------------------------


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere.db"
    with closing(sqlite3.connect(elsewhere)) as connection:
        connection.execute("CREATE TABLE t (x)")
    path.symlink_to(elsewhere)


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def make_text(path: Path) -> None:
    path.write_text("This is no database at all. " * 100)


def make_short_text(path: Path) -> None:
    path.write_text("x")


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")


def make_foreign_with_a_version(path: Path) -> None:
    make_foreign(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def make_foreign_with_an_id(path: Path) -> None:
    make_foreign(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


KINDS = [
    make_folder,
    make_link,
    make_dangling_link,
    os.mkfifo,
    make_text,
    make_short_text,
    make_sparse,
    make_foreign,
    make_foreign_with_a_version,
    make_foreign_with_an_id,
]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_no_memory_is_refused_at_once_and_left_alone(memory_dir: Path, make: Callable[[Path], None]) -> None:
    path = memory_dir / FILE_NAME
    make(path)
    before = path.lstat()
    for attempt in (
        lambda: open_store(memory_dir, BRAND),
        lambda: read(memory_dir),
        lambda: open_copy(memory_dir, BRAND),
    ):
        with pytest.raises(DamagedStoreError) as caught:
            attempt()
        assert str(path) in caught.value.problem
        assert "sync" in caught.value.remedy
    after = path.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert sorted(memory_dir.glob(f"{FILE_NAME}-*")) == []


def test_a_memory_with_a_sparse_tail_of_ten_gigabytes_is_refused(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.truncate(10 << 30)
    with pytest.raises(DamagedStoreError, match="larger than its contents"):
        open_store(filled.parent, BRAND)
    with pytest.raises(DamagedStoreError, match="larger than its contents"):
        read(filled.parent)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.9, 0.999])
def test_a_memory_that_is_too_short_is_damaged(filled: Path, share: float) -> None:
    os.truncate(filled, int(filled.stat().st_size * share))
    with pytest.raises(DamagedStoreError):
        open_store(filled.parent, BRAND)
    with pytest.raises(DamagedStoreError):
        read(filled.parent)


@pytest.mark.parametrize("place", [0, 16, 18, 20, 28, 44, 56, 60, 68, 100, 105])
def test_a_flipped_bit_in_the_header_is_served_or_told_and_never_a_traceback(filled: Path, place: int) -> None:
    data = bytearray(filled.read_bytes())
    data[place] ^= 0x10
    filled.write_bytes(data)
    try:
        assert read(filled.parent) == "kept"
        open_store(filled.parent, BRAND).close()
    except StoreError as error:
        assert error.remedy  # noqa: PT017  # either is right


@pytest.mark.parametrize("step", range(64))
def test_a_page_of_junk_anywhere_is_served_or_told_and_never_a_traceback(filled: Path, step: int) -> None:
    data = bytearray(filled.read_bytes())
    page = step % (len(data) // 8192)
    data[page * 8192 : (page + 1) * 8192] = bytes([step * 37 % 256]) * 8192
    filled.write_bytes(data)
    try:
        with closing(open_store(filled.parent, BRAND)) as store:
            store.rows("SELECT * FROM meta")
            store.rows("SELECT * FROM entries")
    except StoreError as error:
        assert error.remedy  # noqa: PT017  # either is right


def test_a_memory_of_a_newer_program_is_left_to_it(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = filled.read_bytes()
    for attempt in (lambda: open_store(filled.parent, BRAND), lambda: read(filled.parent)):
        with pytest.raises(StoreError, match="newer dm-memory") as caught:
            attempt()
        assert not isinstance(caught.value, DamagedStoreError), "a newer memory must never be set aside"
        assert "Update" in caught.value.remedy
    assert filled.read_bytes() == before


# Together with others ------------------------------------------------------------------------------------------------


def test_looking_at_a_memory_takes_no_lock_from_who_writes(filled: Path, opened: Opened) -> None:
    """POSIX drops a process's locks on a file when it closes any descriptor of it: others would remove the log."""
    store = opened()
    store.set_meta("fact", "before")
    assert is_present(filled.parent)
    assert read(filled.parent) == "before"
    open_store(filled.parent, BRAND).close()
    open_copy(filled.parent, BRAND).close()
    other = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", other, str(filled)], check=True)
    store.set_meta("fact", "after")
    assert filled.with_name(f"{FILE_NAME}-wal").exists()
    assert read(filled.parent) == "after"


def test_a_reader_does_not_wait_for_who_writes(filled: Path, opened: Opened) -> None:
    with opened().transaction() as connection:
        connection.execute("UPDATE meta SET value = 'not yet' WHERE name = 'fact'")
        assert read(filled.parent) == "kept"
    assert read(filled.parent) == "not yet"


def test_who_waits_too_long_for_a_writer_gets_a_sentence(filled: Path, opened: Opened) -> None:
    with (
        opened().transaction(),
        closing(open_store(filled.parent, BRAND, busy_seconds=0.05)) as other,
        pytest.raises(StoreError, match="locked by another program"),
    ):
        other.set_meta("fact", "mine")


def test_the_clock_of_the_store_never_stands_still_or_goes_back(opened: Opened) -> None:
    store = opened()
    with store.transaction():
        first = store.ticks(1000)
        second = store.ticks(1000)
    store.set_meta("clock", str(second[-1] + 10**12))
    with store.transaction():
        third = store.ticks(1)
    assert [*first, *second] == sorted({*first, *second})
    assert third[0] == second[-1] + 10**12 + 1


def test_the_copy_a_dry_run_plans_on_is_its_own(filled: Path) -> None:
    with closing(open_copy(filled.parent, BRAND)) as copy:
        assert copy.meta("fact") == "kept"
        copy.set_meta("fact", "planned")
    assert read(filled.parent) == "kept"


# Disks and permissions -----------------------------------------------------------------------------------------------


def test_a_full_disk_is_told_in_our_words_and_costs_the_transaction_alone(filled: Path, opened: Opened) -> None:
    store = opened()
    pages = store.rows("PRAGMA page_count")[0][0]
    store.rows(f"PRAGMA max_page_count = {pages + 5}")

    def fill() -> None:
        with store.transaction() as connection:
            connection.execute("UPDATE meta SET value = 'lost' WHERE name = 'fact'")
            for number in range(1000):
                connection.execute("INSERT INTO meta VALUES (?, ?)", (str(number), "x" * 8000))

    with pytest.raises(StoreError, match="disk is full") as caught:
        fill()
    assert "Free some space" in caught.value.remedy
    assert store.meta("fact") == "kept"
    assert read(filled.parent) == "kept"


def test_a_transaction_that_sqlite_rolled_back_itself_keeps_its_own_error(opened: Opened) -> None:
    store = opened()

    def ends_early() -> None:
        with store.transaction() as connection:
            connection.execute("ROLLBACK")
            raise KeyError("the reason")

    with pytest.raises(KeyError, match="the reason"):
        ends_early()


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((HomeError, StoreError)) as caught:
        open_store(tmp_path / "file" / "memory", BRAND)
    assert caught.value.remedy


@contextmanager
def sealed(folder: Path):  # type: ignore[no-untyped-def]  # noqa: ANN201  # a fixture with an argument
    folder.chmod(0o500)
    for file in folder.iterdir():
        file.chmod(0o400)
    try:
        yield
    finally:
        folder.chmod(0o700)


def read_without_privilege(folder: Path) -> str:
    code = (
        "import sys; from pathlib import Path; from tests.store.test_database import read\n"
        "print(read(Path(sys.argv[1])))"
    )
    command = [*UNPRIVILEGED, sys.executable, "-c", code, str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=command_environment(), cwd=REPOSITORY
    )
    return done.stdout.strip() or done.stderr


def test_a_memory_in_a_read_only_folder_is_read(filled: Path) -> None:
    assert not filled.with_name(f"{FILE_NAME}-wal").exists()
    with sealed(filled.parent):
        assert read_without_privilege(filled.parent) == "kept"
    assert [path.name for path in filled.parent.iterdir()] == [FILE_NAME]


def test_a_log_in_a_read_only_folder_is_read_as_well(filled: Path, tmp_path: Path, opened: Opened) -> None:
    opened().set_meta("fact", "in the log")
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in (FILE_NAME, f"{FILE_NAME}-wal"):
        shutil.copyfile(filled.with_name(name), folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with sealed(folder):
        assert read_without_privilege(folder) == "in the log"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_memory_that_must_not_be_read_is_told(filled: Path) -> None:
    filled.chmod(0)
    told = read_without_privilege(filled.parent)
    assert "StoreError" in told
    assert "readable and writable" in told


def test_an_error_of_the_disk_is_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lstat = Path.lstat

    def broken(path: Path) -> os.stat_result:
        if path == filled:
            raise OSError(errno.EIO, "Input/output error")
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", broken)
    with pytest.raises(StoreError, match="Input/output error"), read_store(filled.parent, BRAND):
        pass
