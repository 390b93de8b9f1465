"""The front door: everything the server, the tools and the command line ask of the core."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from dm_memory import on_demand
from dm_memory.brand.files import Limits
from dm_memory.brand.home import NO_BRAND, Home
from dm_memory.embedding.batch import is_installed
from dm_memory.embedding.models import make_embedder
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import BrandNotFoundError, DmMemoryError, HomeError
from dm_memory.items import Item, Priority
from dm_memory.requests import (
    ForgetRequest,
    PrepareRequest,
    Progress,
    SessionLearning,
    SyncRequest,
    no_progress,
)
from dm_memory.results import (
    AllowResult,
    BackupResult,
    ExportResult,
    ForgetResult,
    HistoryResult,
    ImportResult,
    LastSyncResult,
    MigrateResult,
    PatternsResult,
    PrepareResult,
    RecallResult,
    RestoreResult,
    StatusResult,
    SyncResult,
    VerifyResult,
)
from dm_memory.services.protocol import Service
from dm_memory.settings import Settings
from dm_memory.sync.exchange import Team
from dm_memory.sync.handin.learnings import keep_unassigned
from dm_memory.sync.handin.prepare import prepare_payload
from dm_memory.sync.pipeline import sync_brand
from dm_memory.sync.run import Environment
from dm_memory.text.timestamps import Clock, from_iso, to_iso, utc_now

if TYPE_CHECKING:
    from dm_memory.cache.results import StorageSyncRequest, StorageSyncResult
    from dm_memory.cache.view import CacheView
    from dm_memory.operations.doctor import Check
    from dm_memory.search.results import SearchRequest, SearchResult
    from dm_memory.search.search import Searcher
    from dm_memory.search.waiting import BrandFiles
    from dm_memory.services.connect import VectorChoice

__all__ = ["Memory"]

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_ServiceFactory = Callable[[str], Sequence[Service]]
"""Makes the connected services of a brand, the vector database first."""


class _Search:
    """What search keeps between questions, made by the first one."""

    def __init__(self) -> None:
        self.searcher: Searcher | None = None
        self.files: BrandFiles | None = None


class Memory:
    """The memory of all brands of one home. Cheap to make; services and models are opened when they are needed.

    Args:
        settings: The configuration.
        services: Makes a brand's connected services; by default those the settings ask for.
        clock: Returns the present moment.
        embedder: The embedding model; by default the one the settings name.
    """

    def __init__(
        self,
        settings: Settings,
        services: _ServiceFactory | None = None,
        clock: Clock = utc_now,
        embedder: Embedder | None = None,
    ) -> None:
        self.settings = settings
        self.home = Home(settings.home.expanduser(), settings.only_brand.strip())
        self._limits = Limits(settings.max_file_bytes, settings.max_content_chars)
        self._clock = clock
        self._make_services = services or self._configured_services
        self._services: dict[str, Sequence[Service]] = {}
        self._search = _Search()
        self._team = Team()
        self.embedder = embedder or (make_embedder(settings.embedder) if is_installed(settings.embedder) else None)

    def only(self, brand: str) -> Memory:
        """Return the memory of one brand: every other one is as if it were not there, in results and in errors.

        It shares models, services and what search keeps with this one, which closes them.
        """
        view = copy.copy(self)
        view.home = self.home.narrowed(brand)
        return view

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
        request = replace(request, author=request.author or self.settings.author)
        try:
            brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        except (BrandNotFoundError, HomeError) as error:
            raise await asyncio.to_thread(self._without_brand, request, error) from None
        stop = asyncio.Event()
        environment = self._environment(brand)
        await self._team.make_way(brand)
        for service in environment.services:
            service.retry_now()  # who syncs again may just have repaired what was wrong
        return await _stoppable(sync_brand(environment, request, brand, _safely(progress, stop), stop), stop)

    def _without_brand(self, request: SyncRequest, error: DmMemoryError) -> DmMemoryError:
        """Keep the learnings of a call that names no brand there is, and return the error that says so."""
        named = request.brand or self.settings.brand or self.home.only
        if not request.session_learnings or request.dry_run or named:
            return error
        policy, now = self.settings.personal_data, to_iso(self._clock())
        try:
            kept, _ = keep_unassigned(
                self.home.root, request.session_learnings, policy, self._limits, now, request.author
            )
        except (OSError, DmMemoryError):
            return error
        learnings = "learning was" if kept == 1 else f"{kept} learnings were"
        problem = f"{error.problem} The {learnings} kept and will be stored with the first sync of a brand."
        brands = error.brands if isinstance(error, BrandNotFoundError) else ()
        return BrandNotFoundError(problem, error.remedy if brands else NO_BRAND, brands)

    async def init(self, name: str) -> str:
        """Make a minimal brand and make it active, for people without the plugin; return its slug.

        Raises:
            InputError: The name can't be a brand's, or there is such a brand.
            HomeError: The folders can't be written.
        """
        return await asyncio.to_thread(on_demand.init_brand, self.home, name, self._clock())

    async def status(self, brand: str | None = None, items: int | None = None) -> StatusResult:
        """Look at a brand's memory; ``items``: failed ones to list. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        environment = self._environment(slug)
        behind = await self._team.catch_up(environment, slug)
        result = await on_demand.brand_status(environment, slug, items or self.settings.report_items)
        result = replace(result, findings=(*result.findings, *behind))
        view = await asyncio.to_thread(on_demand.view_cache, on_demand.cache_place(self.home.memory_dir(slug)))
        return replace(result, cache=view, cache_is_stale=self._is_stale(view))

    def _is_stale(self, view: CacheView | None) -> bool:
        """Return whether a connected durable store may well have news that the cache lacks."""
        if not self.settings.turso_database_url:
            return False
        moment = from_iso(view.synced_at) if view is not None else None
        return moment is None or (self._clock() - moment).total_seconds() > self.settings.storage_interval

    async def prepare(self, request: PrepareRequest) -> PrepareResult:
        """Store one payload, or correct an entry (``request.replaces``).

        Raises:
            DmMemoryError: Nothing could be done. A text for no brand in particular waits for one, as learnings do.
        """
        request = replace(request, author=request.author or self.settings.author)
        try:
            brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        except (BrandNotFoundError, HomeError) as error:
            if request.replaces or request.expires_at or request.priority is not Priority.NORMAL:
                raise  # a learning has none of these
            text = SessionLearning(request.content, request.content_type, request.tags)
            learning = SyncRequest(brand=request.brand, session_learnings=(text,), author=request.author)
            raise await asyncio.to_thread(self._without_brand, learning, error) from None
        stop = asyncio.Event()
        environment = self._environment(brand)
        result = await _stoppable(prepare_payload(environment, request, brand, stop), stop)
        if request.purge and result.status == "corrected":
            work = on_demand.forget_replaced(environment, brand, result.replaced_hash, no_progress, stop)
            result = replace(result, purged=await _stoppable(work, stop))
        if result.status == "refused":
            return result
        delivering = self._team.hand_over(environment, brand)
        return replace(result, delivering=delivering, questions=await self._questions(result))

    async def deliver_waiting(self, brand: str) -> None:
        """Deliver what is due in the team's store, in the background; ``close`` ends that."""
        self._team.hand_over(self._environment(await asyncio.to_thread(self.resolve_brand, brand)), brand)

    async def _questions(self, result: PrepareResult) -> tuple[str, ...]:
        """Return questions that find what was handed in; none if search does not work, for the text is stored."""
        said = [word for each in result.suggested for word in each.words]
        try:
            brand, folder, (languages, _) = await asyncio.to_thread(self._for_search, result.brand)
            searcher = self._search.searcher
            assert searcher is not None  # noqa: S101  # made by ``_for_search``
            return await on_demand.questions_for(
                searcher, folder, brand, languages, result.existing_key or result.key, said
            )
        except Exception as error:  # noqa: BLE001  # the user's own model may raise anything
            _log.info("No question was tried for the stored text: %s", type(error).__name__)
            return ()

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search a brand's memory. Raises ``DmMemoryError``."""
        brand, folder, (languages, waiting) = await asyncio.to_thread(self._for_search, request.brand)
        behind = await self._team.catch_up(self._environment(brand), brand)
        searcher, services = self._search.searcher, self._services_of(brand)
        assert searcher is not None  # noqa: S101  # made by ``_for_search``
        result = await searcher.search(folder, brand, languages, request, services=services, waiting=waiting)
        return replace(result, findings=(*result.findings, *behind)) if behind else result

    def _for_search(self, name: str | None) -> tuple[str, Path, tuple[tuple[str, ...], Sequence[Item]]]:
        """Return the brand, its memory's folder, and what search needs of its files."""
        settings, search = self.settings, self._search
        if search.searcher is None or search.files is None:
            search.files = on_demand.BrandFiles(Home(self.home.root), self._limits, settings.personal_data)
            search.searcher = on_demand.Searcher(self.embedder, self._clock, settings.search_timeout)
        brand = self.resolve_brand(name)
        return brand, self.home.memory_dir(brand), search.files.read(brand)

    async def storage_sync(self, request: StorageSyncRequest, progress: Progress = no_progress) -> StorageSyncResult:
        """Bring a brand's local cache up to its durable store. A store that does not answer is a result.

        Raises:
            DmMemoryError: Nothing could be done: no such brand, a cache that others use, settings that can't work.
        """
        brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        folder = await asyncio.to_thread(self.home.memory_dir, brand)
        settings = self.settings
        store = on_demand.open_durable(
            folder,
            brand,
            url=settings.turso_database_url,
            token=settings.turso_auth_token,
            timeout=settings.storage_timeout,
        )
        try:
            parallel = settings.storage_parallel
            place = on_demand.cache_place(folder)
            return await on_demand.sync_storage(
                store, place, request, brand=brand, tell=_safely(progress), parallel=parallel
            )
        finally:
            await store.close()

    async def verify(
        self, brand: str | None = None, *, repair: bool = False, progress: Progress = no_progress
    ) -> VerifyResult:
        """Compare memory with itself and with what every service has, and repair what differs if that is asked for.

        Raises:
            DmMemoryError: Nothing could be done. A service that fails is in the result.
        """
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        stop = asyncio.Event()
        work = on_demand.verify_brand(
            self._environment(slug), slug, repair=repair, progress=_safely(progress, stop), stop=stop
        )
        return await _stoppable(work, stop)

    async def migrate(
        self, target: VectorChoice, brand: str | None = None, *, progress: Progress = no_progress
    ) -> MigrateResult:
        """Fill another vector database from memory. A migration that was stopped resumes.

        Raises:
            ConfigurationError: The target is not configured, or it is the memory itself.
            DmMemoryError: Nothing could be done. A target that fails is in the result.
        """
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        stop = asyncio.Event()
        service = on_demand.vector_service(self.settings, target, slug, self.embedder)
        try:
            work = on_demand.migrate_brand(
                self._environment(slug), slug, service, progress=_safely(progress, stop), stop=stop
            )
            return await _stoppable(work, stop)
        finally:
            await service.close()

    async def forget(self, request: ForgetRequest, progress: Progress = no_progress) -> ForgetResult:
        """Show what would be forgotten, forget it for good, or let it be stored again.

        Raises:
            InputError: It is not said what; or the preview's token is missing.
            DmMemoryError: Nothing could be done. A service that is down is in the result.
        """
        brand = await asyncio.to_thread(self.resolve_brand, request.brand)
        stop = asyncio.Event()
        environment = self._environment(brand)
        for service in environment.services:
            service.retry_now()
        return await _stoppable(
            on_demand.forget_brand(environment, request, brand, _safely(progress, stop), stop), stop
        )

    async def allow(self, value: str, brand: str | None = None, *, undo: bool = False) -> AllowResult:
        """Let something stand that the guard masks or leaves out, or, with ``undo``, no longer.

        Raises:
            InputError: The guard finds nothing in ``value``.
            DmMemoryError: Nothing could be done.
        """
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        stop = asyncio.Event()
        return await _stoppable(on_demand.allow_value(self._environment(slug), slug, value, stop, undo=undo), stop)

    async def history(self, key: str, brand: str | None = None) -> HistoryResult:
        """Return what an entry said when, and what changed it. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.history_of_key, self.home.memory_dir(slug), slug, key)

    async def patterns(self, brand: str | None = None, limit: int = 20) -> PatternsResult:
        """Return what worked and what failed over campaigns, and what contradicts itself. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.patterns_of_brand, self.home.memory_dir(slug), slug, limit)

    async def recall(self, brand: str | None = None) -> RecallResult:
        """Return what matters now for a brand, from its files and memory alone.

        Raises:
            BrandNotFoundError: There is no such brand.
            HomeError: The home is missing or unreadable.
        """
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.recall_of_brand, self.home, slug, self._limits, self._clock)

    async def last_sync(self, brand: str | None = None) -> LastSyncResult:
        """Return the last sync of a brand as memory has it on record. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.last_sync_of_brand, self.home.memory_dir(slug), slug)

    async def tags(self, brand: str | None = None, part: str = "", limit: int = 100) -> list[str]:
        """Return a brand's tags that contain ``part``, the most used first. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.tags_of_brand, self.home.memory_dir(slug), slug, part, limit)

    async def campaigns(self, brand: str | None = None) -> list[str]:
        """Return the ids of a brand's campaigns, the latest first. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.campaigns_of_brand, self.home.memory_dir(slug), slug)

    async def export(
        self,
        path: Path,
        brand: str | None = None,
        *,
        all_brands: bool = False,
        markdown: bool = False,
        dry_run: bool = False,
        progress: Progress = no_progress,
    ) -> ExportResult:
        """Write a brand's memory, or that of all brands, to a file. Raises ``DmMemoryError``."""
        brands = await asyncio.to_thread(self.brands) if all_brands else ()
        brands = brands or (await asyncio.to_thread(self.resolve_brand, brand),)
        work = on_demand.export_brands(
            self._environment(brands[0]),
            brands,
            path,
            markdown=markdown,
            dry_run=dry_run,
            progress=_safely(progress),
        )
        return await work

    async def import_(
        self, path: Path, brand: str | None = None, *, dry_run: bool = False, progress: Progress = no_progress
    ) -> ImportResult:
        """Import an export into the brands it names, or into one.

        Raises:
            InputError: It is no export, or it names a brand that is not here.
            DmMemoryError: A memory can't be used.
        """
        slug = await asyncio.to_thread(self.resolve_brand, brand) if brand else ""
        environments = {name: self._environment(name) for name in await asyncio.to_thread(self.brands)}
        stop = asyncio.Event()
        work = on_demand.import_file(
            environments, path, brand=slug, dry_run=dry_run, progress=_safely(progress, stop), stop=stop
        )
        return await _stoppable(work, stop)

    async def backup(self, target: Path | None = None, brand: str | None = None) -> BackupResult:
        """Back a brand's memory up, while others write. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        return await asyncio.to_thread(on_demand.backup_brand, self._environment(slug), slug, target)

    async def restore(self, source: Path, brand: str | None = None, progress: Progress = no_progress) -> RestoreResult:
        """Put a backup back, and let connected services follow. Raises ``DmMemoryError``."""
        slug = await asyncio.to_thread(self.resolve_brand, brand)
        stop = asyncio.Event()
        return await _stoppable(
            on_demand.restore_brand(self._environment(slug), slug, source, _safely(progress, stop), stop), stop
        )

    async def doctor(self) -> list[Check]:
        """Check home, brands, files, services and configuration. Never raises ``DmMemoryError``."""
        return await on_demand.examine(self.settings, self.home, self.embedder, self._services_of)

    async def close(self) -> None:
        """Close all services, after a moment for what was handed in just now."""
        await self._team.close()
        for services in self._services.values():
            for service in services:
                await service.close()
        self._services.clear()

    def _services_of(self, brand: str) -> Sequence[Service]:
        if brand not in self._services:
            self._services[brand] = self._make_services(brand)
        return self._services[brand]

    def _configured_services(self, brand: str) -> Sequence[Service]:
        return on_demand.configured_services(self.settings, brand, self.embedder)

    def _environment(self, brand: str) -> Environment:
        settings = self.settings
        return Environment(
            home=self.home,
            services=self._services_of(brand),
            embedder=self.embedder,
            policy=settings.personal_data,
            limits=self._limits,
            clock=self._clock,
            lock_timeout=settings.lock_timeout,
            batch_items=settings.batch_size,
            data_items=settings.data_items,
            vector_db=on_demand.script_name(settings),
            context_file=settings.context_file,
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


def _safely(progress: Progress, stop: asyncio.Event | None = None) -> Progress:
    """Keep a call going whatever becomes of the one who listens.

    Once it is cancelled nobody may listen any more: a report that is never taken would keep the brand's lock for ever.
    """
    stopped = stop or asyncio.Event()

    async def report(message: str, done: int, total: int) -> None:
        if stopped.is_set():
            return
        ends = [asyncio.ensure_future(each) for each in (_reported(progress, message, done, total), stopped.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()

    return report


async def _reported(progress: Progress, message: str, done: int, total: int) -> None:
    try:
        await progress(message, done, total)
    except Exception as error:  # noqa: BLE001  # a client that is gone must not cost the items
        _log.info("progress could not be reported: %s", type(error).__name__)
