"""A brand is synced to Pinecone by the product itself, with its store, its outbox and the guard."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from dm_memory.api import Memory
from dm_memory.errors import ErrorClass
from dm_memory.requests import SyncRequest
from dm_memory.results import ServiceResult, SyncResult
from dm_memory.settings import Settings
from tests.services.pinecone.fake_pinecone import KEY, Record
from tests.services.pinecone.fake_server import FakeServer, hanging, reply
from tests.support.brands import make_home
from tests.support.product import CAMPAIGNS, INSIGHTS, ITEMS, Product


@pytest.fixture
def product(fake: FakeServer, tmp_path: Path) -> Product:
    made = Product(make_home(tmp_path / "home", insights=INSIGHTS, campaigns=CAMPAIGNS))
    made.settings = {
        "pinecone_api_key": SecretStr(KEY),
        "pinecone_host": fake.url,
        "layer_timeout": 5.0,
        "layer_attempts": 1,
    }
    return made


def vector(result: SyncResult) -> ServiceResult:
    (found,) = [service for service in result.services if service.name.startswith("vector@pinecone:")]
    return found


def space(fake: FakeServer, product: Product) -> dict[str, Record]:
    return fake.pinecone.indexes["dm-memory"].space(product.home.slug)


def test_a_brand_is_stored_once(product: Product, fake: FakeServer) -> None:
    first = product.sync()
    assert (first.status, vector(first).stored) == ("complete", ITEMS)
    assert len(space(fake, product)) == len(fake.pinecone.embedded) == ITEMS
    assert vector(first).capacity is not None
    second = product.sync()
    assert (second.status, vector(second).stored, len(fake.pinecone.embedded)) == ("complete", 0, ITEMS)


def test_without_its_store_nothing_is_embedded_again(product: Product, fake: FakeServer) -> None:
    product.sync()
    for path in product.home.memory.glob("memory.db*"):
        path.unlink()
    again = product.sync()
    assert again.status == "complete"
    assert len(fake.pinecone.embedded) == len(space(fake, product)) == ITEMS


def test_forcing_stores_everything_again_under_the_same_ids(product: Product, fake: FakeServer) -> None:
    product.sync()
    before = set(space(fake, product))
    assert product.sync(force=True).status == "complete"
    assert set(space(fake, product)) == before
    assert len(fake.pinecone.embedded) == 2 * ITEMS


def test_a_service_that_hangs_costs_one_deadline_and_loses_nothing(product: Product, fake: FakeServer) -> None:
    product.settings["layer_timeout"] = 0.5
    fake.faults["POST /records/upsert"] = hanging
    failed = vector(product.sync())
    assert failed.failure is not None
    assert (failed.failure.error_class, failed.queued) == (ErrorClass.TIMEOUT, ITEMS)
    assert fake.count("POST /records/upsert") == 1
    fake.faults.clear()
    product.settings["layer_timeout"] = 5.0
    assert vector(product.sync()).stored == ITEMS
    assert len(space(fake, product)) == len(fake.pinecone.embedded) == ITEMS


def test_a_rate_limit_is_told_as_one_and_not_slept_through(product: Product, fake: FakeServer) -> None:
    product.settings["layer_attempts"] = 4
    fake.faults["POST /records/upsert"] = reply(429, {"code": 8, "message": "slow down"}, retry_after="40")
    failed = vector(product.sync())
    assert failed.failure is not None
    assert (failed.failure.error_class, failed.queued) == (ErrorClass.RATE_LIMIT, ITEMS)
    assert fake.count("POST /records/upsert") == 1


def test_a_bad_key_is_told_before_anything_is_sent(product: Product, fake: FakeServer) -> None:
    product.settings["pinecone_api_key"] = SecretStr("pcsk_wrong")
    failed = vector(product.sync())
    assert failed.failure is not None
    assert failed.failure.error_class == ErrorClass.AUTH
    assert "PINECONE_API_KEY" in failed.failure.remedy
    assert fake.count("POST /records/upsert") == 0


def test_a_sync_right_after_the_service_was_mended_is_not_told_of_the_old_trouble(
    product: Product, fake: FakeServer
) -> None:
    async def act() -> list[SyncResult]:
        memory = Memory(Settings(home=product.home.root, embedder=product.embedder, **product.settings))
        try:
            fake.faults["POST /records/upsert"] = reply(503, {"error": {"message": "down"}})
            first = await memory.sync(SyncRequest(brand=product.home.slug))
            fake.faults.clear()
            return [first, await memory.sync(SyncRequest(brand=product.home.slug))]
        finally:
            await memory.close()

    first, second = asyncio.run(act())
    assert vector(first).queued == ITEMS
    assert (second.status, vector(second).stored) == ("complete", ITEMS)


def test_sync_and_status_give_one_size(product: Product) -> None:
    synced = vector(product.sync()).capacity
    (service,) = product.status().services
    assert synced == service.capacity
    assert synced is not None
    assert synced.used > 0
