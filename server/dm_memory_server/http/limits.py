"""Limits on what a client costs: requests a minute, failed tokens, and connections that are slow on purpose."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

__all__ = ["Buckets", "DeadlineProtocol"]

_MOST_KEYS = 10_000

_REFUSABLE = 100
"""Connections beyond the limit that are still answered, with "503 Service Unavailable"."""


class Buckets:
    """Token buckets by name: each refills steadily and never has more than ``burst``.

    Args:
        a_minute: How many a minute.
        burst: How many at once.
        clock: Seconds that only grow.
    """

    def __init__(self, a_minute: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = a_minute / 60, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> int:
        """Take one; return 0, or the whole seconds after which there is one again."""
        now = self._clock()
        level, since = self._levels.get(name, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        enough = level >= 1
        self._levels[name] = (level - 1 if enough else level, now)
        self._levels.move_to_end(name)
        while len(self._levels) > _MOST_KEYS:  # the longest unused ones are full again, or nearly so
            self._levels.popitem(last=False)
        return 0 if enough else max(1, math.ceil((1 - level) / self._rate))


class DeadlineProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which waits for ever for the rest of a request and for a client that reads nothing.

    From its first byte, or from the connection's first instant, a request has ``HEAD_SECONDS`` until its head is here
    and ``BODY_SECONDS`` more for its body, however slowly it drips; one that was answered before, ``LINGER_SECONDS``,
    so that its client can read the answer. A client that does not read what was sent for
    ``READ_SECONDS`` is cut. Between two requests uvicorn's own limit counts, and if there are too many connections the
    one that has been idle the longest gives way to a new one.
    """

    HEAD_SECONDS = 10.0
    BODY_SECONDS = 60.0
    LINGER_SECONDS = 5.0
    READ_SECONDS = 60.0

    _incoming: asyncio.TimerHandle | None = None
    _outgoing: asyncio.TimerHandle | None = None
    _in_body: RequestResponseCycle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn's signature is narrower
        self._since = self.loop.time()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._make_room(self.limit_concurrency + _REFUSABLE)
        self._start(self.HEAD_SECONDS)

    def on_response_complete(self) -> None:
        """Note since when the connection waits, and wait no longer for a body that nobody reads any more."""
        self._since = self.loop.time()
        super().on_response_complete()
        if self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY:
            self._start(self.LINGER_SECONDS)

    def _make_room(self, most: int) -> None:
        """Cut the connection that has been idle the longest: else whoever opens enough of them locks all others out."""
        waiting = [
            each
            for each in self.connections
            if isinstance(each, DeadlineProtocol)
            and each is not self
            and (each.cycle is None or each.cycle.response_complete)
            and not each.transport.is_closing()
        ]
        if waiting:
            min(waiting, key=lambda each: each._since).transport.abort()  # noqa: SLF001  # of this class
        elif len(self.connections) > most:
            self.transport.abort()  # uvicorn refuses requests; connections that never make one count as well

    def data_received(self, data: bytes) -> None:
        """Start the clock of a request that begins, and read on."""
        if self._incoming is None and self.conn.their_state in {h11.IDLE, h11.DONE}:
            self._start(self.HEAD_SECONDS)
        super().data_received(data)

    def handle_events(self) -> None:
        """Read what has arrived, also what came with the request before, and run the clock of what is missing."""
        super().handle_events()
        if self.conn.their_state is h11.SEND_BODY:
            if self._in_body is not self.cycle:
                self._in_body = self.cycle
                self._start(self.BODY_SECONDS)
        elif self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._in_body is not None:
            self._stop()
            self._unset_keepalive_if_required()  # uvicorn's limit, which it forgets if a body follows its answer
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the clock of a client that does not read."""
        super().pause_writing()
        if self._outgoing is None:
            self._outgoing = self.loop.call_later(self.READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop it."""
        if self._outgoing is not None:
            self._outgoing.cancel()
            self._outgoing = None
        super().resume_writing()

    def _start(self, seconds: float) -> None:
        self._stop_timer()
        self._incoming = self.loop.call_later(seconds, self._cut)

    def _stop(self) -> None:
        self._in_body = None
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._incoming is not None:
            self._incoming.cancel()
            self._incoming = None

    def _cut(self) -> None:
        self._incoming = None
        self.transport.abort()
