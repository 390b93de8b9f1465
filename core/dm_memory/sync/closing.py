"""The end of a run: counts that add up, files derived from the registry, and the result for the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from dm_memory.errors import LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.services.protocol import Capacity, Layer
from dm_memory.sync.delivery import Delivered
from dm_memory.sync.exports import CHECKPOINT, Exporter
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.prepared_files import Mover
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Scope, SyncRequest
from dm_memory.sync.results import CheckpointState, Failure, LayerResult, NextSync, SyncResult
from dm_memory.sync.rows import counts_by_type, entries_in, waiting_among
from dm_memory.sync.runs import LAST_COMPLETE, Run, finish_run, generation_name
from dm_memory.text.timestamps import Clock, to_iso

__all__ = ["Closing", "capacity_on_record", "failure_of", "record_capacity"]


_CHANGES = ("new", "modified", "metadata")


def capacity_on_record(registry: Registry, layer: str) -> Capacity | None:
    """Return the layer's capacity as it was after it was last used, or None."""
    text = registry.meta(f"capacity:{layer}")
    return Capacity(*orjson.loads(text)) if text else None


def record_capacity(registry: Registry, layer: str, capacity: Capacity) -> None:
    """Remember a layer's capacity, so that a run that does not need the layer need not open it."""
    values = [capacity.used, capacity.limit, capacity.unit, capacity.entries]
    registry.set_meta(f"capacity:{layer}", orjson.dumps(values).decode())


def failure_of(error: LayerError, layer: str) -> Failure:
    """Return a layer's error as the report shows it."""
    return Failure(error.error_class, error.problem, error.remedy, error.code, layer)


