"""The product over a generated brand: one call, one process's worth of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from dm_memory.api import Memory
from dm_memory.items import ContentType
from dm_memory.requests import PrepareRequest, SyncRequest
from dm_memory.results import PrepareResult, StatusResult, SyncResult, VerifyResult
from dm_memory.search.results import SearchRequest, SearchResult
from dm_memory.settings import Settings
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

    def search(self, query: str) -> SearchResult:
        """Search the brand's memory."""
        return asyncio.run(self._call(lambda memory: memory.search(SearchRequest(query, brand=self.home.slug))))

    def prepare(self, text: str) -> PrepareResult:
        """Hand a text in."""
        request = PrepareRequest(text, ContentType.GUIDELINE, brand=self.home.slug)
        return asyncio.run(self._call(lambda memory: memory.prepare(request)))

    def verify(self, *, repair: bool = False) -> VerifyResult:
        """Compare memory with itself."""
        return asyncio.run(self._call(lambda memory: memory.verify(self.home.slug, repair=repair)))

    async def _call(self, call: Callable[[Memory], Awaitable[_T]]) -> _T:
        settings = Settings(home=self.home.root, embedder=self.embedder, **self.settings)
        memory = Memory(settings, clock=self.clock) if self.clock else Memory(settings)
        try:
            return await call(memory)
        finally:
            await memory.close()
