"""What a run needs, is asked, knows and did: one object that travels through all its stages."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.items import Kind, Payload, storage_id
from dm_memory.requests import Progress, Scope, SyncRequest
from dm_memory.results import Action, Counts, Failure, GuardHit, ItemOutcome, StoreResult
from dm_memory.services.protocol import Capacity, Service
from dm_memory.store.allowing import allowed_in
from dm_memory.store.database import Store
from dm_memory.store.entries import Census, Known, census, effective
from dm_memory.store.facts import count_facts
from dm_memory.store.journal import Appended, Journal
from dm_memory.store.latest import last_run
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.payloads import Preparer, guard_hits
from dm_memory.sync.plan import WRITTEN, Planned
from dm_memory.text.timestamps import Clock, from_iso, to_iso
from dm_memory.worker import Worker

__all__ = ["KINDS", "Delivered", "Environment", "Outcomes", "Run", "count_entries", "title_of"]

Policy = Literal["mask", "keep"]

_HANDED_IN = frozenset({Kind.SESSION, Kind.PREPARED})
KINDS: dict[Scope, frozenset[str]] = {
    Scope.ALL: frozenset(Kind),
    Scope.INSIGHTS_ONLY: frozenset({Kind.INSIGHT, *_HANDED_IN}),
    Scope.CAMPAIGNS_ONLY: frozenset({Kind.CAMPAIGN, Kind.PERFORMANCE, *_HANDED_IN}),
}
"""Which kinds of entries a scope concerns; what was handed in is stored in every scope."""

_CLOCK_TOLERANCE_SECONDS = 120
_KEPT_RUNS = 200


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run needs besides its request.

    Attributes:
        services: The connected services, the vector database first.
        embedder: Makes the vectors; None if no model is installed, and search runs on words alone.
        vector_db: The vector database's name in the plugin script's files.
        batch_items: Most items of one delivery to a service that embeds here.
        data_items: Outcomes kept for the report.
        context_file: A ``product-marketing-context.md`` outside of the home that belongs to the brand.
    """

    home: Home
    services: Sequence[Service]
    embedder: Embedder | None
    policy: Policy
    limits: Limits
    clock: Clock
    lock_timeout: float
    batch_items: int
    data_items: int
    vector_db: str = "qdrant"
    context_file: Path | None = None


