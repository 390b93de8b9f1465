"""Taking turns at the engine."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.layers.turns import Turns


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_turn_is_ours_until_we_give_it_up(folder: Path) -> None:
    turns = Turns(folder, 5.0)
    assert not turns.held
    turns.take()
    turns.take()
    assert turns.held
    turns.give_up()
    turns.give_up()
    assert not turns.held


def test_only_one_has_the_turn_and_the_other_learns_who(folder: Path) -> None:
    holder, other = Turns(folder, 5.0), Turns(folder, 0.05)
    holder.take()
    with pytest.raises(LayerError, match=f"process {os.getpid()} since") as caught:
        other.take()
    assert caught.value.error_class is ErrorClass.UNAVAILABLE
    holder.give_up()
    other.take()
    assert other.held
    other.give_up()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x", "since": 3}', b"\xff"])
def test_a_note_about_the_holder_that_can_not_be_read_is_no_trouble(folder: Path, content: bytes) -> None:
    holder, other = Turns(folder, 5.0), Turns(folder, 0.05)
    holder.take()
    (folder / "holder.json").write_bytes(content)
    with pytest.raises(LayerError, match="another process"):
        other.take()
    holder.give_up()


def test_nobody_waits_unless_somebody_does(folder: Path) -> None:
    holder, waiter = Turns(folder, 5.0), Turns(folder, 30.0)
    holder.take()
    assert not holder.wanted()
    thread = threading.Thread(target=waiter.take)
    thread.start()
    while not holder.wanted():
        thread.join(0.01)
    holder.give_up()
    thread.join()
    assert waiter.held
    assert not waiter.wanted()
    waiter.give_up()


def test_a_holder_that_comes_back_queues_behind_who_waits(folder: Path) -> None:
    order: list[str] = []
    holder, waiter = Turns(folder, 30.0), Turns(folder, 30.0)

    def wait() -> None:
        waiter.take()
        order.append("waiter")
        waiter.give_up()

    holder.take()
    thread = threading.Thread(target=wait)
    thread.start()
    while not holder.wanted():
        thread.join(0.01)
    holder.give_up()
    holder.take()
    order.append("holder")
    holder.give_up()
    thread.join()
    assert order == ["waiter", "holder"]


def test_many_threads_never_have_the_turn_at_the_same_time(folder: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        turns = Turns(folder, 60.0)
        for _ in range(5):
            turns.take()
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)
            turns.give_up()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 20
