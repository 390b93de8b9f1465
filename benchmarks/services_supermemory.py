"""The Supermemory service against the bare SDK: the same documents in the same batches, to the same fake on loopback.

Two controls, each taking turns with the service, batch by batch, so that a busy machine is busy for all:

* ``ready``: ``batch_add`` of documents that were made beforehand, whose reply nobody reads. What the service does
  besides is all in the ratio: documents and their checks, the question what is there already, a look at every reply.
* ``made``: as any user of the SDK would write it, who makes the documents and looks for errors in the reply.

``--single`` also stores ``--items`` through the guarded service one batch after another, as a sync does, and a
hundredth of them one at a time with the bare SDK, for the gain of batches.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from itertools import count, islice
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr
from services_fake import Answer, gained, ours, run, show

from dm_memory.items import Payload
from dm_memory.services.entries import metadata_of
from dm_memory.services.supermemory.service import SupermemoryService
from tests.services.payloads import payload

if TYPE_CHECKING:
    from supermemory import AsyncSupermemory

_BATCH = SupermemoryService.capabilities.batch_items
_KEY = "sm_bench"
_TEXT = "Shorter subject lines open more letters, the longer ones are read to their ends more often. "
_NAMES = count()


def answer() -> Answer:
    """Return a Supermemory that accepts every document and finds it by its id among its metadata."""
    held: dict[str, dict[str, object]] = {}

    def say(method: str, path: str, body: dict[str, Any]) -> object:
        del method
        if path.endswith("/batch"):
            held.update((document["metadata"]["dm_id"], document["metadata"]) for document in body["documents"])
            results = [{"id": document["id"], "status": "queued"} for document in reversed(body["documents"])]
            return {"results": results, "count": len(results), "failed": 0}
        asked = (operand["value"] for operand in body["filter"].get("operands", ()))
        found = [{"metadata": held[one], "system": {"status": "done"}} for one in asked if one in held]
        total = len(found) if "operands" in body["filter"] else len(held)
        return {"documents": found, "chunks": [], "memories": [], "pagination": {"totalItems": total}}

    return say


def fresh(items: int) -> list[Payload]:
    """Return entries nobody has seen, of 400 characters."""
    return [payload(number, f"Learning {number}. " + _TEXT * 4) for number in islice(_NAMES, items)]


def documents(batch: Sequence[Payload]) -> list[dict[str, Any]]:
    """Return a batch as a user of the SDK would make it."""
    return [
        {
            "id": one.id,
            "content": one.content,
            "metadata": {**metadata_of(one), "dm_id": one.id, "dm_brand": one.brand},
            "date": one.recorded_at,
        }
        for one in batch
    ]


async def ready(sdk: AsyncSupermemory, batch: Sequence[Payload]) -> float:
    """Store documents that are made already; return the seconds."""
    made = documents(batch)
    before = time.perf_counter()
    await sdk.documents.batch_add("acme", documents=cast("Any", made))
    return time.perf_counter() - before


async def made(sdk: AsyncSupermemory, batch: Sequence[Payload]) -> float:
    """Make documents, store them and look for errors; return the seconds."""
    before = time.perf_counter()
    reply = await sdk.documents.batch_add("acme", documents=cast("Any", documents(batch)))
    assert {one.id for one in reply.results if one.status != "error"} == {one.id for one in batch}
    return time.perf_counter() - before


async def measured(url: str, options: argparse.Namespace) -> None:
    """Measure by turns, and print the medians of a batch."""
    from supermemory import AsyncSupermemory  # noqa: PLC0415  # an extra, 0.3 s of import

    sdk = AsyncSupermemory(api_key=_KEY, base_url=url)
    service = SupermemoryService(SecretStr(_KEY), "acme", url=url)
    for _ in range(2):
        await asyncio.gather(ours(service, fresh(_BATCH)), made(sdk, fresh(_BATCH)))
    pairs: dict[str, list[tuple[float, float]]] = {"ready": [], "made": []}
    for _ in range(options.rounds):
        for name, control in (("ready", ready), ("made", made)):
            pairs[name].append((await control(sdk, fresh(_BATCH)), await ours(service, fresh(_BATCH))))
    more = await gained(service, fresh, options.items, _BATCH, lambda one: ready(sdk, [one])) if options.single else []
    show(f"Supermemory, batches of {_BATCH}", pairs, more)
    await service.close()
    await sdk.close()


if __name__ == "__main__":
    run(__file__, __doc__, answer, measured)
