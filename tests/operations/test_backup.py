"""Backups: one state of a memory while others write, and putting it back."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from dm_memory.errors import InputError
from dm_memory.operations import backup as backup_module
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning
from dm_memory.search.results import SearchRequest
from dm_memory.store.database import open_store
from tests.support.dict_service import DictService, down
from tests.sync.conftest import BRAND, Bench, check_memory

pytestmark = pytest.mark.anyio


async def backup(bench: Bench, target: Path | None = None) -> Path:
    return Path((await bench.memory.backup(target, BRAND)).path)


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    assert folder.stat().st_mode & 0o777 == 0o700
    found = ((path.name, path.stat()) for path in folder.iterdir())
    return {name: (status.st_size, status.st_mode & 0o777) for name, status in found}


async def test_a_backup_is_a_whole_memory_with_its_journal_for_nobody_else_to_read(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync(session_learnings=(SessionLearning("three"),))
    before = bench.tree()
    result = await bench.memory.backup(None, BRAND)
    folder = Path(result.path)
    assert (folder.parent, result.entries) == (bench.memory_dir / "backups", 3)
    files = files_of(folder)
    assert files.keys() == {"memory.db", "journal.jsonl"}
    assert result.bytes == sum(size for size, _ in files.values())
    assert {mode for _, mode in files.values()} == {0o600}
    check_memory(folder)
    assert (folder / "journal.jsonl").read_bytes() == (bench.memory_dir / "journal.jsonl").read_bytes()
    assert {name: data for name, data in bench.tree().items() if "backups" not in name} == before


async def test_it_is_made_while_others_write(bench: Bench) -> None:
    bench.insights(*(f"text {number}" for number in range(300)))
    await bench.sync()
    stop, started = threading.Event(), threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        store = open_store(bench.memory_dir, BRAND)
        while not stop.is_set():
            with store.transaction() as connection:  # two rows that are only right together
                value = str(written)
                store.set_meta("left", value)
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('right', ?)", (value,))
            written += 1
            started.set()
        store.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        await asyncio.to_thread(started.wait)
        folders = [await backup(bench) for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    for folder in folders:
        check_memory(folder)
        store = open_store(folder, BRAND)
        assert store.meta("left") == store.meta("right") != ""
        store.close()


async def test_a_place_of_ones_own_must_be_new_and_there_must_be_a_memory(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no memory"):
        await backup(bench)
    assert not bench.memory_dir.exists()
    bench.insights("one")
    await bench.sync()
    assert await backup(bench, tmp_path / "mine") == tmp_path / "mine"
    with pytest.raises(InputError, match="exists already"):
        await backup(bench, tmp_path / "mine")
    with pytest.raises(InputError, match="can't be made"):
        await backup(bench, tmp_path / "none" / "mine")


async def test_restoring_puts_everything_back_and_keeps_what_was_there(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync(session_learnings=(SessionLearning("three"),))
    folder = await backup(bench)
    then = bench.rows("SELECT key, content, version FROM entries ORDER BY key")
    bench.insights("one, edited", "two", "four")
    await bench.sync(session_learnings=(SessionLearning("five"),))
    result = await bench.memory.restore(folder, BRAND)
    assert (result.exit_code, result.entries, result.kept_out) == (0, 3, 0)
    assert bench.rows("SELECT key, content, version FROM entries ORDER BY key") == then
    bench.check()
    assert "five" not in (bench.memory_dir / "journal.jsonl").read_text()
    aside = Path(result.aside)
    check_memory(aside)
    assert "five" in (aside / "journal.jsonl").read_text()
    await bench.memory.restore(aside, BRAND)
    assert len(bench.texts()) == 5
    bench.check()
    synced = await bench.sync()
    assert (synced.status, synced.counts.stored, synced.findings) == ("complete", 0, ())


async def test_the_next_sync_brings_in_what_the_files_say_now(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    folder = await backup(bench)
    bench.insights("one, edited", "two", "four")
    await bench.sync()
    await bench.memory.restore(folder, BRAND)
    await bench.sync()
    assert sorted(bench.texts().values()) == ["four", "one, edited", "two"]
    bench.check()


async def test_services_follow_by_hash_and_nothing_is_stored_twice(bench: Bench) -> None:
    vector, graph = DictService(), DictService("graph@dictionary", keeps_retired=True)
    bench.services = [vector, graph]
    bench.insights("one", "two")
    await bench.sync()
    folder = await backup(bench)
    bench.insights("one, edited", "two", "four")
    await bench.sync()
    vector.upserted.clear()
    result = await bench.memory.restore(folder, BRAND)
    assert [(each.stored, each.removed, each.queued) for each in result.services] == [(2, 1, 0)] * 2
    for service in (vector, graph):
        assert sorted(payload.content for payload in service.stored.values()) == ["one", "two"]
        assert service.needless == []
    assert vector.upserted == ["insight/2026-11-02T10:00:00.000001"]


async def test_a_service_that_is_down_follows_later(bench: Bench) -> None:
    vector = DictService()
    bench.services = [vector]
    bench.insights("one", "two")
    await bench.sync()
    folder = await backup(bench)
    bench.insights("one", "two", "four")
    await bench.sync()
    vector.down = down()
    result = await bench.memory.restore(folder, BRAND)
    assert (result.exit_code, result.services[0].failure is not None) == (1, True)
    vector.down = None
    bench.insights("one", "two")
    await bench.sync()
    assert sorted(payload.content for payload in vector.stored.values()) == ["one", "two"]


async def test_what_was_forgotten_since_stays_out(bench: Bench, tmp_path: Path) -> None:
    bench.insights("Zeppelinska wrote to us about the poster", "two")
    await bench.sync(session_learnings=(SessionLearning("Zeppelinska again, in a session"),))
    folder = await backup(bench, tmp_path / "mine")
    hidden = (tmp_path / "mine").rename(tmp_path / "hidden")
    shown = await bench.memory.forget(ForgetRequest(brand=BRAND, query="Zeppelinska"))
    await bench.memory.forget(ForgetRequest(brand=BRAND, query="Zeppelinska", dry_run=False, token=shown.token))
    assert b"eppelinska" in (hidden / "memory.db").read_bytes(), "that one could not be found"
    result = await bench.memory.restore(hidden, BRAND)
    assert (result.kept_out, result.entries) == (2, 1)
    await bench.sync(force=True)
    assert list(bench.texts().values()) == ["two"]
    for path in bench.memory_dir.rglob("*"):
        assert not (path.is_file() and b"eppelinska" in path.read_bytes()), path
    assert not folder.exists()


async def test_what_was_handed_in_and_is_in_no_memory_yet_is_not_lost(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    folder = await backup(bench)
    record = {"v": 1, "op": "entry", "key": "session/x", "kind": "session", "content_type": "campaign-learning"}
    with (bench.memory_dir / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({**record, "content": "handed in"}) + "\n")
    await bench.memory.restore(folder, BRAND)
    await bench.sync()
    assert sorted(bench.texts().values()) == ["handed in", "one"]


async def test_what_is_handed_in_while_a_backup_is_put_back_is_not_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one")
    await bench.sync()
    folder = await backup(bench)
    put_back = backup_module._put_back

    def meanwhile(*arguments: Any) -> int:
        asyncio.run(bench.memory.prepare(PrepareRequest("handed in meanwhile", brand=BRAND)))
        return put_back(*arguments)

    monkeypatch.setattr(backup_module, "_put_back", meanwhile)
    await bench.memory.restore(folder, BRAND)
    await bench.sync()
    assert sorted(bench.texts().values()) == ["handed in meanwhile", "one"]
    bench.check()


async def test_a_damaged_backup_another_brands_or_none_is_refused_and_changes_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    bench.insights("one")
    await bench.sync()
    folder = await backup(bench)
    data = bytearray((folder / "memory.db").read_bytes())
    store = open_store(folder, BRAND)
    store.set_meta("brand", "zeta")
    store.close()
    with pytest.raises(InputError, match="brand zeta"):
        await bench.memory.restore(folder, BRAND)
    data[3 * 8192 : 9 * 8192] = b"\x55" * (6 * 8192)
    (folder / "memory.db").write_bytes(data)
    before = bench.rows("SELECT * FROM entries")
    for place in (folder, tmp_path / "none"):
        with pytest.raises(InputError):
            await bench.memory.restore(place, BRAND)
    assert bench.rows("SELECT * FROM entries") == before


async def test_a_damaged_memory_is_replaced_by_a_backup(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    folder = await backup(bench)
    (bench.memory_dir / "memory.db").write_bytes(b"no database at all" * 1000)
    result = await bench.memory.restore(folder, BRAND)
    assert result.entries == 2
    bench.check()


async def test_searches_of_a_process_that_goes_on_see_the_restored_memory(bench: Bench) -> None:
    bench.insights("the poster was blue", "two")
    await bench.sync()
    folder = await backup(bench)
    bench.insights("the poster was red", "two", "posters are cheap")
    await bench.sync()
    memory = bench.memory

    async def found() -> set[str]:
        request = SearchRequest(query="poster", brand=BRAND)
        return {hit.content for hit in (await memory.search(request)).hits if "poster" in hit.content}

    assert await found() == {"the poster was red", "posters are cheap"}
    await memory.restore(folder, BRAND)
    assert await found() == {"the poster was blue"}
    await memory.close()


async def test_a_killed_restore_leaves_the_memory_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    bench.insights("one")
    await bench.sync()
    folder = await backup(bench)
    await bench.memory.prepare(PrepareRequest("two", brand=BRAND))
    monkeypatch.setattr("dm_memory.operations.backup._renew_clock", killed)
    with pytest.raises(Killed):
        await bench.memory.restore(folder, BRAND)
    monkeypatch.undo()
    assert sorted(bench.texts().values()) == ["one", "two"]
    await bench.sync()
    bench.check()
