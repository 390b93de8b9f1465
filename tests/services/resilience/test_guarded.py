"""A guarded service: deadline, retries, concurrency, preparing, what shows of the one inside. No real time passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.protocol import SearchQuery, Service, ServiceBase
from dm_memory.services.resilience import Guarded, GuardPolicy, guard
from tests.services.contract import ProposingContract
from tests.services.dictionary import DictService
from tests.services.payloads import payload
from tests.services.qdrant.cluster import Cluster
from tests.services.resilience import virtual_time
from tests.services.resilience.scripted import ALL, HANGS, Scene, ScriptedService, Step, failure, play

RETRIED = [ErrorClass.TIMEOUT, ErrorClass.RATE_LIMIT, ErrorClass.UNAVAILABLE, ErrorClass.MALFORMED_REPLY]


# The contract --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
class TestGuardedEngine(ProposingContract):
    """A guarded service keeps the contract of the one inside, checked on a real engine."""

    @pytest.fixture
    def make_service(self) -> Callable[[], Guarded[Any]]:
        cluster = Cluster()
        return lambda: guard(cluster.service(), GuardPolicy())


# What is visible -----------------------------------------------------------------------------------------------------


def names(protocol: type) -> set[str]:
    return {name for name in dir(protocol) if not name.startswith("_")}


def test_the_guard_passes_on_every_method_of_the_protocol() -> None:
    passed_on = names(Service) - {"health"}  # which is made of ping
    assert {
        name for name in passed_on if name not in vars(Guarded) and name not in vars(guarded(DictService()))
    } == set()


def guarded(inner: DictService) -> Guarded[DictService]:
    return guard(inner, GuardPolicy())


def test_the_base_answers_for_what_a_service_can_not_do() -> None:
    async def scenario() -> None:
        service = ServiceBase()
        await service.prepare()
        assert await service.count() is None
        assert await service.entries(None, 10) == ([], None)
        assert await service.search(SearchQuery("anything")) == []
        assert service.size_of(payload(1)) == 1
        await service.begin_rebuild()
        await service.finish_rebuild()
        service.retry_now()
        await service.close()

    asyncio.run(scenario())


def test_all_calls_reach_the_service_inside() -> None:
    async def scenario() -> None:
        service = guarded(DictService())
        await service.upsert(ALL)
        assert service.size_of(ALL[0]) == len(ALL[0].content)
        assert (await service.capacity()).entries == await service.count() == 3
        assert len((await service.entries(None, 2))[0]) == 2
        assert await service.ask(lambda inner: inner.fingerprint()) == await service.fingerprint() == "dictionary-1"

    asyncio.run(scenario())


def test_name_role_engine_and_limits_are_those_of_the_service_inside() -> None:
    inner = DictService("vector@place")
    outer = guarded(inner)
    assert (outer.name, outer.role, outer.engine) == ("vector@place", "vector", "dictionary")
    assert outer.capabilities is inner.capabilities


# Preparing -----------------------------------------------------------------------------------------------------------


def test_preparing_is_no_part_of_a_deadline_and_happens_once() -> None:
    async def scenario(scene: Scene) -> None:
        prepared = []

        async def slowly() -> None:
            prepared.append(scene.now())
            await asyncio.sleep(100)

        scene.inner.preparing = slowly
        await asyncio.gather(scene.service.upsert(ALL), scene.service.delete([]))
        await scene.service.fingerprint()
        assert prepared == [0]
        assert [at for at, _ in scene.inner.calls] == [100, 100, 100]

    play([], scenario)


def test_a_search_does_not_wait_for_preparing_which_goes_on() -> None:
    async def scenario(scene: Scene) -> None:
        async def slowly() -> None:
            await asyncio.sleep(5)

        scene.inner.preparing = slowly
        error = await scene.error_of(scene.service.search(SearchQuery("anything", within=1.0)))
        assert (error.error_class, error.code, scene.now()) == (ErrorClass.TIMEOUT, "starting", 1)
        await asyncio.sleep(4)
        assert await scene.service.search(SearchQuery("anything", within=1.0)) == []

    play([], scenario)


def test_preparing_that_failed_is_tried_again_and_a_setting_is_named() -> None:
    async def scenario(scene: Scene) -> None:
        async def wrong() -> None:
            raise ConfigurationError("HTTPS_PROXY names nothing.", "Set it.")

        scene.inner.preparing = wrong
        error = await scene.error_of(scene.service.upsert(ALL))
        assert (error.error_class, error.code) == (ErrorClass.CONFIGURATION, "configuration")
        assert (error.problem, error.remedy) == ("HTTPS_PROXY names nothing.", "Set it.")
        scene.inner.preparing = None
        await scene.service.upsert(ALL)

    play([], scenario)


# Proposing -----------------------------------------------------------------------------------------------------------


def test_a_service_that_hangs_costs_a_search_its_time_once() -> None:
    async def scenario(scene: Scene) -> None:
        query = SearchQuery("anything", within=1.0)
        assert (await scene.error_of(scene.service.search(query))).error_class is ErrorClass.TIMEOUT
        assert (await scene.error_of(scene.service.search(query))).error_class is ErrorClass.TIMEOUT
        assert scene.now() == pytest.approx(1)
        assert len(scene.inner.calls) == 1

    play([HANGS], scenario)


def test_a_search_is_not_tried_again() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.search(SearchQuery("anything")))
        assert len(scene.inner.calls) == 1

    play([failure(ErrorClass.UNAVAILABLE)], scenario)


# The deadline ------------------------------------------------------------------------------------------------


def test_a_call_that_hangs_ends_with_the_deadline_in_the_services_words() -> None:
    async def scenario(scene: Scene) -> None:
        error = await scene.error_of(scene.service.upsert(ALL))
        assert error.error_class is ErrorClass.TIMEOUT
        assert error.problem == "Test service (test.example) did not answer in time."
        assert scene.now() == pytest.approx(30)
        assert (len(scene.inner.calls), scene.inner.running) == (1, 0)

    play([HANGS], scenario)


def test_a_service_that_words_no_faults_is_called_by_its_engine() -> None:
    async def scenario(loop: asyncio.AbstractEventLoop) -> None:
        service = guard(ScriptedService([HANGS]), GuardPolicy(), monotonic=loop.time)
        with pytest.raises(ServiceError, match="Scripted did not answer in time"):
            await service.upsert(ALL)

    virtual_time.run(scenario)


def test_the_deadline_covers_all_attempts_and_the_last_answer_says_why() -> None:
    async def scenario(scene: Scene) -> None:
        error = await scene.error_of(scene.service.upsert(ALL))
        assert error.error_class is ErrorClass.UNAVAILABLE
        assert scene.now() == pytest.approx(10)

    play([failure(ErrorClass.UNAVAILABLE), failure(ErrorClass.UNAVAILABLE), HANGS], scenario, timeout=10.0)


def test_a_dead_service_costs_one_deadline_whatever_is_asked_at_once() -> None:
    async def scenario(scene: Scene) -> None:
        calls = [scene.error_of(scene.service.upsert([p])) for p in ALL * 20]
        errors = await asyncio.gather(*calls)
        assert {error.error_class for error in errors} == {ErrorClass.TIMEOUT}
        assert scene.now() == pytest.approx(30)
        assert len(scene.inner.calls) == 4

    play([HANGS] * 100, scenario)


def test_waiting_for_a_place_is_not_counted_against_a_call() -> None:
    async def scenario(scene: Scene) -> None:
        await asyncio.gather(*(scene.service.upsert([p]) for p in ALL))
        assert scene.now() == pytest.approx(60)

    play([20.0, 20.0, 20.0], scenario, concurrency=1)


def test_closing_has_a_deadline_too_and_is_never_held_back() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        assert (await scene.error_of(scene.service.close())).error_class is ErrorClass.TIMEOUT
        await scene.service.close()
        assert scene.now() == pytest.approx(2)
        assert [name for _, name in scene.inner.calls] == ["upsert", "close", "close"]

    play([failure(ErrorClass.AUTH), HANGS], scenario)


def test_a_timeout_error_nobody_foresaw_is_not_taken_for_the_deadline() -> None:
    async def scenario(scene: Scene) -> None:
        with pytest.raises(TimeoutError):
            await scene.service.upsert(ALL)
        assert len(scene.inner.calls) == 1

    play([TimeoutError("a bug")], scenario)


# Retries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_class", RETRIED)
def test_what_may_pass_is_tried_again(error_class: ErrorClass) -> None:
    async def scenario(scene: Scene) -> None:
        assert [outcome.error for outcome in await scene.service.upsert(ALL)] == [None] * 3
        assert [at for at, _ in scene.inner.calls] == pytest.approx([0, 0.5, 1.5, 3.5])

    play([failure(error_class)] * 3, scenario)


@pytest.mark.parametrize("error_class", sorted(set(ErrorClass) - set(RETRIED)))
def test_what_does_not_pass_is_not_tried_again(error_class: ErrorClass) -> None:
    async def scenario(scene: Scene) -> None:
        assert (await scene.error_of(scene.service.upsert(ALL))).error_class is error_class
        assert len(scene.inner.calls) == 1

    play([failure(error_class)], scenario)


def test_a_bug_in_an_adapter_is_let_through_and_not_tried_again() -> None:
    async def scenario(scene: Scene) -> None:
        with pytest.raises(KeyError, match="bug"):
            await scene.service.upsert(ALL)
        await scene.service.upsert(ALL)
        assert len(scene.inner.calls) == 2

    play([KeyError("bug")], scenario)


def test_after_the_last_attempt_the_error_goes_up_unchanged() -> None:
    errors = [failure(ErrorClass.UNAVAILABLE) for _ in range(4)]

    async def scenario(scene: Scene) -> None:
        assert await scene.error_of(scene.service.upsert(ALL)) is errors[-1]

    play(list(errors), scenario)


def test_jitter_spreads_the_waits_from_nothing_to_their_bound() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.service.upsert(ALL)
        assert [at for at, _ in scene.inner.calls] == pytest.approx([0, 0.125, 0.375])

    play([failure(ErrorClass.UNAVAILABLE)] * 2, scenario, jitter=0.25)


def test_the_wait_a_service_asks_for_is_kept() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.service.upsert(ALL)
        assert [at for at, _ in scene.inner.calls] == pytest.approx([0, 7])

    play([failure(ErrorClass.RATE_LIMIT, 7)], scenario, jitter=0.0)


@pytest.mark.parametrize(("asked", "policy"), [(40, {"timeout": 100.0}), (12, {"timeout": 10.0})])
def test_a_wait_too_long_goes_up_at_once_with_what_was_asked(asked: float, policy: dict[str, float]) -> None:
    async def scenario(scene: Scene) -> None:
        error = await scene.error_of(scene.service.upsert(ALL))
        assert (error.error_class, error.retry_after) == (ErrorClass.RATE_LIMIT, asked)
        assert (scene.now(), len(scene.inner.calls)) == (0, 1)

    play([failure(ErrorClass.RATE_LIMIT, asked)], scenario, **policy)


def test_waits_do_not_grow_beyond_the_longest() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.service.upsert(ALL)
        times = [at for at, _ in scene.inner.calls]
        assert times == pytest.approx([0, 0.5, 1.5, 2.5, 3.5])

    play([failure(ErrorClass.UNAVAILABLE)] * 4, scenario, longest_wait=1.0, attempts=6)


def test_a_service_that_keeps_sending_junk_counts_as_down_only_after_a_batch_could_have_been_split() -> None:
    async def scenario(scene: Scene) -> None:
        classes = [(await scene.error_of(scene.service.upsert(ALL))).error_class for _ in range(13)]
        assert classes == [ErrorClass.MALFORMED_REPLY] * 11 + [ErrorClass.UNAVAILABLE] * 2
        assert len(scene.inner.calls) == 12

    play([failure(ErrorClass.MALFORMED_REPLY)] * 100, scenario, attempts=1)


# Concurrency and cancelling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 4])
def test_no_more_calls_at_once_than_allowed(limit: int) -> None:
    async def scenario(scene: Scene) -> None:
        await asyncio.gather(*(scene.service.upsert([p]) for p in ALL * 5))
        assert scene.inner.most_running == limit

    play([1.0] * 15, scenario, concurrency=limit)


@pytest.mark.parametrize("script", [[HANGS], [failure(ErrorClass.UNAVAILABLE)], [HANGS, HANGS]])
def test_cancelling_passes_through_and_frees_the_place(script: list[Step]) -> None:
    async def scenario(scene: Scene) -> None:
        calls = [asyncio.ensure_future(scene.service.upsert(ALL)) for _ in script]
        await asyncio.sleep(0.1)
        for call in calls:
            call.cancel()
        assert {type(result) for result in await asyncio.gather(*calls, return_exceptions=True)} == {
            asyncio.CancelledError
        }
        assert scene.inner.running == 0
        scene.inner.script.clear()
        await asyncio.wait_for(scene.service.upsert(ALL), 1)

    play(script, scenario, concurrency=1)


# Health ------------------------------------------------------------------------------------------------------


def test_health_survives_a_blip() -> None:
    async def scenario(scene: Scene) -> None:
        assert (await scene.service.health()).ok

    play([failure(ErrorClass.UNAVAILABLE)], scenario)


def test_health_of_what_is_down_is_the_adapters_answer() -> None:
    async def scenario(scene: Scene) -> None:
        health = await scene.service.health()
        assert (health.ok, health.detail) == (False, "It failed.")
        assert health.error is not None
        assert health.error.error_class is ErrorClass.AUTH

    play([failure(ErrorClass.AUTH)], scenario)


def test_health_of_what_hangs_is_an_answer_too() -> None:
    async def scenario(scene: Scene) -> None:
        health = await scene.service.health()
        assert (health.ok, health.engine) == (False, "Scripted")
        assert health.error is not None
        assert health.error.error_class is ErrorClass.TIMEOUT

    play([HANGS], scenario)
