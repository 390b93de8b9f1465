"""Handing in one payload: validated, guarded, journaled, then stored in one transaction. Takes no lock of the brand.

So it is found by the next search, also while a sync runs, and no process that died can keep it waiting. Connected
services get it with the next sync.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dm_memory.brand.context import load_context
from dm_memory.errors import DamagedStoreError, InputError
from dm_memory.facts.campaigns import metrics_named
from dm_memory.items import ContentType, Item, Kind
from dm_memory.requests import PrepareRequest, SyncRequest, no_progress
from dm_memory.results import Action, GuardHit, PrepareResult, Suggestion
from dm_memory.store import entries as table
from dm_memory.store.allowing import decisions_of
from dm_memory.store.database import Store, is_present, open_store, store_errors
from dm_memory.store.entries import EntryRow, Known
from dm_memory.store.from_0_2.files import is_home_0_2
from dm_memory.store.importing import record_of_entry
from dm_memory.store.journal import Journal
from dm_memory.store.locks import brand_lock
from dm_memory.store.opening import open_or_rebuild
from dm_memory.sync.handin.correcting import correct, correction_record, to_correct
from dm_memory.sync.handin.learnings import clean_text, forgotten_finding
from dm_memory.sync.payloads import Prepared, Preparer, guard_hits
from dm_memory.sync.pipeline import model_in_use
from dm_memory.sync.plan import merged_tags
from dm_memory.sync.run import Environment, Run, title_of
from dm_memory.sync.storing import SourceItems, Storing, record_of
from dm_memory.sync.writing import Writing
from dm_memory.text.hashing import script_hash
from dm_memory.text.tags import checked_tags
from dm_memory.text.timestamps import from_iso, to_iso
from dm_memory.worker import Worker, worker_thread

__all__ = ["prepare_payload"]

_MAX_RELATED = 50


async def prepare_payload(env: Environment, request: PrepareRequest, brand: str, stop: asyncio.Event) -> PrepareResult:
    """Store one payload; idempotent.

    Not to be cancelled: its thread would go on writing. ``stop`` ends it while it waits.

    Raises:
        InputError: The text is empty or too long, or ``expires_at`` is no date.
        DmMemoryError: The home or the memory can't be used; what was journaled is in the next sync.
    """
    _check(request, env)
    async with worker_thread("dm-memory-prepare") as worker:
        context = await worker.run(load_context, env.home, brand, env.limits)
        decided = await worker.run(decisions_of, env.home.memory_dir(brand), brand)
        preparer = Preparer.of(brand, context, env.policy, decided.allowed)
        now = to_iso(env.clock())
        prepared, suggested = _prepared(preparer, request, now)
        hits = guard_hits(prepared)
        if prepared.refused:
            refused = {"op": "refused", "at": now, "content_hash": prepared.content_hash, "reason": prepared.refused}
            await worker.run(Journal(env.home.memory_dir(brand)).append, [refused])
            return _result(brand, prepared, "refused", hits)
        if decided.forgotten.has(prepared.content_hash):
            finding = forgotten_finding(prepared.item.key)
            return replace(_result(brand, prepared, "refused", hits), findings=(finding,))
        if not request.replaces:
            record = record_of(prepared, [[tag, "user"] for tag in prepared.given], now)
            await worker.run(Journal(env.home.memory_dir(brand)).append, [record])
        wishes = (
            SyncRequest(tags=request.tags, content_type=request.content_type or "")
            if request.replaces
            else SyncRequest(tags=prepared.given, retag=True)  # beside those that another call gives at this moment
        )
        async with _memory(env, brand, context.languages, worker, stop) as store:
            with store_errors(store.path):
                run = await worker.run(
                    partial(Run.begin, env, wishes, brand, context, store, worker, no_progress, stop, 0.0)
                )
                run.number = 0
                result = await worker.run(_correct if request.replaces else _store, run, request, prepared, hits)
                return replace(result, suggested=suggested if result.status == "prepared" else ())


def _check(request: PrepareRequest, env: Environment) -> None:
    text = clean_text(request.content)
    limit = env.limits.max_content_chars
    if not text:
        raise InputError("The content is empty.", "Pass the text that is to be remembered.")
    if len(text) > limit:
        message = f"The content is {len(text):,} characters long; at most {limit:,} can be stored."
        raise InputError(message, "Shorten it, or split it into several payloads.")
    if request.expires_at:
        moment = from_iso(request.expires_at)
        if moment is None:
            raise InputError("expires_at is not a date.", "Pass it as ISO-8601, for example 2026-12-31.")
        if moment <= env.clock():
            raise InputError(
                "expires_at is in the past, so no search would ever find this.", "Pass a later date, or leave it out."
            )
    checked_tags(request.tags)
    if len(request.related) > _MAX_RELATED:
        raise InputError(f"related has more than {_MAX_RELATED} entries.", "Pass the most important ones.")


def _prepared(preparer: Preparer, request: PrepareRequest, now: str) -> tuple[Prepared, tuple[Suggestion, ...]]:
    """Return the payload as it may be stored, and why it has a type and tags that the caller did not give.

    Its key is the hash of what will really be stored: masked, then named.
    """
    item = Item(
        key=f"{Kind.PREPARED}/",
        content=clean_text(request.content),
        kind=Kind.PREPARED,
        content_type=request.content_type or ContentType.CAMPAIGN_LEARNING,
        recorded_at=now,
        tags=request.tags,
        source=request.source,
        priority=request.priority,
        expires_at=request.expires_at,
        related=tuple(clean_text(entry) for entry in request.related),
        created_at=now,
        author=preparer.clean_author(request.author),
    )
    prepared = preparer.prepare(item)
    name = script_hash(prepared.content)
    suggested = _suggestions(preparer, prepared, request)
    types = [ContentType(each.value) for each in suggested if each.what == "content type"]
    key = f"{Kind.PREPARED}/{prepared.content_hash}"
    named = replace(item, key=key, prepared_hash=name, content_type=types[0] if types else item.content_type)
    return replace(prepared, item=named), suggested


@contextlib.asynccontextmanager
async def _memory(
    env: Environment, brand: str, languages: tuple[str, ...], worker: Worker, stop: asyncio.Event
) -> AsyncIterator[Store]:
    """Provide the memory without the brand's lock, unless it has to be made, built again, or taken over."""
    memory_dir = env.home.memory_dir(brand)
    opened = await worker.run(_opened, memory_dir, brand)
    if opened is not None:
        try:
            yield opened
        finally:
            await worker.run(opened.close)
        return
    async with brand_lock(memory_dir, env.lock_timeout, env.clock, no_progress, stop):
        store, _ = await worker.run(partial(open_or_rebuild, memory_dir, brand, env.clock, languages=languages))
        try:
            yield store
        finally:
            await worker.run(store.close)


