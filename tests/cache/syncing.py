"""A durable store, a cache beside it, and the comparison of the two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.cache import Cache
from dm_memory.cache.engine import CacheUnavailableError, Writer
from dm_memory.cache.opening import CachePlace, EngineChoice, open_cache
from dm_memory.cache.records import Record, row_of
from dm_memory.cache.results import StorageSyncRequest, StorageSyncResult
from dm_memory.cache.sync import sync_storage
from dm_memory.embedding.batch import pack
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.requests import no_progress
from dm_memory.services.turso.protocol import Key, Page, Survey
from dm_memory.services.turso.rows import EmbeddingRow, EpisodeRow, PatternRow
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.sqlite import open_memory
from dm_memory.services.turso.store import DurableStore
from tests.cache.file_engine import file_store

__all__ = ["BRAND", "Busy", "Flaky", "Pair", "embedding", "episode", "pattern", "stopped"]

BRAND = "acme"


def episode(number: int, text: str = "text") -> EpisodeRow:
    return EpisodeRow(
        id=f"e{number}", brand=BRAND, key=f"insight/{number}", kind="insight", content_type="performance-insight",
        source="sync", content=f"{text} {number}", content_hash="0" * 64, metadata_hash="1" * 64, tags="[]", facts="{}",
        recorded_at="2026-10-01T09:00:00", created_at="2026-10-01T09:00:00", version=1, updated_from="",
        priority="normal", expires_at="", related="[]",
    )  # fmt: skip


def pattern(number: int, rate: float = 0.5) -> PatternRow:
    return PatternRow(
        id=f"p{number}", brand=BRAND, text=f"pattern {number}", outcome="mixed", occurrence_count=2, worked_count=1,
        failed_count=1, success_rate=rate, campaigns="[]", channels="[]", episode_ids="[]", first_seen="", last_seen="",
    )  # fmt: skip


def embedding(item_id: str, value: float = 1.0, chunk: int = 0) -> EmbeddingRow:
    return EmbeddingRow(
        id=f"v-{item_id}-{chunk}", brand=BRAND, item_id=item_id, item_type="episode", chunk=chunk,
        content_hash="0" * 64, model="m", dimension=2, vector=pack([value, 0.0]),
    )  # fmt: skip


class Flaky:
    """A durable store that fails after ``left`` more answers, and can be told to be well again.

    It passes for a remote one unless it is told otherwise: pages are asked for side by side then.
    """

    def __init__(self, store: DurableStore, left: int | None = None, *, remote: bool = True) -> None:
        self._store = store
        self.left = left
        self.remote = remote
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if self.left is not None:
                if self.left <= 0:
                    raise ServiceError("Turso is not reachable.", "Wait.", error_class=ErrorClass.UNAVAILABLE)
                self.left -= 1
            return await found(*arguments, **options)

        return call


class Busy(Flaky):
    """A store into which others write before its first page is read."""

    def __init__(self, pair: Pair, rows: Sequence[EpisodeRow], *, remote: bool = False) -> None:
        super().__init__(pair.memory, remote=remote)
        self._pair = pair
        self._rows = rows

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name != "page":
            return found

        async def page(*arguments: Any, **options: Any) -> Any:
            if "page" not in self.calls:
                await self._pair.store.upsert_episodes(self._rows)
            return await found(*arguments, **options)

        return page


def stopped(pair: Pair, left: int, **options: Any) -> bool:
    """Run a sync that ends before the cache's transaction number ``left``; return whether it got there.

    As a killed process leaves it: whole transactions, and nothing of the one that was under way.
    """
    made, number = Cache.__init__, count()

    def limited(cache: Cache, engine: Any, *arguments: Any, **more: Any) -> None:
        real = engine.write

        @contextmanager
        def write() -> Iterator[Writer]:
            if next(number) >= left:
                raise CacheUnavailableError("stopped", "")
            with real() as writer:
                yield writer

        engine.write = write
        made(cache, engine, *arguments, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Cache, "__init__", limited)
        try:
            pair.sync(**options)
        except CacheUnavailableError:
            return True
    return False


class Pair:
    """A store in a file, which the product reads as memory.db, and a cache in a folder."""

    def __init__(self, folder: Path, engine: EngineChoice = "sqlite", **options: Any) -> None:
        self.folder = folder
        self.options = options
        self.store = file_store(folder / "memory", BRAND)
        self.memory = open_memory(folder / "memory", BRAND)
        self.flaky = Flaky(self.memory)
        self.place = CachePlace(folder / "memory" / "cache", engine, 2.0)
        self.runner = asyncio.Runner()

    def put(self, *rows: EpisodeRow | PatternRow | EmbeddingRow) -> None:
        """Write rows to the store."""
        for kind, write in (
            (EpisodeRow, self.store.upsert_episodes),
            (PatternRow, self.store.upsert_patterns),
            (EmbeddingRow, self.store.upsert_embeddings),
        ):
            some: Any = [row for row in rows if isinstance(row, kind)]
            if some:
                self.runner.run(write(some))

    def delete(self, table: Table, ids: Iterable[str]) -> None:
        self.runner.run(self.store.delete(table, [*ids]))

    def sync(self, store: Any = None, **options: Any) -> StorageSyncResult:
        request = StorageSyncRequest(**{**self.options, **options})
        source: Any = store or self.flaky
        return self.runner.run(sync_storage(source, self.place, request, brand=BRAND, tell=no_progress, parallel=3))

    def cached(self, table: Table) -> dict[str, dict[str, Any]]:
        """Return the cache's rows."""
        with open_cache(self.place.folder, self.place.engine) as cache:
            assert cache.check() == []
            records: list[Record] = [record for page in cache.scan(table) for record in page]
        return {record.key: row_of(table, record) for record in records}

    def held(self, table: Table) -> dict[str, dict[str, Any]]:
        """Return the store's rows."""
        page: Page = self.runner.run(self.store.page(table, limit=100_000))
        return {str(row[0]): dict(zip(page.columns, row, strict=True)) for row in page.rows}

    def assert_the_same(self, keep: int) -> None:
        """The cache holds the newest ``keep`` episodes, all patterns, the embeddings of both, and nothing else."""
        newest: list[Key] = self.runner.run(self.store.newest_episodes(keep))
        episodes = self.held(Table.EPISODES)
        assert self.cached(Table.EPISODES) == {identity: episodes[identity] for _, identity in newest}
        patterns = self.held(Table.PATTERNS)
        assert self.cached(Table.PATTERNS) == patterns
        owners = {identity for _, identity in newest} | patterns.keys()
        embeddings = {key: row for key, row in self.held(Table.EMBEDDINGS).items() if row["item_id"] in owners}
        assert self.cached(Table.EMBEDDINGS) == embeddings

    def survey(self) -> Survey:
        return self.runner.run(self.store.survey({}))

    def close(self) -> None:
        self.runner.run(self.memory.close())
        self.runner.run(self.store.close())
        self.runner.close()
