"""The control of a first sync: the same points to the bare engine, in the same batches, with a flush after each.

Same collection (vectors, payload indexes, write-ahead log), same payloads, dense vectors given, BM25 by the engine's
own class as in the product (its seconds are told apart). Reads its points a batch at a time, outside the clock.

Usage: bare_engine.py POINTS FOLDER
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import qdrant_edge

from dm_memory.layers.edge_collection import Collection

_Batch = list[tuple[str, str, dict[str, Any], dict[str, Any]]]


def main() -> None:
    """Store everything and print the seconds."""
    with Path(sys.argv[1]).open("rb") as file:
        print(orjson.dumps(store(batches(file), Path(sys.argv[2]))).decode())


def batches(file: BinaryIO) -> Iterator[_Batch]:
    """Yield the dumped batches."""
    while True:
        try:
            yield pickle.load(file)  # noqa: S301  # written by this benchmark a moment ago
        except EOFError:
            return


def store(points: Iterator[_Batch], folder: Path) -> dict[str, float]:
    """Store batch after batch."""
    shard: Any = None
    bm25 = qdrant_edge.Bm25(qdrant_edge.Bm25Config())
    seconds = words = 0.0
    stored = 0
    for batch in points:
        if shard is None:
            shard = empty_shard(folder, batch)
        begun = time.perf_counter()
        sparse = [bm25.embed_document(text) for _, text, _, _ in batch]
        words += time.perf_counter() - begun
        made = [
            qdrant_edge.Point(point_id, {**vectors, "bm25": sparse_vector}, payload)
            for (point_id, _, vectors, payload), sparse_vector in zip(batch, sparse, strict=True)
        ]
        shard.update(qdrant_edge.UpdateOperation.upsert_points(made))
        shard.flush()
        seconds += time.perf_counter() - begun
        stored += len(batch)
    assert shard.count(qdrant_edge.CountRequest()) == stored
    return {"seconds": seconds, "bm25": words, "stored": stored}


def empty_shard(folder: Path, batch: _Batch) -> qdrant_edge.EdgeShard:
    """Make the product's own collection, for its settings and indexes, and return the engine's shard in it."""
    ((name, dense),) = batch[0][2].items()
    shard: qdrant_edge.EdgeShard = Collection(folder, name, len(dense))._shard  # noqa: SLF001  # that is what bare means
    return shard


main()
