"""The embedded graph layer: the contract, and what is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from tests.layers.contract import SearchableLayerContract
from tests.layers.payloads import BRAND


class TestSqliteGraph(SearchableLayerContract):
    """The embedded graph keeps the contract of every layer that can be searched."""

    @pytest.fixture
    def make_layer(self, tmp_path: Path) -> Callable[[], SqliteGraphLayer]:
        return lambda: SqliteGraphLayer(tmp_path / "memory", BRAND)
