"""The end of a run: counts that add up, files derived from memory, the checkpoint, and the result for the report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, astuple
from typing import Any

import orjson

from dm_memory.errors import DmMemoryError, system_reason
from dm_memory.findings import Finding, Severity, count_of_entries, is_file_problem
from dm_memory.requests import Scope
from dm_memory.results import CheckpointState, Failure, NextSync, ServiceResult, StoreResult, SyncResult
from dm_memory.services.protocol import Capacity, Service
from dm_memory.store import outbox
from dm_memory.store.database import Store
from dm_memory.store.entries import Census, census, in_json
from dm_memory.store.facts import count_facts
from dm_memory.store.indexes import count_without
from dm_memory.sync.contradictions import contradiction_findings
from dm_memory.sync.exports import (
    CHECKPOINT,
    INDEX,
    INDEX_CLOCK,
    LAST_SYNC,
    write_checkpoint,
    write_index,
    write_last_sync,
)
from dm_memory.sync.handin.pending import export_prepared, move_stored
from dm_memory.sync.run import Delivered, Environment, Run
from dm_memory.text.flags import compliance_note

__all__ = [
    "LAST_COMPLETE",
    "SEEN_TO_DIFFER",
    "VERIFIED",
    "capacity_on_record",
    "failure_of",
    "file_problems",
    "finish",
    "seen_capacity",
    "seen_to_differ",
    "store_result",
]

LAST_COMPLETE = "last_complete_sync"
"""The stored fact that says when everything was last known to be stored everywhere."""

VERIFIED = "verified"
"""The stored fact of what the last comparison left differing in services, by their names."""

SEEN_TO_DIFFER = "seen-to-differ"
_FILE_PROBLEMS = "file_problems"
_MAX_PROBLEMS = 100
_CHANGES = ("new", "modified", "metadata", "restored", "retired")


def failure_of(error: DmMemoryError, service: str) -> Failure:
    """Return a service's error as the report shows it."""
    return Failure(
        str(getattr(error, "error_class", "unavailable")),
        error.problem,
        error.remedy,
        str(getattr(error, "code", "")),
        service,
    )


def seen_capacity(env: Environment, capacity: Capacity | None) -> Capacity | None:
    """Return a capacity as it may be shown: what all brands use together says something of the others."""
    if capacity is None or not env.home.only:
        return capacity
    return None if capacity.entries is None else Capacity(capacity.entries, None, "entries", capacity.entries)


def capacity_on_record(store: Store, service: str) -> Capacity | None:
    """Return a service's capacity as it was after it was last used, or None."""
    text = store.meta(f"capacity:{service}")
    return Capacity(*orjson.loads(text)) if text else None


def file_problems(store: Store) -> list[Finding]:
    """Return what the latest syncs found wrong in the brand's files, and what nobody has corrected since."""
    rows = store.meta_json(_FILE_PROBLEMS) or []
    return [Finding(code, Severity(severity), *rest) for code, severity, *rest in rows]


def seen_to_differ(store: Store, services: Collection[str]) -> list[Finding]:
    """Return what the last comparison left differing in these services."""
    rows: dict[str, tuple[str, int, str]] = store.meta_json(VERIFIED) or {}
    return [
        Finding(
            SEEN_TO_DIFFER,
            Severity.ERROR,
            f"{engine}: {count_of_entries(wrong)} there differed from memory on {moment[:10]};"
            " nobody has compared them since.",
            "Run dm-memory verify --repair.",
        )
        for name, (engine, wrong, moment) in rows.items()
        if name in services
    ]


def store_result(store: Store, model: str, counted: Census, before: tuple[int, int] = (0, 0)) -> StoreResult:
    """Return what is in the memory itself.

    Args:
        store: Open.
        model: The tag of the model in use, or "".
        counted: The entries there are.
        before: Entities and facts before the run.
    """
    entities, facts = count_facts(store.connection)
    return StoreResult(
        entries=counted.current,
        retired=counted.retired,
        without_vectors=count_without(store.connection, model) if model else 0,
        model=model,
        entities=entities,
        facts=facts,
        new_entities=max(0, entities - before[0]),
        new_facts=max(0, facts - before[1]),
        patterns=store.value("SELECT count(*) FROM patterns"),
        bytes=store.value("PRAGMA page_count") * store.value("PRAGMA page_size"),  # the log comes and goes
    )