def _opened(memory_dir: Path, brand: str) -> Store | None:
    """Open a memory that is there and sound; None if it has to be made or built again, under the brand's lock."""
    try:
        return open_store(memory_dir, brand) if is_present(memory_dir) and not is_home_0_2(memory_dir) else None
    except DamagedStoreError:
        return None


def _store(run: Run, request: PrepareRequest, prepared: Prepared, hits: tuple[GuardHit, ...]) -> PrepareResult:
    existing = table.owners_by_hash(run.store.connection, [prepared.content_hash]).get(prepared.content_hash)
    if existing is not None:
        return _duplicate(run, request, prepared, existing, hits)
    Storing(run, model_in_use(run)).take([SourceItems("", [replace(prepared.item, content=prepared.content)])])
    counts = run.outcomes.counts
    if not (counts.new or counts.restored or counts.modified):  # another call stored it at this moment
        existing = table.owners_by_hash(run.store.connection, [prepared.content_hash])[prepared.content_hash]
        return _duplicate(run, request, prepared, existing, hits)
    return _result(run.brand, prepared, "prepared", hits)


def _correct(run: Run, request: PrepareRequest, prepared: Prepared, hits: tuple[GuardHit, ...]) -> PrepareResult:
    """Give the entry that is named this text instead of its own."""
    correction = to_correct(run, request.replaces)
    entry = correction.entry
    result = replace(_result(run.brand, prepared, "corrected", hits), key=entry.key)
    if entry.content_hash == prepared.content_hash:
        known = table.known_by_key(run.store.connection, [entry.key])[entry.key]
        return _duplicate(run, request, prepared, known, hits)
    items = correction.items(run, prepared.content, request)
    author = prepared.item.author
    record = correction_record(run, correction, items[0], [[tag, "user"] for tag in prepared.given], author)
    run.journal.append([record])
    correct(run, Storing(run, model_in_use(run)), correction, items, author)
    stands = table.owners_by_hash(run.store.connection, [prepared.content_hash])[prepared.content_hash]
    tags = table.tags_of(run.store.connection, [stands.seq]).get(stands.seq, ())
    return replace(
        result,
        existing_key=stands.key,
        existing_stored_at=stands.created_at,
        content_type=stands.content_type,
        tags=table.effective(tags),
        replaced_title=title_of(entry.content),
        replaced_hash=entry.content_hash,
    )


