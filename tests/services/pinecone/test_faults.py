"""Whatever goes wrong between us and Pinecone has its class, is asked once, and is told in our words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.pinecone.service import PineconeService
from dm_memory.services.protocol import SearchQuery
from tests.services.payloads import payload
from tests.services.pinecone.fake_server import FakeServer, Fault, aborted, cut_off, dripping, hanging, reply

Call = Callable[[PineconeService], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "GET /indexes/*": lambda service: service.fingerprint(),
    "POST /indexes/create-for-model": lambda service: service.upsert([payload(1)]),
    "POST /records/upsert": lambda service: service.upsert([payload(1), payload(2)]),
    "GET /vectors/fetch": lambda service: service.fetch([payload(1).id]),
    "POST /records/search": lambda service: service.search(SearchQuery("newsletters")),
    "GET /vectors/list": lambda service: service.entries(None, 100),
    "POST /vectors/delete": lambda service: service.delete([payload(1).id]),
    "POST /vectors/upsert": lambda service: service.update_metadata([payload(1, tags=("new",))]),
    "GET /namespaces": lambda service: service.capacity(),
    "POST /vectors/update": lambda service: service.capacity(),
    "POST /describe_index_stats": lambda service: service.capacity(),
}
DATA_PLANE = [operation for operation in CALLS if "indexes" not in operation]
RAW = "raw words of the service"


def control(status: int, code: str, message: str = RAW, **headers: str) -> Fault:
    return reply(status, {"error": {"code": code, "message": message}, "status": status}, **headers)


def data(status: int, code: int, message: str = RAW, **headers: str) -> Fault:
    return reply(status, {"code": code, "message": message, "details": []}, **headers)


STORAGE = f"Request failed. You've reached your storage limit (2 GB). {RAW}"
MONTH = f"You've reached your read unit limit for the current month. {RAW}"

FAULTS: dict[str, tuple[Fault, ErrorClass]] = {
    "hangs": (hanging, ErrorClass.TIMEOUT),
    "resets": (aborted, ErrorClass.UNAVAILABLE),
    "resets in mid reply": (cut_off, ErrorClass.UNAVAILABLE),
    "401 of the control plane": (control(401, "UNAUTHENTICATED"), ErrorClass.AUTH),
    "401 of the data plane": (data(401, 16), ErrorClass.AUTH),
    "401 in plain text": (reply(401, RAW.encode(), "text/plain"), ErrorClass.AUTH),
    "402": (control(402, "PAYMENT_REQUIRED"), ErrorClass.QUOTA),
    "403": (control(403, "FORBIDDEN"), ErrorClass.AUTH),
    "403 quota": (control(403, "QUOTA_EXCEEDED"), ErrorClass.QUOTA),
    "403 storage limit": (data(403, 7, STORAGE), ErrorClass.QUOTA),
    "408": (data(408, 4), ErrorClass.TIMEOUT),
    "429": (data(429, 8), ErrorClass.RATE_LIMIT),
    "429 with a moment": (data(429, 8, retry_after="7"), ErrorClass.RATE_LIMIT),
    "429 with a date": (data(429, 8, retry_after="Wed, 21 Oct 2099 07:28:00 GMT"), ErrorClass.RATE_LIMIT),
    "429 for the month": (data(429, 8, MONTH), ErrorClass.QUOTA),
    "429 quota": (control(429, "QUOTA_EXCEEDED"), ErrorClass.QUOTA),
    "500": (control(500, "UNKNOWN"), ErrorClass.UNAVAILABLE),
    "503 with a moment": (reply(503, b"upstream", "text/plain", retry_after="7"), ErrorClass.UNAVAILABLE),
    "504": (reply(504, b"", "text/plain"), ErrorClass.TIMEOUT),
    "a page": (reply(200, f"<html>{RAW}</html>".encode(), "text/html"), ErrorClass.MALFORMED_REPLY),
    "a redirect": (reply(302, b"", "text/html", location="/login"), ErrorClass.CONFIGURATION),
    "half a document": (reply(200, b'{"vectors": {"a'), ErrorClass.MALFORMED_REPLY),
    "a list": (reply(200, b"[]"), ErrorClass.MALFORMED_REPLY),
    "no text": (reply(200, b'{"name":"\xff\xfe","result":"\xff'), ErrorClass.MALFORMED_REPLY),
    "no gzip": (reply(200, b"not compressed", content_encoding="gzip"), ErrorClass.MALFORMED_REPLY),
}
RIGHTS = ("401 of the control plane", "401 of the data plane", "401 in plain text", "403")


PAIRS = [
    (operation, failure)
    for operation in CALLS
    for failure in FAULTS
    if operation != "POST /vectors/update" or failure not in RIGHTS
]


async def prepare(fake: FakeServer, operation: str, service: PineconeService) -> None:
    """Bring about what a call needs to get to its operation."""
    if operation != "POST /indexes/create-for-model":
        await service.upsert([payload(1)])
    fake.pinecone.counts_bytes = operation != "POST /describe_index_stats"
    fake.operations.clear()


@pytest.mark.parametrize(("operation", "failure"), PAIRS)
def test_each_failure_has_its_class_and_is_asked_once(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], operation: str, failure: str
) -> None:
    fault, error_class = FAULTS[failure]

    async def scenario(service: PineconeService) -> ServiceError:
        await prepare(fake, operation, service)
        fake.faults[operation] = fault
        with pytest.raises(ServiceError) as caught:
            await CALLS[operation](service)
        return caught.value

    error = play(make(timeout=0.2 if fault is hanging else 10), scenario)
    assert (error.error_class, fake.count(operation)) == (error_class, 1)
    assert error.retry_after == 24 * 3600 or not failure.endswith("with a date")  # 2099: no more than a day is believed
    assert error.retry_after == 7.0 or not failure.endswith("with a moment")
    assert error.retry_after is None or " with a " in failure
    assert RAW not in f"{error} {error.code}"
    assert "pcsk" not in f"{error} {error.code}"


@pytest.mark.parametrize("failure", RIGHTS)
def test_a_key_that_may_only_read_leaves_the_number_of_entries_open(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], failure: str
) -> None:
    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1)])
        fake.faults["POST /vectors/update"] = FAULTS[failure][0]
        capacity = await service.capacity()
        assert capacity.used > 0
        assert capacity.entries is None

    play(make(), scenario)


@pytest.mark.parametrize("operation", ["POST /records/upsert", "POST /vectors/upsert", "POST /records/search"])
@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_what_pinecone_refuses_is_one_items_failure(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], operation: str, status: int
) -> None:
    async def scenario(service: PineconeService) -> ServiceError:
        await prepare(fake, operation, service)
        fake.faults[operation] = data(status, 3)
        with pytest.raises(ServiceError) as caught:
            await CALLS[operation](service)
        return caught.value

    assert play(make(), scenario).error_class is ErrorClass.VALIDATION


@pytest.mark.parametrize("operation", CALLS)
def test_a_slow_drip_ends_with_the_callers_deadline_and_the_next_call_is_answered(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], operation: str
) -> None:
    """Each byte comes in time; only a deadline over the whole call ends it, and what it cancels must stay usable."""

    async def scenario(service: PineconeService) -> None:
        await prepare(fake, operation, service)
        fake.faults[operation] = dripping
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await CALLS[operation](service)
        fake.faults.clear()
        await CALLS[operation](service)

    play(make(), scenario)


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("operation", CALLS)
def test_a_refused_connection_is_unavailable(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any], operation: str
) -> None:
    """The index is found, but nothing listens where its data is; or nothing listens where indexes are asked for."""
    play(make(), lambda service: service.upsert([payload(1)]))
    fake.pinecone.host = closed_port()
    fake.pinecone.counts_bytes = operation != "POST /describe_index_stats"
    host = fake.url if operation in DATA_PLANE else closed_port()

    async def scenario(service: PineconeService) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            await CALLS[operation](service)
        return caught.value

    assert play(make(host=host), scenario).error_class is ErrorClass.UNAVAILABLE


def test_health_reports_failure_and_never_raises(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any]
) -> None:
    for fault, error_class in FAULTS.values():
        fake.faults["GET /indexes/*"] = fault
        health = play(make(timeout=0.2), lambda service: service.health())
        assert not health.ok
        assert health.error is not None
        assert health.error.error_class is error_class
        assert RAW not in health.detail


def test_an_index_that_is_gone_is_looked_for_anew(
    fake: FakeServer, make: Callable[..., PineconeService], play: Callable[..., Any]
) -> None:
    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1)])
        fake.pinecone.indexes.clear()
        with pytest.raises(ServiceError) as caught:
            await service.upsert([payload(1)])
        assert caught.value.error_class is ErrorClass.UNAVAILABLE
        assert dict(await service.fetch([payload(1).id])) == {}
        await service.upsert([payload(1)])
        assert payload(1).id in await service.fetch([payload(1).id])

    play(make(), scenario)
