"""Trouble between the durable store and the cache, and what the cache is afterwards."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, cast

import pytest

from dm_memory.cache.engine import CacheBusyError
from dm_memory.cache.opening import open_cache
from dm_memory.cache.pages import Range, ahead, batches
from dm_memory.cache.records import Page as CachePage
from dm_memory.cache.records import Record
from dm_memory.cache.results import Mode, Status
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.findings import Severity
from dm_memory.services.turso.protocol import START
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.sqlite import open_memory
from dm_memory.store.database import FILE_NAME
from tests.cache.syncing import BRAND, Flaky, Pair, embedding, episode, pattern
from tests.support.processes import REPOSITORY, command_environment


@pytest.fixture(params=["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A store with 30 episodes, 5 patterns and embeddings of some; the cache is empty."""
    pair = Pair(tmp_path, request.param, max_episodes_cache=20, batch_size=4)
    pair.put(*map(episode, range(30)), *map(pattern, range(5)), *(embedding(f"e{n}") for n in range(0, 30, 2)))
    yield pair
    pair.close()


def cache_file(pair: Pair) -> Path:
    return next(pair.place.folder.glob(f"cache.v*.{pair.place.engine}"))


def codes(result: Any) -> list[str]:
    return [finding.code for finding in result.findings]


def test_a_new_machine_gets_the_newest_episodes_all_patterns_and_their_embeddings(pair: Pair) -> None:
    result = pair.sync()
    assert (result.status, result.mode, result.behind, result.validated) == (Status.SYNCED, Mode.INCREMENTAL, 0, True)
    assert result.moved.written == {Table.EPISODES: 20, Table.PATTERNS: 5, Table.EMBEDDINGS: 10}
    pair.assert_the_same(20)


def test_a_run_that_nobody_asked_for_keeps_what_was_asked_for(pair: Pair) -> None:
    """The server's timer must not evict what somebody cached on purpose, nor fetch what they left out."""
    pair.sync(max_episodes_cache=7, sync_embeddings=False)
    pair.put(episode(40), embedding("e40"))
    result = pair.sync(as_before=True, max_episodes_cache=1000)
    assert (result.cache.counts[Table.EPISODES], result.cache.counts[Table.EMBEDDINGS]) == (7, 0)
    pair.sync(max_episodes_cache=25)
    assert pair.sync(as_before=True).cache.counts[Table.EPISODES] == 25


def test_nothing_changed_costs_one_question(pair: Pair) -> None:
    pair.sync()
    pair.flaky.calls.clear()
    assert pair.sync().status is Status.UNCHANGED
    assert pair.flaky.calls == ["survey"]


def test_a_store_that_does_not_answer_leaves_the_cache_serving(pair: Pair) -> None:
    pair.sync()
    before = pair.cached(Table.EPISODES)
    pair.put(episode(99))
    pair.flaky.left = 0
    result = pair.sync()
    assert (result.status, result.exit_code, result.retry_after) == (Status.SKIPPED, 1, 60.0)
    assert result.store.error is not None
    assert pair.cached(Table.EPISODES) == before


def test_the_stores_own_waiting_time_is_passed_on(pair: Pair) -> None:
    class Limited(Flaky):
        async def survey(self, *_: Any) -> Any:
            raise ServiceError("Too many.", "Wait.", error_class=ErrorClass.RATE_LIMIT, retry_after=7.5)

    assert pair.sync(Limited(pair.store)).retry_after == 7.5


def test_an_interrupted_run_is_gone_on_with_where_it_stopped(pair: Pair) -> None:
    for left in range(60):
        pair.flaky.left = left
        result = pair.sync()
        written = sum(result.moved.written.values())
        assert result.status in {Status.SKIPPED, Status.INTERRUPTED, Status.SYNCED}
        if result.status is Status.INTERRUPTED and written:
            break
    pair.flaky.left = None
    rest = pair.sync()
    assert rest.findings == ()
    assert sum(rest.moved.written.values()) == 35 - written
    pair.assert_the_same(20)


def test_a_damaged_cache_is_set_aside_and_filled_again(pair: Pair) -> None:
    pair.sync()
    file = cache_file(pair)
    data = bytearray(file.read_bytes())
    data[4096:12288] = os.urandom(8192)
    file.write_bytes(data)
    result = pair.sync()
    assert codes(result) == ["cache-quarantined"]
    assert result.exit_code == 0
    pair.assert_the_same(20)


