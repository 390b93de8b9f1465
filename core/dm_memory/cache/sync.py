"""The storage sync: brings the local cache up to the durable store.

One run: look at the cache, ask the store what changed above it (one round trip, which is also the health check), plan,
apply page by page, compare. Interrupted anywhere, the next run goes on from the last page that was committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import filelock

from dm_memory.cache.apply import Applier, Tell, apply_full
from dm_memory.cache.cache import Cache
from dm_memory.cache.engine import CacheDamagedError, CacheUnavailableError
from dm_memory.cache.files import damaged_file
from dm_memory.cache.opening import CachePlace, open_cache
from dm_memory.cache.plan import CacheState, Mark, Plan, conclude, forecast, make_plan, note_examination, read_state
from dm_memory.cache.results import (
    CacheFacts,
    Mode,
    Moved,
    Status,
    StorageSyncRequest,
    StorageSyncResult,
    StoreFacts,
)
from dm_memory.cache.validation import validate, validate_counts
from dm_memory.errors import ErrorClass, LockTimeoutError, ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.protocol import START, Survey
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.store import DurableStore
from dm_memory.worker import Worker, worker_thread

__all__ = ["sync_storage"]

_RETRY_SECONDS = 60.0
_LASTING = frozenset({ErrorClass.AUTH, ErrorClass.CONFIGURATION, ErrorClass.VALIDATION})
"""What is the same in a minute: a token that is refused, a layout that nobody knows, a newer schema."""

_LOCK_POLL = 0.05
_REBUILD = {"cache-damaged", "cache-index"}
"""What the check finds that only a new file repairs."""

_NOTHING = CacheState("", 0, dict.fromkeys(Table, 0), {})


async def sync_storage(
    store: DurableStore,
    place: CachePlace,
    request: StorageSyncRequest,
    *,
    brand: str,
    tell: Tell,
    parallel: int = 8,
    now: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> StorageSyncResult:
    """Bring the cache up to the store, or compare the two.

    Args:
        store: The durable store; stays open.
        place: The cache; made if there is none, except by a dry run or a check.
        request: What to do.
        brand: The brand's slug, for the result.
        tell: Progress.
        parallel: Pages fetched ahead of a remote store; of a file, which gives one at a time, it is one.
        now: The clock, in microseconds.

    Raises:
        CacheError: Another process keeps the cache, or its file can't be used.
        LockTimeoutError: Another process has been syncing this cache for longer than the deadline.
    """
    run = _Run(store, place, request, brand=brand, tell=tell, parallel=parallel, now=now)
    writes = not (request.dry_run or (request.validate_only and not request.repair))
    async with worker_thread("cache") as worker:
        if not writes:
            return await run.look(worker)
        async with _turn(place):
            return await run.write(worker)


@asynccontextmanager
async def _turn(place: CachePlace) -> AsyncIterator[None]:
    """Let one process at a time fill the cache; readers are not concerned."""
    try:
        place.files.make_folder()
        lock = filelock.FileLock(place.files.turn, mode=0o600, thread_local=False)
        until = time.monotonic() + place.deadline
        while True:
            try:
                lock.acquire(blocking=False)
                break
            except filelock.Timeout:
                if time.monotonic() >= until:
                    raise _locked(place) from None
                await asyncio.sleep(_LOCK_POLL)
    except OSError as error:
        raise CacheUnavailableError(
            f"The cache's folder {place.folder} can't be written ({error.strerror or type(error).__name__}).",
            "Make the folder writable, or free space, and run storage_sync again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


class _Run:
    """One run. Its methods return the result; errors of the durable store are results as well."""

    def __init__(
        self,
        store: DurableStore,
        place: CachePlace,
        request: StorageSyncRequest,
        *,
        brand: str,
        tell: Tell,
        parallel: int,
        now: Callable[[], int],
    ) -> None:
        self.store = store
        self.place = place
        self.request = request
        self.brand = brand
        self.tell = tell
        self.parallel = parallel
        self.now = now
        self.started = now()
        self.clock = time.monotonic()
        self.findings: list[Finding] = []

    async def write(self, worker: Worker) -> StorageSyncResult:
        """Sync, and start over once with a new file if the old one turns out to be damaged."""
        for _ in range(2):
            cache: Cache = await worker.run(self._open)
            try:
                if self.request.repair:
                    cache = await self._repaired(cache, worker)
                return await self._sync(cache, worker)
            except CacheDamagedError:
                self.findings.append(await worker.run(cache.quarantine, self.place.deadline))
            finally:
                await worker.run(cache.close)
        raise CacheUnavailableError(
            "The local cache is damaged each time it is filled.", "Check the disk, then run storage_sync again."
        )

    def _open(self, *, set_aside: bool = True) -> Cache:
        place = self.place
        cache = open_cache(place.folder, place.engine, deadline=place.deadline, set_aside=set_aside, share=True)
        self.findings += [finding for finding in cache.findings if finding not in self.findings]
        return cache

    async def _repaired(self, cache: Cache, worker: Worker) -> Cache:
        """Check the file; if only a new one helps, set it aside. The full run that follows repairs the rest."""
        found: list[Finding] = await worker.run(cache.check)
        self.findings += [_repaired(finding) for finding in found]
        self.request = replace(self.request, full=True)
        if not _REBUILD & {finding.code for finding in found}:
            await worker.run(note_examination, cache, self.now())
            return cache
        self.findings.append(await worker.run(cache.quarantine, self.place.deadline))
        return await worker.run(self._open)

    async def _examined(self, cache: Cache, worker: Worker) -> None:
        """Read the whole cache: what was damaged on the disk since it was written shows nowhere else."""
        found: list[Finding] = await worker.run(cache.check)
        if broken := [finding for finding in found if finding.code in _REBUILD]:
            raise CacheDamagedError(broken[0].message, broken[0].remedy)
        if found:
            self.findings += [_repaired(finding) for finding in found]
            self.request = replace(self.request, full=True)
        await worker.run(note_examination, cache, self.now())

    async def _sync(self, cache: Cache, worker: Worker) -> StorageSyncResult:
        state: CacheState = await worker.run(read_state, cache)
        if self.request.as_before:
            self.request = state.asked(self.request)
        if (cache.doubtful or state.due_for_examination(self.now())) and not self.request.repair:
            await self._examined(cache, worker)
        applier: Applier | None = None
        try:
            survey = await self._survey(state)
            plan = make_plan(self.request, state, survey, self.store.engine)
            self.findings += plan.findings
            if plan.nothing:
                return await self._unchanged(cache, worker, survey, plan)
            applier = Applier(
                store=self.store,
                cache=cache,
                worker=worker,
                request=self.request,
                state=state,
                survey=survey,
                parallel=self.parallel,
                tell=self.tell,
            )
            for outcome in await asyncio.gather(self._is_ours_to_read(), applier.begin(), return_exceptions=True):
                if outcome is not None:
                    raise outcome
            await self._apply(applier, plan)
            return await self._validated(applier, worker, plan)
        except ServiceError as error:
            moved = applier.moved if applier else Moved()
            status = Status.INTERRUPTED if moved.pages else Status.SKIPPED
            return await self._result(cache, worker, status, error=error, moved=moved)

    async def _is_ours_to_read(self) -> None:
        """Raise if a newer program made the store: what its columns mean is not known here."""
        await self.store.ping()

    async def _survey(self, state: CacheState, *, exact: bool = False) -> Survey:
        """Ask what changed; ``exact``: without what another program's clock makes us read twice."""
        after = {table: (state.key(Mark(table.value)) or START) if exact else state.after(table) for table in Table}
        return await self.store.survey(after, state.key(Mark.TOMBSTONES) or START)

    async def _apply(self, applier: Applier, plan: Plan) -> None:
        """Bring the cache up to the survey. Tombstones first: a row stored again afterwards comes with its page."""
        if plan.full:
            return await apply_full(applier)
        if plan.tombstones:
            await applier.delete_buried()
        if plan.episodes or plan.tombstones:
            await applier.follow_episodes()
        if plan.patterns:
            await applier.follow_patterns()
        if plan.embeddings:
            await applier.follow_embeddings()
        return await applier.end()

    async def _unchanged(self, cache: Cache, worker: Worker, survey: Survey, plan: Plan) -> StorageSyncResult:
        if not plan.hold:
            self.findings += await worker.run(validate_counts, cache, survey, self.request)
            await worker.run(conclude, cache, self.now(), self.request)
        return await self._result(cache, worker, Status.UNCHANGED, survey=survey, behind=0, validated=not plan.hold)

    async def _validated(self, applier: Applier, worker: Worker, plan: Plan) -> StorageSyncResult:
        cache = applier.cache
        survey, behind, found = await self._compared(applier, worker)
        if not plan.full and any(finding.severity is Severity.ERROR for finding in found):
            await apply_full(applier)  # what shows in the sample, or in the numbers, need not be all
            plan = replace(plan, full=True)
            survey, behind, found = await self._compared(applier, worker)
        self.findings += found
        self.findings += [finding for finding in cache.findings if finding not in self.findings]
        return await self._result(
            cache,
            worker,
            Status.SYNCED,
            mode=Mode.FULL if plan.full else Mode.INCREMENTAL,
            survey=survey,
            moved=applier.moved,
            behind=behind,
            validated=not behind,
        )

    async def _compared(self, applier: Applier, worker: Worker) -> tuple[Survey, int, list[Finding]]:
        """Note that the run got to its end; return the store as it is now, the lag, and what differs."""
        state: CacheState = await worker.run(conclude, applier.cache, self.now(), self.request)
        survey = await self._survey(state, exact=True)
        if behind := self._behind(survey):
            return survey, behind, []
        touched, request = applier.touched, self.request
        found = await validate(self.store, applier.cache, worker, survey=survey, request=request, touched=touched)
        return survey, 0, found

    async def look(self, worker: Worker) -> StorageSyncResult:
        """Say what a run would do, or compare cache and store."""
        mode = Mode.DRY_RUN if self.request.dry_run else Mode.CHECK
        if not self.place.exists:
            return await self._look_at(None, worker, mode)
        cache: Cache | None = None
        try:
            cache = await worker.run(partial(self._open, set_aside=False))
            return await self._look_at(cache, worker, mode)
        except CacheDamagedError:
            self.findings = [damaged_file()]  # what else was found in it counts for nothing
        finally:
            if cache is not None:
                await worker.run(cache.close)
        return await self._look_at(None, worker, mode)

    async def _look_at(self, cache: Cache | None, worker: Worker, mode: Mode) -> StorageSyncResult:
        state: CacheState = _NOTHING if cache is None else await worker.run(read_state, cache)
        try:
            survey = await self._survey(state, exact=True)
            plan = make_plan(self.request, state, survey, self.store.engine)
            self.findings += plan.findings
            moved, validated = Moved(), False
            if mode is Mode.DRY_RUN:
                moved = forecast(self.request, state, survey, plan)
            else:
                validated = await self._check(cache, worker, survey, plan)
        except ServiceError as error:
            return await self._result(cache, worker, Status.SKIPPED, mode=mode, error=error)
        status = Status.PLANNED if mode is Mode.DRY_RUN else Status.CHECKED
        return await self._result(
            cache,
            worker,
            status,
            mode=mode,
            survey=survey,
            moved=moved,
            behind=self._behind(survey),
            validated=validated,
        )

    async def _check(self, cache: Cache | None, worker: Worker, survey: Survey, plan: Plan) -> bool:
        """Examine the file; if it should be what the store is, compare the two and return True."""
        if cache is None:
            self.findings += [_NO_CACHE] if not self.findings else []
            return False
        self.findings += await worker.run(cache.check)
        if self._behind(survey) or plan.findings:
            self.findings.append(_NOT_COMPARED)
            return False
        found = await validate(self.store, cache, worker, survey=survey, request=self.request, touched={})
        known = {(finding.code, finding.key) for finding in self.findings}
        self.findings += [finding for finding in found if (finding.code, finding.key) not in known]
        return True

    def _behind(self, survey: Survey) -> int:
        """Count the store's changes above the cache's places, in what is to be cached."""
        wanted = [Table.EPISODES]
        wanted += [Table.PATTERNS] * self.request.sync_patterns + [Table.EMBEDDINGS] * self.request.sync_embeddings
        return sum(survey.changed[table] for table in wanted) + survey.tombstones

    async def _result(
        self,
        cache: Cache | None,
        worker: Worker,
        status: Status,
        *,
        mode: Mode = Mode.INCREMENTAL,
        survey: Survey | None = None,
        moved: Moved | None = None,
        behind: int | None = None,
        error: ServiceError | None = None,
        validated: bool = False,
    ) -> StorageSyncResult:
        state: CacheState = _NOTHING if cache is None else await worker.run(read_state, cache)
        synced = state.marks[Mark.SYNCED].updated_at if Mark.SYNCED in state.marks else 0
        layout, counts = (survey.layout, survey.counts) if survey else ("", {})
        return StorageSyncResult(
            brand=self.brand,
            status=status,
            mode=mode,
            started_at=datetime.fromtimestamp(self.started / 1_000_000, UTC).isoformat(timespec="milliseconds"),
            duration=time.monotonic() - self.clock,
            store=StoreFacts(self.store.engine, layout, counts, error),
            cache=CacheFacts(state.engine, state.file_bytes, state.counts, synced),
            moved=moved or Moved(),
            behind=behind,
            retry_after=(
                None if error is None or error.error_class in _LASTING else error.retry_after or _RETRY_SECONDS
            ),
            findings=tuple(self.findings),
            validated=validated,
            asked=self.request,
        )


def _repaired(finding: Finding) -> Finding:
    return Finding(finding.code, Severity.INFO, f"Repaired: {finding.message}", "", finding.path, finding.key)


def _locked(place: CachePlace) -> LockTimeoutError:
    return LockTimeoutError(
        f"Another storage sync of this brand has been running for longer than {place.deadline:g} seconds.",
        "Wait until it is done, then run storage_sync again.",
        "another process",
    )


_NO_CACHE = Finding(
    code="cache-absent",
    severity=Severity.INFO,
    message="There is no local cache yet.",
    remedy="Run storage_sync, which fills one.",
)
_NOT_COMPARED = Finding(
    code="cache-behind",
    severity=Severity.INFO,
    message="The durable store has changes that the cache does not have yet, so only the cache itself was checked.",
    remedy="Run storage_sync, which compares the two at its end.",
)
