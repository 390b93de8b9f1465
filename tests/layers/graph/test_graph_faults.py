"""The embedded graph when processes die, meet, or find their file damaged, full or locked."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from dm_memory.services.protocol import SearchQuery
from tests.facts.pieces import assert_sound, everything, play, rows, snapshot, store, validities
from tests.facts.writer import numbered
from tests.services.payloads import payload
from tests.support.processes import REPOSITORY

STEP = 40


def start_writer(folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.facts.writer", str(folder), str(first), str(last), str(STEP)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def held(folder: Path) -> set[str]:
    return {key for (key,) in rows(folder, "SELECT id FROM entries")}


def numbers(first: int, last: int) -> set[str]:
    return {numbered(number).id for number in range(first, last)}


# Processes -----------------------------------------------------------------------------------------------------------


def test_a_killed_writer_leaves_whole_batches_and_all_that_it_confirmed(tmp_path: Path) -> None:
    moments = random.Random(19)
    for round_number in range(6):
        folder = tmp_path / str(round_number)
        writer = start_writer(folder, 0, 100_000)
        assert writer.stdout is not None
        confirmed = [int(writer.stdout.readline()) for _ in range(moments.randrange(1, 12))]
        try:
            writer.wait(moments.uniform(0.0, 0.02))  # anywhere in the batches that follow
        except subprocess.TimeoutExpired:
            os.kill(writer.pid, signal.SIGKILL)
        confirmed += [int(line) for line in writer.stdout]
        writer.stdout.close()
        assert writer.wait() == -signal.SIGKILL
        found = held(folder)
        assert found >= numbers(0, confirmed[-1] + STEP)
        assert found in (numbers(0, confirmed[-1] + STEP), numbers(0, confirmed[-1] + 2 * STEP))
        assert_sound(folder)


def test_processes_that_write_at_once_leave_what_one_would_have_left(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    writers = [start_writer(together, first, first + 600) for first in (0, 400, 800)]
    assert [writer.communicate(timeout=60)[0].count("\n") for writer in writers] == [15, 15, 15]
    store(alone, [numbered(number) for number in range(1400)])
    assert held(together) == held(alone)
    assert validities(together) == validities(alone)
    names = "SELECT id, name FROM entities ORDER BY id"
    assert rows(together, names) == rows(alone, names)
    assert_sound(together)


def test_a_reader_does_not_wait_for_another_process_that_writes(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)])
    with closing(sqlite3.connect(tmp_path / "graph.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM entries")

        async def scenario(layer: SqliteGraphLayer) -> None:
            assert [hit.key for hit in await layer.search(SearchQuery("newsletters"))] == ["insight/1"]

        play(tmp_path, scenario)
        other.execute("ROLLBACK")


def test_a_file_that_stays_locked_is_said_to_be(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)])
    with closing(sqlite3.connect(tmp_path / "graph.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def scenario() -> None:
            layer = SqliteGraphLayer(tmp_path, "acme", busy_timeout=0.05)
            with pytest.raises(LayerError, match="locked") as caught:
                await layer.upsert([payload(2)])
            assert (caught.value.error_class, caught.value.code) == (ErrorClass.UNAVAILABLE, "SQLITE_BUSY")
            other.execute("ROLLBACK")
            assert (await layer.upsert([payload(2)]))[0].error is None
            await layer.close()

        import asyncio  # noqa: PLC0415  # the layer is made with another timeout than ``play`` gives

        asyncio.run(scenario())


# Disk ----------------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_to_be_and_costs_nothing_that_was_stored(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)])
    before = everything(tmp_path)

    async def scenario(layer: SqliteGraphLayer) -> None:
        await layer.fetch([payload(1).id])
        connection = layer._file._connection
        assert connection is not None
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to a disk without room
        with pytest.raises(LayerError, match="disk is full") as caught:
            await layer.upsert([payload(number) for number in range(2, 400)])
        assert caught.value.error_class is ErrorClass.QUOTA
        assert everything(tmp_path) == before
        connection.execute("PRAGMA max_page_count = 1000000")
        outcomes = await layer.upsert([payload(number) for number in range(2, 400)])
        assert all(outcome.error is None for outcome in outcomes)

    play(tmp_path, scenario)
    assert_sound(tmp_path)


# Damage --------------------------------------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "no database":
            path.write_bytes(b"not a database at all" * 1000)
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "zeroed":
            path.write_bytes(data[:8192] + bytes(len(data) - 8192))
        case _:
            path.write_bytes(data[:16] + b"\xff" * 84 + data[100:])


@pytest.mark.parametrize("how", ["no database", "truncated", "zeroed", "header"])
def test_a_damaged_file_is_said_to_be_and_a_forced_sync_builds_it_again(tmp_path: Path, how: str) -> None:
    snapshots = [snapshot("spring", day, roas=day) for day in range(1, 29)]
    store(tmp_path, snapshots, [payload(number) for number in range(200)])
    damage(tmp_path / "graph.db", how)

    async def scenario(layer: SqliteGraphLayer) -> None:
        health = await layer.health()
        assert not health.ok
        assert health.error is not None
        assert health.error.error_class is ErrorClass.UNAVAILABLE
        assert "Sync with force" in health.error.remedy
        await layer.begin_rebuild()
        await layer.upsert(snapshots)
        await layer.finish_rebuild()
        assert (await layer.health()).ok
        assert [fact.text for fact in await layer.facts("roas")] == ["spring achieved roas: 28 (March)."]
        await layer.begin_rebuild()
        assert (await layer.capacity()).entries == 28, "a sound file is not put aside"

    play(tmp_path, scenario)
    assert (tmp_path / "graph.db.damaged-1").exists()
    assert_sound(tmp_path)


def test_a_damaged_file_that_somebody_moved_away_is_built_again_by_the_next_write(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)])
    damage(tmp_path / "graph.db", "no database")

    async def scenario(layer: SqliteGraphLayer) -> None:
        with pytest.raises(LayerError, match="damaged"):
            await layer.upsert([payload(2)])
        (tmp_path / "graph.db").rename(tmp_path / "moved.db")
        await layer.upsert([payload(2)])

    play(tmp_path, scenario)
    assert held(tmp_path) == {payload(2).id}


def test_wherever_a_byte_is_flipped_the_answer_is_an_answer_or_a_typed_error(tmp_path: Path) -> None:
    store(tmp_path, [snapshot("spring", day, roas=day) for day in range(1, 29)], [payload(n) for n in range(60)])
    sound = (tmp_path / "graph.db").read_bytes()
    places = random.Random(5)

    async def scenario(layer: SqliteGraphLayer) -> None:
        for call in (
            lambda: layer.search(SearchQuery("newsletters")),
            lambda: layer.facts("spring"),
            lambda: layer.fetch([payload(n).id for n in range(60)]),
            lambda: layer.upsert([payload(n, f"Changed {n}.") for n in range(0, 80, 7)]),
            lambda: layer.delete([payload(3).id]),
            layer.begin_rebuild,
        ):
            try:
                await call()
            except LayerError as error:
                assert error.error_class in {ErrorClass.UNAVAILABLE, ErrorClass.VALIDATION}  # noqa: PT017  # either is fine

    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        place = places.randrange(len(sound))
        (folder / "graph.db").write_bytes(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
        play(folder, scenario)


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)])
    with closing(sqlite3.connect(tmp_path / "graph.db")) as connection:
        connection.execute("PRAGMA user_version = 99")

    async def scenario(layer: SqliteGraphLayer) -> None:
        with pytest.raises(LayerError, match="newer dm-memory"):
            await layer.upsert([payload(2)])
        with pytest.raises(LayerError, match="newer dm-memory"):
            await layer.begin_rebuild()

    play(tmp_path, scenario)
    assert held(tmp_path) == {payload(1).id}


def test_a_database_of_another_program_is_not_written_to(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "graph.db")) as connection:
        connection.execute("CREATE TABLE entries (theirs TEXT)")

    async def scenario(layer: SqliteGraphLayer) -> None:
        with pytest.raises(LayerError, match="damaged"):
            await layer.upsert([payload(1)])

    play(tmp_path, scenario)
    assert rows(tmp_path, "SELECT name FROM sqlite_master") == [("entries",)]
