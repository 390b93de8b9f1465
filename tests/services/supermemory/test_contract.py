"""Supermemory keeps the contract of every service, and never appends to a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.services.resilience import Guarded, GuardPolicy, guard
from dm_memory.services.supermemory.service import SupermemoryService
from tests.services.contract import ServiceContract
from tests.services.supermemory.conftest import Make

pytestmark = pytest.mark.supermemory


class TestSupermemory(ServiceContract):
    """The service by itself."""

    @pytest.fixture
    def make_service(self, make: Make) -> Callable[[], SupermemoryService]:
        return make


class TestGuardedSupermemory(ServiceContract):
    """The service as it is used."""

    @pytest.fixture
    def make_service(self, make: Make) -> Callable[[], Guarded[SupermemoryService]]:
        return lambda: guard(make(), GuardPolicy())
