"""One run of a sync, from the lock to the result. Reads top to bottom; each stage is a function."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.brand.sources import source_files
from dm_memory.errors import LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.items import Kind, Payload
from dm_memory.layers.protocol import Layer
from dm_memory.sync import rows, session
from dm_memory.sync.asking import answered
from dm_memory.sync.closing import Closing, record_capacity
from dm_memory.sync.delivery import Delivered, Delivery, DeliveryOptions
from dm_memory.sync.duplicates import planned_from_row
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.flags import compliance_note
from dm_memory.sync.generations import Generation, agree_on_generation
from dm_memory.sync.guard import Policy
from dm_memory.sync.intake import Intake, IntakeOptions, SourceItems, Taken
from dm_memory.sync.learn import NewsDesk, NewsLayer, learn, take_over
from dm_memory.sync.lock import brand_lock
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.patterns_step import PatternLayer, follow_vectors, write_patterns
from dm_memory.sync.payloads import Preparer
from dm_memory.sync.reading import Chunk, Reader, file_records, missing_sources
from dm_memory.sync.reclaim import reclaim
from dm_memory.sync.registry import DamagedRegistryError, Registry, open_snapshot
from dm_memory.sync.requests import Progress, Scope, SyncRequest
from dm_memory.sync.results import Action, SyncResult
from dm_memory.sync.runs import Run, begin_run, open_or_rebuild
from dm_memory.sync.tagging import normalise_tags
from dm_memory.sync.timestamps import Clock, to_iso
from dm_memory.sync.together import all_of, shared_progress
from dm_memory.sync.worker import Worker, worker_thread

__all__ = ["Environment", "sync_brand"]

_KINDS: dict[Scope, frozenset[str]] = {
    Scope.ALL: frozenset(Kind),
    Scope.INSIGHTS_ONLY: frozenset({Kind.INSIGHT, Kind.SESSION}),
    Scope.CAMPAIGNS_ONLY: frozenset({Kind.CAMPAIGN, Kind.PERFORMANCE, Kind.SESSION}),
}
_PREFIXES: dict[Scope, tuple[str, ...]] = {
    Scope.ALL: ("",),
    Scope.INSIGHTS_ONLY: ("insights.json",),
    Scope.CAMPAIGNS_ONLY: ("campaigns/", "performance/"),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run needs besides its request.

    Attributes:
        layers: To store in, the vector layer first.
        vector_db: The vector layer's name in the plugin script's files.
        data_items: Outcomes kept for the report.
        cached_entries: What the local cache of the durable store holds, where the store can't be asked.
    """

    home: Home
    layers: Sequence[Layer]
    policy: Policy
    limits: Limits
    clock: Clock
    lock_timeout: float
    batch_items: int
    data_items: int
    vector_db: str = "qdrant"
    cached_entries: Callable[[Path], list[Payload]] = lambda _: []


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for, and by whom."""

    environment: Environment
    request: SyncRequest
    brand: str
    progress: Progress
    stop: asyncio.Event
    excluder: Excluder


@dataclass(slots=True)
class _State:
    """A run under way."""

    environment: Environment
    request: SyncRequest
    brand: str
    context: BrandContext
    registry: Registry
    run: Run
    outcomes: Outcomes
    worker: Worker
    progress: Progress
    stop: asyncio.Event
    excluder: Excluder
    broken: bool = False
    pending_names: list[str] = field(default_factory=list)
    delivered: dict[str, Delivered] = field(default_factory=dict)
    down: dict[str, LayerError] = field(default_factory=dict)

    @property
    def memory_dir(self) -> Path:
        return self.environment.home.memory_dir(self.brand)


async def sync_brand(
    environment: Environment, request: SyncRequest, brand: str, progress: Progress, stop: asyncio.Event
) -> SyncResult:
    """Bring a brand's memory up to date with its files, or say what that would do.

    Args:
        environment: Where and how.
        request: What to do.
        brand: The slug that the request's ``brand`` was resolved to.
        progress: Told of each stage and every few items.
        stop: When set, the run ends after the batch at hand, with everything stored so far recorded.

    Raises:
        DmMemoryError: Nothing could be done. Trouble with single files, items or layers is in the result instead.
    """
    call = _Call(environment, request, brand, progress, stop, Excluder(request.exclude))
    try:
        return await _attempt(call, damaged=False)
    except DamagedRegistryError:
        if request.dry_run:
            raise
        return await _attempt(call, damaged=True)


async def _attempt(call: _Call, *, damaged: bool) -> SyncResult:
    started = time.monotonic()
    environment, request, brand, progress = call.environment, call.request, call.brand, call.progress
    async with worker_thread("dm-memory-sync") as worker:
        await progress(f"Reading {brand}'s profile and guidelines", 0, 0)
        context = await worker.run(load_context, environment.home, brand, environment.limits)
        async with _registry(call, worker, damaged=damaged) as (registry, run):
            outcomes = Outcomes(brand, environment.data_items, dry_run=request.dry_run)
            outcomes.add_findings([*context.findings, *run.findings])
            outcomes.adopt(run.adopted.values())
            state = _State(
                environment,
                request,
                brand,
                context,
                registry,
                run,
                outcomes,
                worker,
                progress,
                call.stop,
                call.excluder,
            )
            await _catch_up(state)
            await _take_in(state)
            generations = await _agree_on_generations(state)
            if not request.dry_run:
                await _deliver(state, generations)
            return await worker.run(_close, state, time.monotonic() - started)


@contextlib.asynccontextmanager
async def _registry(call: _Call, worker: Worker, *, damaged: bool) -> AsyncIterator[tuple[Registry, Run]]:
    """Provide the registry and the run's record: under the brand's lock, or as a private copy for a dry run."""
    environment, request = call.environment, call.request
    memory_dir = environment.home.memory_dir(call.brand)
    begin = partial(
        begin_run,
        layers=[layer.name for layer in environment.layers],
        is_wanted=partial(_is_wanted, _KINDS[request.scope], call.excluder),
    )
    if request.dry_run:
        registry = await worker.run(open_snapshot, memory_dir)
        with contextlib.closing(registry):
            yield registry, await worker.run(partial(begin, registry, request, environment.clock, 0.0))
        return
    async with brand_lock(memory_dir, environment.lock_timeout, environment.clock, call.progress, call.stop) as waited:
        registry, findings = await worker.run(partial(open_or_rebuild, memory_dir, damaged=damaged))
        try:
            run = await worker.run(partial(begin, registry, request, environment.clock, waited))
            run.findings.extend(findings)
            run.registry_is_new |= any(finding.code == "registry-rebuilt" for finding in findings)
            yield registry, run
        finally:
            await worker.run(registry.close)


async def _catch_up(state: _State) -> None:
    """Take over what the layers know and the registry does not: it was lost, is new, or others store there as well."""
    now = to_iso(state.environment.clock())
    taken = 0
    if state.run.registry_is_new and not state.request.dry_run:
        taken = await _reclaim(state, now)
    for layer in state.environment.layers:
        if isinstance(layer, NewsLayer) and (layer.shared or (state.run.registry_is_new and not state.request.dry_run)):
            taken += await _learn(state, layer, now)
    if taken:
        await state.worker.run(_fill, state.registry, state.run, [layer.name for layer in state.environment.layers])


async def _reclaim(state: _State, now: str) -> int:
    total = 0
    for layer in state.environment.layers:
        if isinstance(layer, NewsLayer):
            continue
        try:
            taken, findings = await reclaim(state.registry, state.worker, layer, state.run.number, now)
        except LayerError:
            continue  # the layer can't be read now; delivery meets the same trouble and reports it
        total += taken
        state.outcomes.add_findings(findings)
    state.run.items_before += total
    return total


async def _learn(state: _State, layer: NewsLayer, now: str) -> int:
    """Learn from the durable store; where it does not answer a new registry, from what the local cache has of it."""
    others = [other.name for other in state.environment.layers if other.name != layer.name]
    desk = NewsDesk(state.registry, layer.name, tuple(others), state.run.number, now)
    learned = await learn(desk, state.worker, layer)
    if learned.failure is not None:
        state.down[layer.name] = learned.failure
        if state.run.registry_is_new:
            payloads = await state.worker.run(state.environment.cached_entries, state.memory_dir)
            learned = await state.worker.run(take_over, desk, payloads)
    if finding := learned.finding(layer.engine):
        state.outcomes.add_findings([finding])
    state.run.learned |= learned.seqs
    state.run.left_over |= learned.seqs
    if not layer.shared:
        state.run.items_before += learned.new
    return learned.new


def _fill(registry: Registry, run: Run, layers: Sequence[str]) -> None:
    """Make what was taken over due in every layer that does not have it yet."""
    with registry.transaction() as connection:
        for layer in layers:
            rows.mark_missing(connection, layer, run.number)
    added = registry.tuples(
        "SELECT DISTINCT seq FROM deliveries WHERE state <> 1 AND run = ? AND action = 'added'", (run.number,)
    )
    run.added |= {seq for (seq,) in added} - run.learned
    run.left_over |= run.added


# Taking in -----------------------------------------------------------------------------------------------------------


async def _take_in(state: _State) -> None:
    """Read the sources and write the plan ahead: first what exists nowhere else, then the files, then what waits."""
    request, environment = state.request, state.environment
    files = await state.worker.run(source_files, environment.home, state.brand, request.scope)
    paths = [file.path for file in files]
    intake = await state.worker.run(_intake, state, paths)
    if request.session_learnings:
        await state.worker.run(_take_session, state, intake)
    await state.progress("Reading the brand's files", 0, len(files))
    reader = await state.worker.run(_reader, state, intake)
    chunks = reader.chunks(files)
    done = 0
    while not state.stop.is_set() and (chunk := await state.worker.run(_take_next, state, intake, chunks)):
        done += chunk.files
        await state.progress("Reading the brand's files", done, len(files))
    if request.scope is Scope.ALL and not state.stop.is_set():
        await state.worker.run(_take_prepared, state, intake, reader)
    await state.worker.run(_finish_intake, state, intake, reader, set(paths))


def _intake(state: _State, paths: Sequence[str]) -> Intake:
    options = IntakeOptions(
        run=state.run.number,
        now=to_iso(state.environment.clock()),
        layers=tuple(layer.name for layer in state.environment.layers),
        force=state.request.force,
        tags=normalise_tags(state.request.tags),
        content_type=state.request.content_type or "",
    )
    preparer = Preparer.of(state.brand, state.context, state.environment.policy)
    return Intake(state.registry, preparer, state.excluder, options, paths)


def _reader(state: _State, intake: Intake) -> Reader:
    request, environment = state.request, state.environment
    return Reader(
        environment.home.brand_dir(state.brand),
        state.context,
        environment.limits,
        file_records(state.registry),
        intake.fingerprint,
        parse_all=bool(request.force or request.tags or request.content_type or request.exclude),
    )


def _take_session(state: _State, intake: Intake) -> None:
    items, findings = session.items_of(state.request.session_learnings, state.run.started_at, state.environment.limits)
    state.outcomes.add_findings(findings)
    state.broken |= _has_errors(findings)
    _note(state, intake.take([SourceItems("", items)]))


def _note(state: _State, taken: Taken) -> None:
    state.outcomes.planned(taken.planned, state.run.left_over)
    state.outcomes.untouched(taken.untouched, state.run.left_over)


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _take_next(state: _State, intake: Intake, chunks: Iterator[Chunk]) -> Chunk | None:
    chunk = next(chunks, None)
    if chunk is None:
        return None
    state.broken |= chunk.broken
    state.outcomes.add_findings(chunk.findings)
    left_over = sum(state.run.left_over_by_origin[path] for path in chunk.skipped)
    state.outcomes.counts.unchanged += max(0, chunk.unchanged - left_over)
    if chunk.sources:
        _note(state, intake.take(chunk.sources))
    return chunk


def _take_prepared(state: _State, intake: Intake, reader: Reader) -> None:
    items, names, findings = reader.prepared(state.memory_dir)
    state.outcomes.add_findings(findings)
    state.broken |= _has_errors(findings)
    state.pending_names = names
    if items:
        _note(state, intake.take([SourceItems("", items)]))


def _finish_intake(state: _State, intake: Intake, reader: Reader, paths: set[str]) -> None:
    """Add what only the end of the reading shows: collisions, sources that are gone and, forced, what has left."""
    scope = state.request.scope
    findings = missing_sources(reader.records, paths, _PREFIXES[scope])
    state.outcomes.add_findings([*intake.findings, *findings])
    state.broken |= _has_errors(intake.findings)
    with state.registry.transaction() as connection:
        connection.executemany("DELETE FROM files WHERE path = ?", [(finding.path,) for finding in findings])
    if state.request.force and not state.stop.is_set():
        _force_rest(state)


def _force_rest(state: _State) -> None:
    """Make due again what has left the files (insights roll out of theirs), unless it is excluded."""
    kinds = _KINDS[state.request.scope]
    layers = [layer.name for layer in state.environment.layers]
    for page in rows.not_seen(state.registry, sorted(kinds), state.run.number):
        wanted = [row for row in page if _is_wanted(kinds, state.excluder, row)]
        with state.registry.transaction() as connection:
            due = [(row["seq"], Action.FORCED) for row in wanted]
            rows.mark_due(connection, layers, due, state.run.number, rewrite=True)
        state.outcomes.planned((planned_from_row(row, Action.FORCED) for row in wanted), state.run.left_over)


def _is_wanted(kinds: Collection[str], excluder: Excluder, row: sqlite3.Row) -> bool:
    """Tell whether a row of ``items`` is of the run's kinds and not excluded."""
    if row["kind"] not in kinds:
        return False
    prepared = planned_from_row(row, Action.UNCHANGED).prepared
    return not excluder or excluder.match(prepared.item, prepared.content_type, prepared.tags) is None


