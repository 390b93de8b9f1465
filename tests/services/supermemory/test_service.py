"""Supermemory: what is sent, when something is added, updated or left alone, and how its replies are read."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.responses import JSONResponse

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.resilience import GuardPolicy, guard
from dm_memory.services.supermemory.connection import namespace_of
from dm_memory.services.supermemory.documents import document_of
from dm_memory.services.supermemory.service import SupermemoryService
from tests.services.payloads import BRAND, payload
from tests.services.supermemory.conftest import ADD, DELETE, LIST, UPDATE, Make
from tests.services.supermemory.fake_supermemory import KEY, Document, FakeSupermemory

CHANGED = replace(payload(1, "Everything is different now."), version=2, updated_from="0" * 64)


def play(service: SupermemoryService, scenario: Callable[[SupermemoryService], Awaitable[Any]]) -> Any:
    async def act() -> Any:
        try:
            return await scenario(service)
        finally:
            await service.close()

    return asyncio.run(act())


def make_offline(url: str | None = None, brand: str = BRAND) -> SupermemoryService:
    return SupermemoryService(SecretStr("sm_secret"), brand, url=url)


# Name, place, start-up ---------------------------------------------------------------------------------------


def test_the_module_and_an_unused_service_do_not_load_the_sdk() -> None:
    code = (
        "import sys; from pydantic import SecretStr;"
        "from dm_memory.services.supermemory.service import SupermemoryService;"
        "SupermemoryService(SecretStr('k'), 'b'); print([m for m in ('supermemory', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_its_name_says_where_it_is_and_nothing_secret() -> None:
    assert make_offline().name == "cross-session@supermemory:api.supermemory.ai/acme"
    service = make_offline("http://127.0.0.1:8080/sm/")
    assert service.name == "cross-session@supermemory:127.0.0.1:8080/sm/acme"
    assert service.engine == "Supermemory (127.0.0.1:8080/sm)"
    assert make_offline("https://user:secret@sm.example").name == "cross-session@supermemory:sm.example/acme"
    assert service.role == "cross-session"


@pytest.mark.parametrize("url", ["http://sm.example", "sm.example", "ftp://sm.example", "https://", "http://[::1", " "])
def test_a_key_is_not_sent_in_the_clear_nor_to_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPERMEMORY_BASE_URL"):
        make_offline(url)


@given(st.text(min_size=1, max_size=200))
def test_every_brand_has_a_namespace_that_supermemory_takes(brand: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_:-]{1,100}", namespace_of(brand))
    assert namespace_of(brand) == namespace_of(brand)


def test_namespaces_of_different_brands_differ_and_fitting_slugs_stay() -> None:
    assert namespace_of("acme-corp_2") == "acme-corp_2"
    brands = ["café", "cafe", "caf\u0301e", "a b", "a-b", "a.b", "x" * 100, "x" * 101, "x" * 102]
    assert len({namespace_of(brand) for brand in brands}) == len(brands)


def test_a_missing_sdk_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supermemory", None)

    async def scenario(service: SupermemoryService) -> None:
        health = await service.health()
        assert not health.ok
        assert health.error is not None
        assert health.error.error_class is ErrorClass.CONFIGURATION
        assert "the extra supermemory" in health.error.remedy

    play(make_offline(), scenario)


@pytest.mark.parametrize("key", ["", " ", "schl\u00fcssel", "two\nlines", "\x7f"])
def test_a_key_that_can_not_be_one_is_said_to_be_wrong(key: str) -> None:
    async def scenario(service: SupermemoryService) -> None:
        with pytest.raises(ServiceError, match="SUPERMEMORY_API_KEY") as caught:
            await service.capacity()
        assert caught.value.error_class is ErrorClass.AUTH

    play(SupermemoryService(SecretStr(key), BRAND), scenario)


@pytest.mark.supermemory
def test_a_line_end_that_came_along_with_the_key_does_no_harm(make: Make) -> None:
    assert play(make(key=f" {KEY}\n"), lambda service: service.capacity()).used == 0


# What is sent ------------------------------------------------------------------------------------------------


def test_a_document_is_the_text_with_metadata_that_other_tools_can_filter_by() -> None:
    document = document_of(payload(1))
    assert document["content"] == payload(1).content
    assert document["date"] == "2026-03-05T10:00:00"
    metadata = document["metadata"]
    assert (metadata["key"], metadata["tags"], metadata["lift"]) == ("insight/1", ["email", "q1"], 1.5)
    assert (metadata["dm_id"], metadata["dm_brand"]) == (payload(1).id, BRAND)


@pytest.mark.parametrize("recorded_at", ["", "last spring", "2026-13-45"])
def test_what_is_no_date_is_not_sent_as_one(recorded_at: str) -> None:
    assert "date" not in document_of(payload(1, recorded_at=recorded_at))


@pytest.mark.parametrize("text", ["https://example.com/plan", " HTTP://example.com \n", "s3://bucket/file"])
def test_an_entry_that_is_only_an_address_is_not_fetched_by_the_service(text: str) -> None:
    assert document_of(payload(1, text))["content"] == f"Link: {text}"


def test_an_address_within_a_text_stays_as_it_is() -> None:
    text = "See https://example.com/plan for the plan."
    assert document_of(payload(1, text))["content"] == text


def test_values_that_get_lost_on_the_way_are_sent_as_ones_that_do_not() -> None:
    document = document_of(payload(1, "zero\x00byte", facts={"views": 2**60, "names": ["a\x00b"], "lift": 2.5}))
    assert document["content"] == "zero\ufffdbyte"
    assert document["metadata"]["views"] == str(2**60)
    assert document["metadata"]["names"] == ["a\ufffdb"]
    assert document["metadata"]["lift"] == 2.5


@pytest.mark.supermemory
@pytest.mark.parametrize("facts", [{"lift": float("nan")}, {"lift": float("inf")}, {"name": "\ud800"}])
def test_metadata_that_can_not_be_sent_is_refused_for_that_entry(
    make: Make, fake: FakeSupermemory, facts: dict[str, Any]
) -> None:
    async def scenario(service: SupermemoryService) -> None:
        outcomes = await service.upsert([payload(1, facts=facts), payload(2)])
        assert outcomes[0].error is not None
        assert outcomes[0].error.error_class is ErrorClass.VALIDATION
        assert outcomes[1].error is None

    play(make(), scenario)
    assert set(fake.documents) == {payload(2).id}


@pytest.mark.supermemory
def test_documents_of_a_batch_are_added_in_the_order_of_their_dates(make: Make, fake: FakeSupermemory) -> None:
    batch = [payload(n, recorded_at=f"2026-0{n}-01T00:00:00") for n in (3, 1, 2)]
    play(make(), lambda service: service.upsert(batch))
    assert [document.date[:7] for document in fake.documents.values()] == ["2026-01", "2026-02", "2026-03"]


# Added, updated, or left alone -------------------------------------------------------------------------------


@pytest.mark.supermemory
def test_new_entries_cost_one_look_and_one_batch(make: Make, fake: FakeSupermemory) -> None:
    play(make(), lambda service: service.upsert([payload(number) for number in range(200)]))
    assert fake.calls == [LIST, ADD]
    assert len(fake.namespaces["acme"]) == 200


@pytest.mark.supermemory
def test_what_is_held_as_it_should_be_costs_a_look(make: Make, fake: FakeSupermemory) -> None:
    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(1), payload(2)])
        fake.calls.clear()
        assert [outcome.error for outcome in await service.upsert([payload(2), payload(1)])] == [None, None]

    play(make(), scenario)
    assert fake.calls == [LIST]


@pytest.mark.supermemory
def test_a_changed_entry_is_replaced(make: Make, fake: FakeSupermemory) -> None:
    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(1), payload(2)])
        fake.calls.clear()
        await service.upsert([CHANGED, payload(2)])

    play(make(), scenario)
    assert fake.calls == [LIST, UPDATE]
    assert fake.documents[CHANGED.id].content == CHANGED.content
    assert fake.documents[CHANGED.id].metadata["version"] == 2


@pytest.mark.supermemory
def test_a_later_version_the_list_does_not_show_is_updated_first_and_added_if_it_is_not_there(
    make: Make, fake: FakeSupermemory
) -> None:
    play(make(), lambda service: service.upsert([CHANGED, payload(2)]))
    assert fake.calls == [LIST, UPDATE, ADD]
    assert {document.content for document in fake.documents.values()} == {CHANGED.content, payload(2).content}


@pytest.mark.supermemory
@pytest.mark.parametrize("lags", [False, True])
def test_a_batch_whose_reply_was_lost_is_not_added_again(make: Make, fake: FakeSupermemory, lags: bool) -> None:
    batch = [payload(1), payload(2)]

    async def scenario(service: SupermemoryService) -> None:
        fake.lose_replies = 1
        with pytest.raises(ServiceError) as caught:
            await service.upsert(batch)
        assert caught.value.error_class is ErrorClass.UNAVAILABLE
        fake.unlisted = {p.id for p in batch} if lags else set()
        assert [outcome.error for outcome in await service.upsert(batch)] == [None, None]

    play(make(), scenario)
    assert fake.calls == [LIST, ADD, LIST, UPDATE, UPDATE] if lags else [LIST, ADD, LIST]
    assert [document.content for document in fake.documents.values()] == [p.content for p in batch]


@pytest.mark.supermemory
def test_a_batch_that_was_turned_away_is_simply_added_later(make: Make, fake: FakeSupermemory) -> None:
    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(9)])
        fake.faults = [JSONResponse({"documents": [], "pagination": {"totalItems": 0}}), JSONResponse({}, 429)]
        with pytest.raises(ServiceError):
            await service.upsert([payload(1), payload(2)])
        fake.calls.clear()
        await service.upsert([payload(1), payload(2)])

    play(make(), scenario)
    assert fake.calls == [LIST, ADD]


@pytest.mark.supermemory
@pytest.mark.parametrize("seed", range(8))
def test_whatever_gets_lost_every_entry_is_there_once_in_the_end(make: Make, fake: FakeSupermemory, seed: int) -> None:
    chance = random.Random(seed)
    batch = [payload(number) for number in range(12)]
    wanted = [replace(payload(n, f"Second text {n}."), version=2) if n % 3 == 0 else batch[n] for n in range(12)]

    async def no_wait(seconds: float) -> None:
        del seconds

    async def store(service: SupermemoryService, payloads: list[Any]) -> None:
        guarded = guard(service, GuardPolicy(attempts=2, cool_down=0.0), sleep=no_wait)
        left = payloads
        while left:
            fake.lose_replies = chance.choice([0, 0, 1, 2])
            fake.faults = [
                JSONResponse({"foo": 1}, chance.choice([200, 429, 500, 503])) for _ in range(chance.choice([0, 1, 3]))
            ]
            try:
                outcomes = await guarded.upsert(left)
            except ServiceError:
                continue
            left = [p for p, outcome in zip(left, outcomes, strict=True) if outcome.error is not None]

    async def scenario(service: SupermemoryService) -> None:
        await store(service, batch)
        await store(service, wanted)

    play(make(), scenario)
    assert {d.id: d.content for d in fake.documents.values()} == {p.id: p.content for p in wanted}


# Reading replies ---------------------------------------------------------------------------------------------


@pytest.mark.supermemory
@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        ({"status": "error", "error": "Boom", "details": "secret"}, ErrorClass.VALIDATION),
        ({"status": "failed"}, ErrorClass.VALIDATION),
        ({"status": "error", "error": "Insufficient processing credits"}, ErrorClass.QUOTA),
    ],
)
def test_a_document_that_was_refused_is_the_only_one_that_failed(
    make: Make, fake: FakeSupermemory, answer: dict[str, Any], error_class: ErrorClass
) -> None:
    fake.answers[payload(2).id] = answer
    outcomes = play(make(), lambda service: service.upsert([payload(1), payload(2), payload(3)]))
    assert [outcome.storage_id for outcome in outcomes] == [payload(n).id for n in (1, 2, 3)]
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert outcomes[1].error.error_class is error_class
    assert "secret" not in str(outcomes[1].error)


@pytest.mark.supermemory
def test_a_document_the_reply_passes_over_is_looked_for(make: Make, fake: FakeSupermemory) -> None:
    fake.passed_over = {payload(2).id, payload(3).id}
    fake.unlisted = {payload(3).id}
    outcomes = play(make(), lambda service: service.upsert([payload(1), payload(2), payload(3)]))
    assert [outcome.error is None for outcome in outcomes] == [True, True, False]
    assert outcomes[2].error.error_class is ErrorClass.MALFORMED_REPLY
    assert fake.calls == [LIST, ADD, LIST]


@pytest.mark.supermemory
def test_a_strange_result_spoils_only_its_own_entry(make: Make, fake: FakeSupermemory) -> None:
    results = [
        {"id": payload(1).id, "status": "queued"},
        {"id": payload(2).id, "status": "banana"},
        {"id": 7, "status": "queued"},
        {"id": payload(9).id, "status": "done"},
        {},
    ]
    fake.faults = [
        JSONResponse({"documents": [], "pagination": {"totalItems": 0}}),
        JSONResponse({"results": results, "count": 5, "failed": 0}),
    ]
    outcomes = play(make(), lambda service: service.upsert([payload(1), payload(2), payload(3)]))
    assert [outcome.error and outcome.error.error_class for outcome in outcomes] == [
        None,
        ErrorClass.MALFORMED_REPLY,
        ErrorClass.MALFORMED_REPLY,
    ]


@pytest.mark.supermemory
def test_a_document_that_could_not_be_processed_counts_as_missing_and_is_sent_anew(
    make: Make, fake: FakeSupermemory
) -> None:
    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(1)])
        fake.documents[payload(1).id].status = "failed"
        assert dict(await service.fetch([payload(1).id])) == {}
        refused = (await service.update_metadata([payload(1)]))[0].error
        assert refused is not None
        assert refused.error_class is ErrorClass.VALIDATION
        await service.upsert([payload(1)])
        assert set(await service.fetch([payload(1).id])) == {payload(1).id}

    play(make(), scenario)
    assert fake.calls[-2:] == [UPDATE, LIST]


@pytest.mark.supermemory
def test_many_ids_are_looked_up_in_as_few_calls_as_there_can_be(make: Make, fake: FakeSupermemory) -> None:
    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(number) for number in range(150)])
        fake.calls.clear()
        assert len(await service.fetch([payload(number).id for number in range(450)])) == 150

    play(make(), scenario)
    assert fake.calls == [LIST] * 4


@pytest.mark.supermemory
def test_a_service_that_counts_wrongly_is_not_asked_for_ever(make: Make, fake: FakeSupermemory) -> None:
    fake.faults = [
        JSONResponse(
            {"documents": [{"metadata": {}, "system": {"status": "done"}}], "pagination": {"totalItems": 10**9}}
        )
    ] * 1000
    assert play(make(), lambda service: service.fetch([payload(1).id])) == {}
    assert fake.calls == [LIST] * 10


@pytest.mark.supermemory
@pytest.mark.parametrize("is_error", [False, True])
def test_deleting_what_is_not_there_is_no_error_however_the_service_takes_it(
    make: Make, fake: FakeSupermemory, is_error: bool
) -> None:
    fake.missing_is_error = is_error
    play(make(), lambda service: service.delete([payload(number).id for number in range(150)]))
    assert fake.calls == [DELETE, LIST, DELETE, LIST] if is_error else [DELETE, DELETE]


@pytest.mark.supermemory
def test_a_deletion_that_failed_is_not_taken_for_one(make: Make, fake: FakeSupermemory) -> None:
    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(1), payload(2)])
        fake.undeletable = {payload(1).id}
        with pytest.raises(ServiceError) as caught:
            await service.delete([payload(1).id, payload(2).id])
        assert caught.value.error_class is ErrorClass.UNAVAILABLE

    play(make(), scenario)
    assert set(fake.documents) == {payload(1).id}


# Counting and telling ----------------------------------------------------------------------------------------


@pytest.mark.supermemory
def test_only_entries_of_dm_memory_are_counted_told_of_and_stored(make: Make, fake: FakeSupermemory) -> None:
    fake.namespaces["acme"] = {"theirs": Document("theirs", "A note of somebody else.", {"mood": "good"})}

    async def scenario(service: SupermemoryService) -> None:
        await service.upsert([payload(1)])
        capacity = await service.capacity()
        assert (capacity.used, capacity.limit, capacity.unit, capacity.entries) == (1, 50, "entries", 1)
        assert [entry.key for entry in (await service.entries(None, 10))[0]] == ["insight/1"]

    play(make(limit=50), scenario)


@pytest.mark.supermemory
def test_everything_it_holds_can_be_told_as_it_was_given(make: Make) -> None:
    given = [
        payload(number, related=("insight/0",), expires_at="2999-01-01T00:00:00+00:00", priority="high", version=number)
        for number in range(1, 8)
    ]

    async def scenario(service: SupermemoryService) -> None:
        assert service.capabilities.lists
        assert await service.entries(None, 3) == ([], None)
        await service.upsert(given)
        told, after = [], None
        while True:
            entries, after = await service.entries(after, 3)
            assert len(entries) <= 3
            told += entries
            if after is None:
                break
        assert sorted(told, key=lambda entry: entry.key) == given

    play(make(), scenario)


@pytest.mark.supermemory
def test_a_document_with_half_of_our_metadata_is_passed_over(make: Make, fake: FakeSupermemory) -> None:
    metadata = {"dm_id": payload(1).id, "dm_brand": BRAND, "key": "insight/1", "tags": 7}
    fake.namespaces["acme"] = {payload(1).id: Document(payload(1).id, "A text.", metadata)}

    async def scenario(service: SupermemoryService) -> None:
        assert await service.entries(None, 10) == ([], None)
        assert (await service.fetch([payload(1).id]))[payload(1).id].content_hash == ""
        await service.upsert([payload(1)])
        assert [entry.key for entry in (await service.entries(None, 10))[0]] == ["insight/1"]

    play(make(), scenario)


@pytest.mark.supermemory
def test_a_brand_sees_nothing_of_another(make: Make) -> None:
    play(make(brand="other"), lambda service: service.upsert([replace(payload(1), brand="other")]))
    assert play(make(), lambda service: service.fetch([payload(1).id])) == {}


@pytest.mark.supermemory
def test_a_cancelled_call_leaves_nothing_running(make: Make, fake: FakeSupermemory) -> None:
    later = [replace(payload(number), version=2) for number in range(20)]

    async def scenario(service: SupermemoryService) -> None:
        await service.health()
        before = asyncio.all_tasks()
        call = asyncio.ensure_future(service.upsert(later))
        while UPDATE not in fake.calls:  # noqa: ASYNC110  # the fake runs in a thread and only keeps a log
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert asyncio.all_tasks() == before
        assert [outcome.error for outcome in await service.upsert(later)] == [None] * 20

    play(make(), scenario)