def finish(run: Run, model: str, seconds: float) -> SyncResult:
    """Count, write the derived files, record the end of the run, and return what happened."""
    counts = run.outcomes.counts
    store = run.store
    run.outcomes.add_findings(run.excluder.findings())
    if run.changed:
        run.outcomes.add_findings(contradiction_findings(store, run.number))
    counts.failed = _distinct(store, "error <> ''", run)
    counts.queued = _distinct(store, "error = ''", run)
    status = _status(run)
    at = run.now
    unchanged = run.request.dry_run or store.meta("clock") == run.before.clock
    counted = run.before if unchanged else census(store.connection)
    memory = run.store_before or store_result(store, model, counted, run.facts_before)
    checkpoint = _checkpoint(run, status, at, counted)
    services = tuple(_service(run, service) for service in run.env.services)
    if not run.request.dry_run:
        _record(run, status, checkpoint, services, at)
    items, omitted = run.outcomes.listed()
    return SyncResult(
        brand=run.brand,
        brand_name=run.context.name,
        run_id=run.run_id,
        dry_run=run.request.dry_run,
        scope=run.request.scope,
        force=run.request.force,
        status=status,
        started_at=run.started_at,
        seconds=seconds,
        counts=counts,
        items=items,
        items_omitted=omitted,
        findings=tuple(run.outcomes.findings),
        guard_hits=tuple(run.outcomes.guard_hits),
        store=memory,
        services=services,
        checkpoint=checkpoint,
        next_sync=_next(run, checkpoint),
        waited=run.waited,
        compliance_note=compliance_note(run.context),
    )


def _distinct(store: Store, condition: str, run: Run) -> int:
    """Count the entries that are due in a configured service and meet a condition."""
    return store.value(
        "SELECT count(DISTINCT id) FROM deliveries WHERE service IN (SELECT value FROM json_each(?))"
        f" AND kind = 'entry' AND wanted <> confirmed AND {condition}",
        (in_json(run.service_names),),
    )


def _status(run: Run) -> str:
    counts = run.outcomes.counts
    if run.stop.is_set():
        return "cancelled"
    down = any(delivered.failure or delivered.missing for delivered in run.delivered.values())
    if down or run.broken or run.embedding_error or (not run.request.dry_run and (counts.failed or counts.queued)):
        return "partial"
    return "complete"


def _checkpoint(run: Run, status: str, at: str, counted: Census) -> CheckpointState:
    counts = run.outcomes.counts
    moved = status == "complete" and run.request.scope is Scope.ALL and not run.request.dry_run
    return CheckpointState(
        moved=moved,
        last_complete_sync_at=at if moved else run.store.meta(LAST_COMPLETE),
        total_items=counted.current,
        delta=counted.current - run.before.current,
        by_content_type=counted.by_type,
        pending=counts.queued + counts.failed,
        failed=counts.failed,
        path=f"memory/{CHECKPOINT}",
    )


def _record(run: Run, status: str, checkpoint: CheckpointState, services: Sequence[ServiceResult], at: str) -> None:
    """Record the end of the run, then write what others read: an error there is reported and costs nothing."""
    store = run.store
    with store.transaction():
        run.finish(status, run.outcomes.counts)
        for name, delivered in run.delivered.items():
            if capacity := delivered.capacity:
                values = [capacity.used, capacity.limit, capacity.unit, capacity.entries, capacity.setting]
                store.set_meta(f"capacity:{name}", orjson.dumps(values).decode())
        _record_problems(run)
        if checkpoint.moved:
            store.set_meta(LAST_COMPLETE, at)
            kept = {
                "at": at,
                "run_id": run.run_id,
                "items": checkpoint.total_items,
                "by_content_type": dict(checkpoint.by_content_type),
            }
            store.set_meta("checkpoint", orjson.dumps(kept).decode())
    exported_to = int(store.meta(INDEX_CLOCK) or 0)

    folder, vector_db = run.memory_dir, run.env.vector_db
    if run.pending_names:
        run.outcomes.add_findings(move_stored(store, folder, run.pending_names, vector_db))
    _export(run, "stored/", lambda: export_prepared(store, folder, exported_to, vector_db))
    _export(run, INDEX, lambda: run.outcomes.add_findings(write_index(store, folder, vector_db)))
    if status == "complete":
        _export(run, LAST_SYNC, lambda: write_last_sync(folder, at, run.outcomes.counts.stored))
    _export(run, CHECKPOINT, lambda: write_checkpoint(folder, _state(run, status, checkpoint, services, at)))


