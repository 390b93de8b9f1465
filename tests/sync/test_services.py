"""Connected services: each gets what it lacks, and only that; none is overfilled; the report says what is true."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from dm_memory.brand.home import Home
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.operations.doctor import examine
from dm_memory.report import sync_report
from dm_memory.requests import Scope, SessionLearning
from dm_memory.services.protocol import Capabilities, Capacity, Outcome
from dm_memory.settings import Settings
from tests.support.dict_service import DictService, down
from tests.sync.conftest import BRAND, Bench, insight, stored_texts

pytestmark = pytest.mark.anyio

REFUSED = ServiceError("No.", "-", error_class=ErrorClass.VALIDATION)


class Service(DictService):
    """A service with a plan that has a limit, and a most of bytes for a batch."""

    def __init__(self, name: str, *, limit: int | None = None, batch_bytes: int | None = None) -> None:
        super().__init__(name)
        self.limit = limit
        self.capabilities = Capabilities(batch_items=100, batch_bytes=batch_bytes, counts=True)
        self.batches: list[list[str]] = []

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self.batches.append([payload.content for payload in payloads])
        return await super().upsert(payloads)


class Sized(Service):
    """One that counts bytes, and whose statistics lag behind for ever."""

    async def capacity(self) -> Capacity:
        return Capacity(0, self.limit, "bytes", None, "DM_MEMORY_PINECONE_LIMIT")

    def size_of(self, payload: Payload) -> int:
        return 10 * len(payload.content)


# One beside the other ------------------------------------------------------------------------------------------------


async def test_what_one_service_missed_is_delivered_only_there(bench: Bench, service: DictService) -> None:
    other = Service("cross-session@supermemory:cloud")
    bench.services.append(other)
    bench.insights("one", "two")
    other.down = down()
    first = await bench.sync()
    assert (first.status, first.counts.stored, first.counts.queued) == ("partial", 2, 2)
    assert {each.name: (each.stored, each.queued) for each in first.services} == {
        service.name: (2, 0),
        other.name: (0, 2),
    }
    other.down = None
    second = await bench.sync()
    assert (second.status, len(other.stored), len(service.upserted)) == ("complete", 2, 2)


async def test_services_fail_and_succeed_entry_by_entry_each_for_itself(bench: Bench, service: DictService) -> None:
    graph = DictService("graph@dictionary")
    bench.services.append(graph)
    service.refuse = lambda payload: REFUSED if "a" in payload.content else None
    graph.refuse = lambda payload: REFUSED if "b" in payload.content else None
    bench.insights("a", "b", "c")
    result = await bench.sync()
    assert (result.counts.failed, result.counts.stored) == (2, 3)
    assert (stored_texts(graph), stored_texts(service)) == (["a", "c"], ["b", "c"])
    assert {item.failure.service for item in result.items if item.failure} == {service.name, graph.name}


async def test_a_dead_service_costs_one_call_and_the_others_get_everything(bench: Bench, service: DictService) -> None:
    dead, alive = Service("cross-session@supermemory:cloud"), Service("graph@falkordb:host/brand")
    dead.down = down()
    bench.services += [dead, alive]
    bench.insights(*(f"text {number}" for number in range(250)))
    result = await bench.sync()
    assert len(dead.batches) == 0
    assert (len(alive.stored), len(service.stored), result.counts.queued) == (250, 250, 250)


async def test_what_is_outstanding_counts_once_over_all_services(bench: Bench) -> None:
    bench.services += [DictService("graph@a"), DictService("vector@b")]
    for service in bench.services:
        service.down = down()
    bench.insights("one", "two")
    result = await bench.sync()
    assert (result.counts.queued, result.checkpoint.pending) == (2, 2)


# New, gone, back again -----------------------------------------------------------------------------------------------


async def test_a_new_service_is_filled_with_what_is_in_memory(bench: Bench, service: DictService) -> None:
    bench.insights("rolled out", "one")
    await bench.sync(session_learnings=(SessionLearning("only in memory"),))
    bench.write("insights.json", [insight("one", 1)])
    new = Service("vector@qdrant:host/brand")
    bench.services.append(new)
    result = await bench.sync()
    assert stored_texts(new) == ["one", "only in memory", "rolled out"]
    assert (result.counts.new, result.counts.stored, result.status) == (0, 0, "complete")
    assert len(service.upserted) == 3


async def test_a_text_that_is_not_what_its_hash_says_is_delivered_nowhere(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    await bench.sync()
    with closing(sqlite3.connect(bench.memory_dir / "memory.db")) as connection, connection:
        connection.execute("UPDATE entries SET content = 'damaged' WHERE content = 'one'")
    new = Service("vector@qdrant:host/brand")
    bench.services.append(new)
    result = await bench.sync()
    assert stored_texts(new) == ["two"]
    (failed,) = [item.failure for item in result.items if item.failure]
    assert (failed.code, failed.service, result.status) == ("damaged-text", new.name, "partial")
    assert stored_texts(service) == ["one", "two"]


async def test_what_waited_and_what_was_added_to_a_new_service_is_called_that(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    service.down = down()
    await bench.sync()
    service.down = None
    later = Service("cross-session@supermemory:cloud")
    bench.services.append(later)
    result = await bench.sync()
    assert [(each.waited, each.added) for each in result.services] == [(2, 0), (0, 2)]
    text = sync_report(result).text
    assert f"2 entries that had waited for {service.engine}: stored there now." in text
    assert f"2 entries from memory added to {later.engine}, which is newly connected." in text
    assert "nothing to store" not in text
    assert "got what they lacked" not in sync_report(await bench.sync()).text


async def test_a_service_that_confirms_and_stores_nothing_is_followed_up_by_every_report(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    service.lies = True
    text = sync_report(await bench.sync()).text
    assert "not complete" in text
    assert "looks for what a service lacks" in text
    assert "Nothing is waiting" not in text
    found = await examine(Settings(home=bench.home), Home(bench.home), None, lambda _: [service])
    assert [each.status for each in found if "has 0 entries, but 2 were stored there" in each.detail] == ["warn"]


async def test_what_a_new_service_has_already_is_not_stored_there_again(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    await bench.sync()
    elsewhere = Service("elsewhere@b")
    elsewhere.stored = dict(service.stored)
    bench.services.append(elsewhere)
    result = await bench.sync()
    assert (elsewhere.upserted, result.status) == ([], "complete")


async def test_a_service_that_comes_back_gets_what_changed_meanwhile_and_nothing_else(bench: Bench) -> None:
    service = Service("vector@qdrant:host/brand")
    bench.services = [service]
    bench.insights("one", "two", "three")
    bench.campaign(["A lesson to remember.", "Another lesson that will go."])
    await bench.sync()
    bench.services = []
    bench.insights("one", "two has changed", "three", "four")
    bench.campaign(["A lesson to remember."])
    away = await bench.sync()
    assert (away.status, away.checkpoint.pending) == ("complete", 0)
    bench.services = [service]
    service.upserted.clear()
    assert (await bench.sync()).status == "complete"
    assert stored_texts(service) == sorted(bench.texts().values())
    assert len(service.upserted) == 2


async def test_what_waits_for_a_service_that_is_gone_holds_nothing_up(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand")
    service.down = down()
    bench.services = [service]
    bench.insights("one")
    assert (await bench.sync()).status == "partial"
    bench.services = []
    after = await bench.sync()
    assert (after.status, after.checkpoint.pending, after.counts.queued) == ("complete", 0, 0)
    assert (await bench.memory.status(BRAND)).status == "ready"
    service.down = None
    bench.services = [service]
    assert (await bench.sync()).status == "complete"
    assert stored_texts(service) == ["one"]


async def test_what_is_made_in_another_way_is_stored_over_without_being_asked(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    service.made_with = "dictionary-2"
    service.upserted.clear()
    bench.insights("one", "two", "three")
    result = await bench.sync()
    assert (result.status, len(service.upserted)) == ("complete", 3)
    assert "model-changed" in [finding.code for finding in result.findings]
    again = await bench.sync()
    assert (again.findings, len(service.upserted)) == ((), 3)


class Rebuildable(DictService):
    """A service that fills a new collection beside the old one."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(batch_items=1)
        self.old: dict[str, Payload] | None = None
        self.finished = 0

    async def begin_rebuild(self) -> None:
        if self.old is None:
            self.old, self.stored = self.stored, {}

    async def finish_rebuild(self) -> None:
        self.old = None
        self.finished += 1


