"""The durable store keeps the vectors of a Qdrant server, also of what reached the server later than the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dm_memory.services.turso.service import DurableLayer
from tests.services.qdrant.stub import Answer, trouble
from tests.services.qdrant.wire import running
from tests.support.brands import make_home
from tests.support.product import CAMPAIGNS, INSIGHTS, ITEMS, Product


def kept(product: Product) -> tuple[int, int]:
    """Return how many episodes the durable store has, and how many of them with vectors."""
    with closing(sqlite3.connect(product.home.memory / "memory.db")) as connection:
        (episodes,) = connection.execute("SELECT count(*) FROM episodes").fetchone()
        (vectors,) = connection.execute("SELECT count(DISTINCT item_id) FROM embeddings").fetchone()
    return episodes, vectors


def product_at(url: str, folder: Path) -> Product:
    product = Product(make_home(folder / "home", insights=INSIGHTS, campaigns=CAMPAIGNS))
    product.settings = {"qdrant_url": url, "layer_attempts": 1}
    return product


def test_what_a_server_that_was_down_got_later_has_its_vectors_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> Answer:
        return trouble(503)

    with running() as server:
        product = product_at(server.url, tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(server, "answer", down)
            assert product.sync().status == "partial"
        assert kept(product) == (ITEMS, 0)
        assert product.sync().status == "complete"
        assert kept(product) == (ITEMS, ITEMS)


def test_a_write_that_ended_before_its_vectors_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended(*_: object) -> None:
        raise KeyboardInterrupt

    with running() as server:
        product = product_at(server.url, tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(DurableLayer, "_keep_vectors", ended)
            with pytest.raises(KeyboardInterrupt):
                product.sync()
        assert kept(product)[1] == 0
        assert product.sync().status == "complete"
        assert kept(product) == (ITEMS, ITEMS)
