"""A service whose every answer is scripted, behind a guard, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.services.faults import Faults
from dm_memory.services.protocol import Outcome, Proposal, SearchQuery
from dm_memory.services.resilience import GuardPolicy, guard
from tests.services.dictionary import DictService
from tests.services.payloads import payload
from tests.services.resilience import virtual_time

Step = Exception | float | None
"""What one call meets: an error, that many seconds until it answers, or an answer at once."""

FAULTS = Faults("Test service", "test.example", "TEST_KEY", "TEST_URL")

HANGS = 1e9

ALL = [payload(number) for number in range(3)]


def failure(error_class: ErrorClass, retry_after: float | None = None) -> ServiceError:
    return ServiceError("It failed.", "Do something.", error_class=error_class, code="c", retry_after=retry_after)


class ScriptedService(DictService):
    """A dictionary whose calls run through ``script`` first, one step a call; after its end all is well."""

    def __init__(self, script: Iterable[Step] = ()) -> None:
        super().__init__("vector@scripted:test.example")
        self.engine = "Scripted"
        self.script = list(script)
        self.calls: list[tuple[float, str]] = []
        self.running = 0
        self.most_running = 0
        self.preparing: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def step(self, name: str) -> None:
        """Play the next step."""
        loop = asyncio.get_running_loop()
        self.calls.append((loop.time(), name))
        step = self.script.pop(0) if self.script else None
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if isinstance(step, Exception):
                raise step
            if step is not None:
                await asyncio.sleep(step)
        finally:
            self.running -= 1

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        await self.step("upsert")
        return await super().upsert(payloads)

    async def delete(self, ids: Sequence[str]) -> None:
        await self.step("delete")
        await super().delete(ids)

    async def fingerprint(self) -> str:
        await self.step("fingerprint")
        return await super().fingerprint()

    async def search(self, query: SearchQuery) -> list[Proposal]:
        await self.step("search")
        return await super().search(query)

    async def close(self) -> None:
        await self.step("close")

    async def ping(self) -> str:
        await self.step("ping")
        return await super().ping()

    async def prepare(self) -> None:
        if self.preparing is not None:
            await self.preparing()


class NamedService(ScriptedService):
    """As an adapter of a connected service: it says which."""

    faults = FAULTS


class Scene:
    """A scripted service behind a guard whose jitter is always at its bound."""

    def __init__(self, script: list[Step], loop: asyncio.AbstractEventLoop, jitter: float = 1.0, **policy: Any) -> None:
        self.inner = NamedService(script)
        self.service = guard(self.inner, GuardPolicy(**policy), random=lambda: jitter, monotonic=loop.time)
        self.now = loop.time

    async def error_of(self, call: Coroutine[Any, Any, Any]) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            await call
        return caught.value


def play(script: list[Step], scenario: Callable[[Scene], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def act(loop: asyncio.AbstractEventLoop) -> None:
        await scenario(Scene(script, loop, **options))

    virtual_time.run(act)
