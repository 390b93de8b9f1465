"""Generations of a layer: entries made with another model or another chunking never share a collection.

A change is noticed here and never mixed in silently. The way over is a forced sync: it fills a new collection beside
the old one, which serves searches until the new one is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.services.protocol import Layer
from dm_memory.sync.asking import answered
from dm_memory.sync.registry import Registry
from dm_memory.sync.runs import Run, generation_name
from dm_memory.sync.worker import Worker

__all__ = ["Generation", "RebuildableLayer", "agree_on_generation"]


@runtime_checkable
class RebuildableLayer(Layer, Protocol):
    """A layer that can fill a new collection beside the one in use."""

    async def begin_rebuild(self) -> None:
        """Start, or take up, a new collection; what is stored from now on goes there. Raises ``LayerError``."""

    async def finish_rebuild(self) -> None:
        """Let the new collection take the old one's place, at once. Raises ``LayerError``."""


@dataclass(slots=True)
class Generation:
    """How a layer's stored entries relate to its present model and chunking.

    Attributes:
        rebuilding: True where this run fills a new collection.
        blocked: Why nothing may be stored in the layer, or None.
    """

    fingerprint: str
    rebuilding: bool = False
    blocked: LayerError | None = None
    findings: list[Finding] = field(default_factory=list)

    async def begin(self, layer: Layer) -> None:
        """Start the new collection where one is needed. Raises ``LayerError``."""
        if self.rebuilding and isinstance(layer, RebuildableLayer):
            await layer.begin_rebuild()

    async def finish(self, layer: Layer, registry: Registry, worker: Worker) -> None:
        """Switch to the new collection where this run filled one. Raises ``LayerError``."""
        if not self.rebuilding:
            return
        if isinstance(layer, RebuildableLayer):
            await layer.finish_rebuild()
        await worker.run(_record, registry, layer.name, self.fingerprint)


async def agree_on_generation(
    registry: Registry, worker: Worker, layer: Layer, run: Run, *, force: bool, dry_run: bool
) -> Generation:
    """Compare what the layer was filled with to what it would be filled with now.

    Returns what follows; with ``force``, or where an earlier run began it, a rebuild whose items are due already.
    """
    try:
        current = await answered(layer.engine, layer.fingerprint())
    except LayerError as error:
        return Generation("", blocked=error)
    recorded = await worker.run(registry.meta, generation_name(layer.name))
    building = await worker.run(registry.meta, f"rebuilding:{layer.name}")
    begun = building == current
    if not recorded and not begun:
        return await _first_meeting(registry, worker, layer, run, current, force=force, dry_run=dry_run)
    changed = bool(recorded) and recorded != current
    if changed and not layer.capabilities.embeds:
        # No vectors to mix up: what was made in the old way is written over, and nobody has to be asked.
        if not dry_run:
            await worker.run(_write_over, registry, layer.name, current, run)
        return Generation(current)
    if building and not begun and not changed:
        await worker.run(_give_up_rebuild, registry, layer.name)
    if not begun and not changed and not (force and not dry_run and await _is_unwell(layer)):
        return Generation(current)
    if not begun and not force:
        return Generation(current, blocked=_mismatch(recorded, current), findings=[_changed(recorded, current)])
    if not begun:
        await worker.run(_make_all_due, registry, layer.name, current, run.number)
    return Generation(current, rebuilding=True, findings=[_changed(recorded, current)] if changed else [])


async def _first_meeting(
    registry: Registry, worker: Worker, layer: Layer, run: Run, current: str, *, force: bool, dry_run: bool
) -> Generation:
    """Take a layer in whose entries the registry knows nothing of: they may be another model's."""
    health = await layer.health() if isinstance(layer, RebuildableLayer) and not dry_run else None
    if health is None or health.ok or health.error is None:
        await worker.run(_record, registry, layer.name, current)
        return Generation(current)
    if not force:
        return Generation(current, blocked=health.error)
    await worker.run(_make_all_due, registry, layer.name, current, run.number)
    return Generation(current, rebuilding=True)


async def _is_unwell(layer: Layer) -> bool:
    return isinstance(layer, RebuildableLayer) and not (await layer.health()).ok


def _record(registry: Registry, layer: str, fingerprint: str) -> None:
    with registry.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (generation_name(layer), fingerprint))
        connection.execute("DELETE FROM meta WHERE name = ?", (f"rebuilding:{layer}",))


def _make_all_due(registry: Registry, layer: str, fingerprint: str, run: int) -> None:
    with registry.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"rebuilding:{layer}", fingerprint))
        connection.execute("DELETE FROM deliveries WHERE layer = ? AND state = 3", (layer,))
        connection.execute(
            "UPDATE deliveries SET run = ?, action = CASE WHEN run = ? THEN action ELSE 'forced' END, state = 0,"
            " content_hash = '', metadata_hash = '', attempts = 0, error = '' WHERE layer = ?",
            (run, run, layer),
        )


def _write_over(registry: Registry, layer: str, fingerprint: str, run: Run) -> None:
    """Make everything due in the collection in use, and count it as what the run adds to a layer."""
    _make_all_due(registry, layer, fingerprint, run.number)
    _record(registry, layer, fingerprint)
    due = registry.tuples("SELECT seq FROM deliveries WHERE layer = ? AND state <> 1", (layer,))
    run.added |= {seq for (seq,) in due} - run.left_over
    run.left_over |= run.added


def _give_up_rebuild(registry: Registry, layer: str) -> None:
    """Doubt everything: the settings name the old model again, and the collection that was being filled is left.

    What was confirmed, and removed, since the rebuild began is not so in the old collection. So everything is due as if
    an earlier run had left it, and the layer is asked what it holds.
    """
    with registry.transaction() as connection:
        connection.execute("DELETE FROM meta WHERE name = ?", (f"rebuilding:{layer}",))
        connection.execute(
            "UPDATE deliveries SET run = 0, state = 0, content_hash = '', metadata_hash = ''"
            " WHERE layer = ? AND state <> 3",
            (layer,),
        )
        connection.execute(
            "INSERT OR IGNORE INTO deliveries (layer, seq, state, run, action)"
            " SELECT ?, seq, 3, 0, 'duplicate' FROM items WHERE duplicate_of IS NOT NULL",
            (layer,),
        )


def _changed(recorded: str, current: str) -> Finding:
    message = f"Memory was made with {recorded}; the settings now say {current}."
    return Finding(
        "model-changed", Severity.WARNING, message, "A sync with force stores everything anew with the latter."
    )


def _mismatch(recorded: str, current: str) -> LayerError:
    return LayerError(
        f"Memory was made with {recorded}, which does not mix with {current}.",
        "Sync with force to build memory anew, or set DM_MEMORY_EMBEDDER back.",
        error_class=ErrorClass.VALIDATION,
        code="generation",
    )
