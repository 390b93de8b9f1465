"""What every cache does, whatever its engine."""

from __future__ import annotations

import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.cache.cache import Cache
from dm_memory.cache.engine import CacheClosedError
from dm_memory.cache.opening import EngineChoice, open_cache
from dm_memory.cache.records import Page, Record, Watermark
from dm_memory.errors import ConfigurationError
from dm_memory.services.turso.schema import Table
from tests.cache.engines.rows import embedding, embeddings, episode, episodes, page


def test_an_empty_cache_holds_nothing(cache: Cache) -> None:
    assert cache.findings == ()
    assert cache.get(Table.EPISODES, "x") is None
    assert cache.get_many(Table.PATTERNS, []) == {}
    assert list(cache.scan(Table.EMBEDDINGS)) == []
    assert cache.newest(10) == []
    assert cache.watermark("episodes") is None
    assert cache.evict(0) == 0
    assert cache.stats().counts == dict.fromkeys(Table, 0)


def test_a_page_and_its_watermark_are_there_when_the_cache_is_opened_again(folder: Path, engine: EngineChoice) -> None:
    with open_cache(folder, engine) as cache:
        cache.apply(page(1, 2, 3))
    with open_cache(folder, engine) as cache:
        assert cache.get(Table.EPISODES, episode(2).key) == episode(2)
        assert cache.watermark("episodes") == Watermark(3, episode(3).key)
        assert cache.watermark("patterns") is None
        assert cache.stats().counts[Table.EPISODES] == 3
        assert cache.stats().file_bytes > 0


def test_get_many_returns_what_there_is(cache: Cache) -> None:
    cache.apply(episodes(*range(600)))
    keys = [episode(number).key for number in range(0, 700, 3)]
    assert cache.get_many(Table.EPISODES, keys) == {episode(n).key: episode(n) for n in range(0, 600, 3)}


def test_a_scan_comes_in_pages_in_the_order_of_the_keys(cache: Cache) -> None:
    cache.apply(episodes(*range(25)))
    pages = list(cache.scan(Table.EPISODES, page_size=10))
    assert [len(found) for found in pages] == [10, 10, 5]
    assert [record for found in pages for record in found] == [episode(number) for number in reversed(range(25))]


def test_newest_are_those_recorded_last_whatever_their_keys(cache: Cache) -> None:
    cache.apply(episodes(5, 1, 9, 3))
    cache.apply(Page({Table.EPISODES: [Record("before 1970", b"", -5)]}))
    assert [record.recorded_at for record in cache.newest(3)] == [9, 5, 3]
    assert [record.recorded_at for record in cache.newest(99)] == [9, 5, 3, 1, -5]


def test_an_episode_that_changes_stands_where_its_new_moment_is(cache: Cache) -> None:
    cache.apply(episodes(1, 2))
    cache.apply(Page({Table.EPISODES: [Record(episode(1).key, b"new", 7), Record(episode(1).key, b"newer", 5)]}))
    assert [(record.recorded_at, record.value) for record in cache.newest(9)] == [(5, b"newer"), (2, episode(2).value)]
    assert cache.count(Table.EPISODES) == 2


def test_deletions_take_an_episodes_embeddings_along(cache: Cache) -> None:
    cache.apply(episodes(1, 11, 111))
    cache.apply(embeddings(1, 11, 111))
    cache.apply(Page(deletions={Table.EPISODES: [episode(11).key, "unknown"]}))
    assert [record.recorded_at for record in cache.newest(9)] == [111, 1]
    assert [record.key for found in cache.scan(Table.EMBEDDINGS) for record in found] == [
        "vector-1-0",
        "vector-1-1",
        "vector-111-0",
        "vector-111-1",
    ]


def test_an_embedding_that_moves_to_another_episode_goes_with_that(cache: Cache) -> None:
    cache.apply(episodes(1, 2))
    cache.apply(Page({Table.EMBEDDINGS: [embedding(1)]}))
    cache.apply(Page({Table.EMBEDDINGS: [embedding(1)._replace(parent=episode(2).key)]}))
    cache.apply(Page(deletions={Table.EPISODES: [episode(1).key]}))
    assert cache.count(Table.EMBEDDINGS) == 1
    cache.apply(Page(deletions={Table.EPISODES: [episode(2).key]}))
    assert cache.count(Table.EMBEDDINGS) == 0


def test_eviction_keeps_the_newest_episodes_and_their_embeddings(cache: Cache) -> None:
    cache.apply(episodes(*range(1200)))
    cache.apply(embeddings(*range(1200)))
    cache.apply(Page({Table.PATTERNS: [Record("pattern", b"p")]}))
    assert cache.evict(100) == 1100
    assert [record.recorded_at for record in cache.newest(999)] == list(reversed(range(1100, 1200)))
    assert cache.count(Table.EMBEDDINGS) == 200
    assert cache.count(Table.PATTERNS) == 1
    assert cache.evict(100) == 0


