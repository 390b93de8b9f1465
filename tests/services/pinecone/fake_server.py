"""Serves a fake Pinecone on loopback from a thread of its own, and can be told to go wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import h11

from tests.services.pinecone.fake_pinecone import FakePinecone, Reply, Request

__all__ = ["FakeServer", "Fault", "Link", "aborted", "cut_off", "dripping", "hanging", "reply", "serving"]

Checker = Callable[[Request, Reply], list[str]]


class Link:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._state = h11.Connection(h11.SERVER)

    async def request(self) -> Request | None:
        """Return the next request; None where the client has left."""
        head: Any = await self._event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(part := await self._event(), h11.Data):
            body += part.data
        headers = {name.decode(): value.decode() for name, value in head.headers}
        return Request(head.method.decode(), head.target.decode(), headers, bytes(body))

    async def _event(self) -> Any:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self._reader.read(1 << 16))
        return event

    async def send(self, answer: Reply) -> None:
        """Answer the request."""
        head = [("content-length", str(len(answer.content))), *answer.headers.items()]
        if answer.content:
            head.append(("content-type", answer.content_type))
        for event in (
            h11.Response(status_code=answer.status, headers=head),
            h11.Data(data=answer.content),
            h11.EndOfMessage(),
        ):
            self.writer.write(self._state.send(event) or b"")
        await self.writer.drain()
        self._state.start_next_cycle()


Fault = Callable[[Link, Reply], Awaitable[None]]
"""What happens in the place of a reply; it may end the connection."""


async def hanging(link: Link, answer: Reply) -> None:
    """Never answer."""
    del link, answer
    await asyncio.Event().wait()


async def aborted(link: Link, answer: Reply) -> None:
    """Reset the connection instead of answering."""
    del answer
    link.writer.transport.abort()


async def cut_off(link: Link, answer: Reply) -> None:
    """Reset the connection in the middle of the reply."""
    del answer
    link.writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"vectors": {')
    await link.writer.drain()
    await asyncio.sleep(0.01)  # so that the client has the first half when the connection breaks
    link.writer.transport.abort()


async def dripping(link: Link, answer: Reply) -> None:
    """Send a byte now and then, for ever: no read ever takes long."""
    del answer
    link.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    while True:
        link.writer.write(b" ")
        await link.writer.drain()
        await asyncio.sleep(0.02)


def reply(status: int, body: Any, content_type: str = "application/json", **headers: str) -> Fault:
    """Answer this instead."""

    async def instead(link: Link, answer: Reply) -> None:
        del answer
        await link.send(
            Reply(status, body, content_type, {name.replace("_", "-"): value for name, value in headers.items()})
        )

    return instead


class FakeServer:
    """A fake Pinecone on a port, its log of operations, and the faults that are armed, by operation."""

    def __init__(self, pinecone: FakePinecone, check: Checker | None) -> None:
        self.pinecone = pinecone
        self.url = ""
        self.faults: dict[str, Fault] = {}
        self.operations: list[str] = []
        self.violations: list[str] = []
        self.latency = 0.0
        self._check = check
        self._links: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """Forget everything but the port."""
        self.pinecone.reset()
        self.pinecone.host = self.url
        self.faults.clear()
        self.operations.clear()
        self.violations.clear()

    def count(self, operation: str) -> int:
        """Return how often something was asked."""
        return self.operations.count(operation)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it leaves."""
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
                await self._answer_all(Link(reader, writer))
        finally:
            self._links.discard(task)
            writer.close()

    async def _answer_all(self, link: Link) -> None:
        while (request := await link.request()) is not None:
            operation = request.operation
            self.operations.append(operation)
            fault = self.faults.get(operation)
            if self.latency:
                await asyncio.sleep(self.latency)
            answer = self.pinecone.answer(request) if fault is None else Reply(200)
            if fault is not None:
                await fault(link, answer)
            else:
                # The plain text of a 401 is real, and in no description.
                if self._check is not None and answer.content_type != "text/plain":
                    self.violations += self._check(request, answer)
                await link.send(answer)
            if link.writer.is_closing():
                return

    async def leave(self) -> None:
        """End what is left of the clients' connections."""
        left = list(self._links)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def serving(check: Checker | None = None, port: int = 0) -> Iterator[FakeServer]:
    """Yield a fake that is being served."""
    server = FakeServer(FakePinecone(), check)
    ready, done = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        async with await asyncio.start_server(server.serve, "127.0.0.1", port) as listening:
            server.url = server.pinecone.host = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            ready.set()
            await done.wait()
            listening.close()
            await server.leave()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(done.set)
        thread.join()