def _duplicate(
    run: Run, request: PrepareRequest, prepared: Prepared, existing: Known, hits: tuple[GuardHit, ...]
) -> PrepareResult:
    """Give the entry that has the same text already the tags, priority and expiry that were asked for."""
    before = table.tags_of(run.store.connection, [existing.seq]).get(existing.seq, [])
    after = merged_tags(before, prepared.given, "user")
    changed: dict[str, Any] = {
        name: value
        for name, value, plain in (
            ("priority", request.priority.value, "normal"),
            ("expires_at", request.expires_at, ""),
        )
        if value not in {plain, getattr(existing, name)}
    }
    added = None
    if changed or table.effective(after) != table.effective(before):
        row = EntryRow(*run.store.rows(table.SELECT_ROWS, (table.in_json([existing.seq]),))[0])
        added = run.append([record_of_entry(row._replace(**changed), after, "decided", run.now)])
    with run.store.transaction() as connection:
        run.note_journal(added)
        writing = Writing(run, connection)
        gained = writing.gain_tags(existing, prepared.given, "user")
        for name, value in changed.items():
            connection.execute(f"UPDATE entries SET {name} = ? WHERE seq = ?", (value, existing.seq))
        if changed:
            writing.renew_metadata([existing.seq], Action.METADATA)
    return replace(
        _result(run.brand, prepared, "duplicate", hits),
        key=existing.key,
        content_type=existing.content_type,
        existing_key=existing.key,
        existing_stored_at=existing.created_at,
        existing_tags=tuple(sorted(tag.tag for tag in before if not tag.removed)),
        merged_tags=gained,
        changed=tuple(changed),
        priority=changed.get("priority", existing.priority),
        expires_at=changed.get("expires_at", existing.expires_at),
    )


def _result(brand: str, prepared: Prepared, status: str, hits: Sequence[GuardHit]) -> PrepareResult:
    refused = status == "refused"
    return PrepareResult(
        brand=brand,
        status=status,
        key="" if refused else prepared.item.key,
        content_hash=prepared.content_hash,
        content_type=ContentType(prepared.item.content_type).value,
        tags=tuple(sorted({*prepared.given, *prepared.detected})),
        title=title_of(prepared.content),
        priority=prepared.item.priority.value,
        expires_at=prepared.item.expires_at,
        guard_hits=tuple(hits),
        findings=prepared.findings,
        author=prepared.item.author,
    )


_COMPETITOR = "competitor:"


def _suggestions(preparer: Preparer, prepared: Prepared, request: PrepareRequest) -> tuple[Suggestion, ...]:
    """Return the type first, then the tags: of each only if the caller gave none. None for what is refused."""
    if prepared.refused or request.replaces:
        return ()
    reasons = preparer.reasons(prepared)
    rivals = tuple(word for tag in prepared.detected if tag.startswith(_COMPETITOR) for word in reasons[tag][1])
    found = [] if request.content_type else [_type(rivals, tuple(metrics_named(prepared.content.casefold())))]
    if not request.tags:
        found += [Suggestion("tag", tag, *reasons[tag]) for tag in prepared.detected if tag in reasons]
    return tuple(found)


def _type(rivals: tuple[str, ...], metrics: tuple[str, ...]) -> Suggestion:
    name = "content type"
    if rivals:
        return Suggestion(name, ContentType.COMPETITIVE_INTEL.value, "the text names a competitor", rivals)
    if metrics:
        return Suggestion(name, ContentType.PERFORMANCE_INSIGHT.value, "the text names a metric", metrics)
    return Suggestion(name, ContentType.CAMPAIGN_LEARNING.value, "the text names no competitor and no metric")
