"""The embedding model loads behind ``tools/list``, so that the first search is warm."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from mcp.client.client import Client

from dm_memory.errors import ConfigurationError
from dm_memory_server.app import build_server
from dm_memory_server.background import preloading
from dm_memory_tools.runtime import Runtime


class Model:
    """A model that tells when it was loaded, and on which thread."""

    spec = None

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.loaded = threading.Event()
        self.thread: threading.Thread | None = None

    def embed_query(self, text: str) -> list[float]:
        del text
        self.thread = threading.current_thread()
        self.loaded.set()
        if self.error is not None:
            raise self.error
        return [1.0]


class Opened:
    """A core with nothing but a model."""

    def __init__(self, embedder: Model | None) -> None:
        self.embedder = embedder

    async def close(self) -> None:
        """Nothing to close."""


def runtime_with(model: Model | None) -> Runtime:
    return Runtime(lambda: cast("Any", Opened(model)))


def test_a_client_that_lists_the_tools_finds_the_model_loaded_soon_after() -> None:
    model = Model()

    async def act() -> None:
        async with Client(build_server(runtime_with(model))) as client:
            assert not model.loaded.is_set()
            await client.list_tools()
            assert await asyncio.to_thread(model.loaded.wait, 60)

    asyncio.run(act())
    assert model.thread is not threading.main_thread()


@pytest.mark.parametrize("error", [ConfigurationError("No weights.", "Install."), RuntimeError("bug")])
def test_a_model_that_can_not_be_loaded_ends_nothing(error: Exception) -> None:
    model = Model(error)

    async def act() -> None:
        runtime = runtime_with(model)
        async with preloading(runtime, after=0.0):
            runtime.listed.set()
            assert await asyncio.to_thread(model.loaded.wait, 60)
        await runtime.close()

    asyncio.run(act())


def test_without_a_client_that_lists_tools_nothing_is_opened() -> None:
    def opener() -> Any:
        raise AssertionError("the core was opened")

    async def act() -> None:
        async with preloading(Runtime(opener), after=0.0):
            await asyncio.sleep(0)

    asyncio.run(act())
