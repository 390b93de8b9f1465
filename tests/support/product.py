"""The product over a generated brand, with its real engine: one call, one process's worth of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from dm_memory.api import Memory
from dm_memory.settings import Settings
from dm_memory.requests import SyncRequest
from dm_memory.results import StatusResult, SyncResult
from tests.support.brands import BrandHome

__all__ = ["CAMPAIGNS", "CONSTANT", "INSIGHTS", "ITEMS", "Product"]

_T = TypeVar("_T")

CONSTANT = "tests.support.embedders:constant"
INSIGHTS, CAMPAIGNS = 12, 2
ITEMS = INSIGHTS + CAMPAIGNS * 20
"""What the fault tests' brand holds."""


class Product:
    """One process's worth of the product; each call opens and closes a ``Memory`` of its own."""

    def __init__(self, home: BrandHome) -> None:
        self.home = home
        self.embedder = CONSTANT
        self.settings: dict[str, Any] = {}
        self.clock: Callable[[], datetime] | None = None

    def sync(self, **request: Any) -> SyncResult:
        """Sync the brand."""
        return asyncio.run(self._call(lambda memory: memory.sync(SyncRequest(brand=self.home.slug, **request))))

    def status(self) -> StatusResult:
        """Look at the brand's memory."""
        return asyncio.run(self._call(lambda memory: memory.status(self.home.slug)))

    async def _call(self, call: Callable[[Memory], Awaitable[_T]]) -> _T:
        settings = Settings(home=self.home.root, embedder=self.embedder, **self.settings)
        memory = Memory(settings, clock=self.clock) if self.clock else Memory(settings)
        try:
            return await call(memory)
        finally:
            await memory.close()
