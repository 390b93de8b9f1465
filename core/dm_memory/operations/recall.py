"""What matters now for a brand, from its files and memory.db alone: no service is asked and no model is loaded.

Asked at the start of each session, so each question has a limit, and a memory that can't be read is no error: then what
the brand's files say is the answer.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import orjson

from dm_memory.brand.context import load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.errors import DmMemoryError, HomeError
from dm_memory.operations.waiting import count_handed_in, count_waiting_files
from dm_memory.results import LastSyncResult, RecallResult, Remembered
from dm_memory.store import latest
from dm_memory.store.candidates import texts
from dm_memory.store.database import Store, reading
from dm_memory.store.entries import census
from dm_memory.store.patterns import pattern_line, read_patterns
from dm_memory.sync.contradictions import contradictions
from dm_memory.text.flags import compliance_note
from dm_memory.text.timestamps import Clock, from_iso, to_iso

__all__ = ["campaigns_of_brand", "last_sync_of_brand", "recall_of_brand", "tags_of_brand"]

_LEARNINGS = 12
_PATTERNS = 8
_RETIRED = 5
_LATELY = timedelta(days=30)
_CONTRADICTIONS = 5
_COMPARED = 200
"""Snapshots and campaign entries whose figures are compared: to compare all of a large brand takes seconds."""
_WRITTEN = 50
_UNREADABLE = "The memory can't be read just now."


def recall_of_brand(home: Home, brand: str, limits: Limits, clock: Clock) -> RecallResult:
    """Return what matters now; what can't be read is left out, and ``problem`` says so.

    Args:
        home: The home.
        brand: The slug.
        limits: Of brand files.
        clock: Returns the present moment.

    Raises:
        BrandNotFoundError: There is no such brand.
        HomeError: The home is missing or unreadable.
    """
    context = load_context(home, brand, limits)
    stated = RecallResult(
        brand,
        context.name,
        banned_words=context.banned_words,
        restricted_claims=context.restricted_claims,
        avoid_words=context.avoid_words,
        preferred=context.preferred,
        compliance=compliance_note(context),
    )
    try:
        memory_dir = home.memory_dir(brand)
    except HomeError as error:
        return replace(stated, problem=error.problem)
    try:
        return reading(memory_dir, brand, lambda store: _remembered(stated, store, memory_dir, clock()))
    except DmMemoryError as error:
        return replace(stated, prepared=count_waiting_files(memory_dir), problem=error.problem)
    except (sqlite3.Error, OSError, ValueError):  # damage that shows only when a row is read
        return replace(stated, prepared=count_waiting_files(memory_dir), problem=_UNREADABLE)


def _remembered(stated: RecallResult, store: Store | None, memory_dir: Path, now: datetime) -> RecallResult:
    """Add what memory says."""
    handed_in = 0
    with contextlib.suppress(DmMemoryError, OSError):  # a journal that can't be read is the sync's to report
        handed_in = count_handed_in(store, memory_dir)
    waiting = replace(stated, prepared=count_waiting_files(memory_dir) + handed_in)
    if store is None:
        return waiting
    connection = store.connection
    run = latest.last_run(store)
    pending, failed = latest.count_waiting(connection)
    measured = latest.latest_measured(connection, _COMPARED)
    known = _entries(connection, latest.latest_learnings(connection, 2 * _LEARNINGS), now)
    return replace(
        waiting,
        learnings=known[:_LEARNINGS],
        patterns=tuple(map(pattern_line, read_patterns(connection, limit=_PATTERNS))),
        retired=_entries(connection, latest.retired_lately(connection, to_iso(now - _LATELY), _RETIRED)),
        contradictions=tuple(islice(contradictions(store, measured), _CONTRADICTIONS)),
        entries=census(connection).current,
        pending=pending,
        failed=failed,
        last_sync_at=run.started_at if run else "",
        last_run_status=run.status if run else "",
    )


def _entries(
    connection: sqlite3.Connection, seqs: Sequence[int], now: datetime | None = None
) -> tuple[Remembered, ...]:
    """Return entries in the order of their rows; damaged ones, and those that expired before ``now``, are left out."""
    found = texts(connection, seqs)
    sound = [found[seq] for seq in seqs if seq in found and found[seq].is_sound]
    return tuple(
        Remembered(
            each.id,
            each.key,
            each.content,
            each.content_type,
            each.retired_at or each.recorded_at or each.created_at,
            each.priority,
            each.state,
        )
        for each in sound
        if now is None or not (expires := from_iso(each.expires_at)) or expires > now
    )


def last_sync_of_brand(memory_dir: Path, brand: str) -> LastSyncResult:
    """Return the last sync as memory has it on record. Raises ``StoreError``."""

    def read(store: Store | None) -> LastSyncResult:
        run = latest.last_run(store) if store else None
        if store is None or run is None:
            return LastSyncResult(brand)
        written = _entries(store.connection, latest.written_by(store.connection, run.number, _WRITTEN))
        counts = orjson.loads(run.counts)
        return LastSyncResult(brand, run.started_at, run.finished_at, run.status, run.scope, counts, written)

    return reading(memory_dir, brand, read)


def tags_of_brand(memory_dir: Path, brand: str, part: str, limit: int) -> list[str]:
    """Return tags that contain ``part``, the most used first. Raises ``StoreError``."""
    return reading(
        memory_dir, brand, lambda store: latest.most_used_tags(store.connection, part, limit) if store else []
    )


def campaigns_of_brand(memory_dir: Path, brand: str) -> list[str]:
    """Return the ids of a brand's campaigns, the latest first. Raises ``StoreError``."""
    return reading(memory_dir, brand, lambda store: latest.campaign_ids(store.connection) if store else [])
