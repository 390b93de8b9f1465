"""The last stage of a run: what is due goes to the layers."""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.errors import LayerError
from dm_memory.items import Kind
from dm_memory.services.protocol import Layer
from dm_memory.sync.asking import answered
from dm_memory.sync.closing import record_capacity
from dm_memory.sync.delivery import Delivered, Delivery, DeliveryOptions
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.generations import Generation, agree_on_generation
from dm_memory.sync.learn import NewsLayer
from dm_memory.sync.patterns_step import PatternLayer, follow_vectors, write_patterns
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress
from dm_memory.sync.state import KINDS, State
from dm_memory.sync.together import all_of, shared_progress

__all__ = ["agree_on_generations", "deliver"]


async def agree_on_generations(state: State) -> dict[str, Generation]:
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


async def _is_left_alone(state: State, layer: Layer) -> bool:
    """Tell whether a connected layer is not asked for its fingerprint, which may cost a round trip: it has no work."""
    if not layer.capabilities.remote or state.request.force:
        return False
    rebuilding = await state.worker.run(state.registry.meta, f"rebuilding:{layer.name}")
    has_work = bool(rebuilding) or await state.worker.run(_due, state.registry, layer.name) > 0
    return layer.name in state.down or not has_work


async def deliver(state: State, generations: dict[str, Generation]) -> None:
    """Deliver to every layer, to connected ones at the same time; the durable store waits for the vectors it keeps."""
    dues = {layer.name: await state.worker.run(_due, state.registry, layer.name) for layer in state.environment.layers}
    progress = shared_progress(state.progress, sum(dues.values()))
    first = [layer for layer in state.environment.layers if layer.role in _CHAINED]
    chains = [first, *([layer] for layer in state.environment.layers if layer.role not in _CHAINED)]
    await all_of(_deliver_in_turn(state, chain, generations, progress) for chain in chains)


_CHAINED = ("vector", "durable")


async def _deliver_in_turn(
    state: State, layers: Sequence[Layer], generations: dict[str, Generation], progress: Progress
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


async def _write_patterns(state: State, layer: PatternLayer, *, changed: bool) -> None:
    try:
        await write_patterns(state.registry, state.worker, layer, state.brand, changed=changed)
    except LayerError as error:
        state.delivered[layer.name].failure = error


def _due(registry: Registry, layer: str) -> int:
    return registry.value(
        "SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE layer = ? AND state <> 1", (layer,)
    )


async def _may_hold_strangers(state: State, layer: Layer) -> bool:
    """Tell whether the layer may hold entries that the registry knows nothing of: a lost registry, a second machine."""
    return state.run.registry_is_new and (await answered(layer.engine, layer.capacity())).entries != 0


async def _deliver_to(state: State, layer: Layer, total: int, generation: Generation, progress: Progress) -> Delivered:
    try:
        ask_first = await _may_hold_strangers(state, layer)
    except LayerError as error:
        return Delivered(failure=error)
    options = DeliveryOptions(
        brand=state.brand,
        run=state.run.number,
        batch_items=state.environment.batch_items,
        # A rebuild that an earlier run began is finished whole: the switch would hide what is outside of the scope.
        kinds=frozenset(Kind) if generation.rebuilding else KINDS[state.request.scope],
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
