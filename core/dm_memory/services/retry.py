"""Trying a call again where that may help: exponential backoff with full jitter, and what the service asked for.

Full jitter as in Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): the wait is uniform
between nothing and the exponential bound, so that clients that failed together do not come back together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from dm_memory.errors import ErrorClass, LayerError

__all__ = ["Retrying", "Sleep"]

_Answer = TypeVar("_Answer")

Sleep = Callable[[float], Awaitable[object]]

_MAY_HELP = frozenset({ErrorClass.TIMEOUT, ErrorClass.RATE_LIMIT, ErrorClass.UNAVAILABLE, ErrorClass.MALFORMED_REPLY})
_FIRST_BOUND = 0.5


@dataclass(frozen=True, slots=True)
class Retrying:
    """How a call is repeated.

    Attributes:
        attempts: How often it is tried.
        longest_wait: Seconds between two attempts, at most.
        sleep: Waits that many seconds.
        random: A number in [0, 1).
        monotonic: The clock of the deadlines, in seconds.
    """

    attempts: int
    longest_wait: float
    sleep: Sleep
    random: Callable[[], float]
    monotonic: Callable[[], float]

    async def run(self, ask: Callable[[], Awaitable[_Answer]], deadline: float) -> _Answer:
        """Return what ``ask`` returns; where that fails in a way that may pass, ask again, as the deadline allows.

        Raises:
            LayerError: The last one, unchanged: with the ``retry_after`` of a service that asked for a longer wait.
        """
        for attempt in count(1):
            try:
                return await ask()
            except LayerError as error:
                wait = self._wait(error, attempt)
                if wait is None or self.monotonic() + wait >= deadline:
                    raise
                await self.sleep(wait)
        raise AssertionError  # pragma: no cover  # count() does not end

    def _wait(self, error: LayerError, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None where there is to be none."""
        asked = error.retry_after or 0.0
        if attempt >= self.attempts or error.error_class not in _MAY_HELP or asked > self.longest_wait:
            return None
        bound = min(_FIRST_BOUND * 2.0 ** (attempt - 1), self.longest_wait)
        return asked + self.random() * bound