@dataclass(slots=True)
class Delivered:
    """What one service made of a run.

    Attributes:
        waited: How many of those stored were due since an earlier run.
        added: How many of those stored were in memory already when the service was connected.
        asked: Whether the service was asked anything.
        counted: How many entries it says it has, None if it can't count them or was not asked.
        missing: Entries it was thought to have and turned out not to.
        needed: In a dry run, about how much of the capacity storing would use, in its unit.
        preview: In a dry run, some payloads as the service would get them.
    """

    stored: int = 0
    failed: int = 0
    removed: int = 0
    waited: int = 0
    added: int = 0
    asked: bool = False
    counted: int | None = None
    missing: int = 0
    failure: ServiceError | None = None
    capacity: Capacity | None = None
    needed: int | None = None
    preview: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class Run:
    """A run under way.

    Attributes:
        stop: When set, the run ends after the batch at hand.
        number: The database's own number for the run; rows carry it. Its row is written with the first change.
        broken: Something could not be read, so the checkpoint must not move past it.
        listed: The brand's files that the run reads.
        changed: Whether anything was written to the memory.
        waited: Seconds spent waiting for another sync.
        before: The entries there were at the beginning.
        store_before: In a dry run, what is in memory: its private copy is written to.
        pending_names: Files of ``memory/pending`` that were taken in.
        embedding_error: Why texts could not be embedded, "" if all could.
        reason: Why texts are replaced by this run.
    """

    env: Environment
    request: SyncRequest
    brand: str
    context: BrandContext
    store: Store
    journal: Journal
    worker: Worker
    progress: Progress
    stop: asyncio.Event
    preparer: Preparer
    excluder: Excluder
    outcomes: Outcomes
    number: int
    run_id: str
    started_at: str
    waited: float
    before: Census
    facts_before: tuple[int, int]
    store_before: StoreResult | None = None
    broken: bool = False
    listed: frozenset[str] = frozenset()
    changed: bool = False
    pending_names: list[str] = field(default_factory=list)
    delivered: dict[str, Delivered] = field(default_factory=dict)
    embedding_error: str = ""
    reason: str = "changed"

    @classmethod
    def begin(  # in the order of the fields
        cls,
        env: Environment,
        request: SyncRequest,
        brand: str,
        context: BrandContext,
        store: Store,
        worker: Worker,
        progress: Progress,
        stop: asyncio.Event,
        waited: float,
    ) -> Run:
        """Return a new run on an open store; nothing is written yet."""
        now = env.clock()
        outcomes = Outcomes(brand, max(env.data_items, request.report_items), dry_run=request.dry_run)
        last = last_run(store)
        moment = from_iso(last.started_at) if last else None
        if last and moment and (moment - now).total_seconds() > _CLOCK_TOLERANCE_SECONDS:
            message = f"This computer's clock is behind the last sync ({last.started_at}); nothing was lost."
            outcomes.add_findings(
                [Finding("clock-went-back", Severity.WARNING, message, "Check the date and time of this computer.")]
            )
        return cls(
            env=env,
            request=request,
            brand=brand,
            context=context,
            store=store,
            journal=Journal(env.home.memory_dir(brand)),
            worker=worker,
            progress=progress,
            stop=stop,
            preparer=Preparer.of(brand, context, env.policy, allowed_in(store)),
            excluder=Excluder(request.exclude, _statuses(store) if request.exclude else None),
            outcomes=outcomes,
            number=(last.number if last else 0) + 1,
            run_id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
            started_at=to_iso(now),
            waited=waited,
            before=census(store.connection),
            facts_before=count_facts(store.connection),
        )

    @property
    def memory_dir(self) -> Path:
        """The brand's ``memory`` folder."""
        return self.env.home.memory_dir(self.brand)

    @property
    def service_names(self) -> tuple[str, ...]:
        """The names of the connected services."""
        return tuple(service.name for service in self.env.services)

    @property
    def now(self) -> str:
        """The present moment, ISO-8601."""
        return to_iso(self.env.clock())

    def append(self, records: Sequence[Mapping[str, Any]]) -> Appended | None:
        """Journal records before the transaction that makes them true; return where, None if there are none."""
        return self.journal.append(records) if records and not self.request.dry_run else None

    def note_journal(self, added: Appended | None) -> None:
        """Remember where the journal ends, inside the transaction: one that is shorter has lost something.

        If nobody handed anything in since it was read, these records need not be read again either.
        """
        if added is None:
            return
        end = f"{added.identity}:{added.end}"
        self.store.set_meta("journal", end)
        if self.store.meta("journal_read") == f"{added.identity}:{added.start}":
            self.store.set_meta("journal_read", end)

    def note_change(self, connection: sqlite3.Connection) -> None:
        """Record that this run writes, in the transaction that writes; a run that ends early shows by its status.

        Number 0 is a prepared text's: no sync that could be interrupted.
        """
        if self.changed:
            return
        self.changed = True
        if not self.number:
            return
        connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")
        connection.execute(
            "INSERT OR IGNORE INTO runs (number, run_id, started_at, status, scope) VALUES (?, ?, ?, 'running', ?)",
            (self.number, self.run_id, self.started_at, self.request.scope),
        )

    def finish(self, status: str, counts: Counts) -> None:
        """Record the end of the run and drop the oldest ones. Inside a transaction."""
        self.note_change(self.store.connection)
        self.store.connection.execute(
            "UPDATE runs SET status = ?, finished_at = ?, counts = ? WHERE number = ?",
            (status, self.now, orjson.dumps(asdict(counts)).decode(), self.number),
        )
        self.store.connection.execute("DELETE FROM runs WHERE number <= ?", (self.number - _KEPT_RUNS,))


def count_entries(store: Store) -> int:
    """Count the distinct entries in memory, retired ones left out."""
    return census(store.connection).current


def _statuses(store: Store) -> dict[str, str]:
    """Return the status of each campaign that memory knows, by its id."""
    sql = (
        "SELECT DISTINCT json_extract(facts, '$.campaign_id'), json_extract(facts, '$.campaign_status') FROM entries"
        " WHERE kind = 'campaign' AND state = 'current' AND json_extract(facts, '$.campaign_status') IS NOT NULL"
    )
    return {str(campaign): str(status) for campaign, status in store.rows(sql)}


_TITLE_CHARS = 100
_MAX_FINDINGS = 500


def title_of(content: str) -> str:
    """Return the first words of a text on one line, unescaped."""
    line = " ".join(content[: 4 * _TITLE_CHARS].split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1] + "…"


