"""The front door: everything the server, the tools and the command line ask of the core."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.cache.results import StorageSyncRequest, StorageSyncResult
from dm_memory.embedding.models import make_embedder
from dm_memory.items import Payload
from dm_memory.operations.doctor import examine
from dm_memory.operations.status import brand_status
from dm_memory.report.doctor import Check
from dm_memory.services.protocol import Layer, PausingLayer
from dm_memory.settings import Settings
from dm_memory.sync.pipeline import sync_brand
from dm_memory.sync.prepare import prepare_payload
from dm_memory.sync.requests import PrepareRequest, Progress, SearchRequest, SyncRequest, no_progress
from dm_memory.sync.results import MigrateResult, PrepareResult, SearchResult, StatusResult, SyncResult, VerifyResult
from dm_memory.sync.search import search_brand
from dm_memory.sync.state import Environment
from dm_memory.text.timestamps import Clock, from_iso, utc_now

if TYPE_CHECKING:
    from dm_memory.cache.view import CacheView
    from dm_memory.services.connect import VectorChoice

__all__ = ["LayerFactory", "Memory"]

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

LayerFactory = Callable[[str], Sequence[Layer]]
"""Makes the layers of a brand, the vector layer first."""


class Memory:
    """The memory of all brands of one home. Cheap to make; engines and models are opened when they are needed.

    Args:
        settings: The configuration.
        layers: Makes a brand's layers; by default those the settings ask for.
        clock: Tells the time.
    """

    def __init__(self, settings: Settings, layers: LayerFactory | None = None, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.home = Home(settings.home.expanduser())
        self._clock = clock
        self._make_layers = layers or self._configured_layers
        self._layers: dict[str, Sequence[Layer]] = {}
        self._embedder = make_embedder(settings.embedder)

    def brands(self) -> tuple[str, ...]:
        """Return the slugs of all brands. Raises ``HomeError``."""
        return self.home.brands()

    def resolve_brand(self, name: str | None) -> str:
        """Return the brand that is meant: the one named, else the configured, else the active one.

        Raises:
            BrandNotFoundError: There is none, or no such one; carries the slugs there are.
            HomeError: The home is missing or unreadable.
        """
        return self.home.resolve(name, self.settings.brand)

    async def sync(self, request: SyncRequest, progress: Progress = no_progress) -> SyncResult:
        """Bring a brand's memory up to date with its files.

        Cancelling this stops after the batch at hand; everything stored so far is recorded.

        Raises:
            DmMemoryError: Nothing could be done.
        """
        brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        stop = asyncio.Event()
        environment = self._environment(brand)
        for layer in environment.layers:
            if isinstance(layer, PausingLayer):
                layer.ask_again()  # who syncs again may just have mended what was wrong
        return await _stoppable(sync_brand(environment, request, brand, _safely(progress), stop), stop)

    async def status(self, brand: str | None = None) -> StatusResult:
        """Look at a brand's memory. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        from dm_memory.cache.view import view_cache  # noqa: PLC0415  # start-up imports no SQL
        from dm_memory.services.turso.opening import cache_place  # noqa: PLC0415  # as above

        result = await brand_status(self._environment(slug), slug, self.settings.report_items)
        view = await asyncio.to_thread(view_cache, cache_place(self.home.memory_dir(slug)))
        return replace(result, cache=view, cache_is_stale=self._is_stale(view))

    def _is_stale(self, view: CacheView | None) -> bool:
        """Tell whether a connected durable store may well have news that the cache lacks."""
        if not self.settings.turso_database_url:
            return False
        moment = from_iso(view.synced_at) if view is not None else None
        return moment is None or (self._clock() - moment).total_seconds() > self.settings.storage_interval

    async def prepare(self, request: PrepareRequest) -> PrepareResult:
        """Take in one payload for the next sync to store. Raises ``DmMemoryError``."""
        brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        stop = asyncio.Event()
        return await _stoppable(prepare_payload(self._environment(brand), request, brand, stop), stop)

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search a brand's memory. Raises ``DmMemoryError``."""
        brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        return await search_brand(self._environment(brand), request, brand)

    async def storage_sync(self, request: StorageSyncRequest, progress: Progress = no_progress) -> StorageSyncResult:
        """Bring a brand's local cache up to its durable store. A store that does not answer is a result.

        Raises:
            DmMemoryError: Nothing could be done: no such brand, a cache that others keep, settings that can't work.
        """
        from dm_memory.cache.sync import sync_storage  # noqa: PLC0415  # as above
        from dm_memory.services.connect import durable_store  # noqa: PLC0415  # only this call needs them
        from dm_memory.services.turso.opening import cache_place  # noqa: PLC0415  # as above

        brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        folder = await asyncio.to_thread(self.home.memory_dir, brand)
        store = durable_store(self.settings, folder, brand)
        try:
            parallel = self.settings.storage_parallel
            place = cache_place(folder)
            return await sync_storage(store, place, request, brand=brand, tell=_safely(progress), parallel=parallel)
        finally:
            await store.close()

    async def verify(
        self, brand: str | None = None, *, repair: bool = False, progress: Progress = no_progress
    ) -> VerifyResult:
        """Hold the registry against what every layer really holds, and mend what differs where asked to.

        Raises:
            DmMemoryError: Nothing could be done. A layer that fails is in the result.
        """
        from dm_memory.operations.verify import verify_brand  # noqa: PLC0415  # a rare command's own code

        slug = await asyncio.to_thread(self.resolve_brand, brand)
        stop = asyncio.Event()
        work = verify_brand(self._environment(slug), slug, repair=repair, progress=_safely(progress), stop=stop)
        return await _stoppable(work, stop)

    async def migrate(
        self, target: VectorChoice, brand: str | None = None, *, progress: Progress = no_progress
    ) -> MigrateResult:
        """Fill another vector database from the durable store alone. A migration that was stopped goes on.

        Where two are configured and none is chosen, the target is taken for the choice.

        Raises:
            ConfigurationError: The target is not configured.
            DmMemoryError: Nothing could be done. A target that fails is in the result.
        """
        from dm_memory.operations.migrate import migrate_brand  # noqa: PLC0415  # as above
        from dm_memory.services.connect import decided_for, vector_layer  # noqa: PLC0415  # a rare command's own code

        if (settings := decided_for(self.settings, target)) is not self.settings:
            decided = Memory(settings, clock=self._clock)
            try:
                return await decided.migrate(target, brand, progress=progress)
            finally:
                await decided.close()
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        stop = asyncio.Event()
        layer = vector_layer(self.settings, target, self.home.memory_dir(slug), slug, self._embedder)
        try:
            work = migrate_brand(self._environment(slug), slug, layer, progress=_safely(progress), stop=stop)
            return await _stoppable(work, stop)
        finally:
            await layer.close()

    async def doctor(self) -> list[Check]:
        """Check home, brands, files, engines and configuration. Never raises ``DmMemoryError``."""
        return await examine(self.settings, self.home, self._embedder, self._layers_of)

    async def close(self) -> None:
        """Close all engines."""
        for layers in self._layers.values():
            for layer in layers:
                await layer.close()
        self._layers.clear()

    def _layers_of(self, brand: str) -> Sequence[Layer]:
        if brand not in self._layers:
            self._layers[brand] = self._make_layers(brand)
        return self._layers[brand]

    def _configured_layers(self, brand: str) -> Sequence[Layer]:
        from dm_memory.services.connect import configured_layers  # noqa: PLC0415  # start-up imports no engine's code

        return configured_layers(self.settings, self.home.memory_dir(brand), brand, self._embedder)

    @staticmethod
    def _cached(folder: Path) -> list[Payload]:
        from dm_memory.cache.entries import cached_payloads  # noqa: PLC0415  # only where the store is silent
        from dm_memory.services.turso.opening import cache_place  # noqa: PLC0415  # as above

        return cached_payloads(cache_place(folder))

    def _environment(self, brand: str) -> Environment:
        from dm_memory.services.connect import script_name  # noqa: PLC0415  # as above

        settings = self.settings
        return Environment(
            home=self.home,
            layers=self._layers_of(brand),
            policy=settings.personal_data,
            limits=Limits(settings.max_file_bytes, settings.max_content_chars),
            clock=self._clock,
            lock_timeout=settings.lock_timeout,
            batch_items=settings.batch_size,
            data_items=settings.data_items,
            vector_db=script_name(settings),
            cached_entries=self._cached,
        )


async def _stoppable(work: Coroutine[Any, Any, _Result], stop: asyncio.Event) -> _Result:
    """Await ``work``; when cancelled, ask it to stop, and let it end in order before the cancellation goes on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        # anyio (the MCP SDK) cancels again and again until the scope is left; a shielded scope keeps it out.
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            _log.warning("the cancelled call ended with %s", type(task.exception()).__name__)
        raise


def _safely(progress: Progress) -> Progress:
    """Keep a sync going whatever becomes of the one who listens."""

    async def report(message: str, done: int, total: int) -> None:
        try:
            await progress(message, done, total)
        except Exception as error:  # noqa: BLE001  # a client that is gone must not cost the items
            _log.info("progress could not be reported: %s", type(error).__name__)

    return report
