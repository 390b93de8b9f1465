"""``verify`` finds and mends drift; ``migrate`` fills another vector database from the durable store alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.api import Memory
from dm_memory.errors import ConfigurationError, ErrorClass, LayerError
from dm_memory.items import storage_id
from dm_memory.operations.migrate import migrate_brand
from dm_memory.report import migrate_report, verify_report
from dm_memory.services.turso.service import DurableLayer
from dm_memory.settings import Settings
from dm_memory.requests import SearchRequest, SessionLearning, SyncRequest, no_progress
from dm_memory.results import MigrateResult, VerifyResult
from dm_memory.text.hashing import content_hash
from tests.sync.conftest import BRAND, Bench, opened
from tests.sync.memory_layer import DictLayer

pytestmark = pytest.mark.anyio

DOWN = LayerError("Down.", "Wait.", error_class=ErrorClass.UNAVAILABLE)


async def verified(bench: Bench, *, repair: bool = False) -> VerifyResult:
    return await bench.memory.verify(BRAND, repair=repair)


async def test_a_healthy_memory_agrees(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    result = await verified(bench)
    assert (result.exit_code, result.layers[0].checked, result.layers[0].differing) == (0, 2, 0)
    assert "agree" in verify_report(result).text


async def test_what_is_missing_stale_or_unknown_is_told_apart_and_nothing_is_changed(bench: Bench) -> None:
    bench.insights("one", "two", "three")
    await bench.sync()
    drift(bench)
    before = dict(bench.layer.held)
    (layer,) = (await verified(bench)).layers
    assert (layer.missing, layer.stale, layer.unknown, layer.repaired) == (1, 1, 1, 0)
    assert bench.layer.held == before
    assert (await bench.memory.status(BRAND)).last_run_status == "complete"


async def test_repair_mends_all_of_it_and_writes_nothing_else(bench: Bench) -> None:
    bench.insights("one", "two", "three")
    await bench.sync()
    drift(bench)
    bench.layer.upserted.clear()
    result = await verified(bench, repair=True)
    assert (result.exit_code, result.layers[0].repaired) == (0, 3)
    assert len(bench.layer.upserted) == 2
    assert bench.held_texts() == ["from another hand", "one", "three", "two"]
    again = await verified(bench)
    assert (again.exit_code, again.layers[0].checked) == (0, 4)
    assert (await bench.sync()).counts.stored == 0


async def test_an_entry_that_spoils_the_listing_is_mended_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    bench.layer.held.popitem()
    whole = bench.layer.entries

    async def listed(after: str | None, limit: int) -> Any:
        if len(bench.layer.held) < 2:
            raise LayerError("Junk.", "-", error_class=ErrorClass.MALFORMED_REPLY)
        return await whole(after, limit)

    monkeypatch.setattr(bench.layer, "entries", listed)
    assert (await verified(bench)).layers[0].failure is not None
    result = await verified(bench, repair=True)
    assert (result.exit_code, result.layers[0].repaired, len(bench.layer.held)) == (0, 1, 2)


async def test_a_duplicate_that_should_have_gone_is_removed(bench: Bench) -> None:
    bench.insights("same", "same")
    await bench.sync()
    ((id_, payload),) = bench.layer.held.items()
    other = "insight/2026-11-02T10:00:01.000001"
    stray = replace(payload, id=storage_id(BRAND, other), key=other)
    bench.layer.held[stray.id] = stray
    result = await verified(bench, repair=True)
    assert (result.layers[0].unknown, result.layers[0].repaired) == (1, 1)
    assert list(bench.layer.held) == [id_]


async def test_a_layer_that_is_down_is_told_of_and_the_others_are_compared(bench: Bench) -> None:
    second = DictLayer("graph")
    bench.more_layers = [second]
    bench.insights("one")
    await bench.sync()
    bench.layer.down = DOWN
    second.held.clear()
    result = await verified(bench)
    assert result.exit_code == 1
    assert [(layer.failure is not None, layer.missing) for layer in result.layers] == [(True, 0), (False, 1)]
    assert "could be compared" in verify_report(result).text


def drift(bench: Bench) -> None:
    """Take one entry away, damage one, and add one from another hand."""
    one, two, _ = sorted(bench.layer.held.values(), key=lambda payload: payload.content)
    del bench.layer.held[one.id]
    bench.layer.held[two.id] = replace(two, content="old", content_hash="0" * 64)
    text = "from another hand"
    key = f"session/{content_hash(text)}"
    bench.layer.held[storage_id(BRAND, key)] = replace(
        one, id=storage_id(BRAND, key), key=key, kind="session", content=text, content_hash=content_hash(text)
    )


# Migration -----------------------------------------------------------------------------------------------------------


class Store(Bench):
    """A brand whose durable store is a real one."""

    @property
    def memory(self) -> Memory:
        return Memory(Settings(home=self.home), layers=self.layers, clock=lambda: self.now)

    def layers(self, _: str) -> Sequence[Any]:
        return [self.layer, DurableLayer(opened(self.memory_dir))]

    async def migrate(self, target: DictLayer, stop: asyncio.Event | None = None) -> MigrateResult:
        return await migrate_brand(
            self.memory._environment(BRAND), BRAND, target, progress=no_progress, stop=stop or asyncio.Event()
        )

    def forget_all_but_the_store(self) -> None:
        for path in self.memory_dir.glob("registry.db*"):
            path.unlink()
        (self.folder / "insights.json").unlink()
        self.layer.held.clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


async def test_another_database_is_filled_from_the_durable_store_alone(store: Store) -> None:
    store.insights("one", "two")
    await store.sync(session_learnings=(SessionLearning("three"),))
    before = dict(store.layer.held)
    store.forget_all_but_the_store()
    target = DictLayer("vector@qdrant:host/c")
    result = await store.migrate(target)
    assert (result.exit_code, result.due, result.held, result.sampled, result.differing) == (0, 3, 3, 3, 0)
    assert target.held == before
    assert "Everything is there" in migrate_report(result).text
    store.layer = target
    synced = await store.sync()
    assert (synced.status, synced.counts.stored, len(target.upserted)) == ("complete", 0, 3)


async def test_a_migration_that_was_stopped_or_cut_off_goes_on_where_it_was(store: Store) -> None:
    store.insights(*(f"text {number}" for number in range(600)))
    await store.sync()
    target = DictLayer("vector@pinecone:host/c")
    stop = asyncio.Event()
    target.after_upsert = stop.set
    first = await store.migrate(target, stop)
    assert (first.exit_code, first.stopped) == (1, True)
    done = len(target.upserted)
    assert 0 < done < 600
    target.after_upsert = lambda: None
    second = await store.migrate(target)
    assert (second.exit_code, second.due, len(target.upserted)) == (0, 600 - done, 600)
    assert target.needless == []


async def test_a_target_that_fails_or_lies_is_not_called_complete(store: Store) -> None:
    store.insights("one", "two")
    await store.sync()
    down = DictLayer("vector@a")
    down.down = DOWN
    assert (await store.migrate(down)).failure is not None
    forgetful = DictLayer("vector@b")
    forgetful.after_upsert = forgetful.held.clear
    result = await store.migrate(forgetful)
    assert (result.exit_code, result.differing) == (1, 2)
    picky = DictLayer("vector@c")
    refused = LayerError("No.", "-", error_class=ErrorClass.VALIDATION)
    picky.refuse = lambda payload: refused if payload.content == "two" else None
    result = await store.migrate(picky)
    assert (result.exit_code, result.failed, len(picky.held)) == (1, 1, 1)


async def test_a_sync_in_between_is_not_held_up_by_a_half_done_migration(store: Store) -> None:
    store.insights("one", "two")
    await store.sync()
    target = DictLayer("vector@qdrant:host/c")
    target.down = DOWN
    await store.migrate(target)
    assert (await store.sync()).status == "complete"
    target.down = None
    assert (await store.migrate(target)).exit_code == 0


async def test_an_empty_store_is_not_called_a_migration_that_is_done(store: Store) -> None:
    text = migrate_report(await store.migrate(DictLayer("vector@qdrant:host/c"))).text
    assert "nothing to move" in text
    assert "Everything is there" not in text
    assert "Sync first" in text


async def test_the_target_is_the_choice_where_two_databases_are_configured(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    both = {"qdrant_url": "http://127.0.0.1:9", "pinecone_api_key": SecretStr("pcsk_key")}
    dead = {"pinecone_host": "http://127.0.0.1:9", "layer_attempts": 1}
    memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed", **both, **dead))
    result = await memory.migrate("pinecone", BRAND)
    assert result.failure is not None
    assert result.target.startswith("Pinecone")
    await memory.close()


async def test_a_target_that_is_not_configured_is_told_by_the_variable_that_is_missing(tmp_path: Path) -> None:
    memory = Memory(Settings(home=Bench(tmp_path / "home").home, embedder="tests.support.embedders:hashed"))
    with pytest.raises(ConfigurationError) as caught:
        await memory.migrate("pinecone", BRAND)
    assert "PINECONE_API_KEY is not set" in caught.value.problem
    assert "DM_MEMORY_VECTOR_DB" not in str(caught.value)


async def test_the_embedded_engine_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    settings = Settings(home=bench.home, embedder="tests.support.embedders:hashed")
    memory = Memory(settings)
    await memory.sync(SyncRequest(brand=BRAND, session_learnings=(SessionLearning("zebra stripes sell"),)))
    await memory.close()
    for path in [*bench.memory_dir.glob("registry.db*"), *(bench.memory_dir / "vector").rglob("*")]:
        if path.is_file():
            path.unlink()
    memory = Memory(settings)
    result = await memory.migrate("embedded", BRAND)
    assert (result.exit_code, result.held) == (0, 1)
    found = await memory.search(SearchRequest("zebra", brand=BRAND))
    assert [hit.content for hit in found.hits] == ["zebra stripes sell"]
    await memory.close()
