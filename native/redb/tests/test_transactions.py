"""Changes that are stored together or not at all."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dm_memory_redb import Busy, Closed, Database, WriteTransaction

from .conftest import Spawn


def test_a_transaction_changes_several_tables_at_once(database: Database) -> None:
    database.put_many("old", [(b"x", b"")])
    with database.write() as transaction:
        transaction.put("one", b"k", b"1")
        assert transaction.put_many("two", [(b"k", b"2"), (b"l", b"3")]) == 2
        assert transaction.delete_many("two", [b"l", b"?"]) == 1
        assert transaction.clear("old") == 1
        assert transaction.get("one", b"k") == b"1"
        assert transaction.scan("two") == [(b"k", b"2")]
        assert transaction.scan("two", b"l", reverse=True) == []
        assert database.get("one", b"k") is None, "readers see it once it is committed"
    assert database.get("one", b"k") == b"1"
    assert database.get_many("two", [b"k", b"l"]) == [b"2", None]
    assert database.count("old") == 0


def test_an_exception_rolls_everything_back(database: Database) -> None:
    database.put_many("notes", [(b"a", b"1")])

    def fail(transaction: WriteTransaction) -> None:
        with transaction:
            transaction.put("notes", b"a", b"2")
            transaction.clear("notes")
            raise LookupError

    with pytest.raises(LookupError):
        fail(database.write())
    assert database.get("notes", b"a") == b"1"
    assert database.put_many("notes", [(b"b", b"")], timeout=0) == 1, "the next writer may go at once"


def test_ending_by_hand_is_the_end(database: Database) -> None:
    with database.write() as transaction:
        transaction.put("notes", b"a", b"1")
        transaction.commit()
        with pytest.raises(Closed):
            transaction.put("notes", b"b", b"2")
        with pytest.raises(Closed):
            transaction.rollback()
    with database.write() as transaction:
        transaction.put("notes", b"c", b"3")
        transaction.rollback()
    assert [key for key, _ in database.scan("notes")] == [b"a"]


def test_a_rolled_back_transaction_that_grew_the_file_leaves_it_intact(database: Database) -> None:
    transaction = database.write()
    transaction.put_many("notes", [(i.to_bytes(4, "big"), b"v" * 2000) for i in range(5000)])
    transaction.rollback()
    assert database.check_integrity() is True


def test_a_second_writer_waits_and_then_is_told_that_it_is_busy(database: Database) -> None:
    with database.write():
        for call in (
            lambda: database.write(timeout=0.01),
            lambda: database.put_many("notes", [(b"a", b"")], timeout=0),
            lambda: database.check_integrity(timeout=0),
            lambda: database.compact(timeout=0),
            lambda: database.stats(timeout=0),
        ):
            with pytest.raises(Busy, match="another write transaction"):
                call()
        assert database.get("notes", b"a") is None, "reading goes on"
    assert database.check_integrity() is True


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds(database: Database, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        database.write(timeout=timeout)


def test_a_forgotten_transaction_is_rolled_back(database: Database) -> None:
    database.write().put("notes", b"a", b"1")
    assert database.put_many("notes", [(b"b", b"2")], timeout=0) == 1
    assert database.count("notes") == 1


def test_closing_rolls_back_and_a_transaction_that_wanted_to_commit_is_told(path: Path) -> None:
    database = Database.open(path)

    def close_inside(transaction: WriteTransaction) -> None:
        with transaction:
            transaction.put("notes", b"a", b"1")
            database.close()

    with pytest.raises(Closed):
        close_inside(database.write())
    with Database.open(path) as database:
        assert database.count("notes") == 0


def test_threads_take_turns_and_lose_nothing(database: Database) -> None:
    def work(number: int) -> None:
        for i in range(20):
            with database.write(timeout=None) as transaction:
                value = int(transaction.get("total", b"n") or b"0")
                transaction.put("total", b"n", str(value + 1).encode())
                transaction.put("seen", f"{number}/{i}".encode(), b"")
            database.scan("seen", limit=5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert database.get("total", b"n") == b"160"
    assert database.count("seen") == 160


def test_other_threads_run_while_one_waits_for_its_turn(database: Database) -> None:
    """The GIL is released: were it held, the writer below could never end its transaction."""
    transaction: WriteTransaction = database.write()
    waiting = threading.Thread(target=lambda: database.put_many("notes", [(b"a", b"")], timeout=None))
    waiting.start()
    transaction.put("notes", b"b", b"")
    transaction.commit()
    waiting.join(timeout=30)
    assert not waiting.is_alive()
    assert database.count("notes") == 2


WRITER = """
import sys
from dm_memory_redb import Database
database = Database.open(sys.argv[1])
n = int(database.get("meta", b"n") or b"0")
while True:
    n += 1
    with database.write() as transaction:
        transaction.put_many("rows", [(n.to_bytes(4, "big") + bytes([i]), b"v" * 2000) for i in range(50)])
        transaction.put("meta", b"n", str(n).encode())
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_whole_transactions_only(path: Path, spawn: Spawn) -> None:
    for commits in (1, 4, 9):
        writer = spawn(WRITER, path)
        assert writer.stdout is not None
        confirmed = [int(writer.stdout.readline()) for _ in range(commits)][-1]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        with Database.open(path, create=False) as database:
            assert database.check_integrity() is True
            stored = int(database.get("meta", b"n") or b"0")
            assert stored >= confirmed, "what was confirmed is there"
            assert database.count("rows") == stored * 50
