"""One run of a sync, from the hand-in to the result. Reads top to bottom; each stage is a file of this folder."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.embedding.batch import EmbeddingError, model_tag
from dm_memory.errors import DamagedStoreError, StoreError
from dm_memory.facts.extract import EXTRACTION_VERSION
from dm_memory.findings import Finding, Severity
from dm_memory.items import Item
from dm_memory.requests import Progress, SyncRequest
from dm_memory.results import GuardHit, SyncResult
from dm_memory.store import outbox
from dm_memory.store.allowing import decisions_of
from dm_memory.store.database import Store, open_copy, store_errors
from dm_memory.store.files import remove_leftovers
from dm_memory.store.from_0_2.files import is_home_0_2
from dm_memory.store.importing import restate_facts
from dm_memory.store.indexes import are_words_current, count_without, refresh_words
from dm_memory.store.journal import Journal
from dm_memory.store.locks import brand_lock
from dm_memory.store.opening import open_or_rebuild
from dm_memory.sync.deliver import Delivering
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.feed import pull_feed, push_patterns, reclaim
from dm_memory.sync.finish import finish, store_result
from dm_memory.sync.forgotten import keep_forgotten
from dm_memory.sync.handin.correcting import take_unread_corrections
from dm_memory.sync.handin.learnings import (
    FOLDER,
    FORGOTTEN,
    hand_in,
    learnings_as_items,
    mark_read,
    take_unassigned,
    unassigned,
    unread,
)
from dm_memory.sync.handin.pending import past_items, waiting_items
from dm_memory.sync.payloads import Preparer
from dm_memory.sync.preview import preview_deliveries
from dm_memory.sync.reading import Chunk, Reading, forget_files, reread, retire
from dm_memory.sync.run import Delivered, Environment, Run
from dm_memory.sync.storing import SourceItems, Storing
from dm_memory.text.tags import checked_tags
from dm_memory.text.timestamps import to_iso
from dm_memory.worker import Worker, worker_thread

__all__ = ["model_in_use", "sync_brand"]


async def sync_brand(
    env: Environment, request: SyncRequest, brand: str, progress: Progress, stop: asyncio.Event
) -> SyncResult:
    """Bring a brand's memory up to date with its files, or return what that would do.

    Args:
        env: Where and how.
        request: What to do.
        brand: The slug that the request's ``brand`` was resolved to.
        progress: Called for each stage and every few items.
        stop: When set, the run ends after the batch at hand, with everything stored so far recorded.

    Raises:
        DmMemoryError: Nothing could be done. Errors of single files, items or services are in the result instead.
    """
    started = time.monotonic()
    async with worker_thread("dm-memory-sync") as worker:
        await progress(f"Reading {brand}'s profile and guidelines", 0, 0)
        context = await worker.run(load_context, env.home, brand, env.limits)
        brought = await worker.run(_hand_in, env, request, brand, context)
        for tags in (request.tags, request.untag):  # what was handed in is safe: the next sync stores it
            checked_tags(tags)
        for damaged in (False, True):
            try:
                opened = _open(env, request, brand, context, worker, progress, stop, damaged=damaged)
                async with opened as (store, waited, found):
                    with store_errors(store.path):
                        run = await worker.run(
                            partial(Run.begin, env, request, brand, context, store, worker, progress, stop, waited)
                        )
                        run.outcomes.add_findings([*context.findings, *found])
                        return await _run(run, brought, started)
            except DamagedStoreError:
                if damaged or request.dry_run:
                    raise
    raise AssertionError  # pragma: no cover  # the loop returns or raises


class _Brought:
    """What a call brought along, after the guard."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.findings: list[Finding] = []
        self.hits: list[GuardHit] = []
        self.excluder = Excluder()
        self.excluded = 0
        self.forgotten = 0


def _hand_in(env: Environment, request: SyncRequest, brand: str, context: BrandContext) -> _Brought:
    brought = _Brought()
    _take_unassigned(env, request, brand, brought)
    if not request.session_learnings:
        return brought
    now = to_iso(env.clock())
    journal = Journal(env.home.memory_dir(brand))
    decided = decisions_of(journal.path.parent, brand)
    preparer = Preparer.of(brand, context, env.policy, decided.allowed)
    author = preparer.clean_author(request.author)
    brought.items, brought.findings = learnings_as_items(request.session_learnings, now, env.limits, author)
    if request.dry_run:
        return brought
    brought.excluder = Excluder(request.exclude)
    findings, brought.hits, brought.excluded = hand_in(
        journal, preparer, brought.excluder, brought.items, now, decided.forgotten
    )
    brought.forgotten = sum(finding.code == FORGOTTEN for finding in findings)
    brought.findings += findings
    return brought


