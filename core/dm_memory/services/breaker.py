"""The circuit breaker of a guarded layer: a service that is down stops being asked, and is tried again later.

Closed: calls pass. A trouble that concerns the whole layer opens it: calls fail at once, with the same error, until the
cool-down is over. Then half-open: one call is let through as a trial, which closes it or opens it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dm_memory.errors import ErrorClass, LayerError

__all__ = ["Breaker", "Call"]

_MALFORMED_IN_A_ROW = 12
"""More than a batch of a thousand needs to be split down to one bad item; a service that goes on is none."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the breaker must know of a call.

    Attributes:
        stores: It takes room: what a full service refuses. Questions and deletions are answered by a full service.
        insists: It is made whatever the breaker thinks: as a trial, where the breaker is open.
    """

    stores: bool = False
    insists: bool = False


class Breaker:
    """The state of one service.

    Args:
        cool_down: Seconds for which it stays open; longer where the service asked for longer.
        monotonic: A clock, in seconds.
    """

    def __init__(self, cool_down: float, monotonic: Callable[[], float]) -> None:
        self._cool_down = cool_down
        self._monotonic = monotonic
        self._trouble: LayerError | None = None
        self._until = 0.0
        self._asked_until = 0.0
        self._trials = 0
        self._malformed = 0

    def check(self, call: Call) -> None:
        """Raise the ``LayerError`` that holds the call back, if one does."""
        if (trouble := self._held_back_by(call)) and not call.insists and (self._trials or self._left > 0):
            raise self._again(trouble)

    def ask_again(self) -> None:
        """Make the next call the trial: somebody has reason to think that things have changed.

        A pause the service itself asked for is kept.
        """
        self._until = min(self._until, self._asked_until)

    @contextmanager
    def watching(self, call: Call) -> Iterator[bool]:
        """Let a call pass, and learn from how it ends. Yields whether it is a trial.

        Raises:
            LayerError: The call is held back; or its own error, which becomes "unavailable" where the service has sent
                nothing but junk for a while.
        """
        self.check(call)
        trial = self._held_back_by(call) is not None
        self._trials += trial
        try:
            yield trial
        except LayerError as error:
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

    def _held_back_by(self, call: Call) -> LayerError | None:
        full = self._trouble is not None and self._trouble.error_class is ErrorClass.QUOTA
        return None if full and not (call.stores or call.insists) else self._trouble

    @property
    def _left(self) -> float:
        return self._until - self._monotonic()

    def _again(self, trouble: LayerError) -> LayerError:
        """Return the trouble as another object: one that is raised twice collects tracebacks."""
        wait = None if trouble.retry_after is None else max(0.0, self._left)
        return _copy(trouble, trouble.error_class, wait)

    def _learnt(self, error: LayerError, *, trial: bool) -> LayerError:
        malformed = error.error_class is ErrorClass.MALFORMED_REPLY
        self._malformed = self._malformed + 1 if malformed else 0
        if self._malformed >= _MALFORMED_IN_A_ROW:
            error = _copy(error, ErrorClass.UNAVAILABLE, error.retry_after)
        if error.concerns_whole_layer:
            self._trouble = error
            self._asked_until = self._monotonic() + (error.retry_after or 0.0)
            self._until = max(self._asked_until, self._monotonic() + self._cool_down)
        else:
            # It refused this call, so it is there.
            self._close(trial)
        return error

    def _close(self, trial: bool) -> None:
        """Only a trial closes it: a call from before the trouble may end well after it."""
        if trial:
            self._trouble = None


def _copy(error: LayerError, error_class: ErrorClass, retry_after: float | None) -> LayerError:
    return LayerError(error.problem, error.remedy, error_class=error_class, code=error.code, retry_after=retry_after)
