"""What goes wrong on the way to Supermemory, and there: each failure has its class, and no text of theirs comes out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.responses import Response

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.resilience import GuardPolicy, guard
from dm_memory.services.supermemory.service import SupermemoryService
from tests.cache.proxy import Handler, answer, stubbed
from tests.services.payloads import BRAND, payload
from tests.services.supermemory.conftest import ADD, LIST, Make
from tests.services.supermemory.fake_supermemory import KEY, FakeSupermemory

pytestmark = pytest.mark.supermemory

Call = Callable[[SupermemoryService], Awaitable[Any]]

SECRET = "sm_secret_of_theirs"  # noqa: S105  # what an error's text must not hold

CALLS: dict[str, Call] = {
    "capacity": lambda service: service.capacity(),
    "fetch": lambda service: service.fetch([payload(1).id]),
    "upsert": lambda service: service.upsert([payload(1)]),
    "delete": lambda service: service.delete([payload(1).id]),
    "entries": lambda service: service.entries(None, 10),
}

STATUSES = [
    (401, ErrorClass.AUTH),
    (403, ErrorClass.AUTH),
    (402, ErrorClass.QUOTA),
    (429, ErrorClass.RATE_LIMIT),
    (400, ErrorClass.VALIDATION),
    (413, ErrorClass.VALIDATION),
    (404, ErrorClass.CONFIGURATION),
    (409, ErrorClass.UNAVAILABLE),
    (500, ErrorClass.UNAVAILABLE),
    (502, ErrorClass.UNAVAILABLE),
    (503, ErrorClass.UNAVAILABLE),
    (504, ErrorClass.TIMEOUT),
    (302, ErrorClass.CONFIGURATION),
]

BODIES = [f'{{"error": "{SECRET}"}}'.encode(), b"", f"<h1>Stra\xdfe {SECRET}</h1>".encode("latin-1"), b"[" * 5000]

JUNK = [
    b"",
    b"OK",
    b'{"foo": 1}',
    b"null",
    b"[]",
    b"7",
    b'{"results": 5}',
    b'{"results": [1]}',
    b"\xff\xfe",
    b"[" * 9999,
]


async def error_of(call: Awaitable[Any]) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await call
    assert SECRET not in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value


def failing(make: Make, call: Call) -> ServiceError:
    async def act() -> ServiceError:
        service = make()
        try:
            return await error_of(call(service))
        finally:
            await service.close()

    return asyncio.run(act())


# Answers that are errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("status", "error_class"), STATUSES)
def test_a_status_has_its_class_whatever_is_asked(
    make: Make, fake: FakeSupermemory, name: str, status: int, error_class: ErrorClass
) -> None:
    fake.faults = [Response(BODIES[0], status, {"location": "https://elsewhere.example/"})]
    error = failing(make, CALLS[name])
    assert (error.error_class, error.code) == (error_class, str(status))
    assert len(fake.calls) == 1


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("status", "error_class"), [(401, ErrorClass.AUTH), (402, ErrorClass.QUOTA), (502, ErrorClass.UNAVAILABLE)]
)
def test_the_status_counts_whatever_page_comes_with_it(
    make: Make, fake: FakeSupermemory, status: int, error_class: ErrorClass, body: bytes
) -> None:
    fake.faults = [Response(body, status, media_type="text/html")]
    assert failing(make, CALLS["fetch"]).error_class is error_class


@pytest.mark.parametrize(
    ("status", "error_class"), [(402, ErrorClass.QUOTA), (429, ErrorClass.RATE_LIMIT), (409, ErrorClass.UNAVAILABLE)]
)
def test_a_trouble_of_all_ends_a_row_of_updates(
    make: Make, fake: FakeSupermemory, status: int, error_class: ErrorClass
) -> None:
    fake.faults = [Response(b"{}", status) for _ in range(50)]
    later = [replace(payload(number), version=2) for number in range(50)]
    assert failing(make, lambda service: service.update_metadata(later)).error_class is error_class
    assert len(fake.calls) < 50


@pytest.mark.parametrize(
    "fault", [Response(b"{}", 400), Response(b'{"foo": 1}'), Response(b'{"id": "a", "status": "banana"}')]
)
def test_a_trouble_of_one_update_is_that_entrys(make: Make, fake: FakeSupermemory, fault: Response) -> None:
    async def act() -> None:
        service = make()
        await service.upsert([payload(number) for number in range(10)])
        fake.faults = [fault]
        outcomes = await service.update_metadata([payload(number) for number in range(10)])
        errors = [outcome.error for outcome in outcomes if outcome.error]
        assert [error.error_class for error in errors] in ([ErrorClass.VALIDATION], [ErrorClass.MALFORMED_REPLY])
        await service.close()

    asyncio.run(act())


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "wait"), [("7", 7), (None, None), ("soon", None)])
def test_the_wait_that_is_asked_for_reaches_the_caller(
    make: Make, fake: FakeSupermemory, status: int, header: str | None, wait: float | None
) -> None:
    fake.faults = [Response(b"{}", status, {"Retry-After": header} if header else {})]
    assert failing(make, CALLS["fetch"]).retry_after == wait


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("body", JUNK)
def test_junk_that_says_success_is_not_believed(make: Make, fake: FakeSupermemory, name: str, body: bytes) -> None:
    fake.faults = [Response(body, 200, media_type="application/json")]
    assert failing(make, CALLS[name]).error_class is ErrorClass.MALFORMED_REPLY


@pytest.mark.parametrize("body", JUNK)
def test_a_batch_answered_with_junk_is_looked_up_before_it_is_sent_again(
    make: Make, fake: FakeSupermemory, body: bytes
) -> None:
    nothing = b'{"documents": [], "pagination": {"totalItems": 0}}'

    async def act() -> None:
        service = make()
        fake.faults = [Response(nothing), Response(body)]
        assert (await error_of(service.upsert([payload(1)]))).error_class is ErrorClass.MALFORMED_REPLY
        assert [outcome.error for outcome in await service.upsert([payload(1)])] == [None]
        await service.close()

    asyncio.run(act())
    assert fake.calls[:3] == [LIST, ADD, LIST]
    assert len(fake.documents) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"documents": [[1]], "pagination": {"totalItems": 1}}',
        b'{"documents": [{"metadata": 5, "system": 7}], "pagination": {"totalItems": 1}}',
        b'{"documents": [{"metadata": {}, "system": {"status": {}}}], "pagination": {"totalItems": 1}}',
        b'{"documents": [], "pagination": []}',
        b'{"documents": [], "pagination": {"totalItems": -1}}',
        b'{"documents": [], "chunks": [1], "pagination": {"totalItems": 0}}',
    ],
)
def test_a_list_that_is_half_right_is_not_taken_for_an_empty_one(
    make: Make, fake: FakeSupermemory, body: bytes
) -> None:
    fake.faults = [Response(body, media_type="application/json")]
    assert failing(make, CALLS["upsert"]).error_class is ErrorClass.MALFORMED_REPLY


def test_a_wrong_key_is_said_to_be_one(make: Make, fake: FakeSupermemory) -> None:
    async def act() -> None:
        service = make(key="wrong")
        health = await service.health()
        assert not health.ok
        assert health.error is not None
        assert health.error.error_class is ErrorClass.AUTH
        assert "SUPERMEMORY_API_KEY" in health.error.remedy
        await service.close()

    asyncio.run(act())
    assert fake.calls == [LIST]


# No answers --------------------------------------------------------------------------------------------------


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the client has left."""
    del writer
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break off instead of answering."""
    del reader
    writer.transport.abort()


async def reset_in_mid_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break off in the middle of the reply, once the client has got the beginning."""
    del reader
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"documents": [')
    await writer.drain()
    await asyncio.sleep(0.01)  # lets the first half go out before the connection breaks; either way it is a reset
    writer.transport.abort()


async def hang_up_in_mid_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection in an orderly way, with half a reply sent."""
    del reader
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"documents": [')
    await writer.drain()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, so that no read takes long and the reply never ends."""
    del reader
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.01)


