"""The outbox: what is due where, what was confirmed, and that nothing stays in a service that should be gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.store import outbox
from dm_memory.store.database import Store

VECTOR, GRAPH = "vector@a", "graph@b"


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()


def want(
    store: Store, *versions: tuple[str, str], services: tuple[str, ...] = (VECTOR,), run: int = 1, **more: bool
) -> None:
    outbox.want(store.connection, services, [(id_, version, "new") for id_, version in versions], run, **more)


def due(store: Store, service: str = VECTOR, *, deletions: bool = False) -> dict[str, tuple[str, str]]:
    page = outbox.due_page(store.connection, service, "", 100, deletions=deletions)
    return {each.id: (each.wanted, each.confirmed) for each in page}


def confirm(store: Store, *versions: tuple[str, str], service: str = VECTOR) -> None:
    outbox.confirm(store.connection, service, versions, "2026-11-21T09:00:00+00:00", 1)


def test_what_is_wanted_is_due_until_it_is_confirmed(store: Store) -> None:
    want(store, ("a", "1"), ("b", "1"), services=(VECTOR, GRAPH))
    assert due(store) == due(store, GRAPH) == {"a": ("1", ""), "b": ("1", "")}
    confirm(store, ("a", "1"))
    assert (set(due(store)), set(due(store, GRAPH))) == ({"b"}, {"a", "b"})
    assert outbox.count_due(store.connection, VECTOR) == 1
    assert outbox.count_confirmed(store.connection, VECTOR) == 1


def test_what_is_wanted_in_another_version_is_due_again_and_known_to_be_there(store: Store) -> None:
    want(store, ("a", "1"))
    confirm(store, ("a", "1"))
    want(store, ("a", "2"))
    assert due(store) == {"a": ("2", "1")}
    assert outbox.count_confirmed(store.connection, VECTOR) == 1


def test_a_late_answer_about_an_old_version_settles_nothing(store: Store) -> None:
    want(store, ("a", "1"))
    want(store, ("a", "2"))
    confirm(store, ("a", "1"))
    assert due(store) == {"a": ("2", "1")}


def test_by_force_everything_is_due_whatever_is_there(store: Store) -> None:
    want(store, ("a", "1"), ("b", "1"))
    confirm(store, ("a", "1"))
    want(store, ("a", "1"), ("b", "1"), again=True)
    assert due(store) == {"a": ("1", "?"), "b": ("1", "")}


def test_what_has_to_go_is_deleted_and_then_forgotten(store: Store) -> None:
    want(store, ("a", "1"))
    confirm(store, ("a", "1"))
    want(store, ("a", ""))
    assert (due(store), due(store, deletions=True)) == ({}, {"a": ("", "1")})
    confirm(store, ("a", ""))
    assert store.rows("SELECT * FROM deliveries") == []


@pytest.mark.parametrize("how", ["want", "remove"])
def test_what_was_sent_and_never_confirmed_is_deleted_too(store: Store, how: str) -> None:
    """A process that was killed between a service's answer and its own commit knows nothing of the answer."""
    want(store, ("a", "1"))
    if how == "want":
        want(store, ("a", ""), run=2)
    else:
        outbox.remove(store.connection, ["a"], 2)
    assert due(store, deletions=True) == {"a": ("", "?")}
    assert outbox.count_confirmed(store.connection, VECTOR) == 0, "nobody knows that it is there"


def test_what_was_never_wanted_is_not_deleted(store: Store) -> None:
    want(store, ("a", ""))
    outbox.remove(store.connection, ["b"], 1)
    assert store.rows("SELECT * FROM deliveries") == []


def test_a_failure_stays_due_and_counts_as_failed_until_it_is_wanted_anew(store: Store) -> None:
    want(store, ("a", "1"), ("b", "1"))
    outbox.fail(store.connection, VECTOR, [("a", 3, "2026-11-22", "[]")], 1)
    assert (outbox.count_failed(store.connection, VECTOR), outbox.count_due(store.connection, VECTOR)) == (1, 2)
    want(store, ("a", "2"))
    assert outbox.count_failed(store.connection, VECTOR) == 0


def test_what_a_service_turned_out_not_to_have_is_due(store: Store) -> None:
    want(store, ("a", "1"))
    confirm(store, ("a", "1"))
    outbox.doubt(store.connection, VECTOR, ["a"], 2)
    assert due(store) == {"a": ("1", "")}


def test_what_waits_for_a_service_that_is_gone_is_dropped_and_what_it_has_stays_known(store: Store) -> None:
    want(store, ("a", "1"), ("b", "1"))
    confirm(store, ("a", "1"))
    outbox.park(store.connection, [GRAPH])
    assert store.rows("SELECT id, confirmed FROM deliveries") == [("a", "1")]


def test_a_page_goes_on_behind_its_last_id(store: Store) -> None:
    want(store, *((f"{number:03}", "1") for number in range(250)))
    seen: list[str] = []
    while page := outbox.due_page(store.connection, VECTOR, seen[-1] if seen else "", 100, deletions=False):
        seen += [each.id for each in page]
    assert seen == [f"{number:03}" for number in range(250)]
