"""The Qdrant service against the bare SDK: the same points in the same requests, to the same fake on loopback.

Two controls, each taking turns with the service, batch by batch, so that a busy machine is busy for all:

* ``ready``: ``upsert`` of points that were made beforehand. What the service does besides is all in the ratio: cutting
  texts, labels, checks, the removal of surplus chunks, the check of the reply.
* ``made``: as any user of the SDK would write it, whose points have a vector and a payload too.

The embedding model costs nothing. ``--single`` also stores ``--items`` through the guarded service one batch after
another, as a sync does, and a hundredth of them one at a time with the bare SDK, for the gain of batches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import count, islice
from typing import TYPE_CHECKING

from services_fake import Answer, gained, ours, run, show

from dm_memory.embedding.protocol import EmbeddingSpec, qdrant_vector_name
from dm_memory.items import Payload
from dm_memory.services.entries import metadata_of
from dm_memory.services.qdrant.service import QdrantService
from tests.services.payloads import payload

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, models

_BATCH = 256
_DIMENSION = 384
_TEXT = "Shorter subject lines open more letters, the longer ones are read to their ends more often. "
_NAMES = count()


class RowsEmbedder:
    """Vectors of numbers as a model's have them, 17 digits each, made beforehand."""

    spec = EmbeddingSpec("sentence-transformers/all-MiniLM-L6-v2", _DIMENSION, "1")

    def __init__(self) -> None:
        self._rows = [
            [((row * 7919 + place * 104729) % 99991) / 99991 / 19.6 for place in range(_DIMENSION)]
            for row in range(_BATCH)
        ]

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector a text."""
        return [self._rows[number % _BATCH] for number in range(len(texts))]

    def embed_query(self, text: str) -> Sequence[float]:
        """Return a vector."""
        return self._rows[len(text) % _BATCH]


def answer() -> Answer:
    """Return a Qdrant that has one collection, ready for use, and accepts everything."""
    from tests.services.qdrant.stub import collection  # noqa: PLC0415  # only the fake needs it

    described = collection(metadata={"dm_memory": {"format": 1, "model": _MODEL, "chunking": 1}})
    vector = {qdrant_vector_name(RowsEmbedder.spec): {"size": _DIMENSION, "distance": "Cosine"}}
    described["config"]["params"]["vectors"] = vector
    done = {"operation_id": 1, "status": "completed"}

    def say(method: str, path: str, body: dict[str, list[object]]) -> object:
        del method
        value: object = done
        if path.endswith("/batch"):
            value = [done] * len(body["operations"])
        elif path.endswith("/aliases"):
            value = {"aliases": [{"alias_name": "bench", "collection_name": "bench-1"}]}
        elif path.endswith("/bench"):
            value = described
        return {"result": value, "status": "ok", "time": 0.001}

    return say


_MODEL = {"name": RowsEmbedder.spec.name, "dimension": _DIMENSION, "weights": RowsEmbedder.spec.weights}


def fresh(items: int) -> list[Payload]:
    """Return entries nobody has seen, of 400 characters."""
    return [payload(number, f"Learning {number}. " + _TEXT * 4) for number in islice(_NAMES, items)]


class Bare:
    """What a user of the SDK writes."""

    def __init__(self, client: AsyncQdrantClient, embedder: RowsEmbedder) -> None:
        self._client = client
        self._embedder = embedder

    def points(self, batch: Sequence[Payload]) -> list[models.PointStruct]:
        """Make a batch's points."""
        from qdrant_client import models  # noqa: PLC0415  # 1 s of import

        name = qdrant_vector_name(self._embedder.spec)
        points = []
        vectors = self._embedder.embed_documents([one.content for one in batch])
        for one, dense in zip(batch, vectors, strict=True):
            content = {
                "document": one.content,
                "metadata": {**metadata_of(one), "brand": one.brand},
                "brand": one.brand,
                "entry": one.id,
                "chunk": 0,
                "chunks": 1,
                "hash": one.content_hash,
                "meta_hash": one.metadata_hash,
                "content_type": one.content_type,
                "tags": list(one.tags),
                "recorded_day": 20260305,
            }
            points.append(models.PointStruct(id=one.id, vector={name: dense}, payload=content))
        return points

    async def store(self, batch: Sequence[Payload], points: Sequence[models.PointStruct] | None = None) -> float:
        """Store a batch, whose points may be made already; return the seconds."""
        before = time.perf_counter()
        result = await self._client.upsert("bench", list(points or self.points(batch)), wait=True)
        assert result.status == "completed"
        return time.perf_counter() - before


async def measured(url: str, options: argparse.Namespace) -> None:
    """Measure by turns, and print the medians of a batch."""
    embedder = RowsEmbedder()
    service = QdrantService(url, None, "bench", "acme", embedder)
    await service.upsert(fresh(_BATCH))
    bare = Bare((await service._ready()).client, embedder)  # noqa: SLF001  # the same client for both
    ready, made = [], []
    for _ in range(options.rounds):
        batch = fresh(_BATCH)
        ready.append((await bare.store(batch, bare.points(batch)), await ours(service, fresh(_BATCH))))
        made.append((await bare.store(fresh(_BATCH)), await ours(service, fresh(_BATCH))))
    more = (
        await gained(service, fresh, options.items, _BATCH, lambda one: bare.store([one], bare.points([one])))
        if options.single
        else []
    )
    show(f"Qdrant, batches of {_BATCH}", {"ready": ready, "made": made}, more)
    await service.close()


if __name__ == "__main__":
    run(__file__, __doc__, answer, measured)