# Delivering ----------------------------------------------------------------------------------------------------------


async def _agree_on_generations(state: _State) -> dict[str, Generation]:
    """Find out, for each layer that has work, whether what it holds was made by the model and chunking in use."""
    generations = {}
    for layer in state.environment.layers:
        if await _is_left_alone(state, layer):
            generations[layer.name] = Generation("")
            continue
        generations[layer.name] = await agree_on_generation(
            state.registry, state.worker, layer, state.run, force=state.request.force, dry_run=state.request.dry_run
        )
        state.outcomes.add_findings(generations[layer.name].findings)
    return generations


async def _is_left_alone(state: _State, layer: Layer) -> bool:
    """Tell whether a connected layer is not asked for its fingerprint, which may cost a round trip: it has no work."""
    if not layer.capabilities.remote or state.request.force:
        return False
    rebuilding = await state.worker.run(state.registry.meta, f"rebuilding:{layer.name}")
    has_work = bool(rebuilding) or await state.worker.run(_due, state.registry, layer.name) > 0
    return layer.name in state.down or not has_work


async def _deliver(state: _State, generations: dict[str, Generation]) -> None:
    """Deliver to every layer, to connected ones at the same time; the durable store waits for the vectors it keeps."""
    dues = {layer.name: await state.worker.run(_due, state.registry, layer.name) for layer in state.environment.layers}
    progress = shared_progress(state.progress, sum(dues.values()))
    first = [layer for layer in state.environment.layers if layer.role in _CHAINED]
    chains = [first, *([layer] for layer in state.environment.layers if layer.role not in _CHAINED)]
    await all_of(_deliver_in_turn(state, chain, generations, progress) for chain in chains)


