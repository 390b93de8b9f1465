"""The layer on a Qdrant server: the contract, on the client's local mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dm_memory.layers.qdrant_server import QdrantServerLayer
from tests.layers.contract import SearchableLayerContract

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


class TestQdrantServer(SearchableLayerContract):
    """The layer of a server keeps the contract of every layer."""

    @pytest.fixture
    def make_layer(self, cluster: Any) -> Callable[[], QdrantServerLayer]:
        return cluster.layer
