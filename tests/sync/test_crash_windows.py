"""What is true after a stop at the worst moment: exports, leftovers, turns, and a registry that was lost."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, HomeError, LayerError, LockTimeoutError, RegistryError
from dm_memory.items import ContentType
from dm_memory.sync import exports, lock, prepare, prepared_files
from dm_memory.sync.lock import brand_lock
from dm_memory.sync.registry import open_writer
from dm_memory.requests import PrepareRequest, Scope, SessionLearning, no_progress
from tests.sync.conftest import BRAND, Bench
from tests.sync.memory_layer import DictLayer

pytestmark = pytest.mark.anyio


class Crash(BaseException):
    """Ends a sync where it stands."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def forget_registry(bench: Bench) -> None:
    for path in bench.memory_dir.glob("registry.db*"):
        path.unlink()


def remember(text: str, **more: Any) -> PrepareRequest:
    return PrepareRequest(text, ContentType.GUIDELINE, brand=BRAND, **more)


# The exports ---------------------------------------------------------------------------------------------------------


async def test_a_kill_before_the_index_is_written_leaves_no_stale_index_for_good(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(exports.Exporter, "write_index", crash)
        with pytest.raises(Crash):
            await bench.sync()
    await bench.sync()
    assert len(bench.read("_index.json")) == 2


async def test_a_full_disk_while_the_index_is_written_is_made_good_by_the_next_sync(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("one", "two")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(exports, "write_atomic", full)
        assert "export-failed" in [finding.code for finding in (await bench.sync()).findings]
    await bench.sync()
    assert len(bench.read("_index.json")) == 2


async def test_the_index_never_calls_a_text_stored_that_is_not(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    before = {entry["content_hash"] for entry in bench.read("_index.json")}
    bench.layer.refuse = lambda payload: RuntimeError() if payload.content == "POISON" else None
    bench.insights("POISON", "two", "three")
    await bench.sync()
    after = {entry["content_hash"] for entry in bench.read("_index.json")}
    assert before < after
    assert len(after) == 3


async def test_a_pending_file_that_is_gone_or_changed_costs_no_other_export(bench: Bench) -> None:
    await bench.memory.prepare(remember("kept"))
    await bench.memory.prepare(remember("gone"))
    await bench.memory.prepare(remember("garbled"))

    def meddle() -> None:
        for path in (bench.memory_dir / "pending").iterdir():
            if "gone" in path.read_text():
                path.unlink()
            elif "garbled" in path.read_text():
                path.write_bytes(b"[")

    bench.layer.after_upsert = meddle
    await bench.sync()
    assert len(bench.read("_index.json")) == 3
    assert len(list((bench.memory_dir / "stored").iterdir())) == 1


async def test_a_pending_file_that_only_python_reads_is_moved(bench: Bench) -> None:
    bench.write("memory/pending/0123456789abcdef.json", '{"content": "kept", "metadata": {"score": NaN}}')
    await bench.sync()
    assert [path.name for path in (bench.memory_dir / "stored").iterdir()] == ["0123456789abcdef.json"]


# Turns ---------------------------------------------------------------------------------------------------------------


async def test_cancelling_a_sync_that_waits_for_its_turn_ends_it_at_once(bench: Bench) -> None:
    bench.insights("one")
    said = asyncio.Event()

    async def listen(message: str, _done: int, _total: int) -> None:
        if message.startswith("Waiting"):
            said.set()

    async with brand_lock(bench.memory_dir, 1, lambda: bench.now, no_progress):
        task = asyncio.create_task(bench.sync(progress=listen))
        await said.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
    assert not bench.layer.held


async def test_a_cancelled_prepare_keeps_its_turn_until_everything_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = asyncio.Event()
    loop = asyncio.get_running_loop()
    held: list[bool] = []
    write = prepared_files.write_pending

    def slowly(memory_dir: Path, name: str, content: bytes) -> None:
        loop.call_soon_threadsafe(writing.set)
        task.get_loop().call_soon_threadsafe(task.cancel)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
        held.append(lock.is_locked(memory_dir))
        write(memory_dir, name, content)

    monkeypatch.setattr(prepare, "write_pending", slowly)
    task = asyncio.create_task(bench.memory.prepare(remember("kept")))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held == [True]
    assert not lock.is_locked(bench.memory_dir)


async def test_a_note_that_can_not_be_written_or_removed_gives_the_turn_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(lock, "write_atomic", full)
        patch.setattr(Path, "unlink", full)
        try:
            async with brand_lock(bench.memory_dir, 1, lambda: bench.now, no_progress):
                pass
        except HomeError:
            pass
    try:
        async with brand_lock(bench.memory_dir, 0.2, lambda: bench.now, no_progress):
            pass
    except LockTimeoutError:
        pytest.fail("the turn was not given back")


def test_a_full_disk_inside_a_transaction_is_said_in_our_words(bench: Bench) -> None:
    registry = open_writer(bench.memory_dir.parent)
    registry.connection.execute("PRAGMA max_page_count = 30")

    def fill() -> None:
        with registry.transaction() as connection:
            for number in range(1000):
                connection.execute("INSERT INTO meta VALUES (?, ?)", (str(number), "x" * 8000))

    with pytest.raises(RegistryError, match="disk is full"):
        fill()
    registry.close()


def test_a_transaction_that_sqlite_rolled_back_itself_keeps_its_own_error(bench: Bench) -> None:
    registry = open_writer(bench.memory_dir.parent)

    def ends_early() -> None:
        with registry.transaction() as connection:
            connection.execute("ROLLBACK")
            raise KeyError("the reason")

    with pytest.raises(KeyError, match="the reason"):
        ends_early()
    registry.close()


# A registry that was lost --------------------------------------------------------------------------------------------


async def test_a_lost_registry_embeds_nothing_again_whatever_comes_before_the_first_full_sync(bench: Bench) -> None:
    bench.insights("one", "two")
    bench.write("campaigns/a.json", {"campaign_id": "spring", "learnings": ["lesson"]})
    await bench.sync()
    forget_registry(bench)
    await bench.memory.prepare(remember("three"))
    await bench.sync(scope=Scope.CAMPAIGNS_ONLY)
    await bench.sync()
    assert len(bench.layer.upserted) == len(set(bench.layer.upserted)) == 4


async def test_what_a_damaged_registry_still_yields_is_delivered(bench: Bench) -> None:
    bench.insights("one")
    bench.layer.down = LayerError("Down.", "Wait.", error_class=ErrorClass.UNAVAILABLE)
    await bench.sync(session_learnings=(SessionLearning("only here"),))
    bench.layer.down = None
    damage_deliveries(bench)
    result = await bench.sync()
    assert "registry-rebuilt" in [finding.code for finding in result.findings]
    assert bench.held_texts() == ["one", "only here"]
    assert len(bench.read("_index.json")) == 2
    assert (await bench.memory.status(BRAND)).status == "ready"


def damage_deliveries(bench: Bench) -> None:
    path = bench.memory_dir / "registry.db"
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchone()[0]
    connection.close()
    data = bytearray(path.read_bytes())
    data[(root - 1) * 8192 : root * 8192] = b"\xff" * 8192
    path.write_bytes(data)


async def test_an_interrupted_item_that_is_planned_anew_is_asked_for_before_it_is_embedded(bench: Bench) -> None:
    bench.insights("one", "two")
    bench.layer.after_upsert = crash
    with pytest.raises(Crash):
        await bench.sync()
    bench.layer.after_upsert = lambda: None
    result = await bench.sync(tags=("q4",))
    assert (len(bench.layer.upserted), result.status) == (2, "complete")
    assert all("q4" in payload.tags for payload in bench.layer.held.values())


# Rebuilding ----------------------------------------------------------------------------------------------------------


class Rebuildable(DictLayer):
    """A layer that fills a new collection beside the old one, as the embedded engine does."""

    def __init__(self) -> None:
        super().__init__()
        self.old: dict[str, Any] | None = None
        self.made_with = "dictionary-1"

    async def begin_rebuild(self) -> None:
        if self.old is None:
            self.old, self.held = self.held, {}

    async def finish_rebuild(self) -> None:
        self.old = None
        self.made_with = self.generation

    def back(self) -> None:
        """The settings name the old model again: reads and writes go to the old collection."""
        assert self.old is not None
        self.held, self.old = self.old, None


async def test_a_model_that_is_set_back_in_the_middle_of_a_rebuild_loses_nothing(bench: Bench) -> None:
    layer = bench.layer = Rebuildable()
    bench.settings["batch_size"] = 2
    bench.insights("one", "two", "three")
    await bench.sync()
    layer.generation = "dictionary-2"
    bench.insights("zero", "two", "three", "four")
    await interrupted(bench, pages=1)
    layer.back()
    layer.generation = "dictionary-1"
    layer.upserted.clear()
    result = await bench.sync()
    assert bench.held_texts() == ["four", "three", "two", "zero"]
    assert len(layer.upserted) == 2
    assert result.status == "complete"


async def test_a_rebuild_that_a_narrower_run_takes_up_is_finished_whole(bench: Bench) -> None:
    layer = bench.layer = Rebuildable()
    bench.settings["batch_size"] = 1
    bench.insights("one")
    bench.write("campaigns/a.json", {"campaign_id": "spring", "learnings": ["lesson", "another"]})
    await bench.sync()
    layer.generation = "dictionary-2"
    await interrupted(bench, pages=1)
    await bench.sync(scope=Scope.INSIGHTS_ONLY, exclude=("*another*",))
    assert layer.old is None
    assert len(layer.held) == 3


async def interrupted(bench: Bench, pages: int) -> None:
    """Force a sync that is killed after some pages."""
    calls = 0

    def strike(_: object) -> None:
        nonlocal calls
        calls += 1
        if calls > pages * bench.settings["batch_size"]:
            raise Crash

    bench.layer.refuse = strike
    with pytest.raises(Crash):
        await bench.sync(force=True)
    bench.layer.refuse = lambda _: None
