"""Fifty clients of one server over HTTP beside one client of the same server, in the same run.

Usage: uv run python benchmarks/http_load.py [--minutes 10] [--entries 2000] [--clients 50] [--pace 5]

The server is a process of its own, as ``dm-memory serve --http --require-token`` starts it, over a brand of
``--entries`` made-up insights; all clients use one token. Each client asks a search of its own, every ``--pace``
seconds on average at random moments, as assistants do that work with people: fifty make ten a second. One client,
which asks as often as all of them together, and all of them take turns, a tenth of the time each, so that a busy
machine is busy for both. What is measured is the whole request: HTTP, protocol, search, report. At the end comes the
closed loop: each client asks again as soon as it has its answer, which shows what the server can do, and how long a
queue of that many is.

Last, the timing of a brand that a token may not see beside one that does not exist.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import measure  # noqa: F401  # makes the tests importable

from tests.http.serving import Served, headers, message, served, token
from tests.server.server_homes import many, write_brand

_WORDS = "Variant banner spring clicked visitors thousand price e-mail reels posters audience".split()  # noqa: SIM905  # read as a list
_ERA = "2026-07-28"
_CLOSED_SECONDS = 15.0
_TURNS = 10


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pace", type=float, default=5.0, help="seconds between two searches of a client")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        for slug in ("acme", "bolt"):
            write_brand(home, slug)
        many(home, options.entries)
        secret = token(home, "load", "acme")
        with served(home, "--require-token", DM_MEMORY_HTTP_RATE="1000000") as server:
            asyncio.run(_compare(server, secret, options))


async def _compare(server: Served, secret: str, options: argparse.Namespace) -> None:
    await _once(_client(), server, secret, "sync_memory", {})
    await _for(server, secret, 1, 3.0, None)  # the first searches load the model
    start = _resident(server)
    one: list[float] = []
    all_: list[float] = []
    turn = options.minutes * 60 / _TURNS / 2
    for _ in range(_TURNS):
        # Alone, a client asks as often as all of them: else its figures would be of a server that sleeps.
        one += await _for(server, secret, 1, turn, options.pace / options.clients)
        all_ += await _for(server, secret, options.clients, turn, options.pace)
    rows = [_row("one client", one, one), _row(f"{options.clients} clients", all_, one)]
    closed_one = await _for(server, secret, 1, _CLOSED_SECONDS, None)
    closed = await _for(server, secret, options.clients, _CLOSED_SECONDS, None)
    rows += [_row("one client, closed loop", closed_one, closed_one)]
    rows += [_row(f"{options.clients} clients, closed loop", closed, closed_one)]
    print("| searches over HTTP | number | p50, ms | p99, ms | p50, ratio | p99, ratio |\n|---|---|---|---|---|---|")
    print("\n".join(rows))
    print(f"\nClosed loop: {len(closed) / _CLOSED_SECONDS:.0f} searches a second.")
    print(f"Resident memory of the server: {start:.0f} MB before, {_resident(server):.0f} MB after.\n")
    await _timing(server, secret)


async def _timing(server: Served, secret: str) -> None:
    """Print how long it takes to be told that a brand is not there: another's, and nobody's."""
    taken: dict[str, list[float]] = {"bolt": [], "nobody": []}
    async with _client() as client:
        for _ in range(300):
            for brand, times in taken.items():
                times.append(await _once(client, server, secret, "get_memory_status", {"brand": brand}))
    other, nobody = (statistics.median(times) * 1000 for times in taken.values())
    print(f"Refusing another's brand takes {other:.2f} ms, one that does not exist {nobody:.2f} ms (medians of 300).")


async def _for(server: Served, secret: str, clients: int, seconds: float, pace: float | None) -> list[float]:
    """Let clients search for some seconds; return what each search took from the moment when it was due.

    A machine that stands still for a second delays one request of a client that waits for its answer, and ten of fifty
    clients. Counted from when they were due, both see the same standstill (coordinated omission).
    """
    end = time.perf_counter() + seconds

    async def work() -> list[float]:
        taken: list[float] = []
        due = time.perf_counter()
        async with _client() as client:
            while True:
                due = time.perf_counter() if pace is None else due + random.uniform(0.0, 2 * pace)
                if due >= end:
                    return taken
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                query = " ".join(random.sample(_WORDS, 3))
                await _once(client, server, secret, "search_memory", {"query": query})
                taken.append(time.perf_counter() - due)

    return [each for found in await asyncio.gather(*(work() for _ in range(clients))) for each in found]


async def _once(client: httpx.AsyncClient, server: Served, secret: str, tool: str, arguments: dict[str, str]) -> float:
    body = message(_ERA, "tools/call", {"name": tool, "arguments": arguments})
    began = time.perf_counter()
    response = await client.post(server.url, json=body, headers=headers(_ERA, secret, "tools/call", tool))
    taken = time.perf_counter() - began
    assert response.status_code == 200, response.text
    return taken


def _client() -> httpx.AsyncClient:
    # No certificates: reading them takes 20 ms for each client, and fifty that begin together would wait for all of it.
    return httpx.AsyncClient(timeout=120, trust_env=False, verify=False)  # noqa: S501  # plain HTTP on this computer


def _row(name: str, taken: list[float], control: list[float]) -> str:
    own, other = _percentiles(taken), _percentiles(control)
    ratios = " | ".join(f"{mine / theirs:.2f}" for mine, theirs in zip(own, other, strict=True))
    return f"| {name} | {len(taken)} | {own[0]:.1f} | {own[1]:.1f} | {ratios} |"


def _percentiles(taken: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def _resident(server: Served) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
