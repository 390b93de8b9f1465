"""Brands of one cluster change their models in any order, break off anywhere, and none loses or doubles an entry."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload, storage_id
from dm_memory.services.protocol import SearchQuery
from dm_memory.services.qdrant.service import QdrantService
from tests.services.payloads import payload
from tests.services.qdrant.cluster import Cluster, Line
from tests.support.embedders import HashEmbedder

BRANDS = ("acme", "zebra", "yeti")
MODELS = tuple(HashEmbedder(name=name, dimension=16) for name in ("one", "two", "three"))
ENTRIES = 3
NUMBERS = st.sets(st.integers(0, ENTRIES - 1), min_size=1)
"""Never none: a brand without entries leaves no trace, and would be told of the model of those who have some."""


def of(brand: str, number: int) -> Payload:
    made = payload(number)
    return replace(made, brand=brand, id=storage_id(brand, made.key))


class Moving(RuleBasedStateMachine):
    """The truth is one model and one set of entries a brand; a rebuild that broke off is run again before anything."""

    @initialize()
    def begin(self) -> None:
        self.cluster = Cluster()
        self.model: dict[str, int] = {}
        self.stored: dict[str, set[int]] = {brand: set() for brand in BRANDS}
        self.broken: set[str] = set()

    def play(self, brand: str, model: int, scenario: Any) -> Any:
        return self.cluster.play(scenario, brand=brand, embedder=MODELS[model])

    @rule(brand=st.sampled_from(BRANDS), number=st.integers(0, ENTRIES - 1), model=st.integers(0, 2))
    def store(self, brand: str, number: int, model: int) -> None:
        """An ordinary sync, perhaps with another model than the brand's: then it is told, and nothing is stored."""
        if brand in self.broken:
            return
        failure = self.play(brand, model, lambda service: self.try_to_store(service, of(brand, number)))
        if failure is None:
            assert self.model.setdefault(brand, model) == model
            self.stored[brand].add(number)
        else:
            assert failure == "model-mismatch"
            assert self.model.get(brand) != model

    async def try_to_store(self, service: QdrantService, entry: Payload) -> str | None:
        try:
            await service.upsert([entry])
        except ServiceError as error:
            return error.code
        return None

    @rule(brand=st.sampled_from(BRANDS), numbers=NUMBERS, model=st.integers(0, 2))
    def rebuild(self, brand: str, numbers: set[int], model: int) -> None:
        """A forced sync."""
        self.broken.discard(brand)
        self.play(brand, model, lambda service: self.move(service, brand, numbers))
        self.model[brand], self.stored[brand] = model, numbers

    @precondition(lambda self: len(self.broken) < len(BRANDS))
    @rule(
        brand=st.sampled_from(BRANDS),
        numbers=NUMBERS,
        model=st.integers(0, 2),
        calls=st.integers(0, 40),
    )
    def rebuild_and_lose_the_server(self, brand: str, numbers: set[int], model: int, calls: int) -> None:
        """A forced sync that breaks off after so many calls, or does not."""
        self.broken.discard(brand)
        left = [calls]

        def cut(call: str) -> None:
            left[0] -= call != "close"
            if left[0] < 0:
                raise ServiceError("Cut.", "Mend it.", error_class=ErrorClass.UNAVAILABLE)

        line = Line(self.cluster.client, cut)
        try:
            self.cluster.play(
                lambda service: self.move(service, brand, numbers),
                brand=brand,
                embedder=MODELS[model],
                client_factory=lambda: line,
            )
        except ServiceError:
            self.broken.add(brand)
        else:
            self.model[brand], self.stored[brand] = model, numbers

    async def move(self, service: QdrantService, brand: str, numbers: set[int]) -> None:
        await service.begin_rebuild()
        stored = await service.fetch([of(brand, number).id for number in range(ENTRIES)])
        await service.delete([id_ for id_ in stored if id_ not in {of(brand, number).id for number in numbers}])
        await service.upsert([of(brand, number) for number in numbers])
        await service.finish_rebuild()

    @invariant()
    def every_brand_finds_what_is_its_own_and_nothing_else(self) -> None:
        if not hasattr(self, "cluster"):
            return
        for brand, model in self.model.items():
            if brand in self.broken:
                continue
            hits = self.play(brand, model, lambda service: service.search(SearchQuery("newsletters", limit=50)))
            assert {hit.key for hit in hits} == {f"insight/{number}" for number in self.stored[brand]}

    @invariant()
    def nothing_is_left_behind(self) -> None:
        if not hasattr(self, "cluster") or self.broken:
            return
        _, aliases = self.cluster.names()
        assert not [alias for alias in aliases if "+" in alias]
        stored = asyncio.run(self.points())
        assert sum(stored.values()) == sum(map(len, self.stored.values()))
        # A line that broke right after a collection was made leaves it without a name, for the next use of its model.
        assert not [name for name, points in stored.items() if not points and name in aliases.values()]

    async def points(self) -> dict[str, int]:
        """Return how many points each collection holds."""
        collections = (await self.cluster.client.get_collections()).collections
        return {found.name: (await self.cluster.client.count(found.name)).count for found in collections}


TestMoving = Moving.TestCase
TestMoving.settings = settings(
    max_examples=int(os.environ.get("DM_MEMORY_EXAMPLES", "25")),
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMoving.pytestmark = [pytest.mark.filterwarnings("ignore:Payload indexes have no effect"), pytest.mark.slow]
