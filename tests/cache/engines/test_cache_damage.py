"""Damaged files, files of others, and processes that hold or die: each ends in a cache or a typed error."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.cache import Cache
from dm_memory.cache.engine import CacheBusyError, CacheDamagedError, CacheError, CacheUnavailableError, pages
from dm_memory.cache.files import CacheFiles, quarantine
from dm_memory.cache.opening import EngineChoice, _maker, open_cache
from dm_memory.cache.records import Page, Record, decode, encode
from dm_memory.services.turso.schema import Table
from tests.cache.engines.conftest import Spawn
from tests.cache.engines.rows import embeddings, episode, episodes, page

ROWS = range(400)


def filled(folder: Path, engine: EngineChoice) -> bytes:
    """Fill a cache and return its file's bytes."""
    with open_cache(folder, engine) as cache:
        cache.apply(page(*ROWS))
        cache.apply(embeddings(*ROWS))
        path = cache.path
    return path.read_bytes()


def replace(folder: Path, engine: EngineChoice, data: bytes) -> None:
    """Put other bytes in the place of the file, and no write-ahead log beside it."""
    main, *others = CacheFiles(folder, engine).all()
    main.write_bytes(data)
    for path in others:
        path.unlink(missing_ok=True)


def assert_begun_anew(cache: Cache, folder: Path, content: bytes | bytearray) -> None:
    assert [finding.code for finding in cache.findings] == ["cache-quarantined"]
    assert (folder / cache.findings[0].path).read_bytes().startswith(bytes(content[:50]))
    assert cache.stats().counts == dict.fromkeys(Table, 0)
    assert cache.watermark("episodes") is None
    cache.apply(page(1))
    assert cache.check() == []


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"redb\x1a\n\xa9\r\n", b"SQLite format 3\x00", b"<html>not a cache</html>" * 1000, bytes(100_000)],
    ids=["empty", "one byte", "redb's first bytes", "SQLite's first bytes", "something else", "zeros"],
)
def test_a_file_that_is_no_cache_is_set_aside(folder: Path, engine: EngineChoice, content: bytes) -> None:
    folder.mkdir()
    replace(folder, engine, content)
    with open_cache(folder, engine) as cache:
        assert_begun_anew(cache, folder, content)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.97])
def test_a_file_cut_short_is_set_aside(folder: Path, engine: EngineChoice, share: float) -> None:
    data = filled(folder, engine)
    replace(folder, engine, data[: int(len(data) * share)])
    with open_cache(folder, engine) as cache:
        assert_begun_anew(cache, folder, data)


@pytest.mark.redb
def test_a_file_in_an_old_format_is_set_aside(folder: Path) -> None:
    data = bytearray(filled(folder, "redb"))
    data[64] = data[192] = 2  # the version of the format, in both of redb's commit slots
    replace(folder, "redb", bytes(data))
    with open_cache(folder, "redb") as cache:
        assert_begun_anew(cache, folder, data)


def test_another_programs_sqlite_database_is_set_aside(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(CacheFiles(folder, "sqlite").path)) as connection:
        connection.execute("CREATE TABLE episodes (id TEXT)")
    with open_cache(folder, "sqlite") as cache:
        assert_begun_anew(cache, folder, b"SQLite format 3\x00")


PLACES = pytest.mark.parametrize("places", [50, pytest.param(200, marks=pytest.mark.slow)])


@PLACES
def test_flipped_bytes_never_crash_and_never_give_wrong_data(folder: Path, engine: EngineChoice, places: int) -> None:
    data, seed = filled(folder, engine), random.Random(7)
    noticed = 0
    for _ in range(places):
        place = seed.randrange(len(data))
        damaged = bytearray(data)
        damaged[place] ^= seed.randrange(1, 256)
        replace(folder, engine, bytes(damaged))
        noticed += _damage_is_noticed_or_harmless(folder, engine)
    assert noticed > places // 5


@PLACES
def test_bytes_flipped_behind_our_back_are_at_worst_a_typed_error_and_never_wrong_data(
    folder: Path, engine: EngineChoice, places: int
) -> None:
    data, seed = filled(folder, engine), random.Random(9)
    kept = CacheFiles(folder, engine).beside("-sums")
    sums = kept.read_bytes() if kept.exists() else b""
    met = 0
    for _ in range(places):
        damaged = bytearray(data)
        damaged[seed.randrange(len(data))] ^= seed.randrange(1, 256)
        replace(folder, engine, bytes(damaged))
        if sums:
            kept.write_bytes(sums)
        CacheFiles(folder, engine).seal()  # as a bit that rots on the disk: the file looks as it did
        met += _unexamined_damage_is_harmless(folder, engine)
    assert met > places // 5


