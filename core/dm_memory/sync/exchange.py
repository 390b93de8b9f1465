"""Between syncs: what others of the team stored comes in, and what was handed in here goes out to the shared store.

A search, or a status, asks for it if the last look is older than ``FRESH_SECONDS``, and waits ``WAIT_SECONDS`` for it:
what takes longer is in the next answer. A text that was prepared is delivered at once, while nobody waits. Only a
change takes the brand's lock, and never for long: a sync that runs does all of this itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, repeat
from operator import methodcaller
from typing import Any

from dm_memory.brand.context import load_context
from dm_memory.errors import DmMemoryError, LockTimeoutError, ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.requests import SyncRequest, no_progress
from dm_memory.services.protocol import Service, unexpected
from dm_memory.services.resilience import ask
from dm_memory.store import outbox
from dm_memory.store.database import Store, is_present, open_store, reading, store_errors
from dm_memory.store.from_0_2.files import is_home_0_2
from dm_memory.store.locks import brand_lock
from dm_memory.sync.deliver import Delivering
from dm_memory.sync.feed import place_of, pull_feed, pulled_at, push_patterns, seen_at
from dm_memory.sync.forgotten import buried_at, keep_forgotten
from dm_memory.sync.pipeline import model_in_use
from dm_memory.sync.run import Delivered, Environment, Run
from dm_memory.text.timestamps import from_iso, to_iso
from dm_memory.worker import Worker, worker_thread

__all__ = ["FRESH_SECONDS", "WAIT_SECONDS", "Team"]

_log = logging.getLogger(__name__)

FRESH_SECONDS = 30.0
"""Half of the minute within which one finds what another stored."""

WAIT_SECONDS = 0.3
"""How long an answer waits for the shared store."""

_LOCK_SECONDS = 2.0
_LONGEST_SECONDS = 10.0
"""With the lock taken: a sync may wait for it."""

_CLOSING_SECONDS = 2.0
_MOST_DUE = 256
"""What sessions hand in; more is a sync's work, which shows its progress."""

