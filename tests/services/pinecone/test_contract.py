"""The Pinecone service keeps the contract of every service that proposes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dm_memory.services.pinecone.service import PineconeService
from tests.services.contract import ProposingContract


class TestPinecone(ProposingContract):
    """On a fake that embeds by hashed words."""

    @pytest.fixture
    def make_service(self, make: Callable[..., PineconeService]) -> Callable[[], PineconeService]:
        return make
