"""The connected graph keeps the contract of every layer, on a real FalkorDB and a real Neo4j."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.services.protocol import Layer
from tests.services.contract import LayerContract
from tests.services.graphiti.conftest import Graphs


class TestConnectedGraph(LayerContract):
    @pytest.fixture
    def make_layer(self, graphs: Graphs) -> Callable[[], Layer]:
        return graphs.layer
