"""A service around a service: deadline, retries, circuit breaker, concurrency limit.

* Before the first call the adapter prepares (imports its SDK, makes its client): that is no part of a deadline.
* A call ends within ``timeout`` seconds of its start, all attempts and waits included. Waiting for one of
  ``concurrency`` places is not counted; it ends when the calls before it do.
* Repeated are calls that were asked to wait (and the wait fits), met a service that fails, or got a malformed response.
  Wrong keys, full plans, refused entries and bugs are not.
* After an error that concerns the whole service no call reaches it for ``cool_down`` seconds, or until ``retry_now``.
  So a dead service costs one deadline, not one for each item.
* Cancelling passes through. Errors are the adapter's own; the wrapper adds "did not answer in time".

The wait before another attempt is random between nothing and an exponential bound, so that clients that failed together
do not return together (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
docs/decisions/0018-wrappers.md
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from random import random as chance
from typing import Any, Generic, TypeVar

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.services.faults import Faults
from dm_memory.services.protocol import (
    Capacity,
    Outcome,
    Proposal,
    SearchQuery,
    Service,
    ServiceBase,
    StoredRecord,
)

__all__ = ["Breaker", "Call", "GuardPolicy", "Guarded", "ask", "guard"]

_MALFORMED_IN_A_ROW = 12
"""More than a batch of a thousand needs to be split down to one bad item; a service that goes on is none."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the breaker must know of a call.

    Attributes:
        stores: It needs quota, so a full service refuses it. Queries and deletions are answered by a full service.
        insists: It is made even if the breaker is open, as a trial.
    """

    stores: bool = False
    insists: bool = False


class Breaker:
    """The circuit breaker of one service: while it is down it is not asked, and is tried again later.

    Closed: calls pass. An error that concerns the whole service opens it: calls fail at once, with the same error,
    until the cool-down is over. Then half-open: one call is let through as a trial, which closes it or opens it again.

    Args:
        cool_down: Seconds for which it stays open; longer if the service asked for longer.
        monotonic: A clock, in seconds.
    """

    def __init__(self, cool_down: float, monotonic: Callable[[], float]) -> None:
        self._cool_down = cool_down
        self._monotonic = monotonic
        self._error: ServiceError | None = None
        self._until = 0.0
        self._asked_until = 0.0
        self._trials = 0
        self._malformed = 0

    def check(self, call: Call) -> None:
        """Raise the ``ServiceError`` that stops the call, if one does."""
        left = self._until - self._monotonic()
        if (error := self._against(call)) and not call.insists and (self._trials or left > 0):
            # Another object: an exception that is raised twice collects tracebacks.
            raise _copy(error, error.error_class, None if error.retry_after is None else max(0.0, left))

    def retry_now(self) -> None:
        """Make the next call the trial: somebody has reason to think that things have changed.

        A pause the service itself asked for is kept.
        """
        self._until = min(self._until, self._asked_until)

    @contextmanager
    def watching(self, call: Call) -> Iterator[bool]:
        """Let a call pass, and learn from how it ends. Yields whether it is a trial.

        Raises:
            ServiceError: The call is stopped; or its own error, which becomes "unavailable" after a series of malformed
                responses.
        """
        self.check(call)
        trial = self._against(call) is not None
        self._trials += trial
        try:
            yield trial
        except ServiceError as error:
            learnt = self._learnt(error, trial=trial)
            if learnt is error:
                raise
            raise learnt from error
        else:
            self._malformed = 0
            self._close(trial)
        finally:
            # A trial that was cancelled, or met a bug, has proved nothing: the next call is the trial.
            self._trials -= trial

    def _against(self, call: Call) -> ServiceError | None:
        full = self._error is not None and self._error.error_class is ErrorClass.QUOTA
        return None if full and not (call.stores or call.insists) else self._error

    def _learnt(self, error: ServiceError, *, trial: bool) -> ServiceError:
        malformed = error.error_class is ErrorClass.MALFORMED_REPLY
        self._malformed = self._malformed + 1 if malformed else 0
        if self._malformed >= _MALFORMED_IN_A_ROW:
            error = _copy(error, ErrorClass.UNAVAILABLE, error.retry_after)
        if error.concerns_whole_service:
            self._error = error
            self._asked_until = self._monotonic() + (error.retry_after or 0.0)
            self._until = max(self._asked_until, self._monotonic() + self._cool_down)
        else:
            # It refused this call, so it is there.
            self._close(trial)
        return error

    def _close(self, trial: bool) -> None:
        """Only a trial closes it: a call from before the error may end well after it."""
        if trial:
            self._error = None


def _copy(error: ServiceError, error_class: ErrorClass, retry_after: float | None) -> ServiceError:
    return ServiceError(error.problem, error.remedy, error_class=error_class, code=error.code, retry_after=retry_after)


_Answer = TypeVar("_Answer")
_Service = TypeVar("_Service", bound=Service)

_Sleep = Callable[[float], Awaitable[object]]

_MAY_HELP = frozenset({ErrorClass.TIMEOUT, ErrorClass.RATE_LIMIT, ErrorClass.UNAVAILABLE, ErrorClass.MALFORMED_REPLY})
_FIRST_BOUND = 0.5
_CLOSING = 2.0
"""Seconds for closing connections: a client that ends a server waits no longer before it kills it."""


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """How patient a guarded service is. All times are seconds.

    Attributes:
        timeout: Within which a call must have ended, with all its attempts and waits.
        attempts: How often a call is tried.
        concurrency: Calls at the same time.
        cool_down: How long a service that is down is not asked.
        longest_wait: Between two attempts; a service that asks for more is asked again by another run.
    """

    timeout: float = 30.0
    attempts: int = 4
    concurrency: int = 4
    cool_down: float = 30.0
    longest_wait: float = 30.0


def guard(
    service: _Service,
    policy: GuardPolicy,
    *,
    sleep: _Sleep = asyncio.sleep,
    random: Callable[[], float] = chance,
    monotonic: Callable[[], float] = time.monotonic,
) -> Guarded[_Service]:
    """Return ``service`` behind a deadline, retries, a circuit breaker and a concurrency limit.

    Args:
        service: Any adapter. If it has an attribute ``faults``, that words the deadline's error.
        policy: How patient to be.
        sleep: Waits between attempts.
        random: A number in [0, 1), for jitter.
        monotonic: The clock, in seconds. The deadline itself runs on the event loop's.
    """
    return Guarded(service, policy, sleep, random, monotonic)


async def ask(service: Service, call: Callable[[Any], Awaitable[_Answer]], *, stores: bool = False) -> _Answer:
    """Make a call that only this service's adapter has, under the guard around it, if there is one."""
    return await (service.ask(call, stores=stores) if isinstance(service, Guarded) else call(service))