_CHAINED = ("vector", "durable")


async def _deliver_in_turn(
    state: _State, layers: Sequence[Layer], generations: dict[str, Generation], progress: Progress
) -> None:
    for layer in layers:
        generation = generations[layer.name]
        failure = generation.blocked or state.down.get(layer.name)
        if failure is not None:
            state.delivered[layer.name] = Delivered(failure=failure)
            continue
        if isinstance(layer, NewsLayer):
            await state.worker.run(follow_vectors, state.registry, layer.name, layers[0].name, state.run.number)
        total = await state.worker.run(_due, state.registry, layer.name)
        if total or generation.rebuilding:
            state.delivered[layer.name] = await _deliver_to(state, layer, total, generation, progress)
        else:
            state.delivered[layer.name] = Delivered()
        if isinstance(layer, PatternLayer) and state.delivered[layer.name].failure is None:
            await _write_patterns(state, layer, changed=bool(total))


async def _write_patterns(state: _State, layer: PatternLayer, *, changed: bool) -> None:
    try:
        await write_patterns(state.registry, state.worker, layer, state.brand, changed=changed)
    except LayerError as error:
        state.delivered[layer.name].failure = error


def _due(registry: Registry, layer: str) -> int:
    return registry.value(
        "SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE layer = ? AND state <> 1", (layer,)
    )


