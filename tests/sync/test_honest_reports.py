"""The report says what is true: what counts as stored, what still waits, and when the checkpoint may move."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import ContentType, Payload, Source
from dm_memory.services.protocol import Capacity
from dm_memory.sync.registry import Registry, open_writer, read_registry
from dm_memory.requests import PrepareRequest, Scope, SessionLearning
from dm_memory.text.timestamps import from_iso
from tests.sync.conftest import BRAND, Bench, insight
from tests.sync.memory_layer import DictLayer

pytestmark = pytest.mark.anyio

DOWN = LayerError("Down.", "Start it.", error_class=ErrorClass.UNAVAILABLE)


def remember(text: str, **more: object) -> PrepareRequest:
    return PrepareRequest(text, ContentType.GUIDELINE, brand=BRAND, **more)  # type: ignore[arg-type]


def poison(payload: Payload) -> Exception | None:
    return RuntimeError() if "POISON" in payload.content else None


# The checkpoint ------------------------------------------------------------------------------------------------------


async def test_a_failed_item_that_waits_for_its_next_attempt_holds_the_checkpoint(bench: Bench) -> None:
    bench.layer.refuse = poison
    bench.insights("one", "POISON")
    for _ in range(8):
        result = await bench.sync()
        assert (result.status, result.exit_code, result.checkpoint.moved) == ("partial", 1, False)
    assert "failed" in result.next_sync.advice


async def test_a_pending_file_that_can_not_be_read_holds_the_checkpoint(bench: Bench) -> None:
    bench.insights("one")
    bench.write("memory/pending/0123456789abcdef.json", '{"content": ')
    result = await bench.sync()
    assert (result.status, result.checkpoint.moved) == ("partial", False)


async def test_a_session_learning_that_is_too_long_is_not_called_stored(bench: Bench) -> None:
    bench.settings["max_content_chars"] = 100
    result = await bench.sync(session_learnings=(SessionLearning("x" * 101),))
    assert result.exit_code == 1


async def test_what_is_outside_of_a_run_s_scope_is_not_that_run_s_trouble(bench: Bench) -> None:
    bench.insights("one")
    await bench.memory.prepare(remember("two"))
    result = await bench.sync(scope=Scope.INSIGHTS_ONLY)
    assert (result.status, result.counts.queued, result.checkpoint.pending) == ("complete", 0, 1)
    result = await bench.sync()
    assert (result.status, result.counts.new, result.counts.stored) == ("complete", 1, 1)


# Exclude and prepare -------------------------------------------------------------------------------------------------


async def test_exclude_holds_for_prepared_payloads_too(bench: Bench) -> None:
    await bench.memory.prepare(remember("Draft: not yet"))
    result = await bench.sync(exclude=("*draft*",))
    assert (result.counts.new, result.counts.excluded, result.counts.stored) == (0, 1, 0)
    assert not bench.layer.held
    assert (await bench.sync()).counts.stored == 1


async def test_force_excludes_by_source_what_has_left_the_files(bench: Bench) -> None:
    await bench.sync(session_learnings=(SessionLearning("learned"),))
    bench.layer.upserted.clear()
    await bench.sync(force=True, exclude=("source:session",))
    assert not bench.layer.upserted
    await bench.sync(force=True, exclude=("source:sync",))
    assert len(bench.layer.upserted) == 1


async def test_many_prepared_payloads_are_all_new_and_hide_no_sync(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    for number in range(210):
        await bench.memory.prepare(remember(f"payload {number}", source=Source.AGENT))
    status = await bench.memory.status(BRAND)
    assert (status.status, status.last_run_status) == ("ready", "complete")
    assert any("210 that wait" in advice for advice in status.advice)
    result = await bench.sync()
    assert (result.counts.new, result.counts.resumed, result.counts.stored) == (210, 0, 210)


# Layers that fail in part --------------------------------------------------------------------------------------------


async def test_a_removal_that_fails_holds_up_nothing_else(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()

    async def delete(ids: Sequence[str]) -> None:  # noqa: ARG001  # as the layer's
        raise LayerError("Not now.", "Wait.", error_class=ErrorClass.VALIDATION)

    working = bench.layer.delete
    bench.layer.delete = delete  # type: ignore[method-assign]
    bench.insights("one", "one", "three")
    result = await bench.sync()
    assert bench.held_texts() == ["one", "three", "two"]
    assert (result.status, result.counts.queued) == ("partial", 1)
    bench.layer.delete = working  # type: ignore[method-assign]
    result = await bench.sync()
    assert (bench.held_texts(), result.status) == (["one", "three"], "complete")


@pytest.mark.parametrize("call", ["fetch", "delete", "capacity", "fingerprint"])
async def test_a_bug_in_any_call_of_an_adapter_is_reported_and_costs_no_registry(bench: Bench, call: str) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.layer.refuse = poison
    bench.insights("one", "one", "POISON")
    await bench.sync()

    async def fails(*_: object) -> object:
        raise RuntimeError("secret")

    setattr(bench.layer, call, fails)
    bench.insights("one", "one", "POISON", "two")
    result = await bench.sync()
    assert result.status in {"partial", "nothing"}
    assert "secret" not in str(result)


async def test_the_old_version_of_a_duplicate_stays_until_its_new_text_is_stored(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.layer.refuse = poison
    bench.insights("POISON", "POISON")
    await bench.sync()
    assert bench.held_texts() == ["one", "two"]
    bench.layer.refuse = lambda _: None
    result = await bench.sync()
    assert (bench.held_texts(), result.status) == (["POISON"], "complete")


async def test_what_a_batch_stored_before_its_layer_went_down_is_on_record(bench: Bench) -> None:
    bench.insights("one", "two", "POISON", "DOWN")
    bench.layer.refuse = lambda payload: DOWN if payload.content == "DOWN" else poison(payload)
    result = await bench.sync()
    assert (result.counts.stored, result.counts.failed, result.counts.queued) == (2, 1, 1)


async def test_a_row_of_items_that_all_fail_does_not_shut_the_others_out_for_ever(bench: Bench) -> None:
    bench.insights(*(f"POISON {number}" for number in range(30)), "good")
    bench.layer.refuse = poison
    for _ in range(12):
        await bench.sync()
    assert bench.held_texts() == ["good"]


# More than one layer -------------------------------------------------------------------------------------------------


async def test_a_new_layer_receives_what_memory_holds_already(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync(session_learnings=(SessionLearning("three"),))
    bench.write("insights.json", [insight("two", 1)])
    graph = DictLayer("graph")
    bench.more_layers.append(graph)
    result = await bench.sync()
    assert sorted(payload.content for payload in graph.held.values()) == ["one", "three", "two"]
    assert len(bench.layer.upserted) == 3
    assert (result.status, result.counts.stored) == ("complete", 3)
    assert (await bench.sync()).counts.stored == 0


@pytest.mark.parametrize("broken", [0, 1])
async def test_an_item_is_stored_when_every_layer_has_it(bench: Bench, broken: int) -> None:
    bench.more_layers.append(DictLayer("graph"))
    layers = [bench.layer, *bench.more_layers]
    layers[broken].refuse = poison
    bench.insights("one", "POISON")
    result = await bench.sync()
    assert (result.counts.stored, result.counts.failed) == (1, 1)
    listed = {item.key: item.stored for item in result.items}
    assert sorted(listed.values()) == [False, True]
    assert len(result.items) == 2
    assert result.items_omitted == 0


@pytest.mark.parametrize("down", [0, 1])
async def test_what_one_layer_has_and_another_waits_for_is_queued_not_stored(bench: Bench, down: int) -> None:
    bench.more_layers.append(DictLayer("graph"))
    layers = [bench.layer, *bench.more_layers]
    layers[down].down = DOWN
    bench.insights("one", "two")
    result = await bench.sync()
    assert (result.status, result.counts.stored, result.counts.queued) == ("partial", 0, 2)
    assert not any(item.stored for item in result.items)
    result = await bench.sync()
    assert (result.counts.stored, result.counts.queued) == (0, 2)
    layers[down].down = None
    result = await bench.sync()
    assert (result.status, result.counts.stored, result.counts.queued) == ("complete", 2, 0)


async def test_outcomes_of_two_layers_are_left_out_of_the_list_once(bench: Bench) -> None:
    bench.settings["data_items"] = 2
    bench.more_layers.append(DictLayer("graph"))
    bench.insights("one", "two", "three", "four", "five")
    result = await bench.sync()
    assert (len(result.items), result.items_omitted) == (2, 3)


# Moments -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59", "9999-12-31T23:59:59-12:00"])
def test_a_moment_at_the_end_of_time_is_no_error(text: str) -> None:
    assert from_iso(text) is None or from_iso(text)


# Status beside a sync ------------------------------------------------------------------------------------------------


async def test_status_that_meets_a_whole_sync_on_its_way_sees_no_difference(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("one", "two")
    measure = bench.layer.capacity

    async def meanwhile() -> Capacity:
        before = await measure()
        bench.layer.capacity = measure  # type: ignore[method-assign]
        await bench.sync()
        return before

    bench.layer.capacity = meanwhile  # type: ignore[method-assign]
    status = await bench.memory.status(BRAND)
    assert (status.status, status.total_items) == ("ready", 2)
    assert not status.findings


def test_a_reading_that_a_checkpoint_crossed_is_repeated(bench: Bench) -> None:
    with contextlib.closing(open_writer(bench.memory_dir)) as registry:
        registry.set_meta("fact", "old")
    readings = []

    def read(registry: Registry) -> str:
        if not readings:
            with contextlib.closing(open_writer(bench.memory_dir)) as other:
                other.set_meta("fact", "new")
        readings.append(registry.meta("fact"))
        return readings[-1]

    assert read_registry(bench.memory_dir, read) == "new"