HOLDER = """
import sys
from pathlib import Path
from dm_memory.cache.opening import open_cache
with open_cache(Path(sys.argv[1]), sys.argv[2]) as cache, cache._engine.write():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_cache_that_another_process_fills_is_waited_for_and_then_named(pair: Pair) -> None:
    pair.sync()
    pair.put(episode(98))
    object.__setattr__(pair.place, "deadline", 0.2)
    command = [sys.executable, "-c", HOLDER, str(pair.place.folder), pair.place.engine]
    found = command_environment({"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])})
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=found, cwd=REPOSITORY
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CacheBusyError) as caught:
            pair.sync()
        assert str(holder.pid) in caught.value.problem
        holder.communicate("")
    assert pair.sync().status is Status.SYNCED


def spoil(pair: Pair, table: Table, record: Record) -> None:
    with open_cache(pair.place.folder, pair.place.engine) as cache:
        cache.apply(CachePage({table: [record]}))


@pytest.mark.parametrize(
    ("table", "record", "code"),
    [
        (Table.EPISODES, Record("e29", b"[]", 1), "cache-newest-missing"),
        (Table.EPISODES, Record("unknown", b"[]", 1), "cache-count"),
        (Table.PATTERNS, Record("p1", b"[]", 1 << 60), "cache-checksum"),
        (Table.PATTERNS, Record("p77", b"[]", 1), "cache-count"),
        (Table.EMBEDDINGS, Record("v", b"[]", 1, "nobody"), "cache-orphan"),
    ],
)
def test_what_is_wrong_in_the_cache_is_found_and_repaired(pair: Pair, table: Table, record: Record, code: str) -> None:
    pair.sync()
    spoil(pair, table, record)
    found = pair.sync(validate_only=True)
    assert code in codes(found)
    assert found.status is Status.CHECKED
    assert pair.sync(validate_only=True).findings == found.findings
    mended = pair.sync(repair=True)
    assert not [finding for finding in mended.findings if finding.severity is Severity.ERROR]
    assert pair.sync(validate_only=True).findings == ()
    pair.assert_the_same(20)


def test_a_row_that_is_older_than_in_a_store_where_nothing_changed_is_no_news_but_wrong(pair: Pair) -> None:
    """What a run that was stopped once left behind heals with the next change, whichever row that is about."""
    pair.sync()
    spoil(pair, Table.EPISODES, Record("e15", b"[]", 1))
    assert "cache-checksum" in codes(pair.sync(validate_only=True))
    pair.put(pattern(9))
    healed = pair.sync()
    assert (healed.mode, healed.findings, healed.validated) == (Mode.FULL, (), True)
    pair.assert_the_same(20)


def test_a_dry_run_and_a_check_make_no_cache(pair: Pair) -> None:
    planned = pair.sync(dry_run=True)
    assert (planned.status, planned.moved.written[Table.EPISODES], planned.behind) == (Status.PLANNED, 20, 50)
    assert codes(pair.sync(validate_only=True)) == ["cache-absent"]
    assert not pair.place.folder.exists()


def test_a_dry_run_changes_nothing_in_a_cache(pair: Pair) -> None:
    pair.sync()
    pair.put(episode(99))
    before = pair.cached(Table.EPISODES)
    planned = pair.sync(dry_run=True)
    assert (planned.moved.written[Table.EPISODES], planned.moved.evicted) == (1, 1)
    assert pair.cached(Table.EPISODES) == before


def test_a_store_that_is_suddenly_empty_empties_no_cache(pair: Pair, tmp_path: Path) -> None:
    pair.sync()
    empty = open_memory(tmp_path / "other", BRAND)
    before = pair.cached(Table.EPISODES)
    result = pair.sync(empty)
    assert codes(result) == ["durable-empty"]
    assert result.exit_code == 1
    assert pair.cached(Table.EPISODES) == before


def test_full_removes_what_the_store_does_not_hold(pair: Pair) -> None:
    pair.sync()
    spoil(pair, Table.EPISODES, Record("e-unknown", b"[]", 1 << 60))
    result = pair.sync(full=True)
    assert result.mode is Mode.FULL
    assert result.moved.removed[Table.EPISODES] == 1
    assert result.findings == ()
    pair.assert_the_same(20)


def test_a_larger_cache_is_filled_from_below(pair: Pair) -> None:
    pair.sync(max_episodes_cache=5)
    result = pair.sync(max_episodes_cache=25)
    assert result.moved.written[Table.EPISODES] == 20
    assert result.findings == ()
    pair.assert_the_same(25)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("keep", [2, 3])
def test_a_hole_that_an_interrupted_run_left_is_found_though_the_number_is_right(
    tmp_path: Path, keep: int, *, full: bool
) -> None:
    pair = Pair(tmp_path, max_episodes_cache=1, batch_size=1)
    pair.put(*map(episode, range(3)))
    pair.sync()
    for left in range(40):  # until it stops after the first of two pages from below
        pair.flaky.left = left
        if pair.sync(max_episodes_cache=3, full=full).moved.written[Table.EPISODES]:
            break
    pair.flaky.left = None
    assert pair.cached(Table.EPISODES).keys() == {"e0", "e2"}
    if keep == 3:
        pair.put(episode(3))
    assert pair.sync(max_episodes_cache=keep).findings == ()
    pair.assert_the_same(keep)
    assert pair.sync(max_episodes_cache=keep).status is Status.UNCHANGED
    pair.close()


DO_MEMORY = """
CREATE TABLE episodes (episode_id TEXT PRIMARY KEY, task TEXT, start_time INTEGER, created_at INTEGER, archived_at INTEGER);
CREATE TABLE patterns (pattern_id TEXT PRIMARY KEY, body TEXT, score REAL, updated_at INTEGER);
CREATE TABLE embeddings (embedding_id TEXT PRIMARY KEY, item_id TEXT, item_type TEXT, embedding_data BLOB,
    dimension INTEGER, model TEXT, created_at INTEGER);