_MOST_FINDINGS = 20
_PAUSES = (5.0, 15.0, 30.0)
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What memory knows of a shared store: places in its feeds, how much is due there, and when it was last read."""

    seen: str
    buried: str
    due: int
    at: str
    is_new: bool


class Team:
    """Keeps brands up to date with a shared store, for one process; a brand has one exchange at a time."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[str]] = {}
        self._delivering: dict[str, asyncio.Task[None]] = {}
        self._more: set[str] = set()
        self._looked: dict[str, datetime] = {}
        self._found: dict[str, list[Finding]] = {}

    async def catch_up(self, env: Environment, brand: str) -> tuple[Finding, ...]:
        """Read what others stored, if the last look is not recent; if that takes too long, say how old the look is.

        Returns:
            That, and what has to be known of what came in since the last call.
        """
        behind = await self._catch_up(env, brand) if _shared(env) else ()
        return (*self._found.pop(brand, ()), *behind)

    async def _catch_up(self, env: Environment, brand: str) -> tuple[Finding, ...]:
        last = self._looked.get(brand)
        if not _is_recent(env, last):
            known = await asyncio.to_thread(_known, env, brand)
            if known is None:
                return ()  # the first sync reads everything
            last = max((moment for moment in (last, _oldest(known)) if moment), default=None)
        if _is_recent(env, last):
            return ()
        task = self._exchange(env, brand)
        await asyncio.wait({task}, timeout=WAIT_SECONDS)
        why = task.result() if task.done() and not task.cancelled() else f"did not answer within {WAIT_SECONDS:g} s"
        return (_behind(_shared(env)[0], why, last, env),) if why else ()

    def hand_over(self, env: Environment, brand: str) -> tuple[str, ...]:
        """Deliver what is due in the shared store, in the background, again and again until it has it; return whose."""
        services = _shared(env)
        if not services:
            return ()
        self._more.add(brand)
        known = self._delivering.get(brand)
        if known is None or not _is_alive(known):
            self._delivering[brand] = asyncio.create_task(self._deliver(env, brand))
        return tuple(service.engine for service in services)

    async def make_way(self, brand: str) -> None:
        """End what is under way for a brand: a sync does it as well."""
        await _cancelled([task for task in (self._running.pop(brand, None),) if task])

    async def close(self) -> None:
        """Wait a moment for what was handed in just now, then end. What was not delivered is due further on."""
        delivering = [task for task in self._delivering.values() if _is_alive(task)]
        if delivering:
            await asyncio.wait(delivering, timeout=_CLOSING_SECONDS)
        await _cancelled([*delivering, *self._running.values()])
        self._delivering.clear()
        self._running.clear()

    async def _deliver(self, env: Environment, brand: str) -> None:
        for pause in chain(_PAUSES, repeat(_LONGEST_PAUSE)):
            running = self._running.get(brand)
            if running is not None and _is_alive(running):
                await asyncio.wait({running})  # it may be past its deliveries
            self._more.discard(brand)
            task = self._exchange(env, brand)
            await asyncio.wait({task})
            why = "was interrupted" if task.cancelled() else task.result()
            if not why and brand not in self._more:
                return
            await asyncio.sleep(pause if why else 0)

    def _exchange(self, env: Environment, brand: str) -> asyncio.Task[str]:
        known = self._running.get(brand)
        if known is None or not _is_alive(known):
            known = self._running[brand] = asyncio.create_task(self._exchanged(env, brand))
        return known

    async def _exchanged(self, env: Environment, brand: str) -> str:
        started = env.clock()
        try:
            why = await _exchange(env, brand, self._found.setdefault(brand, []))
        except LockTimeoutError:
            return "was not asked, because a sync of this brand is running"
        except TimeoutError:
            return f"did not answer within {_LONGEST_SECONDS:g} s"
        except DmMemoryError as error:
            _log.info("no exchange with the team's store: %s", type(error).__name__)
            return "could not be asked: this computer's memory can't be written"
        except Exception as error:  # noqa: BLE001  # a bug here must not cost the answer; it is in the log
            _log.warning("the exchange with the team's store ended with %s", type(error).__name__)
            return "could not be asked (unexpected error)"
        if not why:
            self._looked[brand] = started
        return why


def _shared(env: Environment) -> list[Service]:
    return [service for service in env.services if service.capabilities.shared]


def _is_alive(task: asyncio.Task[Any]) -> bool:
    """Return whether a task is under way, in the loop that runs now."""
    return not task.done() and task.get_loop() is asyncio.get_running_loop()


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    alive = [task for task in tasks if _is_alive(task)]
    for task in alive:
        task.cancel()
    await asyncio.gather(*alive, return_exceptions=True)


def _is_recent(env: Environment, moment: datetime | None) -> bool:
    return moment is not None and 0 <= (env.clock() - moment).total_seconds() < FRESH_SECONDS


def _oldest(known: Mapping[str, _Known]) -> datetime | None:
    moments = [from_iso(each.at) for each in known.values()]
    return None if None in moments else min(moment for moment in moments if moment)


def _behind(service: Service, why: str, last: datetime | None, env: Environment) -> Finding:
    seconds = (env.clock() - last).total_seconds() if last else 0.0
    since = f"since {to_iso(last)} ({_age(max(0.0, seconds))} ago)" if last else "so far"
    message = f"What other computers stored {since} may be missing: {service.engine} {why}."
    remedy = "Ask again in a moment; a sync reads it in any case."
    return Finding("team-behind", Severity.WARNING, message, remedy)


