"""A fake of a service, for the benchmarks of services: a process of its own that does the least a server does.

It takes a request apart, parses its JSON, waits ``latency`` seconds and answers. Whoever measures has the other
processor for itself.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
from measure import REPOSITORY, environment, median, table

from dm_memory.items import Payload
from dm_memory.services.protocol import Service
from dm_memory.services.resilience import GuardPolicy, guard

__all__ = ["Answer", "Pairs", "gained", "ours", "run", "show"]

Answer = Callable[[str, str, Any], object]
"""Returns a reply, given method, path and what the request's JSON says."""

Pairs = Sequence[tuple[float, float]]
"""Seconds of the control and of the service, which took turns."""


def serve(answer: Answer, latency: float) -> None:
    """Say on standard output where the fake is, and serve until standard input ends."""
    asyncio.run(_serve(answer, latency))


async def _serve(answer: Answer, latency: float) -> None:
    server = await asyncio.start_server(partial(_connection, answer, latency), "127.0.0.1", 0, limit=1 << 25)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def _connection(
    answer: Answer, latency: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).lower():
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            body = await reader.readexactly(length) if length else b"null"
            method, target, _ = head.decode().split(" ", 2)
            reply = orjson.dumps(answer(method.upper(), target.partition("?")[0], orjson.loads(body)))
            await asyncio.sleep(latency)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(reply)
            )
            writer.write(reply)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@contextmanager
def fake(script: str, latency: float) -> Iterator[str]:
    """Run ``SCRIPT --serve`` while the block runs; yield its address."""
    command = [sys.executable, script, "--serve", "--latency", str(latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=REPOSITORY
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.communicate()


def show(title: str, controls: dict[str, Pairs], more: Sequence[tuple[str, str]] = ()) -> None:
    """Print the medians of a batch: each control's, and the service's that took turns with it."""
    rows = []
    for name, pairs in controls.items():
        control, own = (median(side) * 1e3 for side in zip(*pairs, strict=True))
        ratio = median([ours / bare for bare, ours in pairs])
        rows.append((name, f"{control:.2f} ms; the service {own:.2f} ms, {ratio:.2f} of it (median of {len(pairs)})"))
    table(title, [*rows, *more])


async def ours(service: Service, batch: Sequence[Payload]) -> float:
    """Store a batch with the service; return the seconds."""
    before = time.perf_counter()
    outcomes = await service.upsert(batch)
    seconds = time.perf_counter() - before
    assert all(outcome.error is None for outcome in outcomes)
    return seconds


async def gained(
    service: Service,
    fresh: Callable[[int], Sequence[Payload]],
    items: int,
    batch: int,
    alone: Callable[[Payload], Awaitable[float]],
) -> list[tuple[str, str]]:
    """Store many entries as a sync does, and a hundredth of them one at a time; return what to print.

    Args:
        service: Is guarded here, as a sync's is.
        fresh: Makes entries nobody has seen.
        items: How many are stored.
        batch: How many a sync sends at once.
        alone: Stores one with the SDK, and returns the seconds.
    """
    guarded = guard(service, GuardPolicy())
    every = fresh(items)
    before = time.perf_counter()
    for start in range(0, items, batch):
        await ours(guarded, every[start : start + batch])
    seconds = time.perf_counter() - before
    single = median([await alone(one) for one in fresh(max(items // 100, 1))]) * items
    took = f"{seconds:.2f} s; one at a time {single:.0f} s, {single / seconds:.0f} times as long"
    return [(f"{items:,} items", took)]


def run(
    script: str,
    description: str | None,
    answer: Callable[[], Answer],
    measured: Callable[[str, argparse.Namespace], Coroutine[Any, Any, None]],
) -> None:
    """Start ``script`` as the fake that says what ``answer`` makes, measure, and end it; or be the fake."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--items", type=int, default=10_000, help="of --single")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(answer(), options.latency)
        return
    with fake(script, options.latency) as url:
        asyncio.run(measured(url, options))
