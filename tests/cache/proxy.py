"""What can stand between us and a server: latency, a reply that gets lost, and servers that answer anything at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

__all__ = ["Handler", "Proxy", "StubServer", "answer", "listening", "proxied", "request_of", "stubbed"]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Proxy:
    """Passes bytes on, ``latency`` seconds late each way; with ``lose_replies`` the server's answers never arrive."""

    port: int = 0
    target: int = 0
    latency: float = 0.0
    lose_replies: bool = False
    in_flight: int = 0
    most_in_flight: int = 0
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, upward = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, upward))
                group.create_task(self._replies(upstream, writer))
        except* ConnectionError:
            pass  # either side may hang up at any time; that is what a proxy sees
        finally:
            upward.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if data.startswith(b"POST"):
                self.requests += 1
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
            await asyncio.sleep(self.latency / 2)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            if data.startswith(b"HTTP/1.1 "):
                self.in_flight -= 1
            await asyncio.sleep(self.latency / 2)
            if self.lose_replies:
                break
            writer.write(data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxied(target: int, latency: float = 0.0) -> AsyncIterator[Proxy]:
    """Run a proxy before a loopback port."""
    proxy = Proxy(target=target, latency=latency)
    async with listening(proxy.serve) as port:
        proxy.port = port
        yield proxy


@dataclass
class StubServer:
    """A server whose every connection gets the same treatment. ``requests`` holds what was sent to it."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def stubbed(handler: Handler) -> AsyncIterator[StubServer]:
    """Run a server that reads one request, then hands the connection to ``handler``."""
    server = StubServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            server.requests.append(await request_of(reader))
            await handler(reader, writer)
        writer.close()

    async with listening(serve) as server.port:
        yield server


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def answer(status: int, body: bytes = b"", **headers: str) -> Handler:
    """Return a handler that sends one complete HTTP answer."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} Any\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body)
        await writer.drain()

    return handle


@contextlib.asynccontextmanager
async def listening(serve: Handler) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
