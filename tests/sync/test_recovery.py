"""Interruptions, failures and damage: what a later run finds and what it makes of it."""

from __future__ import annotations

import asyncio
import errno
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dm_memory.errors import BrandNotFoundError, ErrorClass, HomeError, LockTimeoutError, ServiceError
from dm_memory.items import Payload
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning, SyncRequest, no_progress
from dm_memory.store import locks
from dm_memory.store.journal import Journal
from dm_memory.store.locks import brand_lock, is_locked
from dm_memory.sync import exports, finish, payloads, pipeline
from dm_memory.text import hashing
from tests.support.dict_service import DictService, down
from tests.support.embedders import ConstantEmbedder
from tests.sync.conftest import BRAND, Bench, insight, stored_texts

pytestmark = pytest.mark.anyio


class Crash(BaseException):
    """Ends a sync where it stands."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def poison(payload: Payload) -> Exception | None:
    return RuntimeError("secret sk-123") if "POISON" in payload.content else None


# Killed --------------------------------------------------------------------------------------------------------------


async def test_a_session_learning_survives_a_crash_before_anything_is_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_take_handed_in", crash)
        with pytest.raises(Crash):
            await bench.sync(session_learnings=(SessionLearning("worth keeping"),))
    result = await bench.sync()
    assert list(bench.texts().values()) == ["worth keeping"]
    assert (result.counts.new, result.status) == (1, "complete")
    assert (await bench.sync()).counts.stored == 0


async def test_what_was_stored_before_a_crash_is_not_embedded_again(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    bench.embedder = ConstantEmbedder()
    service.after_upsert = crash
    with pytest.raises(Crash):
        await bench.sync()
    service.after_upsert = lambda: None
    assert len(bench.embedder.embedded) == 2
    result = await bench.sync()
    assert (result.status, result.counts.unchanged, len(bench.embedder.embedded)) == ("complete", 2, 2)
    assert len(service.upserted) == 2, "the service was asked what it has before it got anything again"


async def test_an_interrupted_run_shows_by_its_status_until_the_next_one(bench: Bench, service: DictService) -> None:
    bench.insights("one")
    service.after_upsert = crash
    with pytest.raises(Crash):
        await bench.sync()
    service.after_upsert = lambda: None
    status = await bench.memory.status(BRAND)
    assert status.last_run_status == "interrupted"
    await bench.sync()
    assert (await bench.memory.status(BRAND)).last_run_status == "complete"


async def test_cancelling_keeps_what_is_stored_and_the_next_sync_goes_on(bench: Bench, service: DictService) -> None:
    bench.insights(*(f"text {number}" for number in range(600)))
    started = asyncio.Event()
    service.after_upsert = started.set
    task = asyncio.create_task(bench.sync())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 < len(service.stored) < 600
    bench.check()
    result = await bench.sync()
    assert (result.status, len(service.stored), len(service.upserted)) == ("complete", 600, 600)


async def test_a_first_sync_that_was_stopped_leaves_no_word_of_a_missing_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored has vectors: status must not send anybody to install the model."""
    bench.insights("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_embed_missing", crash)
        with pytest.raises(Crash):
            await bench.sync()
    status = await bench.memory.status(BRAND)
    assert (status.total_items, status.store.without_vectors) == (2, 0)
    assert status.store.model


async def test_cancelling_a_sync_that_waits_for_the_lock_ends_it_at_once(bench: Bench) -> None:
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
    assert not (bench.memory_dir / "memory.db").exists()
    assert not is_locked(bench.memory_dir)


async def test_a_note_that_can_not_be_written_or_removed_gives_the_lock_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(locks, "write_atomic", full)
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
        pytest.fail("the lock was not given back")


# Services that fail --------------------------------------------------------------------------------------------------


async def test_one_poisoned_entry_fails_alone_and_is_retried_alone(bench: Bench, service: DictService) -> None:
    bench.insights(*(f"text {number}" for number in range(300)), "POISON")
    service.refuse = poison
    result = await bench.sync()
    assert (result.services[0].stored, result.counts.failed, result.status) == (300, 1, "partial")
    failure = result.items[0].failure
    assert failure is not None
    assert (failure.error_class, failure.code, failure.attempts) == ("unknown", "RuntimeError", 1)
    assert "sk-123" not in failure.message + failure.remedy
    service.refuse = lambda _: None
    service.upserted.clear()
    result = await bench.sync()
    assert (len(service.upserted), result.counts.failed, result.status) == (1, 0, "complete")


