"""The Pinecone service against the bare SDK: the same records in the same requests, to the same fake on loopback.

The fake is a process of its own, embeds what it is sent by hashing its words, and waits ``--latency`` seconds before
each answer. Both sides take turns, batch by batch, so that a busy machine is busy for both. ``--single`` also stores a
hundredth of the items one at a time with the bare SDK, for the gain that requests of 96 make.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from measure import REPOSITORY, environment, median, table
from pydantic import SecretStr

from dm_memory.items import Payload
from dm_memory.services.pinecone.records import BATCH_RECORDS, prepared
from dm_memory.services.pinecone.service import PineconeService
from tests.services.payloads import payload
from tests.services.pinecone.fake_pinecone import KEY

if TYPE_CHECKING:
    from pinecone.async_client.async_index import AsyncIndex

SERVER = """
import sys, time
from tests.services.pinecone.fake_server import serving
with serving() as server:
    server.latency = float(sys.argv[1])
    print(server.url, flush=True)
    sys.stdin.read()
"""
_NAMES = count()


def service_on(url: str) -> PineconeService:
    """Return a service with a namespace of its own."""
    return PineconeService(
        SecretStr(KEY), "bench", f"brand-{next(_NAMES)}", host=url, model="multilingual-e5-large", cloud="aws",
        region="us-east-1", limit=1,
    )  # fmt: skip


def fresh(items: int) -> list[list[Payload]]:
    """Return batches of texts the fake has not seen."""
    text = "Shorter subject lines open more letters, the longer ones are read to their ends more often. "
    payloads = [payload(number, f"Learning {next(_NAMES)}. " + text * 4) for number in range(items)]
    return [payloads[start : start + BATCH_RECORDS] for start in range(0, items, BATCH_RECORDS)]


async def bare(index: AsyncIndex, space: str, batch: Sequence[Payload]) -> float:
    """Store a batch with the SDK alone, its records made beforehand; return the seconds."""
    records = [record for entry in prepared(batch, "text")[0] for record in entry.records]
    before = time.perf_counter()
    await index.upsert_records(namespace=space, records=records)
    return time.perf_counter() - before


async def ours(service: PineconeService, batch: Sequence[Payload]) -> float:
    """Store a batch with the service; return the seconds."""
    before = time.perf_counter()
    outcomes = await service.upsert(batch)
    seconds = time.perf_counter() - before
    assert all(outcome.error is None for outcome in outcomes)
    return seconds


async def measured(url: str, items: int, rounds: int, *, single: bool) -> None:
    """Measure both by turns, and print the medians of a batch."""
    service = service_on(url)
    await service.upsert([payload(0)])
    target = await (await service._ready()).made()  # noqa: SLF001  # the same client for both
    pairs = []
    for _ in range(rounds):
        service.brand, space = (f"brand-{next(_NAMES)}" for _ in range(2))
        for one, other in zip(fresh(items), fresh(items), strict=True):
            pairs.append((await bare(target.index, space, one), await ours(service, other)))
    control, own = (median(side) for side in zip(*pairs, strict=True))
    rows = [
        ("bare SDK", f"{control * 1e3:.2f} ms a batch"),
        (
            "service",
            f"{own * 1e3:.2f} ms a batch, {median([second / first for first, second in pairs]):.2f} of the control",
        ),
    ]
    if single:
        (few,) = fresh(max(items // 100, 1))
        alone = median([await bare(target.index, space, [one]) for one in few])
        rows.append(
            ("one at a time", f"{alone * 1e3:.2f} ms an item: {alone * BATCH_RECORDS / own:.0f} times the service's")
        )
    table(f"Batches of {BATCH_RECORDS}, medians of {len(pairs)}", rows)
    await service.close()


def main() -> None:
    """Start the fake, measure, and end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--single", action="store_true")
    options = parser.parse_args()
    command = [sys.executable, "-c", SERVER, str(options.latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=REPOSITORY
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        asyncio.run(measured(url, options.items, options.rounds, single=options.single))
        server.communicate()


if __name__ == "__main__":
    main()
