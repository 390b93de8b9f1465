"""Pages of the durable store: several are fetched ahead, all come in the order of their keys."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from dm_memory.cache.cache import Packed, pack
from dm_memory.cache.records import Record, key_of, records_of
from dm_memory.services.turso.protocol import Key, Page
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.store import DurableStore
from dm_memory.worker import worker_thread

__all__ = ["Batch", "Range", "ahead", "as_fetched", "batches", "packed_ahead"]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Range:
    """Rows of a table above ``after``, not above ``through``; about ``rows`` of them."""

    table: Table
    after: Key
    through: Key | None
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What is cached together: rows, and the embeddings that belong to them if they were asked for."""

    page: Page
    embeddings: Page
    records: Mapping[Table, list[Record]] = field(default_factory=dict)
    packed: Mapping[Table, Packed] = field(default_factory=dict)


def as_fetched(batch: Batch) -> Batch:
    """Return the batch."""
    return batch


def packed_ahead(table: Table, batch: Batch) -> Batch:
    """Return the batch with its rows as they go into a cache that has none of them."""
    records = {table: records_of(table, batch.page)}
    if batch.embeddings.rows:
        records[Table.EMBEDDINGS] = records_of(Table.EMBEDDINGS, batch.embeddings)
    return replace(batch, records=records, packed={part: pack(part, some) for part, some in records.items()})


async def batches(
    store: DurableStore,
    span: Range,
    size: int,
    parallel: int,
    *,
    with_embeddings: bool,
    prepare: Callable[[Batch], Batch] = as_fetched,
) -> AsyncGenerator[Batch, None]:
    """Yield the rows of a range in the order of their keys, ``size`` at a time.

    What ``prepare`` does with each is done ahead as well, on a thread: while the cache's thread waits for the disk.
    At most ``parallel`` pages (of a file: two) are on their way or waiting, so memory does not grow with the range.

    Raises:
        ServiceError: The store failed; every page before that was yielded.
    """
    # One thread: each further one would keep the memory of the largest page it ever made.
    async with worker_thread("dm-memory-pages") as thread:

        async def prepared(batch: Batch) -> Batch:
            return batch if prepare is as_fetched else await thread.run(prepare, batch)

        def stretch(part: Range) -> AsyncGenerator[Batch, None]:
            return _between(store, part, size, with_embeddings=with_embeddings, prepare=prepared)

        read = _side_by_side(store, span, size, parallel, stretch) if store.remote else _one_ahead(stretch(span))
        async with aclosing(read):
            async for batch in read:
                yield batch


async def _one_ahead(read: AsyncGenerator[Batch, None]) -> AsyncGenerator[Batch, None]:
    """Yield batches while the next one is made."""
    async with aclosing(read):
        upcoming = asyncio.ensure_future(anext(read, None))
        try:
            while (batch := await upcoming) is not None:
                upcoming = asyncio.ensure_future(anext(read, None))
                yield batch
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


async def _side_by_side(
    store: DurableStore, span: Range, size: int, parallel: int, stretch: Callable[[Range], AsyncGenerator[Batch, None]]
) -> AsyncGenerator[Batch, None]:
    """Yield batches in order; several are asked for at once, so that answers need not wait for each other."""
    seams = await store.splits(span.table, span.after, size) if span.rows > size else []
    if span.through is not None:
        seams = [seam for seam in seams if seam < span.through]
    starts = [span.after, *seams]
    ends = [*seams, span.through]

    async def fetch(part: Range) -> list[Batch]:
        return [batch async for batch in stretch(part)]

    async def fetch_first(part: Range) -> list[Batch]:
        async with aclosing(stretch(part)) as read:
            batch = await anext(read, None)
            return [] if batch is None else [batch]

    *closed, last = [Range(span.table, after, through, size) for after, through in zip(starts, ends, strict=True)]
    jobs = [*(partial(fetch, part) for part in closed), partial(fetch_first, last)]
    found: list[Batch] = []
    async with aclosing(ahead(iter(jobs), parallel)) as fetched:
        async for found in fetched:
            for batch in found:
                yield batch
    # What is behind the last seam has no known length: beyond its first page it is fetched page by page.
    if found and len(found[-1].page.rows) >= size and (after := key_of(found[-1].page.rows[-1])) != last.through:
        async for batch in stretch(replace(last, after=after)):
            yield batch


async def _between(
    store: DurableStore, span: Range, size: int, *, with_embeddings: bool, prepare: Callable[[Batch], Awaitable[Batch]]
) -> AsyncGenerator[Batch, None]:
    """Yield the pages of a stretch; more than one if rows came in since the seams were asked for."""
    after = span.after
    while True:
        page = await store.page(span.table, after, limit=size, through=span.through)
        if page.rows:
            embeddings = Page((), [])
            if with_embeddings:
                embeddings = await store.embeddings_of([str(row[0]) for row in page.rows])
            yield await prepare(Batch(page, embeddings))
            after = key_of(page.rows[-1])
        if len(page.rows) < size or after == span.through:
            return


async def ahead(jobs: Iterator[Callable[[], Awaitable[_Result]]], parallel: int) -> AsyncGenerator[_Result, None]:
    """Yield the results of jobs in their order, ``parallel`` of them running or done and waiting."""
    running: deque[asyncio.Future[_Result]] = deque()
    try:
        while True:
            while len(running) < parallel and (job := next(jobs, None)) is not None:
                running.append(asyncio.ensure_future(job()))
            if not running:
                return
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
