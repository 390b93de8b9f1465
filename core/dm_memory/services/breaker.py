"""The circuit breaker of a guarded service: one that is down is not asked, and is tried again later.

Closed: calls pass. An error that concerns the whole service opens it: calls fail at once, with the same error, until
the cool-down is over. Then half-open: one call is let through as a trial, which closes it or opens it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dm_memory.errors import ErrorClass, ServiceError

__all__ = ["Breaker", "Call"]

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
    """The state of one service.

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
