"""The durable store as a file: what is the file system's, and what other processes do to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.turso import sql as durable_sql
from dm_memory.services.turso.protocol import Table
from dm_memory.services.turso.rows import episode_of
from dm_memory.services.turso.schema import NATIVE
from dm_memory.services.turso.sqlite import FILE_NAME, open_sqlite_store
from dm_memory.services.turso.statement import Statement
from dm_memory.services.turso.store import SqlStore
from tests.services.payloads import payload

REPOSITORY = Path(__file__).resolve().parents[3]


def play(memory_dir: Path, scenario: Callable[[SqlStore], Awaitable[Any]], busy_timeout: float = 10.0) -> Any:
    async def act() -> Any:
        store = open_sqlite_store(memory_dir, "acme", busy_timeout=busy_timeout)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(act())


async def store_some(store: SqlStore) -> None:
    await store.upsert_episodes([episode_of(payload(number)) for number in range(50)])


async def count(store: SqlStore) -> int:
    return (await store.counts())[Table.EPISODES]


def refusal(memory_dir: Path, scenario: Callable[[SqlStore], Awaitable[Any]]) -> LayerError:
    with pytest.raises(LayerError) as caught:
        play(memory_dir, scenario, busy_timeout=0.05)
    return caught.value


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert play(tmp_path / "memory", count) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_for_its_owner_only_and_as_durable_as_promised(tmp_path: Path) -> None:
    play(tmp_path / "memory", store_some)
    assert stat.S_IMODE((tmp_path / "memory").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "memory" / FILE_NAME).stat().st_mode) == 0o600
    with closing(sqlite3.connect(tmp_path / "memory" / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA page_size").fetchone() == (8192,)


def test_after_closing_the_file_is_whole_by_itself(tmp_path: Path) -> None:
    play(tmp_path / "memory", store_some)
    assert [path.name for path in (tmp_path / "memory").iterdir()] == [FILE_NAME]
    assert play(tmp_path / "memory", count) == 50


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    target = tmp_path / "elsewhere.db"
    sqlite3.connect(target).close()
    (tmp_path / "memory" / FILE_NAME).symlink_to(target)
    assert refusal(tmp_path / "memory", store_some).error_class is ErrorClass.UNAVAILABLE
    assert refusal(tmp_path / "memory", count).error_class is ErrorClass.UNAVAILABLE


def test_a_file_that_is_no_database_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / FILE_NAME).write_bytes(b"these are the notes of a holiday " * 500)
    error = refusal(tmp_path / "memory", count)
    assert (error.error_class, error.code) == (ErrorClass.UNAVAILABLE, "SQLITE_NOTADB")
    assert (tmp_path / "memory" / FILE_NAME).read_bytes().startswith(b"these are the notes")


def test_a_file_cut_short_is_a_typed_error_or_whole_answers(tmp_path: Path) -> None:
    play(tmp_path / "memory", store_some)
    path = tmp_path / "memory" / FILE_NAME
    os.truncate(path, path.stat().st_size // 2)
    error = refusal(tmp_path / "memory", lambda store: store.page(Table.EPISODES, limit=100))
    assert error.code.startswith("SQLITE_")
    assert error.error_class is ErrorClass.UNAVAILABLE


def test_a_program_that_keeps_the_file_locked_is_reported(tmp_path: Path) -> None:
    play(tmp_path / "memory", store_some)
    with closing(sqlite3.connect(tmp_path / "memory" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = refusal(tmp_path / "memory", store_some)
        assert (error.error_class, error.code) == (ErrorClass.UNAVAILABLE, "SQLITE_BUSY")
        assert play(tmp_path / "memory", count) == 50  # readers never wait for writers


def test_text_another_program_wrote_in_another_encoding_is_a_typed_error(tmp_path: Path) -> None:
    play(tmp_path / "memory", store_some)
    with closing(sqlite3.connect(tmp_path / "memory" / FILE_NAME)) as other, other:
        other.execute("UPDATE episodes SET content = CAST(x'ff41' AS TEXT) WHERE key = 'insight/3'")
    assert refusal(tmp_path / "memory", lambda store: store.page(Table.EPISODES)).code == "not-utf-8"


def test_a_folder_that_may_not_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path / "memory", store_some)
    # The tests may run as root, whom permissions do not stop: what access() says is what the store goes by.
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    assert play(tmp_path / "memory", count) == 50
    assert [path.name for path in (tmp_path / "memory").iterdir()] == [FILE_NAME]
    changed = [episode_of(payload(99))]
    error = refusal(tmp_path / "memory", lambda store: store.upsert_episodes(changed))
    assert (error.error_class, error.code) == (ErrorClass.UNAVAILABLE, "SQLITE_READONLY")


WRITER = """
import asyncio, sys
from pathlib import Path
from dm_memory.services.turso.rows import episode_of
from dm_memory.services.turso.sqlite import open_sqlite_store
from tests.services.payloads import payload

async def main(folder, first, step, rounds):
    for number in range(first, rounds * step, step):
        store = open_sqlite_store(Path(folder), "acme")
        await store.upsert_episodes([episode_of(payload(number)), episode_of(payload(number + 1_000_000))])
        print(number, flush=True)
        await store.close()

asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""


def writer(folder: Path, first: int, step: int, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), str(step), str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "core")))},
    )


def test_processes_that_open_and_close_the_file_all_the_time_all_succeed(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    processes = [writer(tmp_path / "memory", first, 3, 20) for first in range(3)]
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert play(tmp_path / "memory", count) == 120


def test_a_killed_writer_leaves_everything_it_confirmed_and_no_half_batch(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    for _ in range(3):
        process = writer(tmp_path / "memory", 0, 1, 100_000)
        assert process.stdout is not None
        confirmed = [int(process.stdout.readline()) for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        confirmed += [int(line) for line in rest.splitlines() if line.strip()]
        page = play(tmp_path / "memory", lambda store: store.page(Table.EPISODES, limit=100_000))
        keys = {int(str(row[3]).removeprefix("insight/")) for row in page.rows}
        assert set(confirmed) <= keys
        assert {key + 1_000_000 for key in keys if key < 1_000_000} == {key for key in keys if key >= 1_000_000}


@pytest.mark.parametrize(
    "statement",
    [
        durable_sql.rows_by(NATIVE.tables[Table.EPISODES], "acme", "id", ["e1"]),
        durable_sql.rows_by(NATIVE.tables[Table.EMBEDDINGS], "acme", "item_id", ["e1"]),
        durable_sql.digests_of("acme", ["e1"]),
        *durable_sql.delete_steps(Table.PATTERNS, "acme", ["p1"]),
    ],
    ids=lambda statement: statement.sql[:30],
)
def test_what_is_asked_for_by_id_is_found_by_id_not_by_reading_the_brand(tmp_path: Path, statement: Statement) -> None:
    store = open_sqlite_store(tmp_path, "acme")
    asyncio.run(store.migrate())
    asyncio.run(store.close())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.arguments).fetchall()
    by_brand = [step for *_, step in plan if "brand=?" in step and "tombstones" not in step]
    assert not by_brand
