"""The service on a Qdrant server: the contract, on the client's local mode."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dm_memory.embedding.batch import CHUNKING_VERSION, chunk
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.items import Payload, storage_id
from dm_memory.services.entries import chunk_id
from dm_memory.services.protocol import SearchQuery
from dm_memory.services.qdrant.points import bodies_of
from dm_memory.services.qdrant.service import QdrantService
from tests.services.contract import ProposingContract
from tests.services.payloads import BRAND, payload
from tests.services.qdrant.cluster import Cluster
from tests.services.qdrant.wire import running
from tests.support.embedders import ConstantEmbedder, HashEmbedder, NanEmbedder, PoisonedEmbedder

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


class TestQdrantServer(ProposingContract):
    """The service of a server keeps the contract of every service."""

    @pytest.fixture
    def make_service(self, cluster: Cluster) -> Callable[[], QdrantService]:
        return cluster.service


class TestQdrantServerOverHttp(ProposingContract):
    """The same over the wire, in the words of the server's REST interface."""

    @pytest.fixture
    def make_service(self) -> Iterator[Callable[[], QdrantService]]:
        with running() as server:
            yield lambda: QdrantService(server.url, None, "dm-memory", BRAND, HashEmbedder())


def test_a_rebuild_goes_over_the_wire_as_well() -> None:
    async def rebuild(url: str) -> None:
        old = QdrantService(url, None, "dm-memory", BRAND, HashEmbedder())
        new = QdrantService(url, None, "dm-memory", BRAND, HashEmbedder(name="owner/new"))
        await old.upsert([payload(number) for number in range(5)])
        assert not (await new.health()).ok
        await new.begin_rebuild()
        await new.upsert([payload(number) for number in range(3)])
        await new.finish_rebuild()
        assert (await new.capacity()).entries == 3
        assert len((await new.entries(None, 10))[0]) == 3
        await old.close()
        await new.close()

    with running() as server:
        asyncio.run(rebuild(server.url))
        collections = asyncio.run(server.client.get_collections()).collections
        aliases = asyncio.run(server.client.get_aliases()).aliases
    assert [alias.alias_name for alias in aliases] == ["dm-memory"]
    assert [collection.name for collection in collections] == [aliases[0].collection_name]


def test_a_collection_that_somebody_dropped_is_made_anew() -> None:
    async def scenario(url: str) -> None:
        service = QdrantService(url, None, "dm-memory", BRAND, HashEmbedder())
        await service.upsert([payload(1), payload(2)])
        other = QdrantService(url, None, "dm-memory", BRAND, HashEmbedder())
        await other.prepare()
        assert other._opened is not None
        client = other._opened.client
        for collection in (await client.get_collections()).collections:
            await client.delete_collection(collection.name)
        await other.close()
        assert await service.fetch([payload(1).id]) == {}
        assert [outcome.error for outcome in await service.upsert([payload(1)])] == [None]
        assert list(await service.fetch([payload(1).id, payload(2).id])) == [payload(1).id]
        await service.close()

    with running() as server:
        asyncio.run(scenario(server.url))