def _unexamined_damage_is_harmless(folder: Path, engine: EngineChoice) -> bool:
    """Read, change and examine; return whether the damage was met."""
    expected = {episode(number).key: episode(number) for number in ROWS}
    try:
        with open_cache(folder, engine, set_aside=False) as cache:
            assert cache.get_many(Table.EPISODES, expected).items() <= expected.items()
            cache.apply(page(1, 2, 3))
            cache.evict(len(ROWS) - 10)
            held = {record.key: record for found in cache.scan(Table.EPISODES) for record in found}
            assert held.items() <= expected.items()
            findings = cache.check()
            assert findings or len(held) == len(ROWS) - 10, "what is missing was reported"
            return bool(findings)
    except CacheDamagedError:
        return True


class Examined:
    """Counts how often files are read whole."""

    def __init__(self, engine: EngineChoice, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        made = _maker(engine)
        check = made.check_integrity  # type: ignore[attr-defined]  # a class, behind its constructor's type

        def counted(opened: Any) -> Any:
            self.times += 1
            return check(opened)

        monkeypatch.setattr(made, "check_integrity", counted)


def test_a_cache_that_was_closed_in_order_is_not_read_whole_again(
    folder: Path, engine: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined = Examined(engine, monkeypatch)
    filled(folder, engine)
    for number in range(3):
        with open_cache(folder, engine) as cache:
            cache.apply(page(number))
    assert examined.times == 0
    open_cache(folder, engine, verify=True).close()
    assert examined.times == 1


def test_a_cache_that_was_changed_or_not_closed_is_read_whole(
    folder: Path, engine: EngineChoice, monkeypatch: pytest.MonkeyPatch, spawn: Spawn
) -> None:
    examined = Examined(engine, monkeypatch)
    data = filled(folder, engine)
    replace(folder, engine, data)
    open_cache(folder, engine).close()
    assert examined.times == 1
    writer = spawn(WRITE, folder, engine)
    assert writer.stdout is not None
    assert [writer.stdout.readline() for _ in range(2)]
    writer.kill()
    writer.wait()
    with open_cache(folder, engine) as cache:
        assert (cache.findings, cache.doubtful) == ((), True)
        assert examined.times == 2
        assert cache.check() == []  # its values as well: so it is believed when it is opened again
    examined.times = 0
    open_cache(folder, engine).close()
    assert examined.times == 0


def test_a_damaged_file_that_is_not_to_be_set_aside_stays_as_it_is(folder: Path, engine: EngineChoice) -> None:
    data = bytearray(filled(folder, engine))
    data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
    replace(folder, engine, bytes(data))
    with pytest.raises(CacheDamagedError):
        open_cache(folder, engine, set_aside=False)
    assert CacheFiles(folder, engine).path.read_bytes()[len(data) // 3 :] == data[len(data) // 3 :]
    assert not [*folder.glob("*damaged*")]


READ = """
import sys
from pathlib import Path
from dm_memory.cache.opening import open_cache
from dm_memory.services.turso.schema import Table
for line in sys.stdin:
    with open_cache(Path(sys.argv[1]), sys.argv[2]) as cache:
        print(cache.count(Table.EPISODES), flush=True)
"""


def test_whoever_keeps_the_cache_for_long_lets_others_in(folder: Path, engine: EngineChoice, spawn: Spawn) -> None:
    reader = spawn(READ, folder, engine)
    assert reader.stdin is not None
    assert reader.stdout is not None
    with open_cache(folder, engine, share=True) as cache:
        for count in (1, 2, 3):
            cache.apply(page(count))
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == f"{count}\n"
        assert cache.count(Table.EPISODES) == 3
        assert cache.check() == []
    assert not [*folder.glob("*wanted*")]


def test_a_file_that_was_set_aside_meanwhile_is_damage_to_whoever_shared_it(
    folder: Path, engine: EngineChoice, spawn: Spawn
) -> None:
    with open_cache(folder, engine, share=True) as cache:
        cache.apply(page(1))
        other = spawn(SET_ASIDE, folder, engine)
        assert other.stdout is not None
        assert other.stdout.readline() == "done\n"
        if engine == "redb":
            with pytest.raises(CacheDamagedError):
                cache.apply(page(2))


SET_ASIDE = """
import sys
from pathlib import Path
from dm_memory.cache.opening import open_cache
open_cache(Path(sys.argv[1]), sys.argv[2]).quarantine()
open_cache(Path(sys.argv[1]), sys.argv[2]).close()
print("done", flush=True)
"""


def _damage_is_noticed_or_harmless(folder: Path, engine: EngineChoice) -> bool:
    with open_cache(folder, engine) as cache:
        if cache.findings:
            assert cache.count(Table.EPISODES) == 0
            return True
        findings = cache.check()
        held = {record.key: record for found in cache.scan(Table.EPISODES) for record in found}
        expected = {episode(number).key: episode(number) for number in ROWS}
        assert held.items() <= expected.items(), "what it returns was stored"
        assert findings or held == expected, "what is missing was reported"
        assert findings or [record.recorded_at for record in cache.newest(9)] == list(reversed(ROWS))[:9]
        cache.apply(page(1))
        return bool(findings)


def test_damage_that_was_not_looked_for_is_at_worst_a_typed_error(folder: Path, engine: EngineChoice) -> None:
    data, seed = filled(folder, engine), random.Random(8)
    expected = {episode(number).key: episode(number) for number in ROWS}
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(30):
            damaged[seed.randrange(len(data))] = seed.randrange(256)
        replace(folder, engine, bytes(damaged))
        try:
            with open_cache(folder, engine, verify=False) as cache:
                assert cache.get_many(Table.EPISODES, expected).items() <= expected.items()
                assert all(record in expected.values() for record in cache.newest(50))
                cache.check()
                cache.evict(10)
                cache.apply(page(*range(50)))
        except CacheDamagedError:
            continue


def test_a_damaged_value_reads_as_absent_and_is_a_finding(folder: Path, engine: EngineChoice) -> None:
    with open_cache(folder, engine) as cache:
        cache.apply(episodes(1, 2))
        key = episode(1).key.encode()
        with cache._engine.write() as writer:
            (frame,) = writer.get_many(Table.EPISODES, [key])
            assert frame is not None
            writer.put_many(Table.EPISODES, [(key, frame[:-1] + b"!")])
        assert cache.get(Table.EPISODES, episode(1).key) is None
        assert [record.recorded_at for record in cache.newest(9)] == [2]
        assert [(finding.code, finding.key) for finding in cache.findings] == [
            ("cache-value-damaged", f"episodes/{episode(1).key}")
        ]
        assert [finding.code for finding in cache.check()] == ["cache-value-damaged", "cache-index"]
        cache.apply(episodes(1))
        assert cache.get(Table.EPISODES, episode(1).key) == episode(1)
        assert cache.check() == [], "storing it again makes it whole"


class Circle:
    """A damaged file in which a page leads back to itself."""

    def scan(
        self, _table: str, _start: bytes | None = None, _end: bytes | None = None, /, **_: object
    ) -> list[tuple[bytes, bytes]]:
        return [(b"a", b""), (b"b", b"")]

    def get_many(self, _table: str, keys: Iterable[bytes], /) -> list[bytes | None]:
        return [None for _ in keys]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_that_goes_round_in_circles_is_damage(reverse: bool) -> None:
    with pytest.raises(CacheDamagedError, match="out of order"):
        list(pages(Circle(), "episodes", reverse=reverse))


def test_a_value_under_another_key_is_damage() -> None:
    frame = encode(b"a", Record("a", b"value", 5, "parent"))
    assert decode(b"a", frame) == Record("a", b"value", 5, "parent")
    assert decode(b"b", frame) is None
    for place in range(len(frame)):
        assert decode(b"a", frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]) is None
        assert decode(b"a", frame[:place]) is None


def test_a_cache_can_be_set_aside_by_hand_and_begun_anew(folder: Path, engine: EngineChoice) -> None:
    data = filled(folder, engine)
    finding = open_cache(folder, engine).quarantine()
    assert finding.code == "cache-quarantined"
    assert (folder / finding.path).stat().st_size == len(data)
    with open_cache(folder, engine) as cache:
        assert cache.findings == ()
        assert cache.count(Table.EPISODES) == 0


def test_a_file_that_another_process_made_anew_meanwhile_stays(folder: Path, engine: EngineChoice) -> None:
    with open_cache(folder, engine) as damaged:
        other = damaged._identity
    damaged.quarantine()
    filled(folder, engine)
    quarantine(CacheFiles(folder, engine), other, deadline=1)
    with open_cache(folder, engine) as cache:
        assert cache.count(Table.EPISODES) == len(ROWS)


def test_only_the_last_two_damaged_files_are_kept(folder: Path, engine: EngineChoice) -> None:
    for number in range(4):
        filled(folder, engine)
        replace(folder, engine, bytes([number]) * 1000)
        open_cache(folder, engine).close()
    kept = sorted(path.read_bytes()[0] for path in folder.glob("*damaged*"))
    assert kept == [2, 3]


def test_a_link_is_refused(folder: Path, engine: EngineChoice, tmp_path: Path) -> None:
    folder.mkdir()
    CacheFiles(folder, engine).path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheUnavailableError, match="link"):
        open_cache(folder, engine)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_can_not_be_used_is_an_error_that_names_the_file(tmp_path: Path, engine: EngineChoice) -> None:
    (tmp_path / "memory").write_text("a file")
    with pytest.raises(CacheUnavailableError, match=r"cache\.v2"):
        open_cache(tmp_path / "memory", engine)


HOLD = """
import sys
from pathlib import Path
from dm_memory.cache.opening import open_cache
with open_cache(Path(sys.argv[1]), sys.argv[2]) as cache, cache._engine.write():
    print("held", flush=True)
    input()
"""


def test_a_cache_that_another_process_holds_is_waited_for_until_the_deadline(
    folder: Path, engine: EngineChoice, spawn: Spawn
) -> None:
    holder = spawn(HOLD, folder, engine)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CacheBusyError, match=f"process {holder.pid} since") as caught:
        use(folder, engine, deadline=0.1)
    assert str(folder) in caught.value.problem
    holder.communicate("\n")
    use(folder, engine, deadline=30)