class Guarded(ServiceBase, Generic[_Service]):
    """See ``guard``, which makes it, and ``Service`` for the contract of its methods.

    Attributes:
        inner: The adapter.
    """

    def __init__(
        self,
        inner: _Service,
        policy: GuardPolicy,
        sleep: _Sleep,
        random: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.inner = inner
        self.name, self.role, self.engine = inner.name, inner.role, inner.engine
        self.capabilities = inner.capabilities
        self._policy = policy
        self._sleep = sleep
        self._random = random
        self._monotonic = monotonic
        self._breaker = Breaker(policy.cool_down, monotonic)
        self._places = asyncio.Semaphore(policy.concurrency)
        self._preparing: asyncio.Task[None] | None = None

    async def ask(
        self,
        call: Callable[[_Service], Awaitable[_Answer]],
        *,
        stores: bool = False,
        insists: bool = False,
        within: float | None = None,
    ) -> _Answer:
        """Make a call of the adapter: the protocol's, or one of its own.

        Args:
            call: What is awaited.
            stores: See ``Call``.
            insists: See ``Call``.
            within: Seconds in which everything must have ended, preparation included; then there is one attempt only.

        Raises:
            ServiceError: The adapter's own, or "did not answer in time".
        """
        kind = Call(stores, insists)
        self._breaker.check(kind)
        started = self._monotonic()
        try:
            async with asyncio.timeout(within):
                await self.prepare()
                await self._places.acquire()
        except TimeoutError as error:
            raise self._faults.timeout("starting") from error
        try:
            # Who waited for a place may find that the service has died meanwhile: the breaker is asked again.
            with self._breaker.watching(kind) as trial:
                seconds, attempts = self._policy.timeout, 1 if trial else self._policy.attempts
                if within is not None:
                    seconds, attempts = min(seconds, within - (self._monotonic() - started)), 1
                return await self._attempted(call, attempts, seconds)
        finally:
            self._places.release()

    async def _attempted(
        self, call: Callable[[_Service], Awaitable[_Answer]], attempts: int, seconds: float
    ) -> _Answer:
        """Return what a call returns; the error of the last attempt that ended says more than that time is up."""
        last: ServiceError | None = None
        end = self._monotonic() + seconds
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                for attempt in count(1):
                    try:
                        return await call(self.inner)
                    except ServiceError as error:
                        last = error
                        wait = self._wait(error, attempt) if attempt < attempts else None
                        if wait is None or self._monotonic() + wait >= end:
                            raise
                        await self._sleep(wait)
        except TimeoutError as error:
            if deadline.expired():
                raise last or self._faults.timeout("deadline") from error
            raise
        raise AssertionError  # pragma: no cover  # count() does not end

    def _wait(self, error: ServiceError, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there is to be none."""
        asked = error.retry_after or 0.0
        if error.error_class not in _MAY_HELP or asked > self._policy.longest_wait:
            return None
        return asked + self._random() * min(_FIRST_BOUND * 2.0 ** (attempt - 1), self._policy.longest_wait)

    @property
    def _faults(self) -> Faults:
        known = getattr(self.inner, "faults", None)
        return known if isinstance(known, Faults) else Faults(self.engine, "", key_setting="", url_setting="")

    # The protocol ----------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """See ``Service``. Who stops waiting does not stop it: an import can't be stopped."""
        if self._preparing is None or (self._preparing.done() and not _succeeded(self._preparing)):
            self._preparing = asyncio.create_task(self._prepared())
            self._preparing.add_done_callback(_succeeded)
        await asyncio.shield(self._preparing)

    async def _prepared(self) -> None:
        try:
            await self.inner.prepare()
        except ConfigurationError as error:
            raise ServiceError(
                error.problem, error.remedy, error_class=ErrorClass.CONFIGURATION, code="configuration"
            ) from error

    async def fingerprint(self) -> str:
        """Return what stored entries depend on. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.fingerprint())

    async def ping(self) -> str:
        """Make one round trip, also if the service counts as down: an answer ends that. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.ping(), insists=True)

    async def capacity(self) -> Capacity:
        """Return how full it is. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.capacity())

    async def count(self) -> int | None:
        """Return the exact number of entries, or None. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.count())

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.upsert(payloads), stores=True)

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace everything but text and vectors. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.update_metadata(payloads), stores=True)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return what is stored. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.fetch(ids))

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries. Raises ``ServiceError``."""
        await self.ask(lambda service: service.delete(ids))

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return a page of entries. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.entries(after, limit))

    async def search(self, query: SearchQuery) -> list[Proposal]:
        """Return proposals within ``query.within``. Raises ``ServiceError``."""
        return await self.ask(lambda service: service.search(query), within=query.within)

    def preview(self, payload: Payload) -> Mapping[str, Any]:
        """Return what the service would get for a payload."""
        return self.inner.preview(payload)

    def size_of(self, payload: Payload) -> int:
        """Return about what storing a payload uses of the capacity."""
        return self.inner.size_of(payload)

    async def begin_rebuild(self) -> None:
        """See ``Service``. Raises ``ServiceError``."""
        await self.ask(lambda service: service.begin_rebuild(), stores=True)

    async def finish_rebuild(self) -> None:
        """See ``Service``. Raises ``ServiceError``."""
        await self.ask(lambda service: service.finish_rebuild(), stores=True)

    def retry_now(self) -> None:
        """Let the next call try the service."""
        self._breaker.retry_now()

    async def close(self) -> None:
        """Close connections, within two seconds. Idempotent. Raises ``ServiceError``."""
        preparing, self._preparing = self._preparing, None
        if preparing is not None:
            preparing.cancel()
        await self._attempted(lambda service: service.close(), 1, min(_CLOSING, self._policy.timeout))


def _succeeded(task: asyncio.Task[None]) -> bool:
    """Return whether a finished task has succeeded; looks at its error, which is else reported as never looked at."""
    return not task.cancelled() and task.exception() is None