def _take_unassigned(env: Environment, request: SyncRequest, brand: str, brought: _Brought) -> None:
    """Hand in what was learned while there was no brand, if it is clear that this is the brand that was meant.

    Who sees one brand only can't tell: what waits may be another's.
    """
    if env.home.only:
        return
    root = env.home.root
    try:
        waiting = unassigned(root)
        if request.dry_run:
            return
        remove_leftovers(root / FOLDER)
        if not waiting:
            return
        if request.brand or env.home.brands() == (brand,):
            take_unassigned(root, Journal(env.home.memory_dir(brand)))
            return
    except StoreError as error:  # this brand's memory is not concerned
        brought.findings.append(Finding("unassigned", Severity.WARNING, error.problem, error.remedy))
        return
    learnings = "1 learning was" if waiting == 1 else f"{waiting} learnings were"
    message = f"{learnings} handed in while no brand was active; they wait for a brand."
    remedy = "Sync once with the name of the brand they belong to."
    brought.findings.append(Finding("unassigned", Severity.WARNING, message, remedy))


@contextlib.asynccontextmanager
async def _open(  # what the two ways of opening need
    env: Environment,
    request: SyncRequest,
    brand: str,
    context: BrandContext,
    worker: Worker,
    progress: Progress,
    stop: asyncio.Event,
    *,
    damaged: bool,
) -> AsyncIterator[tuple[Store, float, list[Finding]]]:
    """Provide the memory: under the brand's lock, repaired if need be, or as a private copy for a dry run."""
    memory_dir = env.home.memory_dir(brand)
    if request.dry_run:
        store = await worker.run(_copy, env, brand, memory_dir, context.languages)
        try:
            yield store, 0.0, []
        finally:
            await worker.run(store.close)
        return
    async with brand_lock(memory_dir, env.lock_timeout, env.clock, progress, stop) as waited:
        opening = partial(open_or_rebuild, memory_dir, brand, env.clock, damaged=damaged, languages=context.languages)
        store, findings = await worker.run(opening)
        try:
            yield store, waited, findings
        finally:
            await worker.run(store.close)


def _copy(env: Environment, brand: str, memory_dir: Path, languages: tuple[str, ...]) -> Store:
    """Return a private copy of the memory, or of what taking over a home of 0.2 would make of it."""
    if not is_home_0_2(memory_dir):
        return open_copy(memory_dir, brand)
    from dm_memory.store.from_0_2.takeover import taken_over_copy  # noqa: PLC0415  # once in a brand's life

    with taken_over_copy(memory_dir, brand, to_iso(env.clock()), languages) as folder:
        return open_copy(folder, brand)


async def _run(run: Run, brought: _Brought, started: float) -> SyncResult:
    run.outcomes.add_findings(brought.findings)
    run.excluder.note(brought.excluder)
    run.outcomes.guard_hits += brought.hits
    run.outcomes.counts.excluded += brought.excluded
    run.outcomes.counts.forgotten += brought.forgotten
    run.outcomes.counts.refused += sum(hit.refused for hit in brought.hits)
    run.broken |= any(finding.severity is Severity.ERROR for finding in brought.findings)
    await run.worker.run(_refresh_derived, run)
    await run.worker.run(_follow_services, run)
    await keep_forgotten(run)
    await pull_feed(run)
    await reclaim(run)
    model = await run.worker.run(model_in_use, run)
    if run.request.dry_run:
        run.store_before = await run.worker.run(store_result, run.store, model, run.before, run.facts_before)
    storing = Storing(run, model)
    await run.worker.run(_take_handed_in, run, storing, brought)
    await _read_files(run, storing)
    await _embed_missing(run, storing, model)
    await (preview_deliveries(run) if run.request.dry_run else _deliver(run, model))
    return await run.worker.run(finish, run, model, time.monotonic() - started)


def _refresh_derived(run: Run) -> None:
    """Make words and facts of everything again if another program, stemmer or language made them."""
    languages = run.context.languages
    store = run.store
    if store.meta("extraction") == str(EXTRACTION_VERSION) and are_words_current(store.connection, languages):
        return
    with store.transaction() as connection:
        refresh_words(connection, languages)
        store.set_meta("languages", " ".join(languages))
        if store.meta("extraction") not in {"", str(EXTRACTION_VERSION)}:
            restate_facts(store, run.now)
        store.set_meta("extraction", str(EXTRACTION_VERSION))


def _follow_services(run: Run) -> None:
    """Fill services that are new or configured again, and leave alone those that are not configured any more."""
    names = run.service_names
    connection = run.store.connection
    recorded = run.store.meta("services")
    present = "\n".join(names)
    if recorded == present:
        return
    with run.store.transaction():
        outbox.park(connection, names)
        for service in run.env.services:
            if service.name not in recorded.split("\n"):
                outbox.fill(connection, service.name, run.number, keeps_retired=service.capabilities.keeps_retired)
        run.store.set_meta("services", present)


