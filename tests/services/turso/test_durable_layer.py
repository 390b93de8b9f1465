"""The durable store as a layer: the contract on both engines, and the vectors it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dm_memory.errors import LayerError
from dm_memory.layers.qdrant_edge import QdrantEdgeLayer
from dm_memory.services.turso.rows import unpack_vector
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.service import DurableLayer
from dm_memory.services.turso.sqlite import open_sqlite_store
from dm_memory.services.turso.turso import open_turso_store
from tests.cache.conftest import Database
from tests.cache.sqld import Server
from tests.services.contract import LayerContract
from tests.services.payloads import BRAND, payload
from tests.support.embedders import HashEmbedder

LONG = "A sentence about customers and budgets. " * 120


class TestOnAFile(LayerContract):
    """The durable layer on its default engine."""

    @pytest.fixture
    def make_layer(self, tmp_path: Path) -> Callable[[], DurableLayer]:
        return lambda: DurableLayer(open_sqlite_store(tmp_path / "memory", BRAND))


@pytest.mark.sqld
class TestOnAServer(LayerContract):
    """The durable layer on a libsql-server."""

    @pytest.fixture
    def make_layer(self, sqld: Server) -> Callable[[], DurableLayer]:
        return lambda: DurableLayer(
            open_turso_store(sqld.url, None, BRAND), "durable@turso:test", batch_items=256, shared=True
        )


def pair(folder: Path) -> tuple[QdrantEdgeLayer, DurableLayer]:
    vector = QdrantEdgeLayer(folder / "vector", BRAND, HashEmbedder(), lock_timeout=30)
    return vector, DurableLayer(open_sqlite_store(folder, BRAND), vectors=vector)


async def vectors_in(durable: DurableLayer) -> dict[str, list[tuple[int, str, list[float]]]]:
    page = await durable._store.page(Table.EMBEDDINGS)
    held: dict[str, list[tuple[int, str, list[float]]]] = {}
    for row in page.rows:
        names = dict(zip(page.columns, row, strict=True))
        assert isinstance(names["vector"], bytes)
        entry = (int(names["chunk"] or 0), str(names["content_hash"]), unpack_vector(names["vector"]))
        held.setdefault(str(names["item_id"]), []).append(entry)
    return held


def test_vectors_are_kept_beside_their_episodes_chunk_by_chunk(tmp_path: Path) -> None:
    async def scenario() -> None:
        vector, durable = pair(tmp_path)
        payloads = [payload(1), payload(2, LONG)]
        await vector.upsert(payloads)
        await durable.upsert(payloads)
        held = await vectors_in(durable)
        expected = await vector.vectors([p.id for p in payloads])
        for entry in payloads:
            assert [(chunk, text) for chunk, text, _ in sorted(held[entry.id])] == [
                (number, entry.content_hash) for number in range(len(expected[entry.id].chunks))
            ]
            for (_, _, kept), made in zip(sorted(held[entry.id]), expected[entry.id].chunks, strict=True):
                assert kept == pytest.approx(list(made), abs=1e-6)
        assert len(held[payload(2).id]) > 1
        await vector.close()
        await durable.close()

    asyncio.run(scenario())


def test_a_changed_text_leaves_no_vector_of_the_old_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        vector, durable = pair(tmp_path)
        await vector.upsert([payload(1, LONG)])
        await durable.upsert([payload(1, LONG)])
        changed = replace(payload(1, "Short now."), version=2)
        await durable.upsert([changed])
        assert await vectors_in(durable) == {}
        await vector.upsert([changed])
        await durable.upsert([changed])
        assert [text for _, text, _ in (await vectors_in(durable))[changed.id]] == [changed.content_hash]
        await vector.close()
        await durable.close()

    asyncio.run(scenario())


def test_storing_again_what_is_there_moves_no_watermark(tmp_path: Path) -> None:
    async def scenario() -> None:
        vector, durable = pair(tmp_path)
        await vector.upsert([payload(1), payload(2)])
        await durable.upsert([payload(1), payload(2)])
        before = (await durable._store.survey({})).newest
        await durable.upsert([payload(2), payload(1)])
        assert (await durable._store.survey({})).newest == before
        await vector.close()
        await durable.close()

    asyncio.run(scenario())


def test_what_changed_is_told_by_hashes_in_order_and_then_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        _, durable = pair(tmp_path)
        await durable.upsert([payload(number) for number in range(5)])
        digests, place = await durable.changes(None)
        assert {digest.key for digest in digests} == {f"insight/{number}" for number in range(5)}
        assert await durable.changes(place) == ([], None)
        changed = replace(payload(3, "Another text."), version=2)
        await durable.upsert([changed, payload(1)])
        ((digest,), _) = await durable.changes(place)
        assert (digest.id, digest.content_hash) == (changed.id, changed.content_hash)
        assert await durable.payloads([changed.id]) == [changed]
        await durable.close()

    asyncio.run(scenario())


def test_entries_are_told_page_by_page(tmp_path: Path) -> None:
    async def scenario() -> None:
        _, durable = pair(tmp_path)
        await durable.upsert([payload(number) for number in range(7)])
        told, after = [], None
        while True:
            page, after = await durable.entries(after, 3)
            told += page
            if after is None:
                break
        assert sorted(told, key=lambda p: p.key) == [payload(number) for number in range(7)]
        await durable.close()

    asyncio.run(scenario())


def test_another_programs_database_is_never_written(database: Database) -> None:
    async def scenario() -> None:
        await database.run(
            "CREATE TABLE episodes (episode_id TEXT PRIMARY KEY, start_time INTEGER, created_at INTEGER);"
            "CREATE TABLE patterns (pattern_id TEXT PRIMARY KEY, updated_at INTEGER)"
        )
        durable = DurableLayer(database.store())
        health = await durable.health()
        assert not health.ok
        assert "do-memory" in health.detail
        with pytest.raises(LayerError, match="belongs to do-memory") as caught:
            await durable.changes(None)
        assert caught.value.concerns_whole_layer
        await durable.close()

    asyncio.run(scenario())
