"""Everything that can go wrong between us and a server, put in the place of any one of its answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dm_memory.errors import ErrorClass
from dm_memory.services.turso import hrana
from tests.cache.proxy import Handler, answer, listening, request_of

__all__ = ["FAULTS", "FaultyProxy", "Large", "faulty", "watched"]


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"results": [')
    await writer.drain()


async def half_and_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await half(reader, writer)
    await asyncio.Event().wait()


async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _piece in range(12):
            writer.write(b" " * (1 << 20))
            await writer.drain()


FAULTS: dict[str, tuple[Handler, set[ErrorClass]]] = {
    "reset": (reset, {ErrorClass.UNAVAILABLE}),
    "hangs": (hang, {ErrorClass.TIMEOUT}),
    "half a reply": (half, {ErrorClass.UNAVAILABLE}),
    "half a reply, then silence": (half_and_silence, {ErrorClass.TIMEOUT}),
    "junk": (answer(200, b"<html>It works!</html>"), {ErrorClass.MALFORMED_REPLY}),
    "another shape": (answer(200, b'{"results": [{"type": "ok"}]}'), {ErrorClass.MALFORMED_REPLY}),
    "401": (answer(401, b'{"error":"Unauthorized"}'), {ErrorClass.AUTH}),
    "403": (answer(403), {ErrorClass.AUTH}),
    "429": (answer(429, retry_after="7"), {ErrorClass.RATE_LIMIT}),
    "500": (answer(500, b"panic"), {ErrorClass.UNAVAILABLE}),
    "more than 10 MB": (flood, {ErrorClass.VALIDATION}),
}


@dataclass
class FaultyProxy:
    """Passes whole requests on to ``target``, and treats those after the first ``good`` with ``fault``.

    Attributes:
        reach: True: the server gets these requests too, and does what they say; only its answers are lost.
        treated: How many requests met the fault.
    """

    target: int
    port: int = 0
    fault: Handler | None = None
    good: int = 0
    reach: bool = False
    treated: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, fault: Handler, after: int, *, reach: bool = False) -> None:
        self.fault, self.good, self.reach, self.treated = fault, after, reach, 0

    def recover(self) -> None:
        self.fault = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await request_of(reader)
                fault = self._fault()
                passed = await self._pass_on(request) if fault is None or self.reach else b""
                if fault is not None:
                    return await fault(reader, writer)
                writer.write(passed)
                await writer.drain()

    def _fault(self) -> Handler | None:
        if self.fault is None:
            return None
        self.good -= 1
        if self.good >= 0:
            return None
        self.treated += 1
        return self.fault

    async def _pass_on(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        head, _, body = request.partition(b"\r\n\r\n")
        try:
            writer.write(head + b"\r\nconnection: close\r\n\r\n" + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def faulty(target: int) -> AsyncIterator[FaultyProxy]:
    """Run such a proxy before a loopback port."""
    proxy = FaultyProxy(target)
    async with listening(proxy.serve) as proxy.port:
        yield proxy


@dataclass
class Large:
    """How often large JSON was written or read: on the event loop's thread, which keeps all others, and aside."""

    on_the_loop: int = 0
    aside: int = 0


@contextlib.contextmanager
def watched() -> Iterator[Large]:
    """Watch where the client's JSON of more bytes than a turn of the event loop may take is written and read."""
    found = Large()

    def note(data: bytes) -> None:
        if len(data) > 2 * hrana._OFF_THE_LOOP:  # what is written is weighed by its texts, before they are escaped
            if threading.current_thread() is threading.main_thread():
                found.on_the_loop += 1
            else:
                found.aside += 1

    dump, load = hrana._dump, hrana._load

    def noted_dump(requests: list[dict[str, Any]]) -> bytes:
        data = dump(requests)
        note(data)
        return data

    def noted_load(faults: Any, reply: bytes) -> Any:
        note(reply)
        return load(faults, reply)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hrana, "_dump", noted_dump)
        patch.setattr(hrana, "_load", noted_load)
        yield found