async def test_a_poisoned_change_leaves_the_old_version_in_place(bench: Bench, service: DictService) -> None:
    bench.insights("good")
    await bench.sync()
    bench.insights("POISON")
    service.refuse = poison
    result = await bench.sync()
    assert (result.counts.modified, result.counts.failed) == (1, 1)
    assert stored_texts(service) == ["good"]
    assert list(bench.texts().values()) == ["POISON"], "memory itself has what the file says"


async def test_a_row_of_entries_that_all_fail_does_not_shut_the_others_out(bench: Bench, service: DictService) -> None:
    bench.insights(*(f"POISON {number}" for number in range(30)), "good")
    service.refuse = poison
    for _ in range(12):
        await bench.sync()
    assert stored_texts(service) == ["good"]


async def test_failed_entries_wait_longer_after_a_few_attempts_unless_forced(
    bench: Bench, service: DictService
) -> None:
    bench.insights("POISON")
    service.refuse = poison
    for _ in range(6):
        await bench.sync()
    attempts = (await bench.memory.status(BRAND)).failures[0].failure
    assert attempts is not None
    assert 3 < attempts.attempts < 6
    bench.now += timedelta(days=1)
    service.refuse = lambda _: None
    await bench.sync()
    assert stored_texts(service) == ["POISON"]


async def test_a_clock_set_back_does_not_postpone_retries_and_is_reported(bench: Bench, service: DictService) -> None:
    bench.insights("POISON")
    service.refuse = poison
    for _ in range(5):
        await bench.sync()
    bench.now -= timedelta(days=400)
    service.refuse = lambda _: None
    result = await bench.sync()
    assert stored_texts(service) == ["POISON"]
    assert "clock-went-back" in [finding.code for finding in result.findings]


async def test_a_service_that_is_down_is_asked_once_and_everything_waits(bench: Bench, service: DictService) -> None:
    bench.insights(*(f"text {number}" for number in range(10)))
    service.down = down()
    result = await bench.sync()
    assert (result.status, result.exit_code, result.counts.queued, result.counts.stored) == ("partial", 1, 10, 10)
    assert result.services[0].failure is not None
    assert result.services[0].failure.remedy == "Start it."
    assert not result.checkpoint.moved
    service.down = None
    assert (await bench.sync()).status == "complete"
    assert len(service.stored) == 10


