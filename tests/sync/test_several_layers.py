"""Several layers, some of them connected: each is told what it lacks, and only that; none is overfilled."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.services.protocol import Capabilities, Capacity, Outcome
from dm_memory.requests import SessionLearning
from tests.sync.conftest import Bench
from tests.sync.memory_layer import DictLayer

pytestmark = pytest.mark.anyio

DOWN = LayerError("Down.", "Wait.", error_class=ErrorClass.UNAVAILABLE)


class Service(DictLayer):
    """A connected layer: a plan with a limit, and a most of bytes for a batch."""

    def __init__(self, name: str, *, limit: int | None = None, batch_bytes: int | None = None) -> None:
        super().__init__(name)
        self.limit = limit
        self.capabilities = Capabilities(batch_items=100, batch_bytes=batch_bytes, remote=True)
        self.batches: list[list[str]] = []

    async def capacity(self) -> Capacity:
        self._check()
        return Capacity(len(self.held), self.limit, "entries", len(self.held))

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self.batches.append([payload.content for payload in payloads])
        return await super().upsert(payloads)


class Sized(Service):
    """One that counts bytes, and whose statistics lag behind for ever."""

    async def capacity(self) -> Capacity:
        return Capacity(0, self.limit, "bytes", None)

    def size_of(self, payload: Payload) -> int:
        return 10 * len(payload.content)


async def test_what_one_layer_missed_is_retried_only_there(bench: Bench) -> None:
    memory = Service("cross-session@supermemory:cloud")
    bench.more_layers = [memory]
    bench.insights("one", "two")
    memory.down = DOWN
    first = await bench.sync()
    assert (first.status, first.counts.stored, first.counts.queued) == ("partial", 0, 2)
    assert {layer.name: (layer.stored, layer.queued) for layer in first.layers} == {
        "vector": (2, 0),
        "cross-session@supermemory:cloud": (0, 2),
    }
    memory.down = None
    second = await bench.sync()
    assert (second.status, len(memory.held), len(bench.layer.upserted)) == ("complete", 2, 2)


async def test_layers_fail_and_succeed_item_by_item_each_for_itself(bench: Bench) -> None:
    graph = DictLayer("graph")
    bench.more_layers = [graph]
    bench.layer.refuse = lambda p: (
        LayerError("No.", "-", error_class=ErrorClass.VALIDATION) if "a" in p.content else None
    )
    graph.refuse = lambda p: LayerError("No.", "-", error_class=ErrorClass.VALIDATION) if "b" in p.content else None
    bench.insights("a", "b", "c")
    result = await bench.sync()
    assert (result.counts.failed, result.counts.stored) == (2, 1)
    assert sorted(p.content for p in graph.held.values()) == ["a", "c"]
    assert bench.held_texts() == ["b", "c"]
    assert {item.failure.layer for item in result.items if item.failure} == {"vector", "graph"}


async def test_a_new_layer_is_filled_with_what_is_in_memory(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync(session_learnings=(SessionLearning("only in memory"),))
    service = Service("vector@qdrant:host/brand")
    bench.more_layers = [service]
    result = await bench.sync()
    assert (result.counts.added, result.counts.resumed, result.counts.new) == (3, 0, 0)
    assert sorted(p.content for p in service.held.values()) == ["one", "only in memory", "two"]
    assert len(bench.layer.upserted) == 3


async def test_what_a_new_layer_holds_already_is_not_stored_there_again(bench: Bench) -> None:
    bench.insights("one", "two")
    service = Service("vector@qdrant:host/brand")
    bench.more_layers = [service]
    await bench.sync()
    bench.more_layers = [Service("elsewhere")]
    bench.more_layers[0].held = dict(service.held)
    await bench.sync()
    assert bench.more_layers[0].upserted == []


async def test_a_layer_that_comes_back_gets_what_changed_meanwhile_and_nothing_else(bench: Bench) -> None:
    service = Service("vector@qdrant:host/brand")
    bench.more_layers = [service]
    bench.insights("one", "two", "three")
    await bench.sync()
    bench.more_layers = []
    bench.insights("one", "two has changed", "three", "four")
    away = await bench.sync()
    assert (away.status, away.checkpoint.pending) == ("complete", 0)
    bench.more_layers = [service]
    service.upserted.clear()
    back = await bench.sync()
    assert back.status == "complete"
    assert sorted(p.content for p in service.held.values()) == ["four", "one", "three", "two has changed"]
    assert len(service.upserted) == 2


async def test_what_waits_for_a_layer_that_is_gone_holds_nothing_up(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand")
    service.down = DOWN
    bench.more_layers = [service]
    bench.insights("one")
    assert (await bench.sync()).status == "partial"
    bench.more_layers = []
    after = await bench.sync()
    assert (after.status, after.checkpoint.pending, after.counts.queued) == ("complete", 0, 0)
    assert (await bench.memory.status("acme")).status == "ready"
    service.down = None
    bench.more_layers = [service]
    assert (await bench.sync()).status == "complete"
    assert [p.content for p in service.held.values()] == ["one"]


async def test_a_plan_that_is_full_takes_what_fits_and_queues_the_rest(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand", limit=3)
    bench.more_layers = [service]
    bench.insights(*(f"text {number}" for number in range(5)))
    result = await bench.sync()
    (layer,) = (layer for layer in result.layers if layer.name == service.name)
    assert (layer.stored, layer.queued, len(service.held)) == (3, 2, 3)
    assert layer.failure is not None
    assert (layer.failure.error_class, layer.failure.code) == ("quota", "no-room")
    assert "DM_MEMORY_PINECONE_LIMIT" in layer.failure.remedy
    assert layer.capacity is not None
    assert layer.capacity.percent == 100
    again = await bench.sync()
    assert (again.status, len(service.batches)) == ("partial", 1)
    service.limit = 10
    assert (await bench.sync()).status == "complete"
    assert len(service.held) == 5


async def test_a_change_of_what_is_held_needs_no_room(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand", limit=2)
    bench.more_layers = [service]
    bench.insights("one", "two")
    await bench.sync()
    bench.insights("one", "two has changed")
    assert (await bench.sync()).status == "complete"
    assert sorted(p.content for p in service.held.values()) == ["one", "two has changed"]


async def test_a_provider_that_counts_bytes_is_believed_about_its_limit_and_not_about_its_lag(bench: Bench) -> None:
    service = Sized("vector@pinecone:host/brand", limit=100)
    bench.more_layers = [service]
    bench.insights("12345", "1234", "12")
    result = await bench.sync()
    (layer,) = (layer for layer in result.layers if layer.name == service.name)
    assert layer.stored == 2
    assert layer.capacity is not None
    assert (layer.capacity.used, layer.capacity.percent) == (90, 90)


async def test_no_batch_has_more_bytes_than_the_service_takes(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand", batch_bytes=10)
    bench.more_layers = [service]
    bench.insights("1234", "éééé", "12", "a text of its own size", "123")
    await bench.sync()
    assert [len("".join(batch).encode()) <= 10 or len(batch) == 1 for batch in service.batches] == [True] * len(
        service.batches
    )
    assert len(service.held) == 5
    assert len(service.batches) == 4


async def test_a_dead_service_costs_one_call_and_the_others_get_everything(bench: Bench) -> None:
    dead, alive = Service("cross-session@supermemory:cloud"), Service("graph@falkordb:host/brand")
    dead.down = DOWN
    bench.more_layers = [dead, alive]
    bench.insights(*(f"text {number}" for number in range(250)))
    result = await bench.sync()
    assert len(dead.batches) == 0
    assert (len(alive.held), len(bench.layer.held)) == (250, 250)
    assert result.counts.queued == 250


async def test_facts_read_in_a_new_way_are_written_over_without_being_asked(bench: Bench) -> None:
    """Only vectors must not be mixed; a layer that embeds nothing is brought up to date by itself."""
    graph = DictLayer("graph")
    graph.capabilities = Capabilities(batch_items=100)
    bench.more_layers = [graph]
    bench.insights("one", "two")
    await bench.sync()
    graph.generation = "facts-2"
    graph.upserted.clear()
    result = await bench.sync()
    assert (result.status, len(graph.upserted), result.counts.added) == ("complete", 2, 2)
    assert len(bench.layer.upserted) == 2
    again = await bench.sync()
    assert (again.counts.stored, len(graph.upserted)) == (0, 2)


async def test_what_failed_before_waits_where_the_layer_is_down_now(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand")
    bench.layer = service
    bench.insights("one", "two", "three")
    refused = LayerError("No.", "-", error_class=ErrorClass.VALIDATION)
    service.refuse = lambda _: refused
    first = await bench.sync()
    assert (first.counts.failed, first.layers[0].queued) == (3, 0)
    service.down = DOWN
    second = await bench.sync()
    assert (second.counts.failed, second.counts.queued, second.layers[0].queued) == (0, 3, 3)