class Outcomes:
    """Everything a report will state about items.

    Args:
        brand: For storage ids.
        limit: Outcomes kept in each of three groups (failed, stored, skipped); the rest is only counted.
        dry_run: Whether items are merely planned.
    """

    def __init__(self, brand: str, limit: int, *, dry_run: bool) -> None:
        self.counts = Counts()
        self.findings: list[Finding] = []
        self.guard_hits: list[GuardHit] = []
        self._brand = brand
        self._limit = limit
        self._dry_run = dry_run
        self._failed: dict[str, ItemOutcome] = {}
        self._stored: list[ItemOutcome] = []
        self._skipped: list[ItemOutcome] = []
        self._omitted = 0

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Keep findings, up to a bound that no healthy brand meets."""
        self.findings.extend(findings)
        del self.findings[_MAX_FINDINGS:]

    def planned(
        self, entries: Iterable[Planned], before: Mapping[str, Mapping[str, str]], batch: frozenset[str]
    ) -> None:
        """Count planned items and keep those that are not simply unchanged.

        Args:
            entries: Of one chunk, after it was committed.
            before: By key, what changed entries were before.
            batch: The tags that the caller gave.
        """
        counts = self.counts
        for entry in entries:
            action = entry.action
            setattr(counts, action.value, getattr(counts, action.value) + 1)
            if entry.prepared.findings and action is not Action.UNCHANGED:
                self.add_findings(entry.prepared.findings)
            if entry.prepared.guard_hits and len(self.guard_hits) < self._limit:
                self.guard_hits += guard_hits(entry.prepared)
            if action is Action.UNCHANGED:
                continue
            if action in WRITTEN:
                counts.stored += not self._dry_run
                self._keep(self._stored, entry, before, batch)
            else:
                self._keep(self._skipped, entry, before, batch)

    def _keep(
        self, group: list[ItemOutcome], entry: Planned, before: Mapping[str, Mapping[str, str]], batch: frozenset[str]
    ) -> None:
        if len(group) >= self._limit:
            self._omitted += 1
            return
        prepared = entry.prepared
        tags = effective(entry.tags)
        skipped = entry.action not in WRITTEN
        group.append(
            ItemOutcome(
                key=entry.key,
                title=title_of(prepared.content),
                content_hash=prepared.content_hash,
                action=entry.action,
                content_type=entry.content_type,
                tags=tags,
                batch_tags=tuple(tag for tag in tags if tag in batch),
                storage_id=storage_id(self._brand, entry.owner_key or entry.key),
                stored=not skipped and not self._dry_run,
                planned=not skipped and self._dry_run,
                reason=f"same text as {entry.owner_key}" if entry.action is Action.DUPLICATE else entry.reason,
                before=before.get(entry.key, {}),
                author=entry.known.author if entry.known else prepared.item.author,
            )
        )

    def retired(self, rows: Iterable[Known], texts: Mapping[int, str]) -> None:
        """Count and keep entries that were retired."""
        for row in rows:
            self.counts.retired += 1
            if len(self._stored) >= self._limit:
                self._omitted += 1
                continue
            self._stored.append(
                ItemOutcome(
                    key=row.key,
                    title=title_of(texts.get(row.seq, "")),
                    content_hash=row.content_hash,
                    action=Action.RETIRED,
                    content_type=row.content_type,
                    storage_id=row.id,
                    stored=not self._dry_run,
                    planned=self._dry_run,
                    reason="no file states it any more",
                )
            )

    def promoted(self) -> None:
        """Count a duplicate that stands for its text from now on, because the entry it pointed at changed."""
        self.counts.new += 1
        self.counts.stored += not self._dry_run

    def failed(self, payload: Payload, action: Action, failure: Failure) -> None:
        """Note that a connected service refused an entry."""
        if len(self._failed) < self._limit:
            outcome = ItemOutcome(
                key=payload.key,
                title=title_of(payload.content),
                content_hash=payload.content_hash,
                action=action,
                content_type=payload.content_type,
                tags=payload.tags,
                storage_id=payload.id,
                failure=failure,
                author=payload.author,
            )
            self._failed.setdefault(payload.id, outcome)

    def listed(self) -> tuple[tuple[ItemOutcome, ...], int]:
        """Return the outcomes to list, failures first, and how many were left out."""
        every = (*self._failed.values(), *self._stored, *self._skipped)
        return every[: self._limit], self._omitted + max(0, len(every) - self._limit)
