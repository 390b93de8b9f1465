"""Interruptions, failures and damage: what a later run finds and what it makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import timedelta

import pytest

from dm_memory.errors import BrandNotFoundError, ErrorClass, InputError, LayerError
from dm_memory.items import ContentType
from dm_memory.sync import runs
from dm_memory.requests import PrepareRequest, SessionLearning, SyncRequest
from dm_memory.results import Action
from dm_memory.text import hashing
from tests.sync.conftest import BRAND, Bench, insight

pytestmark = pytest.mark.anyio


class Crash(BaseException):
    """Ends a sync where it stands."""


def crash() -> None:
    raise Crash


async def test_a_session_learning_survives_a_crash_before_anything_is_stored(bench: Bench) -> None:
    bench.layer.refuse = lambda _: crash()
    with pytest.raises(Crash):
        await bench.sync(session_learnings=(SessionLearning("worth keeping"),))
    bench.layer.refuse = lambda _: None
    result = await bench.sync()
    assert bench.held_texts() == ["worth keeping"]
    assert (result.counts.resumed, result.counts.new) == (1, 0)
    assert result.items[0].action is Action.RESUMED


async def test_what_the_engine_confirmed_before_a_crash_is_not_embedded_again(bench: Bench) -> None:
    bench.insights("one", "two")
    bench.layer.after_upsert = crash
    with pytest.raises(Crash):
        await bench.sync()
    bench.layer.after_upsert = lambda: None
    result = await bench.sync()
    assert (result.counts.resumed, result.counts.stored, result.counts.embedded) == (2, 2, 0)
    assert len(bench.layer.upserted) == 2


async def test_one_poisoned_item_fails_alone_and_is_retried_alone(bench: Bench) -> None:
    bench.insights(*(f"text {number}" for number in range(300)), "POISON")
    bench.layer.refuse = lambda payload: RuntimeError("secret sk-123") if "POISON" in payload.content else None
    result = await bench.sync()
    assert (result.counts.stored, result.counts.failed, result.status) == (300, 1, "partial")
    failure = result.items[0].failure
    assert failure is not None
    assert (failure.error_class, failure.code, failure.attempts) == ("unknown", "RuntimeError", 1)
    assert "sk-123" not in failure.message + failure.remedy
    bench.layer.refuse = lambda _: None
    bench.layer.upserted.clear()
    result = await bench.sync()
    assert len(bench.layer.upserted) == 1
    assert (result.counts.retried, result.counts.stored, result.counts.unchanged) == (1, 1, 300)


async def test_a_poisoned_change_leaves_the_old_version_in_place(bench: Bench) -> None:
    bench.insights("good")
    await bench.sync()
    bench.insights("POISON")
    bench.layer.refuse = lambda payload: RuntimeError if "POISON" in payload.content else None  # type: ignore[return-value]
    result = await bench.sync()
    assert (result.counts.modified, result.counts.failed) == (1, 1)
    assert bench.held_texts() == ["good"]


async def test_failed_items_wait_longer_after_a_few_attempts_unless_forced(bench: Bench) -> None:
    bench.insights("POISON")
    bench.layer.refuse = lambda _: RuntimeError()
    for _ in range(6):
        await bench.sync()
    attempts = (await bench.memory.status(BRAND)).failures[0].failure
    assert attempts is not None
    assert 3 < attempts.attempts < 6
    bench.now += timedelta(days=1)
    bench.layer.refuse = lambda _: None
    assert (await bench.sync()).counts.stored == 1


async def test_a_clock_set_back_does_not_postpone_retries_and_is_reported(bench: Bench) -> None:
    bench.insights("POISON")
    bench.layer.refuse = lambda _: RuntimeError()
    for _ in range(5):
        await bench.sync()
    bench.now -= timedelta(days=400)
    bench.layer.refuse = lambda _: None
    result = await bench.sync()
    assert result.counts.stored == 1
    assert "clock-went-back" in [finding.code for finding in result.findings]


async def test_a_layer_that_is_down_is_asked_once_and_everything_waits(bench: Bench) -> None:
    bench.settings["batch_size"] = 2
    bench.insights(*(f"text {number}" for number in range(10)))
    bench.layer.down = LayerError("Down.", "Start it.", error_class=ErrorClass.UNAVAILABLE)
    result = await bench.sync()
    assert (result.status, result.exit_code, result.counts.queued) == ("nothing", 2, 10)
    assert result.layers[0].failure is not None
    assert result.layers[0].failure.remedy == "Start it."
    assert not result.checkpoint.moved
    bench.layer.down = None
    assert (await bench.sync()).counts.stored == 10


async def test_cancelling_keeps_what_is_stored_and_the_next_sync_goes_on(bench: Bench) -> None:
    bench.settings["batch_size"] = 2
    bench.insights(*(f"text {number}" for number in range(20)))
    started = asyncio.Event()
    bench.layer.after_upsert = started.set
    task = asyncio.create_task(bench.sync())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stored = len(bench.layer.held)
    assert 0 < stored < 20
    result = await bench.sync()
    assert result.counts.stored == 20 - stored
    assert len(bench.layer.upserted) == 20


async def test_a_corrupt_file_never_moves_the_checkpoint_and_the_rest_still_syncs(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    checkpoint, last = bench.read("sync-state.json")["checkpoint"], bench.read("_last_sync.json")
    bench.write("insights.json", '[{"recorded_at": "2026-')
    bench.write("campaigns/a.json", {"campaign_id": "spring", "learnings": ["lesson"]})
    result = await bench.sync()
    assert result.status == "partial"
    assert len(bench.layer.held) == 2
    assert bench.read("sync-state.json")["checkpoint"] == checkpoint
    assert bench.read("_last_sync.json") == last
    assert bench.read("sync-state.json")["last_run"]["status"] == "partial"


async def test_a_damaged_registry_is_set_aside_and_nothing_is_embedded_again(bench: Bench) -> None:
    bench.insights(*(f"text {number}" for number in range(50)))
    await bench.sync(session_learnings=(SessionLearning("only here"),))
    registry = bench.memory_dir / "registry.db"
    data = bytearray(registry.read_bytes())
    data[:100] = b"\0" * 100
    registry.write_bytes(data)
    result = await bench.sync()
    assert "registry-rebuilt" in [finding.code for finding in result.findings]
    assert result.status == "complete"
    assert len(bench.layer.upserted) == 51
    assert (bench.memory_dir / "registry.db.damaged-1").exists()


async def test_damage_inside_the_registry_is_met_and_what_can_be_read_is_saved(bench: Bench) -> None:
    bench.insights(*(f"text {number}" for number in range(400)))
    await bench.sync(session_learnings=tuple(SessionLearning(f"only here {number}") for number in range(20)))
    registry = bench.memory_dir / "registry.db"
    data = bytearray(registry.read_bytes())
    with contextlib.closing(sqlite3.connect(registry)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchone()[0]
    data[(root - 1) * 8192 : root * 8192] = b"\xff" * 8192
    registry.write_bytes(data)
    bench.insights("text 0, corrected", *(f"text {number}" for number in range(1, 400)))
    result = await bench.sync()
    assert "registry-rebuilt" in [finding.code for finding in result.findings]
    assert result.status == "complete"
    assert result.checkpoint.total_items == 420
    assert len(bench.layer.upserted) == 421


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
    assert sorted(map(str, bench.read("_index.json"))) == sorted(map(str, [*ours, foreign]))


async def test_a_prepared_payload_waits_in_the_script_s_format_and_moves_when_it_is_stored(bench: Bench) -> None:
    request = PrepareRequest("Tone: warm, never loud", ContentType.GUIDELINE, tags=("voice",), brand=BRAND)
    result = await bench.memory.prepare(request)
    (pending,) = (bench.memory_dir / "pending").iterdir()
    assert result.status == "prepared"
    assert str(pending).endswith(result.path)
    assert bench.read(f"pending/{pending.name}")["content_hash"] == pending.stem
    synced = await bench.sync()
    assert (synced.counts.new, synced.counts.resumed, synced.counts.stored) == (1, 0, 1)
    assert not list((bench.memory_dir / "pending").iterdir())
    stored = bench.read(f"stored/{pending.name}")
    assert (stored["vector_db"], stored["storage_id"]) == ("qdrant", next(iter(bench.layer.held)))
    assert bench.read("_index.json")[0]["content_hash"] == pending.stem
    again = await bench.memory.prepare(
        PrepareRequest(request.content, ContentType.GUIDELINE, ("new tag",), brand=BRAND)
    )
    assert (again.status, again.existing_key) == ("duplicate", result.key)
    assert "new-tag" in again.merged_tags
    await bench.sync()
    assert "new-tag" in next(iter(bench.layer.held.values())).tags


async def test_a_payload_prepared_by_the_plugin_s_script_is_stored_and_moved(bench: Bench) -> None:
    content = "Competitor X cut prices by 20 %"
    name = hashing.script_hash(content)
    bench.write(
        f"memory/pending/{name}.json",
        {
            "content_hash": name,
            "brand": BRAND,
            "content": content,
            "content_type": "competitive-intel",
            "tags": ["x"],
            "source": "session",
            "created_at": "2026-11-20T10:00:00",
            "metadata": {"char_count": 31, "word_count": 7},
        },
    )
    await bench.sync()
    assert bench.held_texts() == [content]
    assert bench.read(f"stored/{name}.json")["stored_at"]
    assert not (bench.memory_dir / "pending" / f"{name}.json").exists()


async def test_a_prepared_payload_with_a_known_text_is_settled_by_the_entry_that_has_it(bench: Bench) -> None:
    bench.insights("one")
    name = hashing.script_hash("one")
    bench.write(f"memory/pending/{name}.json", {"content_hash": name, "content": "one", "content_type": "guideline"})
    await bench.sync()
    assert len(bench.layer.held) == 1
    assert (bench.memory_dir / "stored" / f"{name}.json").exists()


@pytest.mark.parametrize("arguments", [{"content": "  "}, {"expires_at": "soon"}, {"content": "x" * 2_000_001}])
async def test_a_payload_that_can_not_be_kept_is_refused_with_a_way_out(
    bench: Bench, arguments: dict[str, str]
) -> None:
    request = {"content": "text", "content_type": ContentType.GUIDELINE, "brand": BRAND, **arguments}
    with pytest.raises(InputError) as caught:
        await bench.memory.prepare(PrepareRequest(**request))  # type: ignore[arg-type]
    assert caught.value.remedy
    assert not bench.memory_dir.exists()


async def test_a_new_hashing_version_embeds_nothing_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.insights("one", "two")
    await bench.sync()
    normalise = hashing.normalise
    monkeypatch.setattr(hashing, "normalise", lambda text: normalise(text) + " v2")
    monkeypatch.setattr(runs, "HASH_VERSION", 2)
    result = await bench.sync()
    assert len(bench.layer.upserted) == 2
    assert (result.status, result.counts.embedded, result.counts.modified) == ("complete", 0, 0)
    assert {p.content_hash for p in bench.layer.held.values()} == {
        hashing.content_hash("one"),
        hashing.content_hash("two"),
    }


async def test_a_change_of_model_blocks_until_forced_and_then_stores_everything_anew(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.layer.generation = "dictionary-2"
    bench.insights("one", "two", "three")
    result = await bench.sync()
    assert "model-changed" in [finding.code for finding in result.findings]
    assert (result.counts.queued, len(bench.layer.held)) == (1, 2)
    result = await bench.sync(force=True)
    assert (result.counts.stored, result.status) == (3, "complete")
    assert (await bench.sync()).counts.unchanged == 3


async def test_status_notices_what_vanished_behind_our_back_and_force_restores_it(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.layer.held.popitem()
    status = await bench.memory.status(BRAND)
    assert (status.status, status.layers[0].held, status.layers[0].entries) == ("attention", 1, 2)
    assert any("force" in advice for advice in status.advice)
    await bench.sync(force=True)
    assert (await bench.memory.status(BRAND)).status == "ready"


async def test_an_unknown_brand_is_an_error_that_names_the_brands(bench: Bench) -> None:
    with pytest.raises(BrandNotFoundError) as caught:
        await bench.memory.sync(SyncRequest(brand="acne"))
    assert caught.value.brands == (BRAND,)


async def test_an_insight_saved_while_a_sync_runs_is_in_the_next_one(bench: Bench) -> None:
    bench.insights("one")
    bench.layer.after_upsert = lambda: bench.insights("one", "two")
    await bench.sync()
    bench.layer.after_upsert = lambda: None
    result = await bench.sync()
    assert result.counts.new == 1
    assert bench.held_texts() == ["one", "two"]


async def test_one_malformed_entry_stops_only_itself(bench: Bench) -> None:
    bench.write("insights.json", [insight("one", 0), 17, {"insight": ["wrong"]}, insight("two", 1)])
    result = await bench.sync()
    assert {"one", "two"} <= set(bench.held_texts())
    assert "malformed-entry" in [finding.code for finding in result.findings]