def use(folder: Path, engine: EngineChoice, deadline: float) -> None:
    """Write to the cache: SQLite lets readers in at any time."""
    with open_cache(folder, engine, deadline=deadline) as cache:
        cache.apply(page(1))


def test_waiting_ends_when_the_holder_does(folder: Path, engine: EngineChoice, spawn: Spawn) -> None:
    holder = spawn(HOLD, folder, engine)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = spawn(WRITE, folder, engine)
    holder.kill()
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "0\n"


WRITE = """
import sys
from pathlib import Path
from dm_memory.cache.opening import open_cache
from dm_memory.services.turso.schema import Table
from tests.cache.engines.rows import page
with open_cache(Path(sys.argv[1]), sys.argv[2]) as cache:
    assert not cache.findings, cache.findings
    start = cache.count(Table.EPISODES)
    for first in range(start, 9000, 20):
        print(first, flush=True)
        cache.apply(page(*range(first, first + 20)))
        if first % 100 == 0:
            cache.evict(10_000)
"""


def test_a_killed_writer_leaves_whole_pages_and_their_watermark(
    folder: Path, engine: EngineChoice, spawn: Spawn
) -> None:
    seed = random.Random(3)
    begun = 0
    for _ in range(6):
        writer = spawn(WRITE, folder, engine)
        assert writer.stdout is not None
        for _ in range(seed.randrange(1, 8)):
            begun = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        with open_cache(folder, engine) as cache:
            assert cache.findings == ()
            assert cache.check() == []
            count = cache.count(Table.EPISODES)
            assert count % 20 == 0
            assert count >= begun, "every page before the last one begun was stored"
            mark = cache.watermark("episodes")
            assert (mark.updated_at if mark else -1) == count - 1
    assert begun


@pytest.mark.parametrize("left", [b"", b"half a header"])
def test_a_file_whose_maker_was_killed_is_made_anew_and_not_taken_for_damaged(
    folder: Path, engine: EngineChoice, left: bytes
) -> None:
    folder.mkdir()
    CacheFiles(folder, engine).begin_making()
    CacheFiles(folder, engine).path.write_bytes(left)
    for count in (1, 2):
        with open_cache(folder, engine) as cache:
            assert cache.findings == ()
            cache.apply(page(count))
            assert cache.count(Table.EPISODES) == count


def test_every_error_says_what_to_do(folder: Path, engine: EngineChoice) -> None:
    cache = open_cache(folder, engine)
    cache.close()
    with pytest.raises(CacheError) as caught:
        cache.apply(Page())
    assert caught.value.problem.endswith(".")
    assert caught.value.remedy.endswith(".")