@dataclass(frozen=True, slots=True)
class Closing:
    """Everything the end of a run needs. The caller holds the brand, unless the run is a dry one."""

    registry: Registry
    brand: str
    memory_dir: Path
    layers: Sequence[Layer]
    vector_db: str
    kinds: Collection[str]
    request: SyncRequest
    run: Run
    outcomes: Outcomes
    delivered: Mapping[str, Delivered]
    broken: bool
    stopped: bool
    clock: Clock
    pending_names: Sequence[str]

    def result(self, brand_name: str, compliance_note: str, seconds: float) -> SyncResult:
        """Count, write the derived files, record the end of the run, and return what happened."""
        tried = self._count()
        status = self._status()
        at = to_iso(self.clock())
        if not self.request.dry_run:
            self._write_files(status, at)
        checkpoint = self._checkpoint(status, at)
        if not self.request.dry_run:
            self._record_end(status, checkpoint, at)
        items, omitted = self.outcomes.listed(tried, partial(waiting_among, self.registry))
        return SyncResult(
            brand=self.brand,
            brand_name=brand_name,
            run_id=self.run.run_id,
            dry_run=self.request.dry_run,
            scope=self.request.scope,
            force=self.request.force,
            status=status,
            started_at=self.run.started_at,
            seconds=seconds,
            counts=self.outcomes.counts,
            items=items,
            items_omitted=omitted,
            findings=tuple(self.outcomes.findings),
            guard_hits=tuple(self.outcomes.guard_hits),
            layers=tuple(self._layer(layer) for layer in self.layers),
            checkpoint=checkpoint,
            next_sync=self._next(checkpoint),
            waited=self.run.waited,
            compliance_note=compliance_note,
        )

    def _count(self) -> int:
        """Count outcomes over all layers, and return how many items this run tried.

        An item is stored when this run stored it somewhere and no layer is left that has to.
        """
        counts, run = self.outcomes.counts, self.run.number
        tried = 0
        if any(delivered.opened for delivered in self.delivered.values()):
            row = self.registry.tuples(
                "SELECT sum(done AND NOT due), sum(bad), sum(done OR bad) FROM"
                " (SELECT max(state = 1 AND run = ?) AS done, max(state = 2 AND run = ?) AS bad, max(state <> 1) AS due"
                " FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE run = ?) GROUP BY seq)",
                (run, run, run),
            )[0]
            counts.stored, counts.failed, tried = (number or 0 for number in row)
        if not self.request.dry_run:
            counts.queued = self._queued()
        left = self.run.left_over - self.run.adopted.keys()
        if left:
            self._count_left_over(left)
        return tried

    def _queued(self) -> int:
        """Count what this run should have stored and did not get to; what it was not asked for waits for another."""
        mine, states = f"run = {self.run.number}", "state IN (0, 3)"
        if self.stopped or any(delivered.failure for delivered in self.delivered.values()):
            # What failed in an earlier run was not tried: it waits like the rest.
            mine, states = f"({mine} OR {self._in_scope})", f"({states} OR run <> {self.run.number})"
        return self._distinct(f"state <> 1 AND {states} AND {mine}")

    @property
    def _in_scope(self) -> str:
        kinds = ", ".join(f"'{kind}'" for kind in sorted(self.kinds))
        return f"seq IN (SELECT seq FROM items WHERE kind IN ({kinds}))"  # noqa: S608  # our own names

    def _count_left_over(self, left: set[int]) -> None:
        """Count what this run took up besides its own plan: by what made it due."""
        if not self.request.dry_run:
            rows = self.registry.rows("SELECT DISTINCT seq FROM deliveries WHERE run = ?", (self.run.number,))
            left = left & {row["seq"] for row in rows}
        counts, run = self.outcomes.counts, self.run
        counts.learned = len(left & run.learned)
        counts.added = len((left & run.added) - run.learned)
        counts.retried = len((left & run.failed_before) - run.added - run.learned)
        counts.resumed = len(left) - counts.learned - counts.added - counts.retried

    def _distinct(self, condition: str) -> int:
        return self.registry.value(f"SELECT count(DISTINCT seq) FROM deliveries WHERE {condition}")  # noqa: S608  # ours

    def _status(self) -> str:
        counts = self.outcomes.counts
        if self.stopped:
            return "cancelled"
        down = [d for d in self.delivered.values() if d.failure is not None]
        if down and len(down) == len(self.layers) and not counts.stored:
            return "nothing"
        missing = counts.failed or counts.queued or self._distinct(f"state <> 1 AND state = 2 AND {self._in_scope}")
        if down or (missing and not self.request.dry_run) or self.broken:
            return "partial"
        return "complete"

    # Derived files -----------------------------------------------------------------------------------------------

    @property
    def _exporter(self) -> Exporter:
        return Exporter(self.registry, self.brand, self.memory_dir, self.layers[0].name, self.vector_db)

    def _write_files(self, status: str, at: str) -> None:
        """Write what others read. Trouble here is reported and costs nothing: the registry has everything."""
        exporter = self._exporter
        try:
            if self.pending_names:
                mover = Mover(self.registry, self.brand, self.memory_dir, self.layers[0].name, self.vector_db)
                self.outcomes.add_findings(mover.move(self.pending_names))
            self.outcomes.add_findings(exporter.write_index())
            if status == "complete":
                exporter.write_last_sync(at, self.outcomes.counts.stored)
        except OSError as error:
            self.outcomes.add_findings([_unwritten(self.memory_dir, error)])

    def _checkpoint(self, status: str, at: str) -> CheckpointState:
        pending = self._distinct("state <> 1")
        complete = status == "complete" and self.request.scope is Scope.ALL and not pending
        moved = complete and not self.request.dry_run
        by_type = counts_by_type(self.registry)
        total = sum(by_type.values())
        return CheckpointState(
            moved=moved,
            last_complete_sync_at=at if moved else self.registry.meta(LAST_COMPLETE),
            total_items=total,
            delta=total - self.run.items_before,
            by_content_type=by_type,
            pending=pending,
            failed=self._distinct("state <> 1 AND state = 2"),
            path=f"memory/{CHECKPOINT}",
        )

    def _record_end(self, status: str, checkpoint: CheckpointState, at: str) -> None:
        counts = asdict(self.outcomes.counts)
        with self.registry.transaction() as connection:
            finish_run(connection, self.run, status, at, counts)
            if checkpoint.moved:
                self.registry.set_meta(LAST_COMPLETE, at)
                self.registry.set_meta("checkpoint", orjson.dumps(self._kept(checkpoint, at)).decode())
        state = self._state(status, checkpoint, at, counts)
        try:
            self._exporter.write_checkpoint(state)
        except OSError as error:
            self.outcomes.add_findings([_unwritten(self.memory_dir, error)])

    def _kept(self, checkpoint: CheckpointState, at: str) -> dict[str, Any]:
        return {
            "at": at,
            "run_id": self.run.run_id,
            "items": checkpoint.total_items,
            "by_content_type": dict(checkpoint.by_content_type),
        }

    def _state(self, status: str, checkpoint: CheckpointState, at: str, counts: Mapping[str, int]) -> dict[str, Any]:
        """Return the checkpoint file's content: ``checkpoint`` moves only when nothing is missing."""
        recorded = self.registry.meta("checkpoint")
        return {
            "version": 1,
            "brand": self.brand,
            "checkpoint": orjson.loads(recorded) if recorded else None,
            "last_run": {"run_id": self.run.run_id, "at": at, "status": status, "scope": self.request.scope, **counts},
            "memory": {
                "items": checkpoint.total_items,
                "by_content_type": dict(checkpoint.by_content_type),
                "pending": checkpoint.pending,
                "failed": checkpoint.failed,
            },
        }

    # The report's other parts ------------------------------------------------------------------------------------

    def _layer(self, layer: Layer) -> LayerResult:
        name = layer.name
        delivered = self.delivered.get(name, Delivered())
        return LayerResult(
            name=name,
            engine=layer.engine,
            stored=delivered.stored,
            failed=delivered.failed,
            queued=self.registry.value(
                "SELECT count(*) FROM deliveries INDEXED BY deliveries_due"
                " WHERE layer = ? AND state <> 1 AND (state IN (0, 3) OR run <> ?)",
                (name, self.run.number),
            ),
            entries=entries_in(self.registry, name),
            opened=delivered.opened,
            failure=failure_of(delivered.failure, name) if delivered.failure else None,
            capacity=capacity_on_record(self.registry, name),
            model=self.registry.meta(generation_name(name)) if layer.role == "vector" else "",
        )

    def _next(self, checkpoint: CheckpointState) -> NextSync:
        counts = self.outcomes.counts
        if self.request.dry_run:
            # The plan was written into the private copy, so what is pending there is all of it.
            return NextSync(checkpoint.pending, "Sync without dry_run to store this.", checkpoint.pending)
        if self.stopped:
            advice = "The sync was cancelled; the next one goes on where it stopped."
        elif counts.failed or counts.queued or checkpoint.failed:
            advice = "Fix what failed (see there), then sync again: only what is missing is stored."
        elif self.broken:
            advice = "Repair the broken files, then sync again: everything else is safe."
        else:
            advice = "Nothing is waiting. Sync again at the end of the next session."
        return NextSync(checkpoint.pending, advice, checkpoint.pending + self._usual_size())

    def _usual_size(self) -> int:
        """Return how many changes the latest runs had on average; a brand's first run says nothing about the next."""
        rows = self.registry.rows(
            "SELECT counts FROM runs WHERE counts <> '{}'"
            " AND id > (SELECT min(id) FROM runs WHERE status <> 'prepared') ORDER BY id DESC LIMIT 5"
        )
        sizes = [sum(orjson.loads(row["counts"]).get(name, 0) for name in _CHANGES) for row in rows]
        return round(sum(sizes) / len(sizes)) if sizes else 0


def _unwritten(memory_dir: Path, error: OSError) -> Finding:
    message = f"The files for other tools in {memory_dir} could not be brought up to date ({error.strerror})."
    return Finding(
        "export-failed", Severity.WARNING, message, "Free space or make the folder writable, then sync again."
    )
