"""Whatever goes wrong between us and Pinecone has its class, is asked once, and is told in our words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.pinecone.service import PineconeLayer
from dm_memory.services.protocol import SearchQuery
from tests.services.payloads import payload
from tests.services.pinecone.fake_server import FakeServer, Fault, aborted, cut_off, dripping, hanging, reply

Call = Callable[[PineconeLayer], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "GET /indexes/*": lambda layer: layer.fingerprint(),
    "POST /indexes/create-for-model": lambda layer: layer.upsert([payload(1)]),
    "POST /records/upsert": lambda layer: layer.upsert([payload(1), payload(2)]),
    "GET /vectors/fetch": lambda layer: layer.fetch([payload(1).id]),
    "POST /records/search": lambda layer: layer.search(SearchQuery("newsletters")),
    "GET /vectors/list": lambda layer: layer.entries(None, 100),
    "POST /vectors/delete": lambda layer: layer.delete([payload(1).id]),
    "POST /vectors/upsert": lambda layer: layer.update_metadata([payload(1, tags=("new",))]),
    "GET /namespaces": lambda layer: layer.capacity(),
    "POST /vectors/update": lambda layer: layer.capacity(),
    "POST /describe_index_stats": lambda layer: layer.capacity(),
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
    "429 with a date": (data(429, 8, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), ErrorClass.RATE_LIMIT),
    "429 for the month": (data(429, 8, MONTH), ErrorClass.QUOTA),
    "429 quota": (control(429, "QUOTA_EXCEEDED"), ErrorClass.QUOTA),
    "500": (control(500, "UNKNOWN"), ErrorClass.UNAVAILABLE),
    "503 with a moment": (reply(503, b"upstream", "text/plain", retry_after="7"), ErrorClass.UNAVAILABLE),
    "504": (reply(504, b"", "text/plain"), ErrorClass.TIMEOUT),
    "a page": (reply(200, f"<html>{RAW}</html>".encode(), "text/html"), ErrorClass.MALFORMED_REPLY),
    "a redirect": (reply(302, b"", "text/html", location="/login"), ErrorClass.MALFORMED_REPLY),
    "half a document": (reply(200, b'{"vectors": {"a'), ErrorClass.MALFORMED_REPLY),
    "a list": (reply(200, b"[]"), ErrorClass.MALFORMED_REPLY),
    "no text": (reply(200, b'{"name":"\xff\xfe","result":"\xff'), ErrorClass.MALFORMED_REPLY),
    "no gzip": (reply(200, b"not compressed", content_encoding="gzip"), ErrorClass.MALFORMED_REPLY),
}
RIGHTS = {"401 of the control plane", "401 of the data plane", "401 in plain text", "403"}


PAIRS = [
    (operation, trouble)
    for operation in CALLS
    for trouble in FAULTS
    if operation != "POST /vectors/update" or trouble not in RIGHTS
]


async def prepare(fake: FakeServer, operation: str, layer: PineconeLayer) -> None:
    """Bring about what a call needs to get to its operation."""
    if operation != "POST /indexes/create-for-model":
        await layer.upsert([payload(1)])
    fake.pinecone.counts_bytes = operation != "POST /describe_index_stats"
    fake.operations.clear()


@pytest.mark.parametrize(("operation", "trouble"), PAIRS)
def test_each_trouble_has_its_class_and_is_asked_once(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any], operation: str, trouble: str
) -> None:
    fault, error_class = FAULTS[trouble]

    async def scenario(layer: PineconeLayer) -> LayerError:
        await prepare(fake, operation, layer)
        fake.faults[operation] = fault
        with pytest.raises(LayerError) as caught:
            await CALLS[operation](layer)
        return caught.value

    error = play(make(timeout=0.2 if fault is hanging else 10), scenario)
    assert (error.error_class, fake.count(operation)) == (error_class, 1)
    assert error.retry_after == (7.0 if trouble.endswith("with a moment") else None)
    assert RAW not in f"{error} {error.code}"
    assert "pcsk" not in f"{error} {error.code}"


@pytest.mark.parametrize("trouble", RIGHTS)
def test_a_key_that_may_only_read_leaves_the_number_of_entries_open(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any], trouble: str
) -> None:
    async def scenario(layer: PineconeLayer) -> None:
        await layer.upsert([payload(1)])
        fake.faults["POST /vectors/update"] = FAULTS[trouble][0]
        capacity = await layer.capacity()
        assert capacity.used > 0
        assert capacity.entries is None

    play(make(), scenario)


@pytest.mark.parametrize("operation", ["POST /records/upsert", "POST /vectors/upsert", "POST /records/search"])
@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_what_pinecone_refuses_is_one_items_trouble(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any], operation: str, status: int
) -> None:
    async def scenario(layer: PineconeLayer) -> LayerError:
        await prepare(fake, operation, layer)
        fake.faults[operation] = data(status, 3)
        with pytest.raises(LayerError) as caught:
            await CALLS[operation](layer)
        return caught.value

    assert play(make(), scenario).error_class is ErrorClass.VALIDATION


@pytest.mark.parametrize("operation", CALLS)
def test_a_slow_drip_ends_with_the_callers_deadline_and_the_next_call_is_answered(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any], operation: str
) -> None:
    """Each byte comes in time; only a deadline over the whole call ends it, and what it cancels must stay usable."""

    async def scenario(layer: PineconeLayer) -> None:
        await prepare(fake, operation, layer)
        fake.faults[operation] = dripping
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await CALLS[operation](layer)
        fake.faults.clear()
        await CALLS[operation](layer)

    play(make(), scenario)


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("operation", CALLS)
def test_a_refused_connection_is_unavailable(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any], operation: str
) -> None:
    """The index is found, but nothing listens where its data is; or nothing listens where indexes are asked for."""
    play(make(), lambda layer: layer.upsert([payload(1)]))
    fake.pinecone.host = closed_port()
    fake.pinecone.counts_bytes = operation != "POST /describe_index_stats"
    host = fake.url if operation in DATA_PLANE else closed_port()

    async def scenario(layer: PineconeLayer) -> LayerError:
        with pytest.raises(LayerError) as caught:
            await CALLS[operation](layer)
        return caught.value

    assert play(make(host=host), scenario).error_class is ErrorClass.UNAVAILABLE


def test_health_tells_of_trouble_and_never_raises(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any]
) -> None:
    for fault, error_class in FAULTS.values():
        fake.faults["GET /indexes/*"] = fault
        health = play(make(timeout=0.2), lambda layer: layer.health())
        assert not health.ok
        assert health.error is not None
        assert health.error.error_class is error_class
        assert RAW not in health.detail


def test_an_index_that_is_gone_is_looked_for_anew(
    fake: FakeServer, make: Callable[..., PineconeLayer], play: Callable[..., Any]
) -> None:
    async def scenario(layer: PineconeLayer) -> None:
        await layer.upsert([payload(1)])
        fake.pinecone.indexes.clear()
        with pytest.raises(LayerError) as caught:
            await layer.upsert([payload(1)])
        assert caught.value.error_class is ErrorClass.UNAVAILABLE
        assert dict(await layer.fetch([payload(1).id])) == {}
        await layer.upsert([payload(1)])
        assert payload(1).id in await layer.fetch([payload(1).id])

    play(make(), scenario)