def test_a_page_that_fails_changes_nothing_and_moves_no_watermark(cache: Cache) -> None:
    cache.apply(page(1))
    bad = Record("bad", b"", 1 << 70)
    with pytest.raises(Exception, match="int"):
        cache.apply(
            Page({Table.PATTERNS: [Record("p", b"")], Table.EPISODES: [bad]}, {}, {"episodes": Watermark(9, "9")})
        )
    assert cache.stats().counts == {Table.EPISODES: 1, Table.PATTERNS: 0, Table.EMBEDDINGS: 0}
    assert cache.watermark("episodes") == Watermark(1, episode(1).key)
    cache.apply(page(2))
    assert cache.count(Table.EPISODES) == 2


def test_tombstones_have_a_watermark_of_their_own(cache: Cache) -> None:
    cache.apply(page(1))
    cache.apply(Page(deletions={Table.EPISODES: [episode(1).key]}, watermarks={"tombstones": Watermark(8, "ü")}))
    assert cache.watermark("tombstones") == Watermark(8, "ü")
    assert cache.watermark("episodes") == Watermark(1, episode(1).key)


def test_the_same_page_twice_is_the_page_once(cache: Cache) -> None:
    for _ in range(2):
        cache.apply(page(1, 2, 3))
        cache.apply(embeddings(1, 2, 3))
    assert cache.stats().counts == {Table.EPISODES: 3, Table.PATTERNS: 0, Table.EMBEDDINGS: 6}


def test_an_embedding_without_its_episode_is_found(folder: Path, engine: EngineChoice) -> None:
    with open_cache(folder, engine) as cache:
        cache.apply(Page({Table.EMBEDDINGS: [embedding(1)]}))
        assert [(finding.code, finding.key) for finding in cache.check()] == [("cache-orphan", "embeddings/vector-1-0")]
        cache.apply(Page({Table.PATTERNS: [Record(embedding(1).parent, b"")]}))
        assert cache.check() == [], "it may belong to a pattern"


def test_many_findings_are_counted(folder: Path, engine: EngineChoice) -> None:
    with open_cache(folder, engine) as cache:
        cache.apply(embeddings(*range(75)))
        findings = cache.check()
    assert len(findings) == 101
    assert findings[-1].message == "And 50 more of the same kind."


def test_files_are_private(cache: Cache, folder: Path) -> None:
    cache.apply(page(1))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}
    assert set(modes.values()) == {"0o600"}, modes


def test_a_closed_cache_says_so(folder: Path, engine: EngineChoice) -> None:
    cache = open_cache(folder, engine)
    cache.close()
    cache.close()
    calls: list[Any] = [lambda: cache.get(Table.EPISODES, "x"), lambda: cache.apply(page(1)), cache.check]
    for call in calls:
        with pytest.raises(CacheClosedError, match="already closed"):
            call()


def test_readers_on_other_threads_see_whole_pages(cache: Cache) -> None:
    stop = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not stop.is_set():
            seen.add(cache.count(Table.EPISODES) % 10)
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for start in range(0, 200, 10):
            cache.apply(page(*range(start, start + 10)))
        stop.set()
        assert all(reader.result() <= {0} for reader in readers)


@pytest.mark.redb
def test_redb_is_taken_where_it_is_installed(folder: Path) -> None:
    with open_cache(folder) as cache:
        assert cache.engine == "redb"


def test_without_the_extra_sqlite_is_taken_and_redb_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "dm_memory_redb" else sys.modules[name]
    )
    with open_cache(folder) as cache:
        assert cache.engine == "sqlite"
    with pytest.raises(ConfigurationError, match=r"Install dm-memory\[redb\]"):
        open_cache(folder, "redb")


KEYS = st.text(max_size=6)
RECORDS = st.builds(
    Record, KEYS, st.binary(max_size=40), st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from(["", "a", "ab", "é"])
)
CHANGES = st.lists(
    st.builds(
        Page,
        st.dictionaries(st.sampled_from(Table), st.lists(RECORDS, max_size=5)),
        st.dictionaries(st.sampled_from(Table), st.lists(KEYS | st.sampled_from(["a", "ab", "é"]), max_size=3)),
        st.dictionaries(st.sampled_from(["episodes", "tombstones"]), st.builds(Watermark, st.integers(0, 99), KEYS)),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_any_pages_leave_what_a_dictionary_would_hold(
    tmp_path_factory: pytest.TempPathFactory, engine: EngineChoice, changes: list[Page]
) -> None:
    model: dict[Table, dict[str, Record]] = {table: {} for table in Table}
    with open_cache(tmp_path_factory.mktemp("cache"), engine) as cache:
        for change in changes:
            cache.apply(change)
            _apply(model, change)
        for table in Table:
            held = {record.key: record for found in cache.scan(table, page_size=3) for record in found}
            assert held == model[table]
        expected = sorted(model[Table.EPISODES].values(), key=lambda r: (r.recorded_at, r.key.encode()), reverse=True)
        assert cache.newest(1000) == expected
        assert {finding.code for finding in cache.check()} <= {"cache-orphan"}


def _apply(model: dict[Table, dict[str, Record]], change: Page) -> None:
    for table, records in change.upserts.items():
        model[table].update({record.key: record for record in records})
    for table, keys in change.deletions.items():
        for key in keys:
            model[table].pop(key, None)
            if table is not Table.EMBEDDINGS:
                owned = [record.key for record in model[Table.EMBEDDINGS].values() if record.parent == key]
                for vector in owned:
                    del model[Table.EMBEDDINGS][vector]
