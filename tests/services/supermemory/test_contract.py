"""Supermemory keeps the contract of every layer, and never appends to a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.services.resilience import GuardedLayer, GuardPolicy, guard
from dm_memory.services.supermemory.service import SupermemoryLayer
from tests.services.contract import LayerContract
from tests.services.supermemory.conftest import Make

pytestmark = pytest.mark.supermemory


class TestSupermemory(LayerContract):
    """The layer by itself."""

    @pytest.fixture
    def make_layer(self, make: Make) -> Callable[[], SupermemoryLayer]:
        return make


class TestGuardedSupermemory(LayerContract):
    """The layer as it is used."""

    @pytest.fixture
    def make_layer(self, make: Make) -> Callable[[], GuardedLayer]:
        return lambda: guard(make(), GuardPolicy())