def model_in_use(run: Run) -> str:
    """Return the tag of the embedding model, loading it only if nobody noted which one the setting names."""
    embedder = run.env.embedder
    if embedder is None:
        return ""
    setting = str(getattr(embedder, "setting", "") or type(embedder).__qualname__)
    tag = known = run.store.meta(f"model:{setting}")
    if not known or not hasattr(embedder, "setting"):
        try:
            tag = model_tag(embedder)
        except EmbeddingError as error:
            run.embedding_error = error.problem
            run.outcomes.add_findings([Finding("not-embedded", Severity.WARNING, error.problem, error.remedy)])
            return run.store.meta("model")
        if known != tag:
            run.store.set_meta(f"model:{setting}", tag)
    if not run.store.meta("model"):  # status reads it during the first sync, and after one that was killed
        run.store.set_meta("model", tag)
    return tag


def _take_handed_in(run: Run, storing: Storing, brought: _Brought) -> None:
    """Store what the journal has and memory has not: this call's learnings, and what a killed call handed in."""
    if run.request.dry_run:
        storing.take([SourceItems("", brought.items)])
        return
    items, corrections, place = unread(run.store, run.journal)
    if items:
        storing.take([SourceItems("", items)])
    if corrections:
        take_unread_corrections(run, storing, corrections)
    taken = {item.key for item in items}
    excluded_or_refused = brought.excluded + brought.forgotten + run.outcomes.counts.refused
    run.outcomes.counts.unchanged += max(0, sum(item.key not in taken for item in brought.items) - excluded_or_refused)
    mark_read(run.store, place)


async def _read_files(run: Run, storing: Storing) -> None:
    reading = await run.worker.run(Reading, run, storing.looks_at_all)
    total = len(reading.listing.files)
    await run.progress("Reading the brand's files", 0, total)
    run.listed = frozenset(file.path for file in reading.listing.files)
    run.outcomes.add_findings(reading.listing.unread)
    done = 0
    chunks = reading.chunks()
    while not run.stop.is_set() and (chunk := await run.worker.run(_take_next, run, storing, chunks)) is not None:
        done += chunk.files
        await run.progress("Reading the brand's files", done, total)
    if run.stop.is_set():
        return
    await run.worker.run(_take_rest, run, storing, reading)


def _take_next(run: Run, storing: Storing, chunks: Iterable[Chunk]) -> Chunk | None:
    chunk = next(iter(chunks), None)
    if chunk is None:
        return None
    run.broken |= chunk.broken
    run.outcomes.add_findings(chunk.findings)
    run.outcomes.counts.unchanged += chunk.unchanged
    if chunk.sources:
        storing.take(chunk.sources)
    return chunk


def _take_rest(run: Run, storing: Storing, reading: Reading) -> None:
    """Take in what waits in ``memory/``, and retire what no file states any more."""
    items, names, findings = waiting_items(run)
    stored, more = past_items(run)
    run.outcomes.add_findings([*findings, *more])
    run.broken |= any(finding.severity is Severity.ERROR for finding in findings)
    run.pending_names = names
    if items or stored:
        storing.take([SourceItems("", [*items, *stored])])
    run.outcomes.add_findings(reading.staying())
    if vanished := reading.vanished:
        forget_files(run, vanished)
    if stated_elsewhere := reread(run):
        for chunk in reading.again(stated_elsewhere):
            if chunk.sources:
                storing.take(chunk.sources)
    retire(run)
    storing.change_rest()
    if run.request.force:
        storing.force_rest()


async def _embed_missing(run: Run, storing: Storing, model: str) -> None:
    """Embed what has no vectors of the model in use: another one was chosen, or the model failed."""
    if not model or run.request.dry_run or run.embedding_error:
        return
    before = await run.worker.run(run.store.meta, "model")
    due = await run.worker.run(count_without, run.store.connection, model)
    if before != model and before and due:
        message = f"The embedding model is {model} now (it was {before}); {due:,} entries are embedded again."
        run.outcomes.add_findings([Finding("model-changed", Severity.INFO, message)])
    done = 0
    steps = storing.embed_missing()
    while due and not run.stop.is_set():
        await run.progress("Embedding entries", done, due)
        step = await run.worker.run(next, steps, 0)
        if not step:
            break
        done += step
    if before != model:
        await run.worker.run(run.store.set_meta, "model", model)


async def _deliver(run: Run, model: str) -> None:
    """Deliver to every service at the same time; one that fails, or that nobody foresaw, costs the others nothing."""

    async def deliver(service_index: int) -> None:
        service = run.env.services[service_index]
        known = run.delivered.get(service.name, Delivered())
        if known.failure is None:
            known = await Delivering.of(run, service, model, known, retry_all=run.request.force).run()
        run.delivered[service.name] = known
        if service.capabilities.shared and known.failure is None:
            await push_patterns(run, service, known)

    await asyncio.gather(*(deliver(index) for index in range(len(run.env.services))))
