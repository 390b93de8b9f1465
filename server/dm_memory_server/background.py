"""What the server does by itself: load the embedding model behind ``tools/list``, and follow a durable store.

The second only if ``TURSO_DATABASE_URL`` is set. No call waits for either, and none fails with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dm_memory.errors import DmMemoryError
from dm_memory_tools.bugs import log_bug
from dm_memory_tools.runtime import Runtime

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.embedding.protocol import Embedder

__all__ = ["preloading", "storage_syncs"]

_log = logging.getLogger("dm_memory")

_FIRST_AFTER = 3.0
"""Seconds: the client's first questions are answered before the core's imports take the interpreter."""

_PRELOAD_AFTER = 0.3
"""Seconds after ``tools/list``: what clients ask with it (prompts, resources) is answered first."""

_REST = 60.0
"""Seconds between two runs however often readers find the cache stale."""

_AGAIN_AFTER = 900.0
"""Seconds until the core is tried again where it can't be opened; the settings, which say it otherwise, are in it."""

_FIRST_SEARCH = ("dm_memory.search.search", "dm_memory.search.waiting", "dm_memory.report.search")
"""What the first search would import: about 70 ms of processor time."""


@asynccontextmanager
async def preloading(runtime: Runtime, after: float = _PRELOAD_AFTER) -> AsyncIterator[None]:
    """Load the core and its embedding model once a client has listed the tools, so that the first search is warm."""
    task = asyncio.create_task(_preload(runtime, after))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _preload(runtime: Runtime, after: float) -> None:
    await runtime.listed.wait()
    await asyncio.sleep(after)
    try:
        memory = await runtime.memory()
        if memory.embedder is not None:
            # On a thread: importing and loading takes most of a second of processor time.
            await asyncio.to_thread(_load, memory.embedder)
    except DmMemoryError as error:
        _log.info("the embedding model was not loaded ahead: %s", type(error).__name__)
    except Exception as error:  # noqa: BLE001  # a model of the user's own: the call that needs it reports it
        log_bug(error, "loading the embedding model ahead")


def _load(embedder: Embedder) -> None:
    for module in _FIRST_SEARCH:
        importlib.import_module(module)
    _ = embedder.spec
    embedder.embed_query("warm")


@asynccontextmanager
async def storage_syncs(
    runtime: Runtime, first_after: float = _FIRST_AFTER, rest: float = _REST
) -> AsyncIterator[None]:
    """Sync the active brand in the background while the block runs; no call waits for it, and none fails with it."""
    if not os.environ.get("TURSO_DATABASE_URL"):
        yield
        return
    task = asyncio.create_task(_again_and_again(runtime, first_after, rest))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _again_and_again(runtime: Runtime, first_after: float, rest: float) -> None:
    await asyncio.sleep(first_after)
    while True:
        pause = _AGAIN_AFTER
        try:
            memory = await runtime.memory()
            pause = memory.settings.storage_interval
            pause = await _run(runtime, memory) or pause
        except DmMemoryError as error:
            _log.info("no storage sync: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # a bug here must not end the server
            log_bug(error, "syncing the durable store in the background")
        await _pause(runtime, pause, min(pause, rest))


async def _pause(runtime: Runtime, seconds: float, at_least: float) -> None:
    """Wait until the next turn, or until a reader finds the cache stale; a store that fails is left alone."""
    await asyncio.sleep(at_least)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(runtime.cache_is_stale.wait(), max(0.0, seconds - at_least))
    runtime.cache_is_stale.clear()


async def _run(runtime: Runtime, memory: Memory) -> float | None:
    """Sync once, as the cache was last asked for by hand; return the seconds to wait, where the store says how many."""
    from dm_memory.cache.results import StorageSyncRequest  # noqa: PLC0415  # start-up imports only what it needs

    result = await memory.storage_sync(StorageSyncRequest(as_before=True))
    runtime.brand_in_background = result.brand
    await memory.deliver_waiting(result.brand)  # what an earlier process was stopped before
    level = logging.WARNING if result.exit_code else logging.INFO
    _log.log(level, "storage sync: %s, %d findings", result.status.value, len(result.findings))
    return result.retry_after
