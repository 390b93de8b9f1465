"""A layer around a layer, for connected services: deadline, retries, circuit breaker, concurrency limit.

``guard`` returns a layer with the same name that keeps the same contract, and has the optional methods of the one
inside: exactly those, so that ``isinstance`` with the protocols of layers tells the truth. Contract of the wrapper:

* A call ends within ``timeout`` seconds of its start, all attempts and waits included. Waiting for one of
  ``concurrency`` places is not counted; it ends when the calls before it do.
* Repeated are calls that were told to wait (and the wait fits), met a service in trouble, or got a reply that can't be
  understood. Wrong keys, full plans, refused entries and bugs are not.
* After a trouble that concerns the whole layer no call reaches the service for ``cool_down`` seconds, or until
  ``ask_again``. So a dead service costs one deadline, not one for each item.
* Cancelling passes through. Errors are the adapter's own; the wrapper adds "did not answer in time".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import random as chance
from typing import Any, Protocol, TypeVar, cast

from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.errors import LayerError
from dm_memory.items import Payload
from dm_memory.services.breaker import Breaker, Call
from dm_memory.services.protocol import (
    Capabilities,
    Capacity,
    Health,
    Layer,
    Outcome,
    SearchableLayer,
    SearchHit,
    SearchQuery,
    SizedLayer,
    StoredRecord,
    Vectors,
    VectorSource,
)
from dm_memory.services.remote import Service
from dm_memory.services.retry import Retrying, Sleep

__all__ = ["GuardPolicy", "GuardedLayer", "guard"]

_Answer = TypeVar("_Answer")

_ASKS = Call()
_STORES = Call(stores=True)
_EXAMINES = Call(insists=True)


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """How patient a guarded layer is. All times are seconds.

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
    layer: Layer,
    policy: GuardPolicy,
    *,
    sleep: Sleep = asyncio.sleep,
    random: Callable[[], float] = chance,
    monotonic: Callable[[], float] = time.monotonic,
) -> GuardedLayer:
    """Return ``layer`` behind a deadline, retries, a circuit breaker and a concurrency limit.

    Args:
        layer: Any layer. Where it has an attribute ``service`` (a ``remote.Service``), that words the deadline's error.
        policy: How patient to be.
        sleep: Waits between attempts.
        random: A number in [0, 1), for jitter.
        monotonic: The clock, in seconds. The deadline itself runs on the event loop's.
    """
    methods = frozenset(name for name in _OPTIONAL if callable(getattr(layer, name, None)))
    made = _class_with(methods)
    return made(layer, policy, Retrying(policy.attempts, policy.longest_wait, sleep, random, monotonic), monotonic)


