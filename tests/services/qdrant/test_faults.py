"""A Qdrant server that misbehaves: every fault has its class, in our words, and nothing is taken for stored."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.protocol import SearchQuery
from dm_memory.services.qdrant.service import QdrantService
from dm_memory.services.resilience import GuardPolicy, guard
from tests.services.payloads import BRAND, payload
from tests.services.qdrant import stub
from tests.services.qdrant.stub import Answer, Stub, failure, reply, result, serving
from tests.support.embedders import HashEmbedder

SECRET = "the-key-nobody-sees"  # noqa: S105  # not one


def make(url: str, timeout: int = 3, **options: Any) -> QdrantService:
    key = SecretStr(SECRET)
    return QdrantService(url, key, "dm-memory", BRAND, HashEmbedder(), timeout=timeout, **options)


def play(faults: dict[str, Answer], scenario: Callable[[QdrantService, Stub], Awaitable[Any]], timeout: int = 3) -> Any:
    async def act() -> Any:
        async with serving(faults) as server:
            service = make(server.url, timeout)
            try:
                return await scenario(service, server)
            finally:
                await service.close()

    return asyncio.run(act())


CALLS: dict[str, tuple[str, Callable[[QdrantService], Awaitable[Any]]]] = {
    "upsert": ("/points/batch", lambda service: service.upsert([payload(1), payload(2)])),
    "fetch": ("/points/scroll", lambda service: service.fetch([payload(1).id])),
    "delete": ("/points/delete", lambda service: service.delete([payload(1).id])),
    "search": ("/points/query", lambda service: service.search(SearchQuery("newsletters"))),
    "capacity": ("/points/count", lambda service: service.capacity()),
    "entries": ("/points/scroll", lambda service: service.entries(None, 10)),
    "finding": ("/aliases", lambda service: service.fetch([payload(1).id])),
    "looking": ("/collections/dm-memory", lambda service: service.fetch([payload(1).id])),
}

FAULTS: dict[str, tuple[Answer, ErrorClass]] = {
    "hangs": (stub.hang, ErrorClass.TIMEOUT),
    "reset": (stub.reset, ErrorClass.UNAVAILABLE),
    "400": (failure(400), ErrorClass.VALIDATION),
    "401": (failure(401), ErrorClass.AUTH),
    "402": (failure(402), ErrorClass.QUOTA),
    "403": (failure(403), ErrorClass.AUTH),
    "404": (failure(404), ErrorClass.CONFIGURATION),
    "404 of a collection": (
        failure(404, "Not found: Collection `dm-memory-1` doesn't exist!"),
        ErrorClass.UNAVAILABLE,
    ),
    "408": (failure(408), ErrorClass.TIMEOUT),
    "413": (failure(413), ErrorClass.VALIDATION),
    "429": (failure(429), ErrorClass.RATE_LIMIT),
    "429 with a time": (failure(429, retry_after="7"), ErrorClass.RATE_LIMIT),
    "429 with a date": (failure(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), ErrorClass.RATE_LIMIT),
    "500": (failure(500), ErrorClass.UNAVAILABLE),
    "503 with a time": (failure(503, retry_after="7"), ErrorClass.UNAVAILABLE),
    "504": (failure(504), ErrorClass.TIMEOUT),
    "507": (failure(507), ErrorClass.QUOTA),
    "a full disk": (failure(500, "Service internal error: No space left on device"), ErrorClass.QUOTA),
    "strict mode's limit": (
        failure(400, "Bad request: Max vector storage size limit of 1000 bytes reached!"),
        ErrorClass.QUOTA,
    ),
    "locked": (failure(403, "Storage locked: maintenance"), ErrorClass.UNAVAILABLE),
    "no JSON": (reply(200, b"<html>Welcome to the hotel's network</html>"), ErrorClass.MALFORMED_REPLY),
    "no text": (reply(200, b"\xff\xfe\x00"), ErrorClass.MALFORMED_REPLY),
    "nothing": (reply(200), ErrorClass.MALFORMED_REPLY),
    "another shape": (reply(200, b'{"foo": 1}'), ErrorClass.MALFORMED_REPLY),
    "another type": (result(17), ErrorClass.MALFORMED_REPLY),
    "a list": (reply(200, b"[1, 2]"), ErrorClass.MALFORMED_REPLY),
    "a redirect": (reply(302, location="/elsewhere"), ErrorClass.CONFIGURATION),
    "broken compression": (reply(200, b"no gzip", content_encoding="gzip"), ErrorClass.MALFORMED_REPLY),
}


EVERYWHERE = ["reset", "401", "429 with a time", "500", "another shape"]
PAIRS = [(call, fault) for call in CALLS for fault in (FAULTS if call == "upsert" else EVERYWHERE)]


@pytest.mark.parametrize(("call", "fault"), PAIRS)
def test_each_fault_has_its_class_and_no_word_of_the_servers(call: str, fault: str) -> None:
    end, ask = CALLS[call]
    answer, error_class = FAULTS[fault]

    async def scenario(service: QdrantService, _: Stub) -> None:
        with pytest.raises(ServiceError) as caught:
            await ask(service)
        assert caught.value.error_class is error_class
        assert caught.value.code
        assert "details" not in str(caught.value)
        assert SECRET not in str(caught.value)
        assert caught.value.retry_after == (7.0 if "with a time" in fault else None)

    play({end: answer}, scenario, timeout=1 if fault == "hangs" else 3)


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def scenario() -> None:
        service = make(f"http://127.0.0.1:{port}")
        health = await service.health()
        assert not health.ok
        assert health.error is not None
        assert health.error.error_class is ErrorClass.UNAVAILABLE
        assert "QDRANT_URL" in health.error.remedy
        await service.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/dashboard#/collections", "/wrong", "/qdrant/"])
def test_a_path_where_no_qdrant_is_is_called_that(path: str) -> None:
    async def scenario() -> Stub:
        async with serving({"": failure(404, "Not found")}) as server:
            service = make(f"{server.url}{path}")
            health = await service.health()
            await service.close()
            assert health.detail == "Qdrant (127.0.0.1) answered 404: there is no Qdrant at this path."
            assert health.error is not None
            assert "QDRANT_URL" in health.error.remedy
            return server

    assert asyncio.run(scenario()).asked == [f"GET {path.partition('#')[0].rstrip('/')}/aliases"]


def test_a_path_prefix_goes_before_every_request() -> None:
    async def scenario() -> list[str]:
        async with serving() as server:
            service = make(f"{server.url}/behind/a/proxy/")
            await service.upsert([payload(1)])
            await service.close()
            return server.asked

    asked = asyncio.run(scenario())
    assert len(asked) > 2
    assert all(line.split(" ")[1].startswith("/behind/a/proxy/") and "//" not in line for line in asked)


def test_a_reply_that_drips_without_end_costs_one_deadline() -> None:
    async def scenario(service: QdrantService, _: Stub) -> None:
        guarded = guard(service, GuardPolicy(timeout=0.3, attempts=1))
        with pytest.raises(ServiceError) as caught:
            await guarded.upsert([payload(1)])
        assert caught.value.error_class is ErrorClass.TIMEOUT
        assert "Qdrant (127.0.0.1)" in caught.value.problem

    play({"/points/batch": stub.drip}, scenario)


@pytest.mark.parametrize("fault", [stub.hang, stub.reset, failure(401), reply(200, b"junk")])
def test_health_never_raises(fault: Answer) -> None:
    async def scenario(service: QdrantService, _: Stub) -> None:
        health = await service.health()
        assert not health.ok
        assert health.error is not None
        assert health.detail == health.error.problem

    play({"": fault}, scenario)


def test_health_is_one_round_trip_once_the_collection_is_known() -> None:
    async def scenario(service: QdrantService, server: Stub) -> None:
        assert (await service.health()).ok
        server.asked.clear()
        health = await service.health()
        assert health.ok
        assert "3 points" in health.detail
        assert server.asked == ["GET /collections/dm-memory"]

    play({}, scenario)


def test_a_batch_is_one_request_once_the_collection_is_known() -> None:
    async def scenario(service: QdrantService, server: Stub) -> None:
        await service.upsert([payload(1)])
        server.asked.clear()
        await service.upsert([payload(number) for number in range(200)])
        assert server.asked == ["POST /collections/dm-memory/points/batch?wait=true"]

    play({}, scenario)


@pytest.mark.parametrize("status", ["acknowledged", "wait_timeout"])
def test_what_is_only_acknowledged_is_not_taken_for_stored(status: str) -> None:
    done = {"operation_id": 1, "status": status}

    async def scenario(service: QdrantService, _: Stub) -> None:
        with pytest.raises(ServiceError) as caught:
            await service.upsert([payload(1)])
        assert caught.value.error_class is ErrorClass.TIMEOUT

    play({"/points/batch": result([done, done])}, scenario)


def test_a_page_that_leads_to_itself_ends() -> None:
    page = {"points": [], "next_page_offset": payload(1).id}

    async def scenario(service: QdrantService, server: Stub) -> None:
        with pytest.raises(ServiceError) as caught:
            await service.fetch([payload(1).id])
        assert caught.value.error_class is ErrorClass.MALFORMED_REPLY
        assert len([path for path in server.asked if "scroll" in path]) == 2

    play({"/points/scroll": result(page)}, scenario)


def test_a_collection_that_is_gone_is_looked_for_once_more_and_then_an_error() -> None:
    async def scenario(service: QdrantService, server: Stub) -> None:
        await service.fetch([payload(1).id])
        server.faults["/points/scroll"] = failure(404)
        server.asked.clear()
        with pytest.raises(ServiceError) as caught:
            await service.fetch([payload(1).id])
        assert caught.value.code == "404"
        assert len([path for path in server.asked if "scroll" in path]) == 2

    play({}, scenario)


def test_a_call_can_be_cancelled_while_it_waits_and_the_service_goes_on() -> None:
    async def scenario(service: QdrantService, server: Stub) -> None:
        reached = asyncio.Event()

        async def reach(writer: asyncio.StreamWriter) -> None:
            reached.set()
            await stub.hang(writer)

        server.faults["/points/batch"] = reach
        call = asyncio.create_task(service.upsert([payload(1)]))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.faults.clear()
        assert [outcome.error for outcome in await service.upsert([payload(1)])] == [None]

    play({}, scenario)


def test_the_key_is_sent_and_appears_nowhere(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario(service: QdrantService, server: Stub) -> None:
        health = await service.health()
        assert f"api-key: {SECRET}" in server.headers
        assert SECRET not in repr((service.name, service.engine, health, vars(service)))

    play({}, scenario)
    assert SECRET not in caplog.text
    assert not recwarn.list


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_a_key_that_can_be_none_is_said_to_be_wrong_before_anything_is_sent(key: str) -> None:
    async def act() -> None:
        async with serving({}) as server:
            service = QdrantService(server.url, SecretStr(key), "dm-memory", BRAND, HashEmbedder(), timeout=1)
            with pytest.raises(ServiceError) as caught:
                await service.upsert([payload(1)])
            assert (caught.value.error_class, caught.value.code) == (ErrorClass.AUTH, "characters")
            assert "QDRANT_API_KEY" in caught.value.remedy
            assert not (await service.health()).ok
            await service.close()
            assert server.asked == []

    asyncio.run(act())


def test_a_bug_is_not_taken_for_the_servers_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: QdrantService, _: Stub) -> None:
        await service.prepare()
        assert service._opened is not None
        monkeypatch.setattr(service._opened.client, "count", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await service.capacity()

    play({}, scenario)


def test_embedding_happens_off_the_event_loop() -> None:
    threads: list[threading.Thread] = []

    class Watched(HashEmbedder):
        def embed_documents(self, texts: Any) -> Any:
            threads.append(threading.current_thread())
            return super().embed_documents(texts)

        def embed_query(self, text: str) -> Any:
            threads.append(threading.current_thread())
            return super().embed_query(text)

    async def scenario() -> None:
        async with serving() as server:
            service = QdrantService(server.url, None, "dm-memory", BRAND, Watched())
            await service.upsert([payload(1)])
            await service.search(SearchQuery("newsletters"))
            await service.close()

    asyncio.run(scenario())
    assert len(threads) == 2
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("url", "name", "engine"),
    [
        ("https://cloud.example", "vector@qdrant:cloud.example:6333/dm-memory", "Qdrant (cloud.example)"),
        ("https://cloud.example:443/", "vector@qdrant:cloud.example:443/dm-memory", "Qdrant (cloud.example)"),
        ("http://user:secret@Host/qdrant", "vector@qdrant:host:6333/qdrant/dm-memory", "Qdrant (host)"),
        ("http://[::1]:7000", "vector@qdrant:[::1]:7000/dm-memory", "Qdrant (::1)"),
    ],
)
def test_the_name_says_where_it_is_without_secrets(url: str, name: str, engine: str) -> None:
    service = make(url)
    assert (service.name, service.engine) == (name, engine)


@pytest.mark.parametrize(
    "url", ["", "cloud.example:6333", "redis://host", "http://", "http://host:port", "http://[::1"]
)
def test_an_address_that_is_none_is_a_setting_that_can_not_work(url: str) -> None:
    with pytest.raises(ConfigurationError, match="QDRANT_URL"):
        make(url)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a@b", "a?b", "a+b", "x" * 101])
def test_a_collection_name_that_can_be_none_is_a_setting_that_can_not_work(name: str) -> None:
    with pytest.raises(ConfigurationError, match="COLLECTION_NAME"):
        QdrantService("https://cloud.example", None, name, BRAND, HashEmbedder())


def test_texts_that_travel_unencrypted_are_told_of() -> None:
    async def scenario(url: str) -> str:
        async with serving() as server:
            service = make(url)
            service._url = server.url
            detail = (await service.health()).detail
            await service.close()
            return detail

    assert "unencrypted" in asyncio.run(scenario("http://qdrant.internal:6333"))
    assert "unencrypted" not in asyncio.run(scenario("https://cloud.example"))
    assert "unencrypted" not in asyncio.run(scenario("http://localhost:6333"))
