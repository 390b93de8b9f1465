"""What is in memory and whether it is well: the registry's view held against what the engines really hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.brand.files import BrandFileError
from dm_memory.brand.pending import pending_files
from dm_memory.errors import LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.items import storage_id
from dm_memory.services.protocol import Capacity, Health, Layer
from dm_memory.sync.asking import answered
from dm_memory.sync.closing import capacity_on_record
from dm_memory.sync.lock import is_locked, lock_holder
from dm_memory.sync.outcomes import title_of
from dm_memory.sync.registry import Registry, read_registry
from dm_memory.sync.results import Action, Failure, ItemOutcome, LayerStatus, StatusResult
from dm_memory.sync.rows import counts_by_type, entries_in, tags_of
from dm_memory.sync.state import Environment
from dm_memory.sync.worker import worker_thread
from dm_memory.text.timestamps import from_iso

__all__ = ["brand_status"]

_STALE_AFTER = 7 * 24 * 3600


async def brand_status(environment: Environment, brand: str, failures: int) -> StatusResult:
    """Look at a brand's memory without changing anything, even while a sync runs.

    Args:
        environment: Where and how.
        brand: The slug.
        failures: How many failed items to list.

    Raises:
        DmMemoryError: The home or the registry can't be read.
    """
    memory_dir = environment.home.memory_dir(brand)
    async with worker_thread("dm-memory-status") as worker:
        context = await worker.run(load_context, environment.home, brand, environment.limits)
        before = await worker.run(_last_run, memory_dir)
        measured = [await _measure(layer) for layer in environment.layers]
        active = (lock_holder(memory_dir) or "another process") if await worker.run(is_locked, memory_dir) else ""

        def view(registry: Registry) -> StatusResult:
            layers = [_layer_status(registry, *measures) for measures in measured]
            comparable = not active and _latest(registry) == before
            return _View(environment, brand, context, registry, layers, active, comparable).result(failures)

        return await worker.run(read_registry, memory_dir, view)


def _last_run(memory_dir: Path) -> tuple[int, str]:
    return read_registry(memory_dir, _latest)


def _latest(registry: Registry) -> tuple[int, str]:
    """Return what tells whether a run began or ended since."""
    rows = registry.rows("SELECT id, status FROM runs ORDER BY id DESC LIMIT 1")
    return (rows[0]["id"], rows[0]["status"]) if rows else (0, "")


async def _measure(layer: Layer) -> tuple[Layer, Health, Capacity | None]:
    health = await layer.health()
    if not health.ok:
        return layer, health, None
    try:
        return layer, health, await answered(layer.engine, layer.capacity())
    except LayerError as error:
        return layer, Health(ok=False, engine=layer.engine, detail=error.problem, error=error), None


def _layer_status(registry: Registry, layer: Layer, health: Health, capacity: Capacity | None) -> LayerStatus:
    name = layer.name
    return LayerStatus(
        name=name,
        engine=layer.engine,
        model=registry.meta(f"generation:{name}") if layer.role == "vector" else "",
        entries=entries_in(registry, name),
        held=capacity.entries if capacity else None,
        pending=registry.value(
            "SELECT count(*) FROM deliveries WHERE layer = ? AND state <> 1 AND state IN (0, 3)", (name,)
        ),
        failed=registry.value("SELECT count(*) FROM deliveries WHERE layer = ? AND state <> 1 AND state = 2", (name,)),
        health=health,
        capacity=capacity or capacity_on_record(registry, name),
    )


@dataclass(frozen=True, slots=True)
class _View:
    environment: Environment
    brand: str
    context: BrandContext
    registry: Registry
    layers: Sequence[LayerStatus]
    active: str
    comparable: bool
    """False where a run has changed the layers, or the registry, between the looks at one and the other."""

    def result(self, failures: int) -> StatusResult:
        counts = counts_by_type(self.registry)
        last = self.registry.rows(
            "SELECT started_at, status FROM runs WHERE status NOT IN ('prepared', 'maintenance')"
            " ORDER BY id DESC LIMIT 1"
        )
        complete = self.registry.meta("last-complete-sync")
        findings = (*self.context.findings, *self._drift())
        pending = self.registry.value("SELECT count(DISTINCT seq) FROM deliveries WHERE state <> 1 AND state IN (0, 3)")
        failed = self.registry.value("SELECT count(DISTINCT seq) FROM deliveries WHERE state <> 1 AND state = 2")
        prepared = self._prepared()
        status = self._status(bool(last), failed, findings)
        return StatusResult(
            brand=self.brand,
            brand_name=self.context.name,
            status=status,
            total_items=sum(counts.values()),
            counts=counts,
            pending=pending,
            failed=failed,
            prepared=len(prepared),
            last_sync_at=last[0]["started_at"] if last else "",
            last_complete_sync_at=complete,
            sync_age_seconds=self._age(complete),
            last_run_status=self._last_status(last[0]["status"] if last else ""),
            layers=tuple(self.layers),
            failures=self._failures(failures),
            findings=findings,
            advice=tuple(self._advice(status, pending + self._unknown(prepared), failed, complete)),
            active_run=self.active,
        )

    def _last_status(self, status: str) -> str:
        return "interrupted" if status == "running" and not self.active else status

    def _age(self, complete: str) -> float | None:
        moment = from_iso(complete)
        return None if moment is None else max(0.0, (self.environment.clock() - moment).total_seconds())

    def _prepared(self) -> tuple[str, ...]:
        try:
            waiting = pending_files(self.environment.home.memory_dir(self.brand))
        except BrandFileError:
            return ()  # the sync reports it
        return (*waiting.prepared, *waiting.graph)

    def _unknown(self, names: Sequence[str]) -> int:
        """Count the pending files that the registry has not taken in: the others are among its pending items."""
        rows = self.registry.rows("SELECT prepared_hash FROM items WHERE prepared_hash <> ''")
        return len({name.removesuffix(".json") for name in names} - {row["prepared_hash"] for row in rows})

    def _drift(self) -> list[Finding]:
        """Compare what the registry expects in a layer with what it holds; not while a sync changes both."""
        if not self.comparable:
            return []
        return [finding for layer in self.layers if (finding := _drifted(layer)) is not None]

    def _status(self, synced: bool, failed: int, findings: Sequence[Finding]) -> str:
        if self.active:
            return "syncing"
        if not synced:
            return "never-synced"
        trouble = any(finding.code == "drift" for finding in findings) or any(
            not layer.health.ok for layer in self.layers
        )
        return "attention" if failed or trouble else "ready"

    def _advice(self, status: str, waiting: int, failed: int, complete: str) -> list[str]:
        advice = []
        if status == "never-synced":
            advice.append(self._first_advice())
        advice += [layer.health.error.remedy for layer in self.layers if layer.health.error]
        if any(finding.code == "drift" for finding in self._drift()):
            advice.append("Run a sync with force: it stores again what is missing.")
        if failed:
            advice.append(f"{failed} failed: see what to do beside each, then sync again.")
        if waiting and status != "never-synced":
            advice.append(f"Sync to store the {waiting} that wait.")
        if not advice and (self._age(complete) or 0) > _STALE_AFTER:
            advice.append("The last complete sync is more than a week old: sync at the end of this session.")
        return advice or ["Nothing to do."]

    def _first_advice(self) -> str:
        held = max((layer.held or 0 for layer in self.layers if layer.name.startswith("durable")), default=0)
        if not held:
            return "Sync this brand for the first time."
        return f"Sync: the durable store holds {held} entries that this machine then knows, and stores none of again."

    def _failures(self, limit: int) -> tuple[ItemOutcome, ...]:
        found = self.registry.rows(
            "SELECT d.layer, d.attempts, d.next_attempt_at, d.error, i.key, i.content, i.content_hash, i.content_type,"
            " i.details FROM deliveries d JOIN items i ON i.seq = d.seq WHERE d.state = 2 ORDER BY d.seq LIMIT ?",
            (limit,),
        )
        outcomes = []
        for row in found:
            error_class, message, remedy, code = orjson.loads(row["error"])
            failure = Failure(error_class, message, remedy, code, row["layer"], row["attempts"], row["next_attempt_at"])
            outcomes.append(
                ItemOutcome(
                    key=row["key"],
                    title=title_of(row["content"]),
                    content_hash=row["content_hash"],
                    action=Action.RETRY,
                    content_type=row["content_type"],
                    tags=tuple(tags_of(row["details"])),
                    storage_id=storage_id(self.brand, row["key"]),
                    failure=failure,
                )
            )
        return tuple(outcomes)


def _drifted(layer: LayerStatus) -> Finding | None:
    if layer.held is None or layer.entries <= layer.held <= layer.entries + layer.pending:
        return None  # an interrupted run may have stored what it could not record; the next one asks
    if layer.held > layer.entries and "@" in layer.name:
        message = f"{layer.engine} holds {layer.held - layer.entries} more entries than this machine has stored or met."
        return Finding(
            "stored-elsewhere", Severity.INFO, message, "Other machines store there too: sync to learn them."
        )
    if layer.held > layer.entries:
        message = f"{layer.engine} holds {layer.held} entries, but this registry knows of {layer.entries} only."
        remedy = "They can be searched; keep the vector folder, and restore registry.db from a backup if you have one."
        return Finding("unknown-entries", Severity.WARNING, message, remedy)
    message = f"{layer.engine} holds {layer.held} entries, but {layer.entries} were stored there."
    remedy = "Run a sync with force: it stores again what is missing."
    return Finding("drift", Severity.ERROR, message, remedy)
