"""The Pinecone layer keeps the contract of every layer that can be searched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.services.pinecone.service import PineconeLayer
from tests.services.contract import SearchableLayerContract


class TestPinecone(SearchableLayerContract):
    """On a fake that embeds by hashed words."""

    @pytest.fixture
    def make_layer(self, make: Callable[..., PineconeLayer]) -> Callable[[], PineconeLayer]:
        return make