class Crash(BaseException):
    """Ends a sync where it stands."""


async def test_a_rebuild_that_was_killed_is_finished_whole_by_whichever_run_comes_next(bench: Bench) -> None:
    service = Rebuildable()
    bench.services = [service]
    bench.insights("one", "two", "three")
    bench.campaign(["A lesson to remember."])
    await bench.sync()
    service.made_with = "dictionary-2"
    bench.insights("one", "two", "three", "four")
    left = [2]

    def crash() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    service.after_upsert = crash
    with pytest.raises(Crash):
        await bench.sync()
    service.after_upsert = lambda: None
    await bench.sync(scope=Scope.INSIGHTS_ONLY, exclude=("*two*",))
    assert (service.old, service.finished) == (None, 1)
    assert stored_texts(service) == sorted(bench.texts().values())


# Limits --------------------------------------------------------------------------------------------------------------


async def test_a_plan_that_is_full_takes_what_fits_and_queues_the_rest(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand", limit=3)
    bench.services = [service]
    bench.insights(*(f"text {number}" for number in range(5)))
    result = await bench.sync()
    (each,) = result.services
    assert (each.stored, each.queued, len(service.stored)) == (3, 2, 3)
    assert each.failure is not None
    assert (each.failure.error_class, each.failure.code) == ("quota", "no-room")
    assert each.capacity is not None
    assert each.capacity.percent == 100
    again = await bench.sync()
    assert (again.status, len(service.batches)) == ("partial", 1)
    service.limit = 10
    assert (await bench.sync()).status == "complete"
    assert len(service.stored) == 5


async def test_a_change_of_what_is_stored_needs_no_room(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand", limit=2)
    bench.services = [service]
    bench.insights("one", "two")
    await bench.sync()
    bench.insights("one", "two has changed")
    assert (await bench.sync()).status == "complete"
    assert stored_texts(service) == ["one", "two has changed"]


async def test_a_provider_that_counts_bytes_is_believed_about_its_limit_and_not_about_its_lag(bench: Bench) -> None:
    service = Sized("vector@pinecone:host/brand", limit=100)
    bench.services = [service]
    bench.insights("abc", "abcd", "ab", "abcde")
    result = await bench.sync()
    (each,) = result.services
    assert each.capacity is not None
    assert each.capacity.used == 10 * sum(map(len, stored_texts(service))) <= 100
    assert each.failure is not None
    assert "DM_MEMORY_PINECONE_LIMIT" in each.failure.remedy


async def test_no_batch_has_more_bytes_than_the_service_takes(bench: Bench) -> None:
    service = Service("vector@pinecone:host/brand", batch_bytes=10)
    bench.services = [service]
    bench.insights("abcd", "éééé", "ab", "a text of its own size", "abc")
    await bench.sync()
    assert all(len("".join(batch).encode()) <= 10 or len(batch) == 1 for batch in service.batches)
    assert len(service.stored) == 5


# The report ----------------------------------------------------------------------------------------------------------


async def test_a_failed_entry_that_waits_for_its_next_attempt_holds_the_checkpoint(
    bench: Bench, service: DictService
) -> None:
    service.refuse = lambda payload: RuntimeError() if "POISON" in payload.content else None
    bench.insights("one", "POISON")
    for _ in range(8):
        result = await bench.sync()
        assert (result.status, result.exit_code, result.checkpoint.moved) == ("partial", 1, False)
    assert "failed" in result.next_sync.advice


async def test_a_dry_run_counts_what_is_due_once_and_nothing_as_in_memory(bench: Bench) -> None:
    bench.insights("one", "two", "three")
    result = await bench.sync(dry_run=True)
    assert (result.next_sync.due, result.next_sync.estimated_items) == (3, 3)
    assert (result.checkpoint.total_items, result.checkpoint.delta) in {(0, 0), (3, 3)}


async def test_a_dry_run_says_what_is_in_memory_and_not_what_would_be(bench: Bench) -> None:
    bench.insights("one", "two")
    before = await bench.sync()
    bench.insights("one", "two", "three")
    bench.campaign(["four"])
    planned = await bench.sync(dry_run=True)
    assert (planned.store, planned.checkpoint.delta) == (replace(before.store, new_entities=0, new_facts=0), 0)
    assert "none yet" not in sync_report(planned).text


async def test_outcomes_of_two_services_are_listed_once(bench: Bench) -> None:
    bench.settings["data_items"] = 2
    bench.services = [DictService(), DictService("graph@dictionary")]
    bench.insights("one", "two", "three", "four", "five")
    result = await bench.sync()
    assert (len(result.items), result.items_omitted) == (2, 3)


async def test_a_session_learning_that_is_too_long_is_not_called_stored(bench: Bench) -> None:
    bench.settings["max_content_chars"] = 100
    result = await bench.sync(session_learnings=(SessionLearning("x" * 101),))
    assert result.exit_code == 1


async def test_status_that_meets_a_whole_sync_on_its_way_sees_no_difference(
    bench: Bench, service: DictService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one")
    await bench.sync()
    bench.insights("one", "two")
    measure = service.capacity

    async def meanwhile() -> Capacity:
        before = await measure()
        monkeypatch.undo()
        await bench.sync()
        return before

    monkeypatch.setattr(service, "capacity", meanwhile)
    status = await bench.memory.status(BRAND)
    assert (status.status, status.total_items) == ("ready", 2)
    assert not [finding for finding in status.findings if finding.code == "drift"]


async def test_status_of_a_brand_that_was_never_synced_makes_nothing(bench: Bench) -> None:
    status = await bench.memory.status(BRAND)
    assert (status.status, status.total_items) == ("never-synced", 0)
    assert not bench.memory_dir.exists()


async def test_status_tells_a_memory_that_is_gone_from_one_that_never_was(bench: Bench) -> None:
    bench.insights("Short subject lines win")
    await bench.sync()
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    status = await bench.memory.status(BRAND)
    assert status.status == "attention"
    assert "memory-gone" in {finding.code for finding in status.findings}
    await bench.sync()
    again = await bench.memory.status(BRAND)
    assert (again.status, again.total_items) == ("ready", 1)
