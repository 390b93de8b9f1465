"""A fake Supermemory for the tests of its service; held against the vendor's description where that is at hand."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from dm_memory.services.supermemory.service import SupermemoryService
from tests.services.payloads import BRAND
from tests.services.supermemory.fake_supermemory import KEY, FakeSupermemory

SHARED = "DM_MEMORY_SHARED"
DESCRIPTION = Path("specs") / "supermemory_v5_openapi.json"

LIST, ADD, UPDATE, DELETE = "POST list/documents", "POST document/batch", "PATCH document/id", "DELETE document"
CALLS = {LIST, ADD, UPDATE, DELETE}

Make = Callable[..., SupermemoryService]


@contextmanager
def serving(fake: FakeSupermemory) -> Iterator[str]:
    """Serve a fake from a thread of its own; yield its address."""
    config = uvicorn.Config(fake.app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[FakeSupermemory, str]]:
    """The fake of the session, and its address."""
    check = None
    if folder := os.environ.get(SHARED):
        from tests.services.supermemory.described import checker  # noqa: PLC0415  # needs the file

        check = checker(Path(folder) / DESCRIPTION)
    fake = FakeSupermemory(check)
    with serving(fake) as url:
        yield fake, url


@pytest.fixture
def fake(served: tuple[FakeSupermemory, str]) -> Iterator[FakeSupermemory]:
    """An empty Supermemory. All said must be as described; no text is ever appended to, no namespace deleted."""
    fake, _ = served
    fake.reset()
    yield fake
    assert fake.violations == []
    assert fake.appended == []
    assert set(fake.calls) <= CALLS


@pytest.fixture
def make(fake: FakeSupermemory, served: tuple[FakeSupermemory, str]) -> Make:
    """Return a function that makes services on the fake."""
    del fake

    def made(**changes: Any) -> SupermemoryService:
        settings: dict[str, Any] = {"url": served[1], "timeout": 10.0, **changes}
        return SupermemoryService(SecretStr(settings.pop("key", KEY)), settings.pop("brand", BRAND), **settings)

    return made
