"""When the cache's file is believed, when it is read whole, and who may use it while a sync runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.cache.files import CacheFiles
from dm_memory.cache.opening import open_cache
from dm_memory.cache.plan import EXAMINE_EVERY, Mark, source_name
from dm_memory.cache.records import Page
from dm_memory.cache.results import Status, StorageSyncResult
from dm_memory.services.turso.hrana import open_turso_store
from dm_memory.services.turso.schema import Table
from tests.cache.cached import cached_payloads
from tests.cache.syncing import Flaky, Pair, embedding, episode, pattern
from tests.support.processes import REPOSITORY, command_environment

DAY = 24 * 3600 * 1_000_000


@pytest.fixture(params=["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A store and a cache that was filled from it."""
    pair = Pair(tmp_path, request.param, max_episodes_cache=100, batch_size=20)
    pair.put(*map(episode, range(100)), *map(pattern, range(5)), *(embedding(f"e{n}") for n in range(50)))
    assert pair.sync().findings == ()
    yield pair
    pair.close()


def files(pair: Pair) -> CacheFiles:
    return CacheFiles(pair.place.folder, str(pair.place.engine))


def codes(result: StorageSyncResult) -> set[str]:
    return {finding.code for finding in result.findings}


def damage(pair: Pair, *, unseen: bool) -> bytes:
    """Destroy most of the file; ``unseen``: as the disk does it, so that the file looks as it was closed."""
    path = files(pair).path
    data = path.read_bytes()
    broken = data[:8192] + os.urandom(len(data) - 8192)
    path.write_bytes(broken)
    if unseen:
        files(pair).seal()
    else:
        files(pair).beside("-sums").unlink(missing_ok=True)
    return broken


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("option", ["dry_run", "validate_only"])
def test_looking_at_a_damaged_cache_says_so_and_moves_nothing(pair: Pair, option: str, *, unseen: bool) -> None:
    broken = damage(pair, unseen=unseen)
    result = pair.sync(**{option: True})
    assert codes(result) == {"cache-damaged"}
    assert result.exit_code == 1
    assert files(pair).path.read_bytes()[8192:] == broken[8192:]
    assert not [*pair.place.folder.glob("*damaged*")]
    if option == "dry_run":
        assert result.moved.written[Table.EPISODES] == 100


@pytest.mark.parametrize("unseen", [False, True])
def test_repair_sets_a_damaged_cache_aside_and_fills_a_new_one(pair: Pair, *, unseen: bool) -> None:
    damage(pair, unseen=unseen)
    result = pair.sync(repair=True)
    assert "cache-quarantined" in codes(result)
    assert result.exit_code == 0
    pair.assert_the_same(100)


def test_a_value_that_was_changed_in_an_intact_file_is_read_again(pair: Pair) -> None:
    """SQLite's own check looks at pages, not at what is in them; the file's looks say that somebody was there."""
    path = files(pair).path
    content = path.read_bytes()
    assert content.count(b"text") > 1
    path.write_bytes(content.replace(b"text", b"next"))
    pair.sync()
    pair.assert_the_same(100)
    assert pair.sync().findings == ()


def test_reading_a_file_that_somebody_changed_makes_nobody_believe_it(pair: Pair) -> None:
    """Whoever looks at it in between reads pages, not all values: the next sync still has to."""
    path = files(pair).path
    content = path.read_bytes()
    path.write_bytes(content.replace(b"text", b"next"))
    assert all(payload.content.startswith("text") for payload in cached_payloads(pair.place))
    pair.sync()
    pair.assert_the_same(100)
    assert pair.sync().findings == ()


def set_mark(pair: Pair, mark: Mark, **parts: Any) -> None:
    with open_cache(pair.place.folder, pair.place.engine) as cache:
        found = cache.watermark(mark.value)
        assert found is not None
        place = type(found)(parts.get("moment", found.updated_at), parts.get("id", found.id))
        cache.apply(Page(watermarks={mark.value: place}))


@pytest.mark.parametrize(
    "due",
    [
        (Mark.RUNS, {"moment": EXAMINE_EVERY + 1}),
        (Mark.EXAMINED, {"moment": 8 * DAY}),
        (Mark.EXAMINED, {"moment": 1 << 60}),
    ],
    ids=["many runs", "long ago", "the clock was put back"],
)
def test_damage_that_nothing_shows_is_found_at_the_latest_when_its_turn_comes(pair: Pair, due: Any) -> None:
    key = b"e7"
    with open_cache(pair.place.folder, pair.place.engine) as cache, cache._engine.write() as writer:
        (frame,) = writer.get_many(Table.EPISODES, [key])
        assert frame is not None
        writer.put_many(Table.EPISODES, [(key, frame[:-1] + b"!")])
    assert pair.sync().status is Status.UNCHANGED, "nobody has read it yet"
    set_mark(pair, due[0], **due[1])
    result = pair.sync()
    assert "cache-value-damaged" in codes(result) or "cache-quarantined" in codes(result)
    assert result.exit_code == 0
    pair.assert_the_same(100)
    assert pair.sync().findings == ()


READER = """
import sys
from pathlib import Path
from dm_memory.cache.opening import open_cache
from dm_memory.services.turso.schema import Table
with open_cache(Path(sys.argv[1]), sys.argv[2]) as cache:
    print(cache.count(Table.EPISODES))
"""


class Read(Flaky):
    """A store that answers its first page only when another process has read the cache meanwhile."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair.store)
        self.pair = pair
        self.seen: list[str] = []

    async def page(self, *arguments: Any, **options: Any) -> Any:
        command = [sys.executable, "-c", READER, str(self.pair.place.folder), str(self.pair.place.engine)]
        environment = command_environment({"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])})
        # It blocks the loop on purpose: nothing but the cache's own thread can let the reader in.
        finished = subprocess.run(  # noqa: ASYNC221  # see above
            command, capture_output=True, text=True, check=True, env=environment, cwd=REPOSITORY
        )
        self.seen.append(finished.stdout.strip())
        return await self.pair.store.page(*arguments, **options)


def test_others_read_the_cache_while_a_sync_waits_for_the_store(pair: Pair) -> None:
    pair.put(episode(200))
    store = Read(pair)
    assert pair.sync(store).status is Status.SYNCED
    assert store.seen == ["100"]
    pair.assert_the_same(100)


def test_two_servers_on_one_machine_are_two_stores() -> None:
    token = SecretStr("t")
    urls = ("http://127.0.0.1:8080", "http://127.0.0.1:8081", "libsql://db.example", "libsql://db.example/other")
    names = {source_name(open_turso_store(url, token, "acme").engine, "dm-memory") for url in urls}
    assert len(names) == 4
    assert "dm-memory|Turso (127.0.0.1:8081)" in names
