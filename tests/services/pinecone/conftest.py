"""A fake Pinecone for the tests of its layer; held against the vendor's descriptions where they are at hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.services.pinecone import index as pinecone_index
from dm_memory.services.pinecone.service import PineconeLayer
from tests.services.payloads import BRAND
from tests.services.pinecone.fake_pinecone import KEY
from tests.services.pinecone.fake_server import Checker, FakeServer, serving

SHARED = "DM_MEMORY_SHARED"


@pytest.fixture
def play() -> Callable[[PineconeLayer, Callable[[PineconeLayer], Awaitable[Any]]], Any]:
    """Return a function that plays a scenario on a layer in an event loop and closes the layer."""

    def played(layer: PineconeLayer, scenario: Callable[[PineconeLayer], Awaitable[Any]]) -> Any:
        async def act() -> Any:
            try:
                return await scenario(layer)
            finally:
                await layer.close()

        return asyncio.run(act())

    return played


@pytest.fixture(scope="session")
def check() -> Checker | None:
    """Holds requests and replies against the descriptions; None where they are not at hand."""
    folder = os.environ.get(SHARED)
    if not folder:
        return None
    from tests.services.pinecone.descriptions import checker  # noqa: PLC0415  # needs the files

    return checker(Path(folder) / "specs")


@pytest.fixture(scope="module")
def running(check: Checker | None) -> Iterator[FakeServer]:
    """The server of a module."""
    with serving(check) as server:
        yield server


@pytest.fixture
def fake(running: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    """An empty project; what was asked and answered must be as the vendor describes it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)  # the fake speaks plain HTTP: loading certificates takes longer
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # than most of these tests
    monkeypatch.setattr(pinecone_index, "_POLL", 0.001)
    running.reset()
    yield running
    assert running.violations == []


@pytest.fixture
def make(fake: FakeServer) -> Callable[..., PineconeLayer]:
    """Return a function that makes layers on the fake."""

    def made(**changes: Any) -> PineconeLayer:
        settings: dict[str, Any] = {
            "host": fake.url,
            "model": "multilingual-e5-large",
            "cloud": "aws",
            "region": "us-east-1",
            "limit": 2_000_000_000,
            "timeout": 10,
        }
        key = SecretStr(changes.pop("key", KEY))
        return PineconeLayer(key, changes.pop("index", "dm-memory"), changes.pop("brand", BRAND), **settings | changes)

    return made
