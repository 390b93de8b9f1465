"""The connected graph keeps the contract of every service, on a real FalkorDB and a real Neo4j."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.services.protocol import Service
from tests.services.contract import ServiceContract
from tests.services.graphiti.conftest import Graphs


class TestGraphiti(ServiceContract):
    @pytest.fixture
    def make_service(self, graphs: Graphs) -> Callable[[], Service]:
        return graphs.service
