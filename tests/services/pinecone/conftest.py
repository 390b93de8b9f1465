"""A fake Pinecone for the tests of its service; held against the vendor's descriptions where they are at hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.services.pinecone import index as pinecone_index
from dm_memory.services.pinecone.service import PineconeService
from tests.services.payloads import BRAND
from tests.services.pinecone.fake_pinecone import KEY
from tests.services.pinecone.fake_server import Checker, FakeServer, serving

SHARED = "DM_MEMORY_SHARED"


@pytest.fixture
def play() -> Callable[[PineconeService, Callable[[PineconeService], Awaitable[Any]]], Any]:
    """Return a function that plays a scenario on a service in an event loop and closes the service."""

    def played(service: PineconeService, scenario: Callable[[PineconeService], Awaitable[Any]]) -> Any:
        async def act() -> Any:
            try:
                return await scenario(service)
            finally:
                await service.close()

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
def make(fake: FakeServer) -> Callable[..., PineconeService]:
    """Return a function that makes services on the fake."""

    def made(**changes: Any) -> PineconeService:
        settings: dict[str, Any] = {
            "host": fake.url,
            "model": "multilingual-e5-large",
            "cloud": "aws",
            "region": "us-east-1",
            "limit": 2_000_000_000,
            "timeout": 10,
        }
        key = SecretStr(changes.pop("key", KEY))
        return PineconeService(
            key, changes.pop("index", "dm-memory"), changes.pop("brand", BRAND), **settings | changes
        )

    return made