async def _may_hold_strangers(state: _State, layer: Layer) -> bool:
    """Tell whether the layer may hold entries that the registry knows nothing of: a lost registry, a second machine."""
    return state.run.registry_is_new and (await answered(layer.engine, layer.capacity())).entries != 0


async def _deliver_to(state: _State, layer: Layer, total: int, generation: Generation, progress: Progress) -> Delivered:
    try:
        ask_first = await _may_hold_strangers(state, layer)
    except LayerError as error:
        return Delivered(failure=error)
    options = DeliveryOptions(
        brand=state.brand,
        run=state.run.number,
        batch_items=state.environment.batch_items,
        # A rebuild that an earlier run began is finished whole: the switch would hide what is outside of the scope.
        kinds=frozenset(Kind) if generation.rebuilding else _KINDS[state.request.scope],
        in_doubt=state.run.in_doubt,
        ask_first=ask_first,
        retry_all=state.request.force,
    )
    delivery = Delivery(
        state.registry,
        state.worker,
        layer,
        options,
        state.outcomes,
        excluder=Excluder() if generation.rebuilding else state.excluder,
        clock=state.environment.clock,
        progress=progress,
        stop=state.stop,
    )
    try:
        await generation.begin(layer)
        delivered = await delivery.run(total)
        if delivered.failure is None and not state.stop.is_set():
            await generation.finish(layer, state.registry, state.worker)
        if delivered.opened or generation.rebuilding:
            measured = await answered(layer.engine, layer.capacity())
            capacity = delivery.room.after(measured) or measured
            await state.worker.run(record_capacity, state.registry, layer.name, capacity)
    except LayerError as error:
        delivery.result.failure = error
    return delivery.result


# Closing -------------------------------------------------------------------------------------------------------------


def _close(state: _State, seconds: float) -> SyncResult:
    closing = Closing(
        registry=state.registry,
        brand=state.brand,
        memory_dir=state.memory_dir,
        layers=state.environment.layers,
        vector_db=state.environment.vector_db,
        kinds=_KINDS[state.request.scope],
        request=state.request,
        run=state.run,
        outcomes=state.outcomes,
        delivered=state.delivered,
        broken=state.broken,
        stopped=state.stop.is_set(),
        clock=state.environment.clock,
        pending_names=state.pending_names,
    )
    return closing.result(state.context.name, compliance_note(state.context), seconds)
