"""A guarded layer: deadline, retries, concurrency, and what stays visible of the layer inside. No real time passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.layers.qdrant_edge import QdrantEdgeLayer
from dm_memory.services.protocol import Layer, SearchableLayer, SizedLayer, VectorSource
from dm_memory.services.resilience import GuardedLayer, GuardPolicy, guard
from dm_memory.sync.generations import RebuildableLayer
from dm_memory.sync.reclaim import TellingLayer
from tests.services.contract import SearchableLayerContract
from tests.services.payloads import BRAND
from tests.services.resilience import virtual_time
from tests.services.resilience.scripted import ALL, HANGS, Scene, ScriptedLayer, Step, play, trouble
from tests.support.embedders import HashEmbedder
from tests.sync.memory_layer import DictLayer

RETRIED = [ErrorClass.TIMEOUT, ErrorClass.RATE_LIMIT, ErrorClass.UNAVAILABLE, ErrorClass.MALFORMED_REPLY]


# The contract ------------------------------------------------------------------------------------------------


class TestGuardedEngine(SearchableLayerContract):
    """A guarded layer keeps the contract of the layer inside, held on a real engine."""

    @pytest.fixture
    def make_layer(self, tmp_path: Path) -> Callable[[], GuardedLayer]:
        folder = tmp_path / "vector"
        return lambda: guard(QdrantEdgeLayer(folder, BRAND, HashEmbedder(), lock_timeout=30.0), GuardPolicy())


# What is visible ---------------------------------------------------------------------------------------------

OPTIONAL = [SearchableLayer, SizedLayer, VectorSource, RebuildableLayer, TellingLayer]


class _Sized(DictLayer):
    def size_of(self, payload: Any) -> int:
        return len(payload.content)


class _WithVectors(_Sized):
    async def vector_model(self) -> str:
        return "model"

    async def vectors(self, ids: Any) -> dict[str, Any]:
        return dict.fromkeys(ids, "vector")


@pytest.mark.parametrize("protocol", OPTIONAL)
@pytest.mark.parametrize("kind", ["dictionary", "sized", "vectors", "engine"])
def test_it_can_do_exactly_what_the_layer_inside_can(kind: str, protocol: type, tmp_path: Path) -> None:
    layers: dict[str, Layer] = {
        "dictionary": DictLayer(),
        "sized": _Sized(),
        "vectors": _WithVectors(),  # type: ignore[dict-item]  # its values are words, told apart below
        "engine": QdrantEdgeLayer(tmp_path, BRAND, HashEmbedder(), lock_timeout=1.0),
    }
    inner = layers[kind]
    guarded = guard(inner, GuardPolicy())
    assert isinstance(guarded, Layer)
    assert isinstance(guarded, protocol) == isinstance(inner, protocol)


def test_the_optional_methods_reach_the_layer_inside() -> None:
    async def scenario() -> None:
        layer: Any = guard(_WithVectors(), GuardPolicy())  # type: ignore[arg-type]  # its values are words
        await layer.upsert(ALL)
        assert layer.size_of(ALL[0]) == len(ALL[0].content)
        assert await layer.vector_model() == "model"
        assert await layer.vectors(["a"]) == {"a": "vector"}
        assert ([e.key for e in (await layer.entries(None, 2))[0]], (await layer.capacity()).entries) == (
            sorted((p.key for p in ALL), key=lambda key: {p.key: p.id for p in ALL}[key])[:2],
            3,
        )

    asyncio.run(scenario())


def test_name_role_engine_and_limits_are_those_of_the_layer_inside() -> None:
    inner = DictLayer("vector@place")
    guarded = guard(inner, GuardPolicy())
    assert (guarded.name, guarded.role, guarded.engine) == ("vector@place", "vector", "dictionary")
    assert guarded.capabilities is inner.capabilities


# The deadline ------------------------------------------------------------------------------------------------


def test_a_call_that_hangs_ends_with_the_deadline_in_the_services_words() -> None:
    async def scenario(scene: Scene) -> None:
        error = await scene.error_of(scene.layer.upsert(ALL))
        assert error.error_class is ErrorClass.TIMEOUT
        assert error.problem == "Test service (test.example) did not answer in time."
        assert scene.now() == pytest.approx(30)
        assert (len(scene.inner.calls), scene.inner.running) == (1, 0)

    play([HANGS], scenario)


def test_a_layer_that_does_not_name_its_service_is_called_by_its_engine() -> None:
    async def scenario(loop: asyncio.AbstractEventLoop) -> None:
        layer = guard(ScriptedLayer([HANGS]), GuardPolicy(), monotonic=loop.time)
        with pytest.raises(LayerError, match="Scripted did not answer in time"):
            await layer.upsert(ALL)

    virtual_time.run(scenario)


def test_the_deadline_covers_all_attempts_and_waits() -> None:
    async def scenario(scene: Scene) -> None:
        error = await scene.error_of(scene.layer.upsert(ALL))
        assert error.error_class is ErrorClass.TIMEOUT
        assert scene.now() == pytest.approx(10)

    play([trouble(ErrorClass.UNAVAILABLE), trouble(ErrorClass.UNAVAILABLE), HANGS], scenario, timeout=10.0)


def test_a_dead_service_costs_one_deadline_whatever_is_asked_at_once() -> None:
    async def scenario(scene: Scene) -> None:
        calls = [scene.error_of(scene.layer.upsert([p])) for p in ALL * 20]
        errors = await asyncio.gather(*calls)
        assert {error.error_class for error in errors} == {ErrorClass.TIMEOUT}
        assert scene.now() == pytest.approx(30)
        assert len(scene.inner.calls) == 4

    play([HANGS] * 100, scenario)


def test_waiting_for_a_place_is_not_counted_against_a_call() -> None:
    async def scenario(scene: Scene) -> None:
        await asyncio.gather(*(scene.layer.upsert([p]) for p in ALL))
        assert scene.now() == pytest.approx(60)

    play([20.0, 20.0, 20.0], scenario, concurrency=1)


def test_closing_has_a_deadline_too_and_is_never_held_back() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.layer.upsert(ALL))
        assert (await scene.error_of(scene.layer.close())).error_class is ErrorClass.TIMEOUT
        await scene.layer.close()
        assert [name for _, name in scene.inner.calls] == ["upsert", "close", "close"]

    play([trouble(ErrorClass.AUTH), HANGS], scenario)


def test_a_timeout_error_nobody_foresaw_is_not_taken_for_the_deadline() -> None:
    async def scenario(scene: Scene) -> None:
        with pytest.raises(TimeoutError):
            await scene.layer.upsert(ALL)
        assert len(scene.inner.calls) == 1

    play([TimeoutError("a bug")], scenario)


# Retries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_class", RETRIED)
def test_what_may_pass_is_tried_again(error_class: ErrorClass) -> None:
    async def scenario(scene: Scene) -> None:
        assert [outcome.error for outcome in await scene.layer.upsert(ALL)] == [None] * 3
        assert [at for at, _ in scene.inner.calls] == pytest.approx([0, 0.5, 1.5, 3.5])

    play([trouble(error_class)] * 3, scenario)


@pytest.mark.parametrize("error_class", sorted(set(ErrorClass) - set(RETRIED)))
def test_what_does_not_pass_is_not_tried_again(error_class: ErrorClass) -> None:
    async def scenario(scene: Scene) -> None:
        assert (await scene.error_of(scene.layer.upsert(ALL))).error_class is error_class
        assert len(scene.inner.calls) == 1

    play([trouble(error_class)], scenario)


def test_a_bug_in_an_adapter_is_let_through_and_not_tried_again() -> None:
    async def scenario(scene: Scene) -> None:
        with pytest.raises(KeyError, match="bug"):
            await scene.layer.upsert(ALL)
        await scene.layer.upsert(ALL)
        assert len(scene.inner.calls) == 2

    play([KeyError("bug")], scenario)


def test_after_the_last_attempt_the_error_goes_up_unchanged() -> None:
    errors = [trouble(ErrorClass.UNAVAILABLE) for _ in range(4)]

    async def scenario(scene: Scene) -> None:
        assert await scene.error_of(scene.layer.upsert(ALL)) is errors[-1]

    play(list(errors), scenario)


def test_jitter_spreads_the_waits_from_nothing_to_their_bound() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.layer.upsert(ALL)
        assert [at for at, _ in scene.inner.calls] == pytest.approx([0, 0.125, 0.375])

    play([trouble(ErrorClass.UNAVAILABLE)] * 2, scenario, jitter=0.25)


def test_the_wait_a_service_asks_for_is_kept() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.layer.upsert(ALL)
        assert [at for at, _ in scene.inner.calls] == pytest.approx([0, 7])

    play([trouble(ErrorClass.RATE_LIMIT, 7)], scenario, jitter=0.0)


@pytest.mark.parametrize(("asked", "policy"), [(40, {"timeout": 100.0}), (12, {"timeout": 10.0})])
def test_a_wait_too_long_goes_up_at_once_with_what_was_asked(asked: float, policy: dict[str, float]) -> None:
    async def scenario(scene: Scene) -> None:
        error = await scene.error_of(scene.layer.upsert(ALL))
        assert (error.error_class, error.retry_after) == (ErrorClass.RATE_LIMIT, asked)
        assert (scene.now(), len(scene.inner.calls)) == (0, 1)

    play([trouble(ErrorClass.RATE_LIMIT, asked)], scenario, **policy)


def test_waits_do_not_grow_beyond_the_longest() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.layer.upsert(ALL)
        times = [at for at, _ in scene.inner.calls]
        assert times == pytest.approx([0, 0.5, 1.5, 2.5, 3.5])

    play([trouble(ErrorClass.UNAVAILABLE)] * 4, scenario, longest_wait=1.0, attempts=6)


def test_a_service_that_keeps_sending_junk_counts_as_down_only_after_a_batch_could_have_been_split() -> None:
    async def scenario(scene: Scene) -> None:
        classes = [(await scene.error_of(scene.layer.upsert(ALL))).error_class for _ in range(13)]
        assert classes == [ErrorClass.MALFORMED_REPLY] * 11 + [ErrorClass.UNAVAILABLE] * 2
        assert len(scene.inner.calls) == 12

    play([trouble(ErrorClass.MALFORMED_REPLY)] * 100, scenario, attempts=1)


# Concurrency and cancelling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 4])
def test_no_more_calls_at_once_than_allowed(limit: int) -> None:
    async def scenario(scene: Scene) -> None:
        await asyncio.gather(*(scene.layer.upsert([p]) for p in ALL * 5))
        assert scene.inner.most_running == limit

    play([1.0] * 15, scenario, concurrency=limit)


@pytest.mark.parametrize("script", [[HANGS], [trouble(ErrorClass.UNAVAILABLE)], [HANGS, HANGS]])
def test_cancelling_passes_through_and_frees_the_place(script: list[Step]) -> None:
    async def scenario(scene: Scene) -> None:
        calls = [asyncio.ensure_future(scene.layer.upsert(ALL)) for _ in script]
        await asyncio.sleep(0.1)
        for call in calls:
            call.cancel()
        assert {type(result) for result in await asyncio.gather(*calls, return_exceptions=True)} == {
            asyncio.CancelledError
        }
        assert scene.inner.running == 0
        scene.inner.script.clear()
        await asyncio.wait_for(scene.layer.upsert(ALL), 1)

    play(script, scenario, concurrency=1)


# Health ------------------------------------------------------------------------------------------------------


def test_health_survives_a_blip() -> None:
    async def scenario(scene: Scene) -> None:
        assert (await scene.layer.health()).ok

    play([trouble(ErrorClass.UNAVAILABLE)], scenario)


def test_health_of_what_is_down_is_the_adapters_answer() -> None:
    async def scenario(scene: Scene) -> None:
        health = await scene.layer.health()
        assert (health.ok, health.detail) == (False, "Not well.")
        assert health.error is not None
        assert health.error.error_class is ErrorClass.AUTH

    play([trouble(ErrorClass.AUTH)], scenario)


def test_health_of_what_hangs_is_an_answer_too() -> None:
    async def scenario(scene: Scene) -> None:
        health = await scene.layer.health()
        assert (health.ok, health.engine) == (False, "Scripted")
        assert health.error is not None
        assert health.error.error_class is ErrorClass.TIMEOUT

    play([HANGS], scenario)