"""  # noqa: E501  # do-memory's own text


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[tuple[Pair, sqlite3.Connection]]:
    """A database that do-memory made, with ten episodes of one second."""
    pair = Pair(tmp_path, max_episodes_cache=8, batch_size=3)
    (tmp_path / "memory").mkdir()
    with closing(sqlite3.connect(tmp_path / "memory" / FILE_NAME, isolation_level=None)) as connection:
        connection.executescript(DO_MEMORY)
        for number in range(10):
            connection.execute("INSERT INTO episodes VALUES (?, 'task', 5, 5, NULL)", (f"e{number}",))
            connection.execute("INSERT INTO embeddings VALUES (?, ?, 'episode', x'01ff', 1, 'm', 5)",
                               (f"v{number}", f"e{number}"))  # fmt: skip
        connection.execute("INSERT INTO patterns VALUES ('p', 'body', 1e999, 5)")
        yield pair, connection
    pair.close()


def test_a_do_memory_database_is_read(foreign: tuple[Pair, sqlite3.Connection]) -> None:
    pair, connection = foreign
    assert pair.sync().findings == ()
    assert pair.cached(Table.PATTERNS)["p"]["score"] == float("inf")
    assert pair.cached(Table.EMBEDDINGS)["v9"]["embedding_data"] == b"\x01\xff"
    connection.execute("INSERT INTO episodes VALUES ('e-late', 'same second', 5, 5, NULL)")
    result = pair.sync()
    assert (result.moved.written[Table.EPISODES], result.findings) == (0, ())  # of one second, ids decide
    connection.execute("INSERT INTO episodes VALUES ('x', 'later id', 5, 5, NULL)")
    assert pair.sync().moved.written[Table.EPISODES] == 1
    assert len(pair.cached(Table.EPISODES)) == 8


def test_an_edit_that_leaves_no_trace_is_found_by_full_and_by_every_tenth_run(
    foreign: tuple[Pair, sqlite3.Connection],
) -> None:
    pair, connection = foreign
    for number in range(60):  # more than are sampled; ids decide which
        connection.execute("INSERT INTO patterns VALUES (?, 'body', 0, 5)", (f"q{number:02}",))
    connection.execute("INSERT INTO patterns VALUES ('z', 'body', 0, 4)")
    pair.sync()
    for text, full in (("one", True), ("two", False)):
        connection.execute("UPDATE patterns SET body = ? WHERE pattern_id = 'z'", (text,))
        runs = [pair.sync(full=full) for _ in range(1 if full else 10)]
        assert [run.mode for run in runs].count(Mode.FULL) == 1
        assert [finding for run in runs for finding in run.findings] == []
        assert pair.cached(Table.PATTERNS)["z"]["body"] == text


def test_an_edit_or_a_deletion_that_shows_in_the_sample_is_followed_by_a_full_run_at_once(
    foreign: tuple[Pair, sqlite3.Connection],
) -> None:
    pair, connection = foreign
    connection.execute("INSERT INTO episodes VALUES ('e-new', 'task', 9, 9, NULL)")  # the last second is read again
    connection.execute("INSERT INTO patterns VALUES ('p-new', 'body', 0, 9)")
    connection.execute("INSERT INTO embeddings VALUES ('v-new', 'e-new', 'episode', x'01', 1, 'm', 9)")
    pair.sync()
    for change in (
        "UPDATE patterns SET body = 'edited' WHERE pattern_id = 'p'",
        # Ten are left, eight cached: no number tells.
        "DELETE FROM episodes WHERE episode_id = 'e5'; DELETE FROM embeddings WHERE item_id = 'e5'",
        "UPDATE embeddings SET model = 'other' WHERE embedding_id = 'v7'",
    ):
        connection.executescript(change)
        result = pair.sync()
        assert (result.mode, result.findings, result.validated) == (Mode.FULL, (), True)
        pair.assert_the_same(8)


def test_a_deletion_that_leaves_no_trace_is_found_by_counting(foreign: tuple[Pair, sqlite3.Connection]) -> None:
    pair, connection = foreign
    pair.sync()
    connection.execute("DELETE FROM patterns")
    assert pair.sync().moved.removed[Table.PATTERNS] == 1
    assert pair.cached(Table.PATTERNS) == {}


def test_results_come_in_the_order_of_the_jobs_however_they_end() -> None:
    most = running = 0

    async def act() -> list[int]:
        events = [asyncio.Event() for _ in range(9)]
        events[2].set()  # the third of each three ends first, the first last

        async def job(number: int) -> int:
            nonlocal most, running
            running += 1
            most = max(most, running)
            await events[number].wait()
            if number:
                events[number - 1].set()
            events[min(8, number + 3)].set()
            running -= 1
            return number

        jobs = ((lambda number=number: job(number)) for number in range(9))
        return [result async for result in ahead(jobs, 3)]

    assert asyncio.run(act()) == [*range(9)]
    assert most == 3


def test_pages_fetched_ahead_come_in_the_order_of_their_keys_and_miss_nothing(pair: Pair) -> None:
    async def act() -> list[str]:
        span = Range(Table.EPISODES, START, None, 30)
        found = batches(pair.store, span, 4, 3, with_embeddings=False)
        return [str(row[0]) async for batch in found for row in batch.page.rows]

    assert pair.runner.run(act()) == [f"e{number}" for number in range(30)]


def test_the_last_page_is_fetched_together_with_the_others(pair: Pair) -> None:
    class Together:
        """Answers no page before all eight have been asked for."""

        def __init__(self) -> None:
            self.all = asyncio.Barrier(8)
            self.remote = True

        def __getattr__(self, name: str) -> Any:
            return getattr(pair.store, name)

        async def page(self, *arguments: Any, **options: Any) -> Any:
            await self.all.wait()
            return await pair.store.page(*arguments, **options)

    async def act() -> list[str]:
        span = Range(Table.EPISODES, START, None, 30)
        found = batches(cast("Any", Together()), span, 4, 8, with_embeddings=False)
        async with asyncio.timeout(30):
            return [str(row[0]) async for batch in found for row in batch.page.rows]

    assert pair.runner.run(act()) == [f"e{number}" for number in range(30)]


@pytest.mark.parametrize("remote", [True, False])
def test_what_comes_behind_the_last_seam_is_read_however_much_it_is(pair: Pair, remote: bool) -> None:
    async def act() -> list[str]:
        span = Range(Table.EPISODES, START, None, 3)  # when it was counted; 27 came in since
        found = batches(cast("Any", Flaky(pair.store, remote=remote)), span, 4, 3, with_embeddings=False)
        return [str(row[0]) async for batch in found for row in batch.page.rows]

    assert pair.runner.run(act()) == [f"e{number}" for number in range(30)]


def test_a_full_run_without_vectors_leaves_none_of_a_pattern_that_is_gone(pair: Pair) -> None:
    pair.put(pattern(1), embedding("p1"))
    pair.sync()
    pair.delete(Table.PATTERNS, ["p1"])
    pair.sync(full=True, sync_embeddings=False)
    assert not [key for key in pair.cached(Table.EMBEDDINGS) if "p1" in key]


@pytest.mark.parametrize("taken", [1, 3])
def test_pages_of_a_file_that_nobody_wants_any_more_are_let_go(pair: Pair, taken: int) -> None:
    store: Any = Flaky(pair.store, remote=False)

    async def act() -> int:
        async with aclosing(
            batches(store, Range(Table.EPISODES, START, None, 30), 4, 3, with_embeddings=False)
        ) as found:
            for _ in range(taken):
                await anext(found)
        return len(asyncio.all_tasks()) - 1

    assert pair.runner.run(act()) == 0
    assert store.calls.count("page") <= taken + 1


@pytest.mark.slow
def test_a_few_pages_are_held_not_the_store(tmp_path: Path) -> None:
    rows, text = 20_000, "x" * 1000
    pair = Pair(tmp_path, max_episodes_cache=rows, batch_size=100)
    for start in range(0, rows, 1000):
        pair.put(*(episode(number, text) for number in range(start, start + 1000)))
    tracemalloc.start()
    try:
        assert pair.sync().moved.written[Table.EPISODES] == rows
        assert tracemalloc.get_traced_memory()[1] < rows * len(text) / 2
    finally:
        tracemalloc.stop()
        pair.close()
