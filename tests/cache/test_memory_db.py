"""memory.db is the durable store where no Turso is configured: read through its views, on both engines of the cache."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.engine import CacheUnavailableError
from dm_memory.cache.opening import CachePlace, open_cache
from dm_memory.cache.records import row_of
from dm_memory.cache.results import Status, StorageSyncRequest, StorageSyncResult
from dm_memory.cache.sync import sync_storage
from dm_memory.cache.view import view_cache
from dm_memory.errors import ErrorClass
from dm_memory.requests import no_progress
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.service import open_durable
from dm_memory.store.database import FILE_NAME
from tests.cache.cached import cached_payloads
from tests.cache.memory_db import MemoryDb
from tests.cache.syncing import BRAND


@pytest.fixture(params=["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> CachePlace:
    return CachePlace(tmp_path / "memory" / "cache", request.param, 2.0)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryDb]:
    """Thirty entries and two patterns."""
    memory = MemoryDb(tmp_path / "memory", BRAND)
    memory.put(*range(30), vectors=2)
    memory.patterns("worked", "failed")
    yield memory
    memory.close()


def sync(place: CachePlace, **options: Any) -> StorageSyncResult:
    async def act() -> StorageSyncResult:
        store = open_durable(place.folder.parent, BRAND, url=None, token=None, timeout=5.0)
        try:
            request = StorageSyncRequest(**{"batch_size": 7} | options)
            return await sync_storage(store, place, request, brand=BRAND, tell=no_progress)
        finally:
            await store.close()

    return asyncio.run(act())


def cached(place: CachePlace, table: Table = Table.EPISODES) -> dict[str, dict[str, Any]]:
    with open_cache(place.folder, place.engine) as cache:
        assert cache.check() == []
        return {record.key: row_of(table, record) for page in cache.scan(table) for record in page}


def test_entries_vectors_and_patterns_are_cached(memory: MemoryDb, place: CachePlace) -> None:
    del memory
    result = sync(place)
    assert (result.status, result.findings, result.validated) == (Status.SYNCED, (), True)
    assert result.cache.counts == {Table.EPISODES: 30, Table.PATTERNS: 2, Table.EMBEDDINGS: 60}
    assert (result.store.engine, result.store.layout) == (FILE_NAME, "dm-memory")
    row = cached(place)["e3"]
    assert (row["content"], json.loads(row["tags"])) == ("text 3", ["email"])
    assert (row["brand"], row["state"]) == (BRAND, "current")
    assert sync(place).status is Status.UNCHANGED


def test_edits_retirements_and_deletions_reach_the_cache(memory: MemoryDb, place: CachePlace) -> None:
    sync(place)
    memory.put(3, text="edited")
    memory.retire(4)
    memory.forget(5, 6)
    memory.duplicate(7, of=8)
    memory.patterns("mixed")
    result = sync(place)
    assert (result.findings, result.validated, result.behind) == ((), True, 0)
    rows = cached(place)
    assert rows.keys() == {f"e{number}" for number in range(30)} - {"e5", "e6", "e7"}
    assert (rows["e3"]["content"], rows["e4"]["state"]) == ("edited 3", "retired")
    assert {row["item_id"] for row in cached(place, Table.EMBEDDINGS).values()} == rows.keys()
    assert len(cached(place, Table.EMBEDDINGS)) == 27 * 2 - 1
    states = {payload.id: payload.state for payload in cached_payloads(place)}
    assert (len(states), states["e4"], states["e3"]) == (27, "retired", "current")
    view = view_cache(place)
    assert view is not None
    assert {pattern.text for pattern in view.patterns} == {"worked", "failed", "mixed"}


def test_a_cache_that_is_smaller_than_the_memory_has_the_newest(memory: MemoryDb, place: CachePlace) -> None:
    sync(place, max_episodes_cache=10)
    memory.put(1, text="edited")
    assert sync(place, max_episodes_cache=10).findings == ()
    assert cached(place).keys() == {"e1", *(f"e{number}" for number in range(21, 30))}


def test_reading_makes_no_file_and_waits_for_nobody_who_writes(memory: MemoryDb, place: CachePlace) -> None:
    with memory._store.transaction() as connection:
        connection.execute("UPDATE entries SET content = 'not committed'")
        assert sync(place).findings == ()
    assert cached(place)["e1"]["content"] == "text 1"


def test_a_brand_without_a_memory_reads_as_empty(place: CachePlace) -> None:
    assert sync(place).store.layout == "empty"
    assert not (place.folder.parent / FILE_NAME).exists()


def test_a_memory_that_is_gone_empties_no_cache(memory: MemoryDb, place: CachePlace) -> None:
    sync(place)
    memory.close()
    for path in place.folder.parent.glob(f"{FILE_NAME}*"):
        path.unlink()
    assert [finding.code for finding in sync(place).findings] == ["durable-empty"]
    assert len(cached(place)) == 30
    assert len(cached_payloads(place)) == 30


def link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


WRONG: dict[str, Callable[[Path], object]] = {
    "a link": link,
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "ten sparse gigabytes": sparse,
    "something else": lambda path: path.write_bytes(b"<html>no database</html>" * 100),
    "a few bytes": lambda path: path.write_bytes(b"SQLite format 3\0"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_something_else_in_the_place_of_the_memory_is_a_sentence_at_once(
    memory: MemoryDb, place: CachePlace, wrong: str
) -> None:
    sync(place)
    memory.close()
    path = place.folder.parent / FILE_NAME
    path.unlink()
    WRONG[wrong](path)
    result = sync(place)
    assert (result.status, result.exit_code) == (Status.SKIPPED, 1)
    assert result.store.error is not None
    assert (result.store.error.error_class, result.store.error.code) == (ErrorClass.UNAVAILABLE, "damaged")
    assert len(cached_payloads(place)) == 30, "the cache goes on serving"


@pytest.mark.parametrize("how", ["cut", "grown", "flipped"])
def test_a_damaged_memory_is_a_sentence_or_whole_answers(memory: MemoryDb, place: CachePlace, how: str) -> None:
    sync(place)
    memory.put(*range(30), text="edited")
    memory.close()
    path = place.folder.parent / FILE_NAME
    size = path.stat().st_size
    match how:
        case "cut":
            os.truncate(path, size // 2)
        case "grown":
            os.truncate(path, 10 << 30)
        case _:
            with path.open("r+b") as file:
                file.seek(8192)
                file.write(os.urandom(size - 8192))
    result = sync(place)
    assert result.status in {Status.SKIPPED, Status.INTERRUPTED}
    assert result.store.error is not None
    assert {row["content"].split()[0] for row in cached(place).values()} <= {"text", "edited"}


SPECIAL = ["database", "turn", "lock", "note", "folder"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("which", SPECIAL)
def test_pipes_and_links_in_the_place_of_the_caches_files_are_refused_at_once(
    memory: MemoryDb, place: CachePlace, which: str, make: Callable[[Path], None]
) -> None:
    del memory
    files = place.files
    target = {
        "database": files.path,
        "turn": files.turn,
        "lock": files._lock,
        "note": files._note,
        "folder": files.folder,
    }[which]
    if which != "folder":
        files.folder.mkdir()
    make(target)
    for options in ({}, {"repair": True}):
        with pytest.raises(CacheUnavailableError) as caught:
            sync(place, **options)
        assert str(files.path) in caught.value.problem
    view = view_cache(place)
    assert view is None or view.problem
    assert not stat.S_ISREG(target.lstat().st_mode)


def test_the_caches_of_older_versions_go(memory: MemoryDb, place: CachePlace) -> None:
    del memory
    place.folder.mkdir()
    old = [place.folder / "cache.v1.sqlite", place.folder / "cache.v1.sqlite-wal", place.folder / "cache.v1.redb"]
    for path in old:
        path.write_bytes(b"old")
    sync(place)
    assert not [path for path in old if path.exists()]


TIMESTAMPED = """
CREATE TABLE episodes (id TEXT PRIMARY KEY, task TEXT, outcome TEXT, timestamp {kind});
CREATE TABLE patterns (id TEXT PRIMARY KEY, pattern TEXT, timestamp {kind});
CREATE TABLE embeddings (id TEXT PRIMARY KEY, episode_id TEXT, vector BLOB, timestamp {kind});
"""


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        ("INTEGER", [1_790_000_000 + number for number in range(10)]),
        ("INTEGER", [1_790_000_000_000 + number for number in range(10)]),
        ("REAL", [1_790_000_000.25 + number for number in range(10)]),
        ("TEXT", [f"2026-11-2{number}T10:00:00Z" for number in range(10)]),
        ("TEXT", ["no date"] * 10),
    ],
    ids=["seconds", "milliseconds", "fractions", "iso", "nonsense"],
)
def test_episodes_of_which_only_id_and_timestamp_are_known_are_read(
    tmp_path: Path, place: CachePlace, kind: str, moments: list[Any]
) -> None:
    (tmp_path / "memory").mkdir()
    with closing(sqlite3.connect(tmp_path / "memory" / FILE_NAME, isolation_level=None)) as connection:
        connection.executescript(TIMESTAMPED.format(kind=kind))
        for number, moment in enumerate(moments):
            connection.execute("INSERT INTO episodes VALUES (?, 'task', 'ok', ?)", (f"e{number}", moment))
            connection.execute("INSERT INTO embeddings VALUES (?, ?, x'01', ?)", (f"v{number}", f"e{number}", moment))
        connection.execute("INSERT INTO patterns VALUES ('p', 'short forms', ?)", (moments[0],))
        connection.execute("INSERT INTO embeddings VALUES ('lost', 'nobody', x'01', ?)", (moments[0],))
        result = sync(place, max_episodes_cache=4, batch_size=3)
        assert [(finding.code, finding.key) for finding in result.findings] == [("durable-orphan", "lost")]
        assert (result.status, result.store.layout) == (Status.SYNCED, "timestamped")
        rows = cached(place)
        assert rows.keys() == {f"e{number}" for number in range(6, 10)}
        assert (rows["e7"]["task"], rows["e7"]["timestamp"]) == ("task", moments[7])
        assert {row["episode_id"] for row in cached(place, Table.EMBEDDINGS).values()} == rows.keys()
        connection.execute("UPDATE episodes SET outcome = 'edited' WHERE id = 'e8'")
        connection.execute("INSERT INTO episodes VALUES ('x', 'later', 'ok', ?)", (moments[-1],))
        sync(place, max_episodes_cache=4)
        assert cached(place).keys() == {"x", "e7", "e8", "e9"}
        assert sync(place, max_episodes_cache=4, full=True).exit_code == 0
        assert cached(place)["e8"]["outcome"] == "edited"


def test_an_unknown_layout_is_called_that_and_not_tried_again(tmp_path: Path, place: CachePlace) -> None:
    (tmp_path / "memory").mkdir()
    with closing(sqlite3.connect(tmp_path / "memory" / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE episodes (season INTEGER, title TEXT)")
    result = sync(place)
    assert (result.status, result.retry_after) == (Status.SKIPPED, None)
    assert result.store.error is not None
    assert result.store.error.code == "unknown-layout"
    assert "Unknown layout" in result.store.error.problem


def test_the_result_says_what_to_change_if_it_was_slow_or_large(memory: MemoryDb, place: CachePlace) -> None:
    del memory
    slow, large = sync(place, batch_size=7, max_episodes_cache=12).hints
    assert ("larger batch_size (now 7" in slow, "smaller max_episodes_cache (now 12" in slow) == (True, True)
    assert "smaller batch_size" in large