def against(handler: Handler, timeout: float = 10.0, deadline: float = 10.0) -> tuple[ServiceError, int]:
    """Return the error of a guarded call against a server that treats every connection so, and how many there were."""

    async def no_wait(seconds: float) -> None:
        del seconds

    async def act() -> tuple[ServiceError, int]:
        async with stubbed(handler) as server:
            inner = SupermemoryService(SecretStr(KEY), BRAND, url=server.url, timeout=timeout)
            service = guard(inner, GuardPolicy(timeout=deadline, attempts=2), sleep=no_wait)
            error = await error_of(service.upsert([payload(1)]))
            await service.close()
            return error, len(server.requests)

    return asyncio.run(act())


@pytest.mark.parametrize(
    ("handler", "error_class"),
    [
        (reset, ErrorClass.UNAVAILABLE),
        (reset_in_mid_reply, ErrorClass.UNAVAILABLE),
        (hang_up_in_mid_reply, ErrorClass.UNAVAILABLE),
        (answer(200, b"not gzip", content_encoding="gzip"), ErrorClass.MALFORMED_REPLY),
        (answer(200, b'{"foo": 1}'), ErrorClass.MALFORMED_REPLY),
        (answer(500, b"{}"), ErrorClass.UNAVAILABLE),
    ],
)
def test_what_may_pass_is_tried_again_and_then_said(handler: Handler, error_class: ErrorClass) -> None:
    error, requests = against(handler)
    assert (error.error_class, requests) == (error_class, 2)


def test_a_server_that_hangs_is_a_timeout() -> None:
    error, requests = against(hang, timeout=0.1)
    assert (error.error_class, requests) == (ErrorClass.TIMEOUT, 2)


@pytest.mark.parametrize("handler", [hang, drip])
def test_a_reply_that_never_ends_costs_the_deadline(handler: Handler) -> None:
    error, requests = against(handler, deadline=0.3)
    assert (error.error_class, error.code, requests) == (ErrorClass.TIMEOUT, "deadline", 1)


def test_what_does_not_pass_is_not_tried_again() -> None:
    error, requests = against(answer(402, b"{}"))
    assert (error.error_class, requests) == (ErrorClass.QUOTA, 1)


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def act() -> None:
            service = SupermemoryService(SecretStr(KEY), BRAND, url=url)
            error = await error_of(service.fetch([payload(1).id]))
            assert error.error_class is ErrorClass.UNAVAILABLE
            assert "SUPERMEMORY_BASE_URL" in error.remedy
            await service.close()

        asyncio.run(act())