def _record_problems(run: Run) -> None:
    """Keep what is wrong in the brand's files; of files that this run did not look at, what was known before."""
    seen = [finding for finding in run.outcomes.findings if finding.path and is_file_problem(finding)]
    if run.request.scope is not Scope.ALL or run.stop.is_set():
        read = run.listed | {finding.path for finding in seen}
        seen += [finding for finding in file_problems(run.store) if finding.path not in read]
    kept = dict.fromkeys(finding for finding in seen if finding not in run.context.findings)
    rows = [[problem.code, *astuple(problem)[1:]] for problem in list(kept)[:_MAX_PROBLEMS]]
    if rows or run.store.meta(_FILE_PROBLEMS):
        run.store.set_meta(_FILE_PROBLEMS, orjson.dumps(rows).decode() if rows else "")


def _export(run: Run, name: str, write: Callable[[], None]) -> None:
    """Write one of the files that others read. One that can't be written costs the others nothing."""
    try:
        write()
    except OSError as error:
        reason, remedy = system_reason(error)
        message = f"memory/{name}, which other tools read, could not be brought up to date ({reason})."
        run.outcomes.add_findings([Finding("export-failed", Severity.WARNING, message, remedy, f"memory/{name}")])


def _state(
    run: Run, status: str, checkpoint: CheckpointState, services: Sequence[ServiceResult], at: str
) -> dict[str, Any]:
    """Return the checkpoint file's content: ``checkpoint`` moves only when nothing is missing."""
    recorded = run.store.meta("checkpoint")
    failed = [item.content_hash for item in run.outcomes.listed()[0] if item.failure is not None]
    return {
        "version": 2,
        "brand": run.brand,
        "checkpoint": orjson.loads(recorded) if recorded else None,
        "last_run": {
            "run_id": run.run_id,
            "at": at,
            "status": status,
            "scope": run.request.scope,
            **asdict(run.outcomes.counts),
        },
        "memory": {
            "items": checkpoint.total_items,
            "by_content_type": dict(checkpoint.by_content_type),
            "pending": checkpoint.pending,
            "failed": checkpoint.failed,
        },
        "failed_hashes": failed,
        "services": {
            service.name: {
                "entries": service.entries,
                "counted": service.counted,
                "queued": service.queued,
                "failed": service.failed,
                "error": service.failure.message if service.failure else "",
            }
            for service in services
        },
    }


def _service(run: Run, service: Service) -> ServiceResult:
    connection = run.store.connection
    delivered = run.delivered.get(service.name, Delivered())
    return ServiceResult(
        name=service.name,
        role=service.role,
        engine=service.engine,
        stored=delivered.stored,
        failed=delivered.failed,
        removed=delivered.removed,
        queued=outbox.count_due(connection, service.name) - outbox.count_failed(connection, service.name),
        entries=outbox.count_confirmed(connection, service.name),
        counted=delivered.counted,
        missing=delivered.missing,
        asked=delivered.asked,
        capacity=seen_capacity(run.env, delivered.capacity or capacity_on_record(run.store, service.name)),
        failure=failure_of(delivered.failure, service.name) if delivered.failure else None,
        needed=delivered.needed,
        preview=delivered.preview,
        waited=delivered.waited,
        added=delivered.added,
    )


def _next(run: Run, checkpoint: CheckpointState) -> NextSync:
    counts = run.outcomes.counts
    if run.request.dry_run:
        due = counts.new + counts.modified + counts.metadata + counts.restored + counts.retired
        return NextSync(due, "Sync without dry_run to store this.", due)
    if run.stop.is_set():
        advice = "The sync was cancelled; the next one resumes where it stopped."
    elif counts.failed or counts.queued or any(delivered.failure for delivered in run.delivered.values()):
        advice = "Fix what failed (see there), then sync again: only what is missing is stored."
    elif any(delivered.missing for delivered in run.delivered.values()):
        advice = "Sync again in a moment: it looks for what a service lacks and stores it again."
    elif counts.held_back:
        advice = "Decide about what was not retired (see there), then sync again: everything else is safe."
    elif run.broken:
        advice = "Repair the files named above, then sync again: everything else is safe."
    else:
        advice = "Nothing is waiting. Sync again at the end of the next session."
    return NextSync(checkpoint.pending, advice, checkpoint.pending + _usual_size(run.store))


def _usual_size(store: Store) -> int:
    """Return how many changes the latest runs had on average; a brand's first run says nothing about the next."""
    rows = store.rows(
        "SELECT counts FROM runs WHERE counts <> '{}' AND number > (SELECT min(number) FROM runs)"
        " ORDER BY number DESC LIMIT 5"
    )
    sizes = [sum(orjson.loads(counts).get(name, 0) for name in _CHANGES) for (counts,) in rows]
    return round(sum(sizes) / len(sizes)) if sizes else 0
