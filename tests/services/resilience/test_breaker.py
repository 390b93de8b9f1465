"""The circuit breaker: what it lets through, when, and what it says of what it holds back."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.resilience import Breaker, Call
from tests.services.resilience.scripted import ALL, HANGS, Scene, failure, play

WHOLE_SERVICE = [error_class for error_class in ErrorClass if failure(error_class).concerns_whole_service]
ONE_CALL = sorted(set(ErrorClass) - set(WHOLE_SERVICE))


async def holds_back(scene: Scene, at: float) -> bool:
    """Tell whether a call at that moment is held back."""
    await asyncio.sleep(at - scene.now())
    before = len(scene.inner.calls)
    await asyncio.gather(scene.service.upsert(ALL), return_exceptions=True)
    return len(scene.inner.calls) == before


@pytest.mark.parametrize("error_class", WHOLE_SERVICE)
def test_after_a_trouble_of_the_whole_service_calls_fail_at_once_with_the_same_error(error_class: ErrorClass) -> None:
    async def scenario(scene: Scene) -> None:
        first = await scene.error_of(scene.service.upsert(ALL))
        again = await scene.error_of(scene.service.upsert(ALL))
        assert (again.error_class, again.problem, again.code) == (error_class, first.problem, first.code)
        assert again is not first
        assert (scene.now(), len(scene.inner.calls)) == (0, 1)

    play([failure(error_class)], scenario, attempts=1)


@pytest.mark.parametrize("error_class", ONE_CALL)
def test_a_trouble_of_one_call_holds_nothing_back(error_class: ErrorClass) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        await scene.service.upsert(ALL)

    play([failure(error_class)], scenario, attempts=1)


def test_after_the_cool_down_one_call_tries_and_a_good_answer_lets_all_through() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        assert await holds_back(scene, 29.9)
        trial = asyncio.ensure_future(scene.service.upsert(ALL))
        await asyncio.sleep(0.2)
        assert scene.inner.running == 0
        with pytest.raises(ServiceError):
            await trial
        trial = asyncio.ensure_future(scene.service.upsert(ALL))
        await asyncio.sleep(0.1)
        assert await holds_back(scene, scene.now())
        await trial
        assert not await holds_back(scene, scene.now())

    play([failure(ErrorClass.UNAVAILABLE), 5.0], scenario, attempts=1)


def test_a_trial_is_one_attempt_and_its_failure_begins_another_cool_down() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        await asyncio.sleep(31)
        await scene.error_of(scene.service.upsert(ALL))
        assert len(scene.inner.calls) == 5
        assert await holds_back(scene, scene.now() + 29)
        assert not await holds_back(scene, scene.now() + 2)

    play([failure(ErrorClass.UNAVAILABLE)] * 5, scenario, jitter=0.0)


def test_a_service_that_asks_for_a_longer_pause_gets_it_and_what_is_left_is_said() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        await asyncio.sleep(80)
        assert (await scene.error_of(scene.service.upsert(ALL))).retry_after == pytest.approx(20)
        assert not await holds_back(scene, 101)

    play([failure(ErrorClass.RATE_LIMIT, 100)], scenario)


def test_health_is_asked_also_while_calls_are_held_back_and_a_good_answer_ends_that() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        assert not (await scene.service.health()).ok
        assert await holds_back(scene, scene.now())
        assert (await scene.service.health()).ok
        assert not await holds_back(scene, scene.now())
        assert [name for _, name in scene.inner.calls] == ["upsert", "ping", "ping", "upsert"]

    play([failure(ErrorClass.AUTH), failure(ErrorClass.AUTH)], scenario)


def test_whoever_has_reason_to_retry_now_is_not_held_back_but_for_a_pause_the_service_asked_for() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        scene.service.retry_now()
        assert not await holds_back(scene, 1)
        scene.service.retry_now()
        assert await holds_back(scene, 39)
        assert not await holds_back(scene, 42)

    asked = failure(ErrorClass.RATE_LIMIT, retry_after=40)
    play([failure(ErrorClass.UNAVAILABLE), asked], scenario, attempts=1)


def test_a_full_service_is_still_asked_and_room_can_be_made_in_it() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        await scene.service.fingerprint()
        await scene.service.delete([ALL[0].id])
        assert await holds_back(scene, scene.now())

    play([failure(ErrorClass.QUOTA)], scenario)


def test_a_trial_that_is_cancelled_leaves_the_next_call_to_try() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.error_of(scene.service.upsert(ALL))
        await asyncio.sleep(31)
        trial = asyncio.ensure_future(scene.service.upsert(ALL))
        await asyncio.sleep(1)
        trial.cancel()
        await asyncio.wait([trial])
        assert not await holds_back(scene, scene.now())

    play([failure(ErrorClass.UNAVAILABLE), HANGS], scenario, attempts=1)


def test_calls_that_waited_for_a_place_are_held_back_when_the_service_died_meanwhile() -> None:
    async def scenario(scene: Scene) -> None:
        errors = await asyncio.gather(*(scene.error_of(scene.service.upsert(ALL)) for _ in range(5)))
        assert {error.error_class for error in errors} == {ErrorClass.AUTH}
        assert len(scene.inner.calls) == 1

    play([failure(ErrorClass.AUTH)] * 5, scenario, concurrency=1)


# Every order of events ---------------------------------------------------------------------------------------


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order, at any time, in any way; the promises of the breaker hold throughout."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(30.0, lambda: self.now)
        self.trouble: ServiceError | None = None
        self.until = 0.0
        self.open_calls: dict[int, tuple[AbstractContextManager[bool], bool]] = {}
        self.trials: set[int] = set()
        self.count = 0

    def _bound(self, call: Call) -> ServiceError | None:
        """The trouble this call is subject to, by the promises in the module's words."""
        if self.trouble is None:
            return None
        of_storing_only = self.trouble.error_class is ErrorClass.QUOTA
        return self.trouble if call.stores or call.insists or not of_storing_only else None

    @rule(target=running, call=st.sampled_from([Call(), Call(stores=True), Call(insists=True)]))
    def begin(self, call: Call) -> Any:
        watching = self.breaker.watching(call)
        bound = self._bound(call)
        held_back = bound is not None and not call.insists and (self.now < self.until or bool(self.trials))
        if held_back:
            assert bound is not None
            with pytest.raises(ServiceError) as caught:
                watching.__enter__()
            assert (caught.value.error_class, caught.value.problem) == (bound.error_class, bound.problem)
            return -1
        trial = watching.__enter__()
        assert trial == (bound is not None)
        self.count += 1
        self.open_calls[self.count] = (watching, trial)
        self.trials |= {self.count} if trial else set()
        return self.count

    def _end(self, number: int, error: BaseException | None) -> bool:
        """End a call; tell whether it was a trial."""
        watching, trial = self.open_calls.pop(number)
        self.trials.discard(number)
        # A context manager that returns False leaves the caller's own exception as it is.
        assert not watching.__exit__(type(error) if error else None, error, None)
        return trial

    @rule(number=consumes(running))
    def answer(self, number: int) -> None:
        if number in self.open_calls and self._end(number, None):
            self.trouble = None

    @rule(number=consumes(running), error_class=st.sampled_from([ErrorClass.VALIDATION, ErrorClass.UNKNOWN]))
    def refuse(self, number: int, error_class: ErrorClass) -> None:
        if number in self.open_calls and self._end(number, failure(error_class)):
            self.trouble = None

    @rule(number=consumes(running), stop=st.sampled_from([asyncio.CancelledError(), KeyError("bug")]))
    def stop(self, number: int, stop: BaseException) -> None:
        if number in self.open_calls:
            self._end(number, stop)

    @rule(
        number=consumes(running),
        error_class=st.sampled_from(WHOLE_SERVICE),
        retry_after=st.sampled_from([None, 0.0, 5.0, 90.0]),
    )
    def fail(self, number: int, error_class: ErrorClass, retry_after: float | None) -> None:
        if number in self.open_calls:
            error = failure(error_class, retry_after)
            self._end(number, error)
            self.trouble, self.until = error, self.now + max(30.0, retry_after or 0.0)

    @rule(seconds=st.sampled_from([0.5, 10.0, 29.9, 30.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def a_service_nobody_complained_of_is_asked(self) -> None:
        if self.trouble is None:
            self.breaker.check(Call(stores=True))

    @precondition(lambda self: not self.trials and self.now >= self.until)
    @rule()
    def nothing_is_held_back_for_ever(self) -> None:
        self.breaker.check(Call(stores=True))


BreakerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_every_order_of_events_keeps_the_promises = BreakerMachine.TestCase