def test_an_unused_service_loads_neither_the_sdk_nor_a_model() -> None:
    code = (
        "import sys; from dm_memory.services.qdrant.service import QdrantService;"
        "from dm_memory.embedding.models import make_embedder;"
        "QdrantService('https://cloud.example', None, 'c', 'b', make_embedder('wordllama'));"
        "print([m for m in ('qdrant_client', 'httpx', 'numpy', 'wordllama') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_an_empty_cluster_makes_nothing(cluster: Cluster) -> None:
    async def scenario(service: QdrantService) -> None:
        assert "Nothing is stored yet" in (await service.health()).detail
        assert (await service.capacity()).entries == 0
        assert await service.search(SearchQuery("anything")) == []
        assert await service.fetch([payload(1).id]) == {}
        assert await service.entries(None, 10) == ([], None)
        await service.delete([payload(1).id])
        await service.update_metadata([payload(1)])
        await service.finish_rebuild()

    cluster.play(scenario)
    assert cluster.names() == (set(), {})


def test_the_shared_name_is_an_alias_of_a_collection_that_says_what_made_it(cluster: Cluster) -> None:
    cluster.play(lambda service: service.upsert([payload(1)]))
    (collection,), aliases = cluster.names()
    assert collection.startswith("dm-memory-")
    assert aliases == {"dm-memory": collection}
    info = cluster.run(lambda client: client.get_collection("dm-memory"))
    assert info.config.metadata["dm_memory"]["model"] == {"name": "hashed", "dimension": 256, "weights": "1"}
    assert info.config.metadata["dm_memory"]["chunking"] == CHUNKING_VERSION
    assert set(info.config.params.vectors) == {"fast-hashed"}
    assert info.config.params.vectors["fast-hashed"].distance == "Cosine"


def test_points_have_the_layout_that_the_qdrant_mcp_server_reads(cluster: Cluster) -> None:
    stored = payload(1, related=("insight/2",), updated_from="0" * 64, expires_at="2999-01-01T00:00:00+00:00")
    cluster.play(lambda service: service.upsert([stored]))
    ((point,), _) = cluster.run(lambda client: client.scroll("dm-memory", with_vectors=True))
    assert point.id == stored.id
    assert set(point.vector) == {"fast-hashed"}
    assert point.payload["document"] == stored.content
    assert point.payload["metadata"]["brand"] == BRAND
    assert point.payload["metadata"]["key"] == stored.key
    assert point.payload["metadata"]["lift"] == 1.5
    assert {name: value for name, value in point.payload.items() if name not in {"document", "metadata"}} == {
        "brand": BRAND,
        "entry": stored.id,
        "chunk": 0,
        "chunks": 1,
        "hash": stored.content_hash,
        "meta_hash": stored.metadata_hash,
        "content_type": stored.content_type,
        "tags": ["email", "q1"],
        "recorded_day": 20260305,
        "expires_ts": 32472144000,
    }


def test_metadata_that_is_gone_is_gone_and_text_and_vectors_stay(cluster: Cluster) -> None:
    embedder = HashEmbedder()

    async def scenario(service: QdrantService) -> None:
        await service.upsert([payload(1, expires_at="2999-01-01T00:00:00+00:00")])
        embedder.embedded.clear()
        changed = payload(1, tags=("winter",), facts={}, recorded_at="")
        assert [outcome.error for outcome in await service.update_metadata([changed])] == [None]
        assert embedder.embedded == []
        assert [hit.tags for hit in await service.search(SearchQuery("newsletters", tags=("winter",)))] == [("winter",)]
        assert await service.search(SearchQuery("newsletters", tags=("q1",))) == []
        assert await service.search(SearchQuery("newsletters", from_date="2000-01-01")) == []
        assert (await service.search(SearchQuery(changed.content)))[0].score == pytest.approx(1.0)

    cluster.play(scenario, embedder=embedder)
    ((point,), _) = cluster.run(lambda client: client.scroll("dm-memory"))
    assert not {"recorded_day", "expires_ts"} & set(point.payload)
    assert "lift" not in point.payload["metadata"]


def test_metadata_never_goes_to_another_text(cluster: Cluster) -> None:
    async def scenario(service: QdrantService) -> None:
        await service.upsert([payload(1)])
        (outcome,) = await service.update_metadata([payload(1, "Another text.", tags=("new",))])
        assert outcome.error is not None
        assert outcome.error.error_class is ErrorClass.VALIDATION
        assert (await service.fetch([payload(1).id]))[payload(1).id].metadata_hash == payload(1).metadata_hash

    cluster.play(scenario)


@pytest.mark.parametrize("value", [float("nan"), "half \ud800", ["half \udc00"], 2**64])
def test_metadata_that_can_not_be_represented_fails_its_item(cluster: Cluster, value: Any) -> None:
    async def scenario(service: QdrantService) -> None:
        bad = payload(1, facts={"lift": value})
        assert [o.error is None for o in await service.upsert([bad, payload(2), payload(3)])] == [False, True, True]
        worse = payload(2, facts={"lift": value})
        assert [o.error is None for o in await service.update_metadata([worse, payload(3)])] == [False, True]

    cluster.play(scenario)


def test_entries_come_back_as_they_were_given(cluster: Cluster) -> None:
    long = payload(9, "".join(f"Sentence number {n} about customers. " for n in range(200)), priority="high")
    given = [*(payload(number, facts={"campaign_name": "Spring"}, author="Ann") for number in range(5)), long]

    async def scenario(service: QdrantService) -> None:
        await service.upsert(given)
        told: list[Payload] = []
        after: str | None = None
        while True:
            page, after = await service.entries(after, 4)
            told += page
            if after is None:
                break
        assert sorted(told, key=lambda entry: entry.key) == sorted(given, key=lambda entry: entry.key)

    cluster.play(scenario)


# Vectors ------------------------------------------------------------------------------------------------------------


def with_vectors(entry: Payload, model: HashEmbedder, **changes: Any) -> Payload:
    """Return an entry as the store hands it over: with the vectors of its chunks."""
    vectors = tuple(np.array(vector, dtype="<f4").tobytes() for vector in model.embed_documents(chunk(entry.content)))
    return replace(entry, vectors=vectors, vector_model=model.spec.tag, **changes)


def test_what_is_embedded_already_is_not_embedded_again(cluster: Cluster) -> None:
    embedder = HashEmbedder()
    long = payload(2, "".join(f"Sentence number {n} about customers. " for n in range(200)))
    entries = [with_vectors(payload(1), HashEmbedder()), with_vectors(long, HashEmbedder())]

    async def scenario(service: QdrantService) -> None:
        assert [outcome.error for outcome in await service.upsert(entries)] == [None, None]
        assert embedder.embedded == []
        assert (await service.search(SearchQuery(payload(1).content)))[0].score == pytest.approx(1.0)
        assert len(await service.fetch([long.id])) == 1

    cluster.play(scenario, embedder=embedder)


@pytest.mark.parametrize("why", ["another model", "another number of chunks", "another length", "not a number", "none"])
def test_vectors_that_do_not_fit_are_not_used(cluster: Cluster, why: str) -> None:
    embedder = HashEmbedder()
    entry = with_vectors(payload(1), HashEmbedder())
    changes: dict[str, dict[str, Any]] = {
        "another model": {"vector_model": "other@1"},
        "another number of chunks": {"vectors": entry.vectors * 2},
        "another length": {"vectors": (entry.vectors[0][:-4],)},
        "not a number": {"vectors": (np.full(256, np.nan, dtype="<f4").tobytes(),)},
        "none": {"vectors": (), "vector_model": ""},
    }

    async def scenario(service: QdrantService) -> None:
        assert [outcome.error for outcome in await service.upsert([replace(entry, **changes[why])])] == [None]
        assert embedder.embedded == [entry.content]
        assert (await service.search(SearchQuery(entry.content)))[0].score == pytest.approx(1.0)

    cluster.play(scenario, embedder=embedder)


# Long texts -------------------------------------------------------------------------------------------------


def test_a_text_that_became_shorter_leaves_no_surplus_chunk(cluster: Cluster) -> None:
    long = payload(1, "Flamingo campaigns need pink. " * 200)

    async def scenario(service: QdrantService) -> None:
        await service.upsert([long, payload(2)])
        await service.upsert([payload(1, "Flamingo campaigns need pink. " * 80), payload(3, long.content)])
        await service.upsert([payload(1, "Short now.")])
        assert {hit.key for hit in await service.search(SearchQuery("flamingo pink")) if hit.score > 0.3} == {
            "insight/3"
        }
        assert (await service.capacity()).entries == 3
        await service.delete([payload(3).id])
        assert (await service.capacity()).entries == 2

    cluster.play(scenario)
    assert cluster.run(lambda client: client.count("dm-memory")).count == 2


def test_an_entry_that_lost_a_chunk_or_has_one_of_another_version_is_not_stored(cluster: Cluster) -> None:
    long = payload(1, "Flamingo campaigns need pink. " * 200)

    async def scenario(service: QdrantService) -> None:
        await service.upsert([long])
        assert long.id in await service.fetch([long.id])
        await cluster.client.set_payload("dm-memory", {"hash": "of another version"}, [chunk_id(long.id, 2)])
        assert await service.fetch([long.id]) == {}
        await service.upsert([long])
        assert long.id in await service.fetch([long.id])
        await cluster.client.delete("dm-memory", [chunk_id(long.id, 1)])
        assert await service.fetch([long.id]) == {}

    cluster.play(scenario)


def test_texts_are_cut_for_the_models_window(cluster: Cluster) -> None:
    class Narrow(HashEmbedder):
        chunk_chars = 200

    embedder = Narrow()
    text = "".join(f"Sentence number {n} about customers. " for n in range(60))

    async def scenario(service: QdrantService) -> None:
        await service.upsert([payload(1, text)])
        assert max(map(len, embedder.embedded)) <= 200
        assert (await service.entries(None, 10))[0][0].content == text
        assert "200 characters" in await service.fingerprint()

    cluster.play(scenario, embedder=embedder)
    assert "characters" not in cluster.play(lambda service: service.fingerprint())


def test_a_batch_that_a_slow_model_can_not_embed_in_time_is_halved_by_who_sent_it(cluster: Cluster) -> None:
    class Slow(HashEmbedder):
        batch_items = 4
        batch_chars = 100

    async def scenario(service: QdrantService) -> None:
        assert service.capabilities.batch_items == 4
        with pytest.raises(ServiceError) as caught:
            await service.upsert([payload(1), payload(2)])
        assert not caught.value.concerns_whole_service
        assert [outcome.error for outcome in await service.upsert([payload(1, "Long. " * 100)])] == [None]

    cluster.play(scenario, embedder=Slow())


@pytest.mark.parametrize("embedder", [NanEmbedder(), PoisonedEmbedder()])
def test_a_text_the_model_fails_on_fails_alone(cluster: Cluster, embedder: Embedder) -> None:
    async def scenario(service: QdrantService) -> None:
        bad = payload(5, "A text with NANVEC and POISON in it.")
        outcomes = await service.upsert([bad if number == 5 else payload(number) for number in range(20)])
        assert [outcome.storage_id for outcome in outcomes if outcome.error] == [bad.id]
        assert (await service.capacity()).entries == 19

    cluster.play(scenario, embedder=embedder)


def test_a_number_no_vector_on_the_server_can_represent_fails_its_item(cluster: Cluster) -> None:
    class Huge(HashEmbedder):
        def embed_documents(self, texts: Any) -> Any:
            return [[1e39, *vector[1:]] if "huge" in text else vector for text, vector in self._each(texts)]

        def _each(self, texts: Any) -> Any:
            return zip(texts, super().embed_documents(texts), strict=True)

    async def scenario(service: QdrantService) -> None:
        outcomes = await service.upsert([payload(1, "A huge number."), payload(2)])
        assert [outcome.error is None for outcome in outcomes] == [False, True]

    cluster.play(scenario, embedder=Huge())


@pytest.mark.parametrize(
    "shape", ["array", "list of arrays", "list of lists of numpy's numbers", "lists of both", "tuples"]
)
def test_a_model_of_ones_own_may_give_its_vectors_in_any_shape(cluster: Cluster, shape: str) -> None:
    class Own(HashEmbedder):
        def embed_documents(self, texts: Any) -> Any:
            array = np.array(super().embed_documents(texts), dtype="float32")
            if shape == "array":
                return array
            if shape == "lists of both":
                return [[float(row[0]), *row[1:]] for row in array]
            as_given = {"tuples": tuple, "list of lists of numpy's numbers": list}.get(shape, np.asarray)
            return [as_given(row) for row in array]

    async def scenario(service: QdrantService) -> None:
        assert [outcome.error for outcome in await service.upsert([payload(1), payload(2)])] == [None, None]
        (body,), _ = bodies_of(BRAND, Own(), [payload(1)])
        (sent,) = json.loads(body)["operations"][0]["upsert"]["points"]
        wanted = HashEmbedder().embed_query(payload(1).content)
        assert sent["vector"]["fast-hashed"] == pytest.approx(list(wanted), abs=1e-6)

    cluster.play(scenario, embedder=Own())


def test_a_model_that_does_not_load_is_the_services_error(cluster: Cluster) -> None:
    class Missing(ConstantEmbedder):
        @property
        def spec(self) -> Any:
            raise ConfigurationError("No model.", "Get one.")

    async def scenario(service: QdrantService) -> None:
        for call in (
            lambda: service.upsert([payload(1)]),
            lambda: service.search(SearchQuery("x")),
            service.fingerprint,
        ):
            with pytest.raises(ServiceError, match="Get one") as caught:
                await call()
            assert caught.value.error_class is ErrorClass.UNAVAILABLE
        assert (await service.health()).detail == "No model."

    cluster.play(scenario, embedder=Missing())


# Brands -----------------------------------------------------------------------------------------------------


def of(brand: str, number: int, text: str = "", **changes: Any) -> Payload:
    made = payload(number, text, **changes)
    return replace(made, brand=brand, id=storage_id(brand, made.key))


def test_brands_share_a_collection_and_see_nothing_of_each_other(cluster: Cluster) -> None:
    async def scenario(acme: QdrantService) -> None:
        other = cluster.service("zebra")
        await acme.upsert([payload(1), payload(2)])
        await other.upsert(
            [of("zebra", number, f"Zebra secrets about newsletters, number {number}.") for number in range(3)]
        )
        assert {hit.key for hit in await acme.search(SearchQuery("zebra newsletters"))} == {"insight/1", "insight/2"}
        assert not any("Zebra" in hit.content for hit in await acme.search(SearchQuery("zebra newsletters")))
        assert ((await acme.capacity()).entries, (await other.capacity()).entries) == (2, 3)
        strangers = [of("zebra", number).id for number in range(3)]
        assert await acme.fetch(strangers) == {}
        assert [o.error is None for o in await acme.update_metadata([of("zebra", 1, tags=("stolen",))])] == [False]
        await acme.delete(strangers)
        assert len(await other.fetch(strangers)) == 3
        assert {entry.brand for entry in (await acme.entries(None, 10))[0]} == {BRAND}
        assert len((await acme.entries(None, 10))[0]) == 2

    cluster.play(scenario)
    assert len(cluster.names()[0]) == 1


def test_capacity_is_measured_against_the_limit_that_was_set(cluster: Cluster) -> None:
    async def scenario(service: QdrantService) -> None:
        await service.upsert([payload(1), payload(2)])
        capacity = await service.capacity()
        assert (capacity.used, capacity.limit, capacity.unit, capacity.percent) == (2, 8, "points", 25.0)
        await cluster.service("zebra").upsert([of("zebra", 1, "What other brands store takes room as well.")])
        capacity = await service.capacity()
        assert (capacity.used, capacity.entries) == (3, 2)

    cluster.play(scenario, limit=8)


# A collection of others --------------------------------------------------------------------------------------


def as_the_mcp_server_makes_it(cluster: Cluster, vector: str = "fast-hashed", size: int = 256) -> None:
    from qdrant_client import models  # noqa: PLC0415  # 1 s of import: not by collection

    async def make(client: Any) -> None:
        params = models.VectorParams(size=size, distance=models.Distance.COSINE)
        await client.create_collection("dm-memory", vectors_config={vector: params})
        vectors: Any = {vector: [1.0] + [0.0] * (size - 1)}
        note = {"document": "A note of somebody else's about newsletters.", "metadata": None}
        await client.upsert("dm-memory", [models.PointStruct(id=7, vector=vectors, payload=note)])

    cluster.run(make)


def test_a_collection_that_the_mcp_server_made_is_shared_with_it(cluster: Cluster) -> None:
    as_the_mcp_server_makes_it(cluster)

    async def scenario(service: QdrantService) -> None:
        assert (await service.health()).ok
        await service.upsert([payload(1), payload(2)])
        assert {hit.key for hit in await service.search(SearchQuery("newsletters"))} == {"insight/1", "insight/2"}
        assert (await service.capacity()).entries == 2

    cluster.play(scenario)
    assert cluster.names() == ({"dm-memory"}, {})
    info = cluster.run(lambda client: client.get_collection("dm-memory"))
    assert info.config.metadata["dm_memory"]["model"]["name"] == "hashed"
    assert cluster.run(lambda client: client.count("dm-memory")).count == 3


def test_a_collection_of_another_shape_is_named_and_left_alone_by_a_rebuild(cluster: Cluster) -> None:
    as_the_mcp_server_makes_it(cluster, "fast-bge-small", 384)

    async def scenario(service: QdrantService) -> None:
        with pytest.raises(ServiceError, match="fast-bge-small"):
            await service.upsert([payload(1)])
        await service.begin_rebuild()
        await service.upsert([payload(1)])
        await service.finish_rebuild()
        assert len(await service.search(SearchQuery("newsletters"))) == 1
        assert "mcp-server-qdrant finds this one in dm-memory-" in (await service.health()).detail

    cluster.play(scenario)
    assert cluster.run(lambda client: client.count("dm-memory")).count == 1
    assert "dm-memory@acme" in cluster.names()[1]
