"""The first stage of a run: what the layers know and the registry does not."""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.errors import LayerError
from dm_memory.sync import rows
from dm_memory.sync.learn import NewsDesk, NewsLayer, learn, take_over
from dm_memory.sync.reclaim import reclaim
from dm_memory.sync.registry import Registry
from dm_memory.sync.runs import Run
from dm_memory.sync.state import State
from dm_memory.text.timestamps import to_iso

__all__ = ["catch_up"]


async def catch_up(state: State) -> None:
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


async def _reclaim(state: State, now: str) -> int:
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


async def _learn(state: State, layer: NewsLayer, now: str) -> int:
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
