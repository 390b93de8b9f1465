"""Files that are held, damaged, or no databases at all."""

from __future__ import annotations

import os
import random
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import dm_memory_redb
from dm_memory_redb import Closed, Corrupted, Database, Error, Locked, UpgradeRequired

from .conftest import Spawn

HOLDER = """
import sys
from dm_memory_redb import Database
database = Database.open(sys.argv[1])
print("open", flush=True)
input()
"""


def filled(path: Path, rows: int = 300) -> bytes:
    with Database.open(path) as database:
        database.put_many("rows", [(i.to_bytes(4, "big"), os.urandom(500)) for i in range(rows)])
    return path.read_bytes()


@pytest.mark.usefixtures("database")
def test_a_file_that_is_open_here_is_locked(path: Path) -> None:
    with pytest.raises(Locked, match=re.escape(str(path))):
        Database.open(path)


def test_a_file_that_another_process_has_open_is_locked_until_that_ends(path: Path, spawn: Spawn) -> None:
    holder = spawn(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(Locked):
        Database.open(path)
    holder.kill()
    holder.wait()
    Database.open(path).close()


def test_a_missing_file_is_made_unless_told_otherwise(path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Database.open(path, create=False)
    assert caught.value.filename == str(path)
    assert not path.exists()
    Database.open(path).close()
    assert path.exists()


def test_an_empty_file_is_not_taken_for_a_database(path: Path) -> None:
    path.touch()
    with pytest.raises(Corrupted, match="empty"):
        Database.open(path, create=False)
    assert path.stat().st_size == 0


def test_trouble_with_the_file_system_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Database.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Database.open(tmp_path / "file" / "data.redb")


@pytest.mark.parametrize("content", [b"x", b"SQLite format 3\x00" * 1000, b"\x00" * 100_000, b"redb\x1a\n\xa9\r\n"])
def test_something_else_is_corrupted_and_stays_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Corrupted):
        Database.open(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(("version", "expected"), [(1, UpgradeRequired), (2, UpgradeRequired), (9, Corrupted)])
def test_an_old_format_asks_for_an_upgrade(path: Path, version: int, expected: type[Error]) -> None:
    data = bytearray(filled(path))
    # Both commit slots (at 64 and 192) begin with the version of the file format.
    data[64] = data[192] = version
    path.write_bytes(data)
    with pytest.raises(expected):
        Database.open(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_corrupted(path: Path, share: float) -> None:
    data = filled(path, 3000)
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Corrupted):
        Database.open(path)


def test_damage_anywhere_is_found_by_the_check_or_harmless_and_never_more_than_an_exception(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A byte flipped at 200 random places: whatever the check passes holds exactly what was stored."""
    data, seed = filled(path, 2000), random.Random(4)
    stored = rows(path)
    found = 0
    for _ in range(200):
        place = seed.randrange(len(data))
        damaged = bytearray(data)
        damaged[place] ^= seed.randrange(1, 256)
        path.write_bytes(damaged)
        found += is_damaged(path, stored)
    assert found > 50
    assert capfd.readouterr() == ("", ""), "the engine's panics are not printed"


def rows(path: Path) -> list[tuple[bytes, bytes]]:
    with Database.open(path) as database:
        return database.scan("rows", limit=10_000)


def is_damaged(path: Path, stored: list[tuple[bytes, bytes]]) -> bool:
    """Return whether opening or checking the file said that it is damaged; if not, it must be as it was."""
    try:
        with Database.open(path, create=False) as database:
            if not database.check_integrity():
                return True
            assert database.scan("rows", limit=10_000) == stored
            database.put_many("rows", [(b"new", b"v")])
    except Error:
        return True
    return False


def test_reading_a_damaged_file_without_a_check_ends_in_an_exception_or_an_answer(path: Path) -> None:
    """Closing must not write either: redb commits on closing, and would end the process over some of these files."""
    data, seed = filled(path, 1500), random.Random(5)
    ends = set()
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(seed.choice((1, 3, 20))):
            damaged[seed.randrange(len(data))] = seed.randrange(256)
        path.write_bytes(damaged)
        ends.add(end_of_reading(path))
    assert ends == {"answer", "corrupted"}


def end_of_reading(path: Path) -> str:
    try:
        with Database.open(path, create=False) as database:
            database.scan("rows", limit=10_000)
            database.scan("rows", limit=10_000, reverse=True)
            database.get_many("rows", [i.to_bytes(4, "big") for i in range(0, 1500, 7)])
    except Corrupted:
        return "corrupted"
    return "answer"


def test_what_was_only_read_is_as_it_was_and_opens_again(path: Path) -> None:
    filled(path)
    stored = rows(path)
    for _ in range(3):
        assert rows(path) == stored
    with Database.open(path, create=False) as database:
        assert database.check_integrity() is True


def test_closing_twice_is_once_and_everything_else_says_closed(path: Path) -> None:
    database = Database.open(path)
    assert not database.closed
    database.close()
    database.close()
    assert database.closed
    for call in (
        lambda: database.get("t", b""),
        lambda: database.put_many("t", []),
        database.write,
        database.check_integrity,
        database.tables,
        database.stats,
    ):
        with pytest.raises(Closed, match="closed"):
            call()


def test_a_forked_child_can_neither_use_nor_harm_the_parents_database(path: Path) -> None:
    database = Database.open(path)
    database.put_many("rows", [(b"a", b"1")])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            database.get("rows", b"a")
        except Closed:
            database.close()
            del database
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    database.put_many("rows", [(b"b", b"2")])
    assert database.check_integrity() is True
    database.close()
    Database.open(path).close()


def test_what_it_looks_like(database: Database) -> None:
    assert repr(database) == f'<dm_memory_redb.Database "{database.path}" open>'
    with database.write() as transaction:
        assert repr(transaction).endswith("open>")
    assert repr(transaction).endswith("over>")
    for name in dm_memory_redb.__all__:
        assert getattr(dm_memory_redb, name).__doc__
    for kind in (dm_memory_redb.Database, dm_memory_redb.WriteTransaction):
        undocumented = [name for name, member in vars(kind).items() if name[0] != "_" and not member.__doc__]
        assert undocumented == []


def test_every_exception_is_an_error_of_this_package() -> None:
    for name in ("Busy", "Closed", "Corrupted", "Locked", "UpgradeRequired"):
        kind = getattr(dm_memory_redb, name)
        assert issubclass(kind, Error)
        assert (kind.__module__, kind.__qualname__) == ("dm_memory_redb", name)


def test_crate_distribution_and_module_have_one_version() -> None:
    manifest = tomllib.loads((Path(__file__).parents[1] / "Cargo.toml").read_text())
    assert dm_memory_redb.__version__ == version("dm-memory-redb") == manifest["package"]["version"]
