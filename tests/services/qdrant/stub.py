"""A Qdrant server on the loopback that misbehaves on purpose: what it says and how is the test's choice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes a reply, or does not."""

VECTOR = {"fast-hashed": {"size": 256, "distance": "Cosine"}}


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Return an answer that is a whole reply; underscores in header names are hyphens."""

    async def write(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "content-type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return write


def result(value: Any) -> Answer:
    """Return an answer as Qdrant gives it when all is well."""
    return reply(200, json.dumps({"result": value, "status": "ok", "time": 0.001}).encode())


def failure(status: int, words: str = "details nobody should see", **headers: str) -> Answer:
    """Return an answer as Qdrant gives it when something is wrong."""
    return reply(status, json.dumps({"status": {"error": words}, "time": 0.001}).encode(), **headers)


async def hang(writer: asyncio.StreamWriter) -> None:
    """Say nothing."""
    del writer
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break off in the middle of a reply."""
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"result": ')
    await writer.drain()
    writer.transport.abort()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a reply so slowly that it never ends, and never pauses for long."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.01)


def collection(*, metadata: dict[str, Any] | None = None, indexed: bool = True) -> dict[str, Any]:
    """Return the description of a collection that the service takes for ready."""
    fields = ["brand", "entry", "content_type", "tags", "chunk", "recorded_day", "expires_ts"] if indexed else []
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "points_count": 3,
        "payload_schema": {field: {"data_type": "keyword", "points": 0} for field in fields},
        "config": {
            "params": {"vectors": VECTOR, "sparse_vectors": {"bm25": {"modifier": "idf"}}},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "metadata": metadata,
        },
    }


@dataclass
class Stub:
    """A server that answers by the last part of a path; a fault comes before what is normal.

    Attributes:
        faults: Answers by the end of the path (``/points/batch``), or for every path (``""``).
        asked: Method and path of each request.
        headers: The lines of the last request's head.
    """

    faults: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Return the fault chosen for a path, or what a server in order says."""
        del method, body
        for end, fault in self.faults.items():
            if path.endswith(end):
                return fault
        for end, value in _NORMAL.items():
            if path.endswith(end):
                return result(value)
        return failure(404)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.headers = head.split("\r\n")
                lengths = [line for line in self.headers if line.lower().startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0].split(":")[1]) if lengths else 0)
                method, target, _ = self.headers[0].split(" ")
                self.asked.append(f"{method} {target}")
                answer = await self.answer(method, target.partition("?")[0], body)
                await answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


_DESCRIBED = {"dm_memory": {"format": 1, "model": {"name": "hashed", "dimension": 256, "weights": "1"}, "chunking": 1}}
_DONE = {"operation_id": 1, "status": "completed"}
_NORMAL: dict[str, Any] = {
    "/aliases": {"aliases": [{"alias_name": "dm-memory", "collection_name": "dm-memory-1"}]},
    "/exists": {"exists": True},
    "/points/batch": [_DONE, _DONE],
    "/points/delete": _DONE,
    "/points/scroll": {"points": [], "next_page_offset": None},
    "/points/count": {"count": 3},
    "/points/query": {"points": []},
    "/collections/dm-memory": collection(metadata=_DESCRIBED),
}


@asynccontextmanager
async def serving(faults: dict[str, Answer] | None = None, stub: Stub | None = None) -> AsyncIterator[Stub]:
    """Run a stub while the block runs; connections that are left are cut."""
    stub = stub or Stub(faults or {})
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(stub.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