async def test_what_failed_before_waits_while_the_service_is_down(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two", "three")
    service.refuse = lambda _: ServiceError("No.", "-", error_class=ErrorClass.VALIDATION)
    assert (await bench.sync()).counts.failed == 3
    service.down = down()
    result = await bench.sync()
    assert result.status == "partial"
    service.down, service.refuse = None, lambda _: None
    assert (await bench.sync(force=True)).status == "complete"


async def test_what_a_batch_stored_before_its_service_went_down_is_on_record(
    bench: Bench, service: DictService
) -> None:
    bench.insights(*(f"text {number}" for number in range(40)), "DOWN")
    service.refuse = lambda payload: down() if payload.content == "DOWN" else None
    bench.settings["batch_size"] = 1
    service.capabilities = replace(service.capabilities, batch_items=1)
    result = await bench.sync()
    assert result.services[0].stored == len(service.stored) == 41 - result.counts.queued
    assert 0 < result.counts.queued < 41
    service.refuse = lambda _: None
    assert (await bench.sync()).status == "complete"
    assert len(service.upserted) == 41


@pytest.mark.parametrize("call", ["fetch", "delete", "capacity", "fingerprint", "count", "update_metadata"])
async def test_a_bug_in_any_call_of_an_adapter_is_reported_and_costs_memory_nothing(
    bench: Bench, service: DictService, call: str
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    service.refuse = poison
    bench.insights("one", "one", "POISON")
    await bench.sync()

    async def fails(*_: object) -> object:
        raise RuntimeError("secret")

    setattr(service, call, fails)
    bench.insights("one", "one", "POISON", "two")
    bench.write("profile.json", {"brand_name": "Acme", "industry": {"primary": "Coffee"}})
    result = await bench.sync()
    assert result.status == "partial"
    assert "secret" not in str(result)
    assert {"one", "two", "POISON"} <= set(bench.texts().values())
    bench.check()


async def test_a_removal_that_fails_holds_up_nothing_else(
    bench: Bench, service: DictService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one", "two")
    await bench.sync()

    async def delete(ids: Sequence[str]) -> None:  # noqa: ARG001  # as the service's
        raise ServiceError("Not now.", "Wait.", error_class=ErrorClass.VALIDATION)

    bench.insights("one", "one", "three")
    with monkeypatch.context() as patch:
        patch.setattr(service, "delete", delete)
        result = await bench.sync()
    assert stored_texts(service) == ["one", "three", "two"]
    assert (result.status, result.counts.queued) == ("partial", 1)
    result = await bench.sync()
    assert (stored_texts(service), result.status) == (["one", "three"], "complete")


# Lies and losses -----------------------------------------------------------------------------------------------------


async def test_what_a_service_lost_is_noticed_and_stored_again_without_force(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two", "three")
    await bench.sync()
    service.stored.popitem()
    status = await bench.memory.status(BRAND)
    assert (status.status, status.services[0].counted, status.services[0].entries) == ("attention", 2, 3)
    result = await bench.sync()
    assert "missing-in-service" in [finding.code for finding in result.findings]
    assert stored_texts(service) == ["one", "three", "two"]
    assert len(service.upserted) == 4
    assert (await bench.sync()).status == "complete"
    assert (await bench.memory.status(BRAND)).status == "ready"


async def test_a_service_that_confirms_and_stores_nothing_is_not_called_complete(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    service.lies = True
    result = await bench.sync()
    assert (result.status, result.services[0].missing, result.checkpoint.moved) == ("partial", 2, False)
    service.lies = False
    await bench.sync()
    assert (await bench.sync()).status == "complete"
    assert stored_texts(service) == ["one", "two"]


async def test_more_entries_than_this_computer_knows_are_no_shortfall(bench: Bench, service: DictService) -> None:
    bench.insights("one")
    await bench.sync()
    (payload,) = service.stored.values()
    service.stored["another"] = payload
    result = await bench.sync()
    assert (result.status, result.findings) == ("complete", ())


# The embedding model -------------------------------------------------------------------------------------------------


class Hiccup(ConstantEmbedder):
    """A model that fails until it is well again."""

    ill = True

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if self.ill:
            raise RuntimeError("secret")
        return super().embed_documents(texts)


async def test_a_model_that_fails_costs_vectors_alone_and_the_next_sync_makes_them(
    bench: Bench, service: DictService
) -> None:
    bench.embedder = model = Hiccup()
    bench.insights("one", "two")
    result = await bench.sync()
    assert (result.status, result.counts.stored, result.store.without_vectors) == ("partial", 2, 2)
    (finding,) = [finding for finding in result.findings if finding.code == "not-embedded"]
    assert "secret" not in finding.message
    assert not result.checkpoint.moved
    assert stored_texts(service) == ["one", "two"]
    drift = (await bench.memory.verify(BRAND)).parts[0]
    assert drift.missing == 2
    model.ill = False
    result = await bench.sync()
    assert (result.status, result.counts.embedded, result.store.without_vectors) == ("complete", 2, 0)
    bench.check()


async def test_a_hiccup_in_the_middle_of_edits_leaves_no_vector_of_an_old_text(bench: Bench) -> None:
    bench.embedder = model = Hiccup()
    model.ill = False
    bench.insights("one", "two")
    await bench.sync()
    model.ill = True
    bench.insights("one, edited", "two")
    assert (await bench.sync()).store.without_vectors == 1
    bench.check()
    model.ill = False
    assert (await bench.memory.verify(BRAND, repair=True)).exit_code == 0
    bench.check()
    assert (await bench.sync()).counts.embedded == 0


async def test_another_model_embeds_everything_again_visibly_and_without_force(bench: Bench) -> None:
    bench.embedder = ConstantEmbedder(8, "first")
    bench.insights("one", "two")
    await bench.sync()
    bench.embedder = ConstantEmbedder(16, "second")
    result = await bench.sync()
    assert "model-changed" in [finding.code for finding in result.findings]
    assert (result.status, result.counts.embedded, result.counts.unchanged) == ("complete", 2, 2)
    assert {dimension for (dimension,) in bench.rows("SELECT dimension FROM vectors")} == {16}
    bench.check()
    again = await bench.sync()
    assert (again.counts.embedded, again.findings) == (0, ())


async def test_a_change_of_model_that_is_interrupted_goes_on_where_it_was(bench: Bench) -> None:
    bench.embedder = ConstantEmbedder(8, "first")
    bench.insights(*(f"text {number}" for number in range(1300)))
    await bench.sync()
    bench.embedder = model = ConstantEmbedder(16, "second")

    async def stop(message: str, done: int, _total: int) -> None:
        if message.startswith("Embedding") and done:
            task.cancel()

    task = asyncio.create_task(bench.sync(stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    done = len(model.embedded)
    assert 0 < done < 1300
    result = await bench.sync()
    assert (result.status, result.counts.embedded) == ("complete", 1300 - done)
    bench.check()


# Files and exports ---------------------------------------------------------------------------------------------------


async def test_a_corrupt_file_never_moves_the_checkpoint_and_the_rest_still_syncs(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    checkpoint, last = bench.read("sync-state.json")["checkpoint"], bench.read("_last_sync.json")
    bench.write("insights.json", "\0\0\0")
    bench.campaign(["A lesson to remember."])
    result = await bench.sync()
    assert result.status == "partial"
    assert len(bench.texts()) == 2
    assert bench.read("sync-state.json")["checkpoint"] == checkpoint
    assert bench.read("_last_sync.json") == last
    assert bench.read("sync-state.json")["last_run"]["status"] == "partial"


async def test_the_script_s_index_is_rebuilt_when_truncated_and_its_own_entries_are_kept(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    index = bench.memory_dir / "_index.json"
    ours = bench.read("_index.json")
    assert {len(entry["content_hash"]) for entry in ours} == {16}
    foreign = {"content_hash": "f" * 16, "vector_db": "pinecone", "storage_id": "x", "tags": [], "stored_at": "2026"}
    bench.write("memory/_index.json", [*ours, foreign])
    await bench.sync()
    assert foreign in bench.read("_index.json")
    index.write_bytes(index.read_bytes()[:40])
    result = await bench.sync()
    assert [finding.code for finding in result.findings] == ["index-rebuilt"]
    assert sorted(map(str, ours)) == sorted(map(str, (e for e in bench.read("_index.json") if e != foreign)))


async def test_a_kill_before_the_index_is_written_leaves_no_stale_index_for_good(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(finish, "write_index", crash)
        with pytest.raises(Crash):
            await bench.sync()
    await bench.sync()
    assert len(bench.read("_index.json")) == 2


async def test_a_full_disk_while_exports_are_written_is_told_and_made_good_by_the_next_sync(
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


async def test_an_unknown_brand_is_an_error_that_names_the_brands(bench: Bench) -> None:
    with pytest.raises(BrandNotFoundError) as caught:
        await bench.memory.sync(SyncRequest(brand="acne"))
    assert caught.value.brands == (BRAND,)


async def test_an_insight_saved_while_a_sync_runs_is_in_the_next_one(bench: Bench, service: DictService) -> None:
    bench.insights("one")
    service.after_upsert = lambda: bench.insights("one", "two")
    await bench.sync()
    service.after_upsert = lambda: None
    result = await bench.sync()
    assert result.counts.new == 1
    assert stored_texts(service) == ["one", "two"]


async def test_one_malformed_entry_stops_only_itself(bench: Bench) -> None:
    bench.write("insights.json", [insight("one", 0), 17, {"insight": ["wrong"]}, insight("two", 1)])
    result = await bench.sync()
    assert {"one", "two"} <= set(bench.texts().values())
    assert "malformed-entry" in [finding.code for finding in result.findings]


async def test_a_new_hashing_version_embeds_and_delivers_nothing_again(
    bench: Bench, service: DictService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.embedder = ConstantEmbedder()
    bench.insights("one", "two")
    await bench.sync()
    monkeypatch.setattr(payloads, "HASH_VERSION", hashing.HASH_VERSION + 1)
    result = await bench.sync()
    assert (result.status, result.counts.modified, len(bench.embedder.embedded)) == ("complete", 0, 2)
    assert len(service.upserted) == 2


@pytest.mark.parametrize("way", ["prepare", "restore"])
async def test_words_that_come_back_without_a_sync_are_in_the_brand_s_language(
    bench: Bench, tmp_path: Path, way: str
) -> None:
    bench.write("profile.json", {"brand_slug": BRAND, "language": {"primary_language": "German"}})
    await bench.sync(session_learnings=(SessionLearning("Die Rabatte wirken nur im Herbst."),))
    words = "SELECT e.language, w.text FROM entries e JOIN words w ON w.rowid = e.seq WHERE e.content LIKE 'Die Rab%'"
    before = bench.rows(words)
    assert "rabatt " in before[0][1]
    memory = bench.memory
    if way == "restore":
        await memory.backup(tmp_path / "backup", BRAND)
    (bench.memory_dir / "memory.db").unlink()
    if way == "restore":
        await memory.restore(tmp_path / "backup", BRAND)
    else:
        await memory.prepare(PrepareRequest("Der Herbst beginnt im September.", brand=BRAND))
    await memory.close()
    assert bench.rows(words) == before


async def test_status_counts_what_was_handed_in_in_another_journal(bench: Bench) -> None:
    await bench.sync(session_learnings=(SessionLearning("Gift boxes sell. " * 50),))
    record = {"op": "entry", "key": "session/1", "content": "Handed in.", "kind": "session"}
    lines = [{"op": "journal", "id": "another"}, record | {"content_type": "campaign-learning"}]
    (bench.memory_dir / "journal.jsonl").write_text("".join(json.dumps({"v": 1, **line}) + "\n" for line in lines))
    memory = bench.memory
    assert (await memory.status(BRAND)).prepared == 1
    await memory.close()


async def test_what_a_sync_journals_itself_is_not_read_again(bench: Bench) -> None:
    bench.insights(*(f"text {number}" for number in range(600)))
    await bench.sync()
    journal = Journal(bench.memory_dir)
    assert sum(record["op"] == "entry" for record in journal.read().records) == 600
    assert journal.after(bench.rows("SELECT value FROM meta WHERE name = 'journal_read'")[0][0]).records == []
    bench.check()


async def test_what_somebody_hands_in_between_a_syncs_own_records_is_stored_by_the_next_one(bench: Bench) -> None:
    bench.insights(*(f"text {number}" for number in range(600)))
    record = {"key": "session/1", "content": "Handed in.", "kind": "session", "content_type": "campaign-learning"}

    async def hand_in_and_die(message: str, done: int, _total: int) -> None:
        if message == "Reading the brand's files" and not done:
            Journal(bench.memory_dir).append([{"op": "entry", **record}])

    await bench.sync(progress=hand_in_and_die)
    assert "Handed in." not in bench.texts().values()
    assert (await bench.sync()).counts.new == 1
    assert "Handed in." in bench.texts().values()


async def test_a_forgotten_text_leaves_a_journal_whose_place_was_noted_of_another_file(bench: Bench) -> None:
    text = "Gift boxes sell."
    await bench.sync(session_learnings=(SessionLearning(text),))
    memory = bench.memory
    preview = await memory.forget(ForgetRequest(query=text, brand=BRAND))
    await memory.forget(ForgetRequest(query=text, brand=BRAND, dry_run=False, token=preview.token))
    await memory.close()
    with (bench.memory_dir / "journal.jsonl").open("a") as journal:
        record = {"op": "entry", "key": "session/1", "content": text, "kind": "session", "content_type": "guideline"}
        journal.write(json.dumps({"v": 1, **record}) + "\n")
    with closing(sqlite3.connect(bench.memory_dir / "memory.db")) as database, database:
        database.execute("UPDATE meta SET value = 'another:999999' WHERE name = 'journal_read'")
    await bench.sync()
    assert text not in (bench.memory_dir / "journal.jsonl").read_text()
    assert bench.texts() == {}