class GuardedLayer:
    """See ``guard``, which makes it, and ``Layer`` for the contract of its methods."""

    def __init__(self, inner: Layer, policy: GuardPolicy, retrying: Retrying, monotonic: Callable[[], float]) -> None:
        self.inner = inner
        self._timeout = policy.timeout
        self._retrying = retrying
        self._monotonic = monotonic
        self._breaker = Breaker(policy.cool_down, monotonic)
        self._places = asyncio.Semaphore(policy.concurrency)

    @property
    def name(self) -> str:
        """The inner layer's name."""
        return self.inner.name

    @property
    def role(self) -> str:
        """The inner layer's role."""
        return self.inner.role

    @property
    def engine(self) -> str:
        """The inner layer's engine."""
        return self.inner.engine

    @property
    def capabilities(self) -> Capabilities:
        """The inner layer's limits and traits."""
        return self.inner.capabilities

    def ask_again(self) -> None:
        """See ``PausingLayer``."""
        self._breaker.ask_again()

    async def fingerprint(self) -> str:
        """Return what stored entries depend on. Raises ``LayerError``."""
        return await self._guarded(self.inner.fingerprint)

    async def health(self) -> Health:
        """Ask the service, also where it counts as down: an answer ends that. Never raises."""
        answers: list[Health] = []
        try:
            await self._guarded(partial(_examine, self.inner, answers), _EXAMINES)
        except LayerError as error:
            if not answers or answers[-1].error is None:
                return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        return answers[-1]

    async def capacity(self) -> Capacity:
        """Count what is used. Raises ``LayerError``."""
        return await self._guarded(self.inner.capacity)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads. Raises ``LayerError``."""
        return await self._guarded(partial(self.inner.upsert, payloads), _STORES)

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace everything but text and vectors. Raises ``LayerError``."""
        return await self._guarded(partial(self.inner.update_metadata, payloads), _STORES)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Tell what the layer holds. Raises ``LayerError``."""
        return await self._guarded(partial(self.inner.fetch, ids))

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries. Raises ``LayerError``."""
        await self._guarded(partial(self.inner.delete, ids))

    async def close(self) -> None:
        """Let go of connections, within the deadline. Idempotent. Raises ``LayerError``."""
        await self._within_deadline(self.inner.close)

    async def _guarded(self, ask: Callable[[], Awaitable[_Answer]], call: Call = _ASKS) -> _Answer:
        self._breaker.check(call)
        # Whoever waited for a place may find that the service has died meanwhile: the breaker is asked again.
        async with self._places:
            with self._breaker.watching(call) as trial:
                deadline = self._monotonic() + self._timeout
                attempt = ask if trial else partial(self._retrying.run, ask, deadline)
                return await self._within_deadline(attempt)

    async def _within_deadline(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        deadline = asyncio.timeout(self._timeout)
        try:
            async with deadline:
                return await ask()
        except TimeoutError as error:
            if deadline.expired():
                raise self._service.timeout("deadline") from error
            raise

    @property
    def _service(self) -> Service:
        known = getattr(self.inner, "service", None)
        return known if isinstance(known, Service) else Service(self.engine, "", key_setting="", url_setting="")


async def _examine(layer: Layer, answers: list[Health]) -> None:
    answers.append(await layer.health())
    if answers[-1].error is not None:
        raise answers[-1].error


# What only some layers can do ------------------------------------------------------------------------------------
#
# The protocols of rebuilding and of telling belong to the sync, which may import layers and not the other way round:
# here are their methods. A class is composed for each set of them, because ``isinstance`` looks at classes.


class _Searching(GuardedLayer):
    async def search(self, query: SearchQuery) -> list[SearchHit]:
        return await self._guarded(partial(cast("SearchableLayer", self.inner).search, query))


class _Sized(GuardedLayer):
    def size_of(self, payload: Payload) -> int:
        return cast("SizedLayer", self.inner).size_of(payload)


class _VectorModel(GuardedLayer):
    async def vector_model(self) -> EmbeddingSpec:
        return await self._guarded(cast("VectorSource", self.inner).vector_model)


class _Vectors(GuardedLayer):
    async def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        return await self._guarded(partial(cast("VectorSource", self.inner).vectors, ids))


class _CanRebuild(Protocol):
    async def begin_rebuild(self) -> None: ...

    async def finish_rebuild(self) -> None: ...


class _BeginRebuild(GuardedLayer):
    async def begin_rebuild(self) -> None:
        await self._guarded(cast("_CanRebuild", self.inner).begin_rebuild, _STORES)


class _FinishRebuild(GuardedLayer):
    async def finish_rebuild(self) -> None:
        await self._guarded(cast("_CanRebuild", self.inner).finish_rebuild, _STORES)


class _CanTell(Protocol):
    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]: ...


class _Telling(GuardedLayer):
    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        return await self._guarded(partial(cast("_CanTell", self.inner).entries, after, limit))


class _CanShare(Protocol):
    """What the durable store can do besides: others write to it, and it tells what they wrote."""

    @property
    def shared(self) -> bool: ...

    async def changes(self, after: Any) -> Any: ...  # noqa: ANN401  # the sync's values, which layers only hand on

    async def payloads(self, ids: Sequence[str]) -> list[Payload]: ...

    async def put_patterns(self, rows: Any, gone: Sequence[str]) -> None: ...  # noqa: ANN401  # as above


class _Changes(GuardedLayer):
    @property
    def shared(self) -> bool:
        return cast("_CanShare", self.inner).shared

    async def changes(self, after: Any) -> Any:  # noqa: ANN401  # as above
        return await self._guarded(partial(cast("_CanShare", self.inner).changes, after))


class _Payloads(GuardedLayer):
    async def payloads(self, ids: Sequence[str]) -> list[Payload]:
        return await self._guarded(partial(cast("_CanShare", self.inner).payloads, ids))


class _Patterns(GuardedLayer):
    async def put_patterns(self, rows: Any, gone: Sequence[str]) -> None:  # noqa: ANN401  # as above
        await self._guarded(partial(cast("_CanShare", self.inner).put_patterns, rows, gone), _STORES)


_OPTIONAL: Mapping[str, type[GuardedLayer]] = {
    "search": _Searching,
    "size_of": _Sized,
    "vector_model": _VectorModel,
    "vectors": _Vectors,
    "begin_rebuild": _BeginRebuild,
    "finish_rebuild": _FinishRebuild,
    "entries": _Telling,
    "changes": _Changes,
    "payloads": _Payloads,
    "put_patterns": _Patterns,
}


@cache
def _class_with(methods: frozenset[str]) -> type[GuardedLayer]:
    parts = tuple(part for name, part in _OPTIONAL.items() if name in methods)
    made: Any = type("GuardedLayer", (*parts, GuardedLayer), {"__doc__": GuardedLayer.__doc__})
    return cast("type[GuardedLayer]", made)
