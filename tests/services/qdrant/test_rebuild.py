"""Another model on a shared cluster: each brand moves by itself, and nobody's memory is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload, storage_id
from dm_memory.services.protocol import SearchQuery
from dm_memory.services.qdrant import collections as qdrant_collections
from dm_memory.services.qdrant.service import QdrantService
from tests.services.payloads import payload
from tests.services.qdrant.cluster import Cluster, Line
from tests.support.embedders import ConstantEmbedder, HashEmbedder

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


class Retrained(HashEmbedder):
    """The model by name and dimension, with other weights."""

    def __init__(self) -> None:
        super().__init__()
        self._spec = replace(self._spec, weights="2")


OLD = HashEmbedder()
NEW = HashEmbedder(name="sentence-transformers/New-Model", dimension=128)


def of(brand: str, number: int, text: str = "") -> Payload:
    made = payload(number, text)
    return replace(made, brand=brand, id=storage_id(brand, made.key))


def store(cluster: Cluster, brand: str, numbers: range, embedder: Embedder = OLD) -> None:
    payloads = [of(brand, number) for number in numbers]
    outcomes = cluster.play(lambda service: service.upsert(payloads), brand=brand, embedder=embedder)
    assert all(outcome.error is None for outcome in outcomes)


def rebuild(cluster: Cluster, brand: str, numbers: range, embedder: Embedder = NEW) -> None:
    async def scenario(service: QdrantService) -> None:
        await service.begin_rebuild()
        await service.upsert([of(brand, number) for number in numbers])
        await service.finish_rebuild()
        assert (await service.health()).ok

    cluster.play(scenario, brand=brand, embedder=embedder)


def found(cluster: Cluster, brand: str, embedder: Embedder) -> int:
    hits = cluster.play(
        lambda service: service.search(SearchQuery("newsletters", limit=50)), brand=brand, embedder=embedder
    )
    return len(hits)


@pytest.mark.parametrize("other", [ConstantEmbedder(name="another"), HashEmbedder(dimension=128), Retrained()])
def test_another_model_is_refused_with_the_way_out(cluster: Cluster, other: Embedder) -> None:
    store(cluster, "acme", range(1))
    calls: list[Callable[[QdrantService], Awaitable[Any]]] = [
        lambda service: service.upsert([of("acme", 2)]),
        lambda service: service.search(SearchQuery("x")),
    ]
    for call in calls:
        with pytest.raises(ServiceError, match="Sync with force") as caught:
            cluster.play(call, embedder=other)
        assert caught.value.error_class is ErrorClass.VALIDATION
    health = cluster.play(lambda service: service.health(), embedder=other)
    assert not health.ok
    assert health.error.code == "model-mismatch"
    assert "hashed (256 dimensions" in health.detail
    assert list(cluster.play(lambda service: service.fetch([of("acme", 0).id]), embedder=other)) == [of("acme", 0).id]


def test_a_rebuild_of_the_only_brand_moves_the_shared_name_and_drops_the_old_collection(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))
    before = cluster.names()[0]
    rebuild(cluster, "acme", range(2))
    collections, aliases = cluster.names()
    assert len(collections) == 1
    assert collections.isdisjoint(before)
    assert aliases == {"dm-memory": collections.pop()}
    assert found(cluster, "acme", NEW) == 2
    with pytest.raises(ServiceError, match="Sync with force"):
        found(cluster, "acme", OLD)


def test_the_old_collection_answers_until_the_new_one_is_complete(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))

    async def scenario(service: QdrantService) -> None:
        await service.begin_rebuild()
        await service.upsert([of("acme", 0)])
        assert set(await service.fetch([of("acme", n).id for n in range(3)])) == {of("acme", 0).id}
        old = cluster.service(embedder=OLD)
        assert len(await old.search(SearchQuery("newsletters"))) == 3
        await service.upsert([of("acme", 1)])
        await service.finish_rebuild()
        assert len(await service.search(SearchQuery("newsletters"))) == 2

    cluster.play(scenario, embedder=NEW)


def test_other_brands_stay_where_they_are_until_they_are_rebuilt_themselves(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))
    store(cluster, "zebra", range(4))
    (old,) = cluster.names()[0]
    rebuild(cluster, "acme", range(3))
    assert (found(cluster, "acme", NEW), found(cluster, "zebra", OLD)) == (3, 4)
    assert cluster.names()[1]["dm-memory"] == old
    store(cluster, "zebra", range(4, 6))
    with pytest.raises(ServiceError, match="Sync with force"):
        store(cluster, "acme", range(1))
    rebuild(cluster, "zebra", range(6))
    collections, aliases = cluster.names()
    assert (found(cluster, "acme", NEW), found(cluster, "zebra", NEW)) == (3, 6)
    assert old not in collections
    assert aliases == {"dm-memory": collections.pop()}


def test_weights_that_changed_are_a_model_of_their_own(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))
    store(cluster, "zebra", range(2))
    rebuild(cluster, "acme", range(3), Retrained())
    assert (found(cluster, "acme", Retrained()), found(cluster, "zebra", OLD)) == (3, 2)
    assert len(cluster.names()[0]) == 2


def test_a_brand_that_is_new_to_the_cluster_can_start_with_another_model(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))
    rebuild(cluster, "zebra", range(2))
    assert (found(cluster, "acme", OLD), found(cluster, "zebra", NEW)) == (3, 2)
    rebuild(cluster, "zebra", range(2), OLD)
    assert (found(cluster, "acme", OLD), found(cluster, "zebra", OLD)) == (3, 2)
    assert len(cluster.names()[0]) == 1
    assert set(cluster.names()[1]) == {"dm-memory"}


def test_an_interrupted_rebuild_is_taken_up_where_it_stopped(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))

    async def interrupted(service: QdrantService) -> None:
        await service.begin_rebuild()
        await service.upsert([of("acme", 0)])

    async def resumed(service: QdrantService) -> None:
        await service.begin_rebuild()
        assert set(await service.fetch([of("acme", n).id for n in range(3)])) == {of("acme", 0).id}
        await service.upsert([of("acme", 1)])
        await service.finish_rebuild()

    cluster.play(interrupted, embedder=NEW)
    assert found(cluster, "acme", OLD) == 3
    cluster.play(resumed, embedder=NEW)
    assert found(cluster, "acme", NEW) == 2


def test_a_rebuild_with_the_same_model_keeps_nothing_that_is_not_stored_again(cluster: Cluster) -> None:
    store(cluster, "acme", range(5))
    store(cluster, "zebra", range(2))

    async def interrupted(service: QdrantService) -> None:
        await service.begin_rebuild()
        await service.upsert([of("acme", 0)])

    async def resumed(service: QdrantService) -> None:
        await service.begin_rebuild()
        assert set(await service.fetch([of("acme", n).id for n in range(5)])) == {of("acme", 0).id}
        await service.upsert([of("acme", 1)])
        await service.finish_rebuild()

    cluster.play(interrupted, embedder=OLD)
    cluster.play(resumed, embedder=OLD)
    assert (found(cluster, "acme", OLD), found(cluster, "zebra", OLD)) == (2, 2)
    assert len(cluster.names()[0]) == 1
    assert set(cluster.names()[1]) == {"dm-memory"}


def test_a_rebuild_left_for_a_third_model_begins_anew(cluster: Cluster) -> None:
    store(cluster, "acme", range(3))
    cluster.play(lambda service: service.begin_rebuild(), embedder=NEW)
    rebuild(cluster, "acme", range(2), ConstantEmbedder(name="third"))
    assert found(cluster, "acme", ConstantEmbedder(name="third")) == 2
    assert set(cluster.names()[1]) == {"dm-memory"}


@pytest.mark.parametrize("calls", range(1, 14))
def test_a_switch_that_breaks_off_anywhere_is_completed_by_the_next_run(cluster: Cluster, calls: int) -> None:
    """The server is lost after so many calls of ``finish_rebuild``; then it is back, and the rebuild runs again."""
    store(cluster, "acme", range(3))
    store(cluster, "zebra", range(2), OLD)
    rebuild(cluster, "zebra", range(2))
    left = [1000]

    def cut(_: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise ServiceError("Cut.", "Mend it.", error_class=ErrorClass.UNAVAILABLE)

    async def scenario(service: QdrantService) -> None:
        await service.begin_rebuild()
        await service.upsert([of("acme", n) for n in range(3)])
        left[0] = calls
        with pytest.raises(ServiceError):
            await service.finish_rebuild()
        left[0] = 1

    line = Line(cluster.client, cut)
    cluster.play(scenario, embedder=NEW, client_factory=lambda: line)
    rebuild(cluster, "acme", range(3))
    collections, aliases = cluster.names()
    assert (found(cluster, "acme", NEW), found(cluster, "zebra", NEW)) == (3, 2)
    assert aliases == {"dm-memory": collections.pop()}
    assert not collections


def test_a_brand_that_another_process_moved_is_not_written_to_the_old_place(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with the old settings still runs when a rebuild elsewhere is done: it looks anew, and is told."""
    monkeypatch.setattr(qdrant_collections, "_FRESH", 0.0)
    store(cluster, "zebra", range(2))

    async def scenario(stale: QdrantService) -> None:
        await stale.upsert([of("acme", 0)])
        other = cluster.service(embedder=NEW)
        await other.begin_rebuild()
        await other.upsert([of("acme", 0)])
        await other.finish_rebuild()
        with pytest.raises(ServiceError, match="Sync with force"):
            await stale.upsert([of("acme", 1)])
        assert len(await other.search(SearchQuery("newsletters"))) == 1

    cluster.play(scenario, embedder=OLD)


def test_two_processes_that_meet_an_empty_cluster_make_one_collection(cluster: Cluster) -> None:
    async def scenario(service: QdrantService) -> None:
        other = cluster.service("zebra")
        await asyncio.gather(service.upsert([of("acme", 1)]), other.upsert([of("zebra", 1)]))
        assert len(await service.search(SearchQuery("newsletters"))) == 1
        assert len(await other.search(SearchQuery("newsletters"))) == 1

    cluster.play(scenario)
    assert len(cluster.names()[0]) == 1
