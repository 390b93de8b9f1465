"""With checksums beside the file, what is read is what was written, or an error; without reading all of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dm_memory_redb import Corrupted, Database, Locked

from .conftest import Spawn

VALUE = bytes(range(256)) * 8
ROWS = {b"%05d" % number: VALUE + b"%d" % number for number in range(2000)}


def opened(path: Path) -> Database:
    return Database.open(path, cache_bytes=1 << 20, checksums=sums(path))


def sums(path: Path) -> Path:
    return path.with_name(path.name + "-sums")


@pytest.fixture
def filled(path: Path) -> Path:
    with opened(path) as database:
        assert database.verified
        database.put_many("t", ROWS.items())
    return path


def read_all(database: Database) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    start = b""
    while page := database.scan("t", start, limit=100):
        found.update(page)
        start = page[-1][0] + b"\0"
    return found


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


def test_a_file_that_was_closed_is_verified_as_it_is_read(filled: Path) -> None:
    for _ in range(3):
        with opened(filled) as database:
            assert database.verified
            assert read_all(database) == ROWS
        assert sums(filled).stat().st_size == 8 + 8 + 4 + filled.stat().st_size // 4096 * 4


def test_without_checksums_nothing_is_said_to_be_verified(filled: Path) -> None:
    with Database.open(filled) as database:
        assert not database.verified
        assert database.check_integrity()
        assert not database.verified


def test_the_checksums_are_private(filled: Path) -> None:
    assert sums(filled).stat().st_mode & 0o777 == 0o600


def test_a_damaged_block_is_an_error_when_it_is_met_and_never_other_data(filled: Path) -> None:
    data, kept, seed = filled.read_bytes(), sums(filled).read_bytes(), random.Random(5)
    met = 0
    for _ in range(150):
        filled.write_bytes(data)
        sums(filled).write_bytes(kept)
        flip(filled, seed.randrange(4096, len(data)))
        try:
            with opened(filled) as database:
                assert database.verified
                assert read_all(database) == ROWS, "the damage was where nothing is"
        except Corrupted:
            met += 1
    assert met > 50


def test_a_damaged_file_may_be_changed_and_ends_in_an_error_at_worst(filled: Path) -> None:
    data, kept, seed = filled.read_bytes(), sums(filled).read_bytes(), random.Random(6)
    met = 0
    for number in range(100):
        filled.write_bytes(data)
        sums(filled).write_bytes(kept)
        for _ in range(20):
            flip(filled, seed.randrange(4096, len(data)))
        try:
            with opened(filled) as database:
                database.put_many("t", [(key, b"new") for key in random.Random(number).sample([*ROWS], 20)])
                database.delete_many("t", [*ROWS][number : number + 50])
        except Corrupted:
            met += 1
    assert met > 50


def test_a_file_in_which_damage_was_met_is_not_vouched_for(filled: Path) -> None:
    flip(filled, filled.read_bytes().rindex(VALUE))
    with opened(filled) as database, pytest.raises(Corrupted):
        read_all(database)
    with opened(filled) as database:
        assert not database.verified


@pytest.mark.parametrize("first", [True, False])
def test_checksums_of_another_moment_are_not_believed(filled: Path, *, first: bool) -> None:
    old, kept = filled.read_bytes(), sums(filled).read_bytes()
    with opened(filled) as database:
        database.put_many("t", [(b"00000", VALUE)])
    new, later = filled.read_bytes(), sums(filled).read_bytes()
    filled.write_bytes(new if first else old)
    sums(filled).write_bytes(kept if first else later)
    with opened(filled) as database:
        assert not database.verified
        assert database.check_integrity()
        assert database.verified
    with opened(filled) as database:
        assert database.verified


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_broken_checksums_are_not_believed(filled: Path, share: float) -> None:
    kept = sums(filled).read_bytes()
    sums(filled).write_bytes(kept[: int(len(kept) * share)])
    with opened(filled) as database:
        assert not database.verified
        assert read_all(database) == ROWS
    assert not sums(filled).exists(), "what nobody verified is not vouched for"


@pytest.mark.parametrize("number", range(0, 100, 7))
def test_one_wrong_byte_in_the_checksums_is_noticed(filled: Path, number: int) -> None:
    flip(sums(filled), sums(filled).stat().st_size * number // 100)
    with opened(filled) as database:
        assert not database.verified


KILLED = """
import sys
from pathlib import Path
from dm_memory_redb import Database
path = Path(sys.argv[1])
database = Database.open(path, checksums=path.with_name(path.name + "-sums"))
database.put_many("t", [(b"00000", b"new")])
print("written", flush=True)
input()
"""


def test_after_a_kill_the_file_has_to_be_checked(filled: Path, spawn: Spawn) -> None:
    process = spawn(KILLED, filled)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.wait()
    assert not sums(filled).exists()
    with opened(filled) as database:
        assert not database.verified
        assert database.get("t", b"00000") == b"new"
        assert database.check_integrity()
        assert database.verified


def test_a_place_for_checksums_that_can_not_be_used_costs_only_the_trust(path: Path) -> None:
    for _ in range(2):
        with Database.open(path, checksums=path.parent / "absent" / "sums") as database:
            database.put_many("t", [(b"k", b"v")])
    with Database.open(path, checksums=path.parent / "absent" / "sums") as database:
        assert not database.verified
        assert database.get("t", b"k") == b"v"


def test_the_file_is_locked_all_the_same(filled: Path) -> None:
    with opened(filled), pytest.raises(Locked):
        opened(filled)