def _age(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if (count := int(seconds // size)) >= 1:
            return f"{count} {name}{'s' * (count != 1)}"
    return f"{int(seconds)} seconds"


# One exchange --------------------------------------------------------------------------------------------------------


async def _exchange(env: Environment, brand: str, found: list[Finding]) -> str:
    """Look for news and for what is due; only if there is some, lock the brand. Return why it could not be done."""
    known = await asyncio.to_thread(_known, env, brand)
    if known is None:
        return ""
    if any(each.is_new for each in known.values()):
        return "has not been synced with yet"
    try:
        if not await _is_something_to_do(env, known):
            await asyncio.to_thread(_note_look, env, brand)
            return ""
    except ServiceError as error:
        return _failed(error)
    return await _with_lock(env, brand, found)


def _failed(error: ServiceError) -> str:
    return f"could not be asked ({error.error_class})"


async def _is_something_to_do(env: Environment, known: Mapping[str, _Known]) -> bool:
    """Return whether something is due, or there is news. Raises ``ServiceError``."""
    for service in _shared(env):
        try:
            if 0 < known[service.name].due <= _MOST_DUE or await _has_news(service, known[service.name]):
                return True
        except Exception as error:  # a bug in an adapter must not cost the answer
            raise unexpected(service.engine, error) from error
    return False


async def _has_news(service: Service, known: _Known) -> bool:
    digests, _ = await ask(service, methodcaller("changes", place_of(known.seen)))
    if digests:
        return True
    stones, _ = await ask(service, methodcaller("tombstones", place_of(known.buried)))
    return bool(stones)


async def _with_lock(env: Environment, brand: str, found: list[Finding]) -> str:
    stop = asyncio.Event()
    lock = brand_lock(env.home.memory_dir(brand), _LOCK_SECONDS, env.clock, no_progress, stop)
    async with worker_thread("dm-memory-team") as worker, lock, _run(env, brand, worker, stop) as run:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await keep_forgotten(run)
                await pull_feed(run)
                model = await worker.run(model_in_use, run)
                for service in _shared(env):
                    await _deliver(run, service, model)
        finally:
            found += [finding for finding in run.outcomes.findings if finding.severity is not Severity.INFO]
            del found[_MOST_FINDINGS:]
        failures = [known.failure for known in run.delivered.values() if known.failure]
        return _failed(failures[0]) if failures else ""


@contextlib.asynccontextmanager
async def _run(env: Environment, brand: str, worker: Worker, stop: asyncio.Event) -> AsyncIterator[Run]:
    """Provide what a sync's stages need. It is no run of its own: status goes on showing the last sync."""
    context = await worker.run(load_context, env.home, brand, env.limits)
    store = await worker.run(open_store, env.home.memory_dir(brand), brand)
    try:
        with store_errors(store.path):
            begin = partial(Run.begin, env, SyncRequest(brand), brand, context, store, worker, no_progress, stop, 0.0)
            run = await worker.run(begin)
            run.number, run.changed = run.number - 1, True
            yield run
    finally:
        await worker.run(store.close)


async def _deliver(run: Run, service: Service, model: str) -> None:
    known = run.delivered.get(service.name, Delivered())
    due = await run.worker.run(outbox.count_due, run.store.connection, service.name)
    if known.failure is not None or not 0 < due <= _MOST_DUE:
        return
    run.delivered[service.name] = known = await Delivering.of(run, service, model, known).run()
    if known.failure is None:
        await push_patterns(run, service, known)


def _known(env: Environment, brand: str) -> dict[str, _Known] | None:
    """Return what memory knows of shared stores, by name; None if there is no memory yet, or one of 0.2."""
    memory_dir = env.home.memory_dir(brand)
    if not is_present(memory_dir) or is_home_0_2(memory_dir):
        return None
    names = [service.name for service in _shared(env)]

    def read(store: Store | None) -> dict[str, _Known] | None:
        return {name: _known_of(store, name) for name in names} if store else None

    return reading(memory_dir, brand, read)


def _known_of(store: Store, name: str) -> _Known:
    return _Known(
        store.meta(seen_at(name)),
        store.meta(buried_at(name)),
        outbox.count_due(store.connection, name),
        store.meta(pulled_at(name)),
        name not in store.meta("services").split("\n"),
    )


def _note_look(env: Environment, brand: str) -> None:
    """Note when the shared store was read, for other processes. What can't be noted costs them a look."""
    with (
        contextlib.suppress(DmMemoryError),
        contextlib.closing(open_store(env.home.memory_dir(brand), brand)) as store,
        store.transaction(),
    ):
        for service in _shared(env):
            store.set_meta(pulled_at(service.name), to_iso(env.clock()))
