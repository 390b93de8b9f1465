"""A layer whose every answer is scripted, behind a guard, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.services.protocol import Health, Outcome
from dm_memory.services.remote import Service
from dm_memory.services.resilience import GuardPolicy, guard
from tests.services.payloads import payload
from tests.services.resilience import virtual_time
from tests.sync.memory_layer import DictLayer

Step = Exception | float | None
"""What one call meets: an error, that many seconds until it answers, or an answer at once."""

SERVICE = Service("Test service", "test.example", "TEST_KEY", "TEST_URL")

HANGS = 1e9

ALL = [payload(number) for number in range(3)]


def trouble(error_class: ErrorClass, retry_after: float | None = None) -> LayerError:
    return LayerError("It failed.", "Do something.", error_class=error_class, code="c", retry_after=retry_after)


class ScriptedLayer(DictLayer):
    """A dictionary whose calls run through ``script`` first, one step a call; after its end all is well."""

    def __init__(self, script: Iterable[Step] = ()) -> None:
        super().__init__("vector@scripted:test.example")
        self.engine = "Scripted"
        self.script = list(script)
        self.calls: list[tuple[float, str]] = []
        self.running = 0
        self.most_running = 0

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

    async def close(self) -> None:
        await self.step("close")

    async def health(self) -> Health:
        try:
            await self.step("health")
        except LayerError as error:
            return Health(ok=False, engine=self.engine, detail="Not well.", error=error)
        return Health(ok=True, engine=self.engine, detail="Well.")


class NamedServiceLayer(ScriptedLayer):
    """As an adapter of a connected service: it says which."""

    service = SERVICE


class Scene:
    """A scripted layer behind a guard whose jitter is always at its bound."""

    def __init__(self, script: list[Step], loop: asyncio.AbstractEventLoop, jitter: float = 1.0, **policy: Any) -> None:
        self.inner = NamedServiceLayer(script)
        self.layer = guard(self.inner, GuardPolicy(**policy), random=lambda: jitter, monotonic=loop.time)
        self.now = loop.time

    async def error_of(self, call: Coroutine[Any, Any, Any]) -> LayerError:
        with pytest.raises(LayerError) as caught:
            await call
        return caught.value


def play(script: list[Step], scenario: Callable[[Scene], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def act(loop: asyncio.AbstractEventLoop) -> None:
        await scenario(Scene(script, loop, **options))

    virtual_time.run(act)
