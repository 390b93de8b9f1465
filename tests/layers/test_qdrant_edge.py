"""The embedded vector layer: the contract, and what is the engine's own."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dm_memory.embedding.chunking import MAX_CHUNKS, chunk
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.layers.qdrant_edge import QdrantEdgeLayer
from dm_memory.services.protocol import SearchQuery
from tests.services.contract import SearchableLayerContract
from tests.services.payloads import BRAND, payload
from tests.support.embedders import ConstantEmbedder, HashEmbedder, NanEmbedder, PoisonedEmbedder

REPOSITORY = Path(__file__).resolve().parents[2]


def make(folder: Path, embedder: Embedder | None = None, lock_timeout: float = 30.0) -> QdrantEdgeLayer:
    return QdrantEdgeLayer(folder, BRAND, embedder or HashEmbedder(), lock_timeout=lock_timeout)


def play(layer: QdrantEdgeLayer, scenario: Callable[[QdrantEdgeLayer], Awaitable[Any]]) -> Any:
    async def act() -> Any:
        try:
            return await scenario(layer)
        finally:
            await layer.close()

    return asyncio.run(act())


def store(folder: Path, payloads: list[Payload], embedder: Embedder | None = None) -> None:
    outcomes = play(make(folder, embedder), lambda layer: layer.upsert(payloads))
    assert all(outcome.error is None for outcome in outcomes)


def collections(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("c-*") if "damaged" not in path.name}


class TestQdrantEdge(SearchableLayerContract):
    """The embedded layer keeps the contract of every layer."""

    @pytest.fixture
    def make_layer(self, tmp_path: Path) -> Callable[[], QdrantEdgeLayer]:
        return lambda: make(tmp_path / "memory" / "vector")


# Start-up, reading, files -----------------------------------------------------------------------------------


def test_the_module_and_an_unused_layer_load_neither_engine_nor_model() -> None:
    code = (
        "import sys; from pathlib import Path; from dm_memory.layers.qdrant_edge import QdrantEdgeLayer;"
        "from dm_memory.embedding.models import make_embedder;"
        "QdrantEdgeLayer(Path('nowhere'), 'b', make_embedder('wordllama'), lock_timeout=1.0);"
        "print([m for m in ('qdrant_edge', 'numpy', 'wordllama', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_an_empty_memory_makes_no_folder(tmp_path: Path) -> None:
    async def scenario(layer: QdrantEdgeLayer) -> None:
        assert (await layer.health()).ok
        assert (await layer.capacity()).entries == 0
        assert await layer.search(SearchQuery("anything")) == []
        assert await layer.fetch([payload(1).id]) == {}
        await layer.delete([payload(1).id])
        await layer.update_metadata([payload(1)])
        await layer.finish_rebuild()

    play(make(tmp_path / "vector"), scenario)
    assert list(tmp_path.iterdir()) == []


def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    store(tmp_path / "vector", [payload(1)])
    paths = [tmp_path / "vector", *(tmp_path / "vector").rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o600"}


def test_points_have_the_layout_that_the_qdrant_mcp_server_reads(tmp_path: Path) -> None:
    import qdrant_edge  # noqa: PLC0415  # reads behind the layer's back

    store(tmp_path, [payload(1, related=("insight/2",), updated_from="0" * 64)])
    shard: Any = qdrant_edge.EdgeShard.load(str(tmp_path / collections(tmp_path).pop()))
    (point,) = shard.retrieve([payload(1).id], True, True)  # noqa: FBT003  # the engine takes no keywords
    shard.close()
    assert set(point.vector) == {"hashed", "bm25"}
    assert set(point.payload) == {"document", "metadata"}
    assert point.payload["document"] == payload(1).content
    metadata = point.payload["metadata"]
    assert metadata["recorded_day"] == 20260305
    assert metadata["tags"] == ["email", "q1"]
    assert metadata["related"] == ["insight/2"]
    assert metadata["lift"] == 1.5


def test_metadata_that_is_gone_is_gone_and_text_and_vectors_stay(tmp_path: Path) -> None:
    embedder = HashEmbedder()

    async def scenario(layer: QdrantEdgeLayer) -> None:
        await layer.upsert([payload(1)])
        embedder.embedded.clear()
        await layer.update_metadata([payload(1, tags=("winter",), facts={})])
        assert embedder.embedded == []
        assert [hit.tags for hit in await layer.search(SearchQuery("newsletters", tags=("winter",)))] == [("winter",)]
        assert await layer.search(SearchQuery("newsletters", tags=("q1",))) == []
        assert (await layer.search(SearchQuery(payload(1).content)))[0].similarity == pytest.approx(1.0)

    play(make(tmp_path, embedder), scenario)


# Long texts -------------------------------------------------------------------------------------------------


def test_a_text_that_became_shorter_leaves_no_surplus_chunk(tmp_path: Path) -> None:
    long = payload(1, "Flamingo campaigns need pink. " * 200)

    async def scenario(layer: QdrantEdgeLayer) -> None:
        await layer.upsert([long, payload(2)])
        await layer.upsert([replace(payload(1, "Short now."), version=2)])
        assert [hit.key for hit in await layer.search(SearchQuery("flamingo pink")) if hit.lexical] == []
        assert (await layer.capacity()).entries == 2
        await layer.upsert([long])
        assert (await layer.capacity()).entries == 2
        await layer.update_metadata([replace(long, tags=("new",), metadata_hash="1")])
        assert (await layer.fetch([long.id]))[long.id].metadata_hash == "1"
        assert len(await layer.search(SearchQuery("flamingo pink", tags=("new",)))) == 1
        await layer.delete([long.id])
        assert [hit.key for hit in await layer.search(SearchQuery("flamingo pink")) if hit.lexical] == []
        assert (await layer.capacity()).entries == 1

    play(make(tmp_path), scenario)


def test_an_entry_that_lost_a_chunk_is_not_held(tmp_path: Path) -> None:
    long = payload(1, "Flamingo campaigns need pink. " * 200)

    async def scenario(layer: QdrantEdgeLayer) -> None:
        await layer.upsert([long])
        assert long.id in await layer.fetch([long.id])
        collection = layer._folder.for_reading()
        assert collection is not None
        collection._shard.update(collection._edge.UpdateOperation.delete_points(collection._surplus({long.id: 3})[:1]))
        assert await layer.fetch([long.id]) == {}

    play(make(tmp_path), scenario)


def test_a_text_of_a_megabyte_is_stored_in_a_bounded_number_of_chunks(tmp_path: Path) -> None:
    embedder = ConstantEmbedder()
    text = "Every customer asked for the same thing. " * 25_000
    store(tmp_path, [payload(1, text)], embedder)
    assert 1 < len(embedder.embedded) <= MAX_CHUNKS
    assert len(embedder.embedded) == len(chunk(text))


# Bad items --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("embedder", "word", "error_class"),
    [(NanEmbedder(), "NANVEC", ErrorClass.VALIDATION), (PoisonedEmbedder(), "POISON", ErrorClass.UNKNOWN)],
)
def test_a_text_the_model_fails_on_fails_alone_and_keeps_its_old_version(
    tmp_path: Path, embedder: Embedder, word: str, error_class: ErrorClass
) -> None:
    async def scenario(layer: QdrantEdgeLayer) -> None:
        await layer.upsert([payload(5)])
        bad = replace(payload(5, f"A text with {word} in it."), version=2)
        outcomes = await layer.upsert([bad if number == 5 else payload(number) for number in range(256)])
        failed = [outcome for outcome in outcomes if outcome.error]
        assert [outcome.storage_id for outcome in failed] == [bad.id]
        assert failed[0].error is not None
        assert failed[0].error.error_class is error_class
        assert word not in str(failed[0].error)
        assert (await layer.fetch([bad.id]))[bad.id].content_hash == payload(5).content_hash
        assert (await layer.capacity()).entries == 256

    play(make(tmp_path, embedder), scenario)


@pytest.mark.parametrize("vectors", [[[1.0, 2.0]], [["a"] * 256], [[1.0] * 256] * 2, [[float("inf")] * 256], [None]])
def test_a_vector_of_the_wrong_shape_never_reaches_the_engine(tmp_path: Path, vectors: Any) -> None:
    class Broken(ConstantEmbedder):
        def embed_documents(self, texts: Any) -> Any:
            del texts
            return vectors

    outcomes = play(make(tmp_path, Broken()), lambda layer: layer.upsert([payload(1)]))
    assert outcomes[0].error is not None
    assert outcomes[0].error.error_class in {ErrorClass.VALIDATION, ErrorClass.MALFORMED_REPLY}
    assert play(make(tmp_path, ConstantEmbedder()), lambda layer: layer.fetch([payload(1).id])) == {}


@pytest.mark.parametrize("bad_id", ["", "no-uuid", "1", "{" + payload(1).id + "}", payload(1).id.upper()])
def test_an_id_that_is_no_uuid_fails_alone(tmp_path: Path, bad_id: str) -> None:
    outcomes = play(make(tmp_path), lambda layer: layer.upsert([replace(payload(1), id=bad_id), payload(2)]))
    assert outcomes[0].error is not None
    assert outcomes[0].error.error_class is ErrorClass.VALIDATION
    assert outcomes[1].error is None


@pytest.mark.parametrize("value", [float("nan"), "half \ud800", ["half \udc00"]])
def test_metadata_the_engine_can_not_represent_fails_its_item(tmp_path: Path, value: Any) -> None:
    async def scenario(layer: QdrantEdgeLayer) -> None:
        bad = payload(1, facts={"lift": value})
        assert [o.error is None for o in await layer.upsert([bad, payload(2), payload(3)])] == [False, True, True]
        worse = payload(2, facts={"lift": value})
        assert [o.error is None for o in await layer.update_metadata([worse, payload(3)])] == [False, True]

    play(make(tmp_path), scenario)


def test_a_model_that_does_not_load_is_the_layers_trouble(tmp_path: Path) -> None:
    class Missing(ConstantEmbedder):
        def embed_documents(self, texts: Any) -> Any:
            raise LayerError(f"No model for {len(texts)}.", "Get one.", error_class=ErrorClass.UNAVAILABLE)

    with pytest.raises(LayerError, match="No model for 2"):
        play(make(tmp_path, Missing()), lambda layer: layer.upsert([payload(1), payload(2)]))


# Models and rebuilds ----------------------------------------------------------------------------------------

OTHER = [
    ConstantEmbedder(name="another"),
    ConstantEmbedder(dimension=128),
]


@pytest.mark.parametrize("other", OTHER)
def test_another_model_is_refused_with_the_way_out(tmp_path: Path, other: Embedder) -> None:
    store(tmp_path, [payload(1)], ConstantEmbedder())
    for call in (lambda layer: layer.upsert([payload(2)]), lambda layer: layer.search(SearchQuery("x"))):
        with pytest.raises(LayerError, match="Sync with force") as caught:
            play(make(tmp_path, other), call)
        assert caught.value.error_class is ErrorClass.VALIDATION
    assert list(play(make(tmp_path, other), lambda layer: layer.fetch([payload(1).id]))) == [payload(1).id]


@pytest.mark.parametrize("other", OTHER)
def test_a_rebuild_takes_the_old_collections_place_at_once(tmp_path: Path, other: Embedder) -> None:
    store(tmp_path, [payload(1), payload(2)], ConstantEmbedder())
    before = collections(tmp_path)

    async def rebuild(layer: QdrantEdgeLayer) -> None:
        old_answers = make(tmp_path, ConstantEmbedder())
        await layer.begin_rebuild()
        await layer.upsert([payload(1)])
        assert await layer.fetch([payload(2).id]) == {}
        await layer.close()
        assert len(await old_answers.search(SearchQuery("newsletters"))) == 2
        await old_answers.close()
        await layer.upsert([payload(2)])
        await layer.finish_rebuild()
        assert len(await layer.search(SearchQuery("newsletters"))) == 2

    play(make(tmp_path, other), rebuild)
    after = collections(tmp_path)
    assert len(after) == 1
    assert after.isdisjoint(before)
    with pytest.raises(LayerError, match="Sync with force"):
        play(make(tmp_path, ConstantEmbedder()), lambda layer: layer.upsert([payload(3)]))


def test_an_interrupted_rebuild_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    store(tmp_path, [payload(1), payload(2)], ConstantEmbedder())
    other = ConstantEmbedder(name="another")

    async def interrupted(layer: QdrantEdgeLayer) -> None:
        await layer.begin_rebuild()
        await layer.upsert([payload(1)])

    async def resumed(layer: QdrantEdgeLayer) -> None:
        await layer.begin_rebuild()
        assert list(await layer.fetch([payload(1).id, payload(2).id])) == [payload(1).id]
        await layer.upsert([payload(2)])
        await layer.finish_rebuild()

    play(make(tmp_path, other), interrupted)
    assert len(collections(tmp_path)) == 2
    play(make(tmp_path, other), resumed)
    assert len(collections(tmp_path)) == 1
    assert len(play(make(tmp_path, other), lambda layer: layer.search(SearchQuery("newsletters")))) == 2


def test_a_rebuild_left_for_a_third_model_is_thrown_away(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)], ConstantEmbedder())
    play(make(tmp_path, ConstantEmbedder(name="second")), lambda layer: layer.begin_rebuild())

    async def rebuild(layer: QdrantEdgeLayer) -> None:
        await layer.begin_rebuild()
        await layer.upsert([payload(7)])
        await layer.finish_rebuild()
        assert list(await layer.fetch([payload(7).id])) == [payload(7).id]

    play(make(tmp_path, ConstantEmbedder(dimension=64)), rebuild)
    assert len(collections(tmp_path)) == 1


def test_the_fingerprint_tells_models_apart_and_needs_no_model_once_it_is_recorded(tmp_path: Path) -> None:
    class Named(ConstantEmbedder):
        setting = "named==1"

    class Unloadable(Named):
        @property
        def spec(self) -> Any:
            message = "loaded"
            raise AssertionError(message)

    first = play(make(tmp_path, Named()), lambda layer: layer.fingerprint())
    assert first != play(make(tmp_path, ConstantEmbedder(dimension=64)), lambda layer: layer.fingerprint())
    store(tmp_path, [payload(1)], Named())
    assert play(make(tmp_path, Unloadable()), lambda layer: layer.fingerprint()) == first


# Damage -----------------------------------------------------------------------------------------------------


def lose_shard(folder: Path) -> None:
    shutil.rmtree(folder / collections(folder).pop())


def lose_segments(folder: Path) -> None:
    shutil.rmtree(folder / collections(folder).pop() / "segments")


def lose_a_file(folder: Path) -> None:
    next(folder.rglob("segment.json")).unlink()


def garble_a_file(folder: Path) -> None:
    next(folder.rglob("segment.json")).write_bytes(b"\x00garbage")


def garble_the_configuration(folder: Path) -> None:
    next(folder.rglob("edge_config.json")).write_bytes(b"{")


def halve_the_manifest(folder: Path) -> None:
    path = folder / "collection.json"
    path.write_bytes(path.read_bytes()[:40])


def a_manifest_of_the_future(folder: Path) -> None:
    path = folder / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


def a_manifest_that_points_outside(folder: Path) -> None:
    path = folder / "collection.json"
    path.write_text(path.read_text().replace(collections(folder).pop(), "../elsewhere"))


@pytest.mark.parametrize(
    "damage",
    [
        lose_shard,
        lose_segments,
        lose_a_file,
        garble_a_file,
        garble_the_configuration,
        halve_the_manifest,
        a_manifest_of_the_future,
        a_manifest_that_points_outside,
    ],
)
def test_damage_is_named_and_a_rebuild_gets_over_it(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store(tmp_path, [payload(1)])
    damage(tmp_path)

    async def scenario(layer: QdrantEdgeLayer) -> None:
        health = await layer.health()
        assert not health.ok
        assert health.error is not None
        assert "force" in health.error.remedy
        with pytest.raises(LayerError, match="force") as caught:
            await layer.upsert([payload(1)])
        assert caught.value.error_class is ErrorClass.UNAVAILABLE
        await layer.begin_rebuild()
        await layer.upsert([payload(1)])
        await layer.finish_rebuild()
        assert (await layer.health()).ok
        assert len(await layer.search(SearchQuery("newsletters"))) == 1

    play(make(tmp_path), scenario)


def test_a_vanished_folder_is_an_empty_memory(tmp_path: Path) -> None:
    store(tmp_path / "vector", [payload(1)])
    shutil.rmtree(tmp_path / "vector")
    assert play(make(tmp_path / "vector"), lambda layer: layer.capacity()).entries == 0
    store(tmp_path / "vector", [payload(1)])


def test_a_full_disk_is_noticed_before_the_engine_touches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int = 1024

    store(tmp_path, [payload(1)])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(LayerError, match="disk") as caught:
        play(make(tmp_path), lambda layer: layer.upsert([payload(2)]))
    assert caught.value.error_class is ErrorClass.QUOTA
    assert list(play(make(tmp_path), lambda layer: layer.fetch([payload(1).id]))) == [payload(1).id]


@pytest.mark.parametrize(
    ("number", "error_class"),
    [(errno.ENOSPC, ErrorClass.QUOTA), (errno.EROFS, ErrorClass.UNAVAILABLE), (errno.EACCES, ErrorClass.UNAVAILABLE)],
)
def test_trouble_with_the_disk_is_said_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error_class: ErrorClass
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, "raw words of the system", str(tmp_path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LayerError) as caught:
        play(make(tmp_path / "vector"), lambda layer: layer.upsert([payload(2)]))
    assert caught.value.error_class is error_class
    assert caught.value.code == errno.errorcode[number]
    assert "raw words" not in str(caught.value)


# Processes --------------------------------------------------------------------------------------------------

WRITER = """
import asyncio, sys
from pathlib import Path
from tests.services.payloads import payload
from tests.layers.test_qdrant_edge import make

async def main(folder, first, batches, version):
    layer = make(Path(folder))
    print("ready", flush=True)
    for batch in range(int(batches)):
        start = int(first) + batch * 50
        text = "Version " + version + " of number {}: words that differ, " + version + "."
        numbers = range(start, start + 50)
        outcomes = await layer.upsert([payload(n, text.format(n), version=int(version)) for n in numbers])
        assert all(outcome.error is None for outcome in outcomes)
        print(start, flush=True)
    await layer.close()

asyncio.run(main(*sys.argv[1:]))
"""


def start_writer(folder: Path, first: int, batches: int, version: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(folder), str(first), str(batches), str(version)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_take_turns_and_a_search_gets_in_between(tmp_path: Path) -> None:
    store(tmp_path, [payload(900_000)])
    writers = [start_writer(tmp_path, first, 20, 1) for first in (0, 10_000)]

    async def scenario(layer: QdrantEdgeLayer) -> int:
        searches = 0
        while any(writer.poll() is None for writer in writers):
            assert await layer.search(SearchQuery("newsletters"))
            searches += 1
        return searches

    searches = play(make(tmp_path), scenario)
    assert [writer.wait() for writer in writers] == [0, 0]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    assert searches > 1
    assert play(make(tmp_path), lambda layer: layer.capacity()).entries == 2001


def test_a_turn_that_never_comes_names_its_holder(tmp_path: Path) -> None:
    store(tmp_path, [payload(1)])
    impatient = make(tmp_path, lock_timeout=0.3)

    async def scenario(holder: QdrantEdgeLayer) -> None:
        holder._folder._turns.wanted = lambda: False  # type: ignore[method-assign]  # one that lets nobody in
        await holder.fetch([payload(1).id])
        waiting = asyncio.create_task(impatient.search(SearchQuery("newsletters")))
        while not waiting.done():
            await holder.fetch([payload(1).id])
        with pytest.raises(LayerError, match=f"process {os.getpid()} since") as caught:
            await waiting
        assert caught.value.error_class is ErrorClass.UNAVAILABLE

    play(make(tmp_path), scenario)
    assert play(impatient, lambda layer: layer.fetch([payload(1).id]))


def test_a_layer_lets_go_when_it_is_idle(tmp_path: Path) -> None:
    async def scenario(layer: QdrantEdgeLayer) -> None:
        other = make(tmp_path)
        layer._folder._turns.wanted = lambda: False  # type: ignore[method-assign]  # only idleness can let others in
        await layer.upsert([payload(1)])
        assert len(await other.search(SearchQuery("newsletters"))) == 1
        await other.close()

    play(make(tmp_path), scenario)


@pytest.mark.parametrize("rounds", [int(os.environ.get("DM_MEMORY_KILL_ROUNDS", "6"))])
def test_what_was_confirmed_before_a_kill_is_whole_after_it(tmp_path: Path, rounds: int) -> None:
    """Each round writes a new version over the last one and is killed at a random moment, in the middle of a batch.

    What the batch in flight held is the old version or the new one, never parts of both: a resumed run asks for hashes
    only. Without the engine's write-ahead log this fails within a few rounds.
    """
    moments = random.Random(rounds)
    confirmed: dict[int, int] = {}
    possible: dict[int, set[int]] = {}
    for version in range(1, rounds + 1):
        writer = start_writer(tmp_path, 0, 1000, version)
        assert writer.stdout is not None
        lines = [int(writer.stdout.readline()) for _ in range(1 + version * 3 % 7)]
        with suppress(subprocess.TimeoutExpired):
            writer.wait(moments.uniform(0.0, 0.03))  # anywhere in the batches that follow
        os.kill(writer.pid, signal.SIGKILL)
        lines += [int(line) for line in writer.stdout]
        writer.stdout.close()
        writer.wait()
        for start in lines:
            for number in range(start, start + 50):
                confirmed[number] = version
                possible[number] = {version}
        for number in range(lines[-1] + 50, lines[-1] + 100):
            possible.setdefault(number, set()).add(version)
        check_versions(tmp_path, confirmed, possible)


def check_versions(folder: Path, confirmed: dict[int, int], possible: dict[int, set[int]]) -> None:
    """Assert that each confirmed entry is there whole: text, hash and both vectors of one version."""

    async def scenario(layer: QdrantEdgeLayer) -> None:
        await layer.fetch([payload(0).id])
        collection = layer._folder.for_reading()
        assert collection is not None
        model, words = HashEmbedder(), collection._bm25
        ids = {payload(number).id: number for number in possible}
        records = collection._shard.retrieve(list(ids), True, True)  # noqa: FBT003  # the engine takes no keywords
        found = {ids[str(record.id)]: record for record in records}
        assert set(confirmed) <= set(found)
        for number, record in found.items():
            version = record.payload["metadata"]["version"]
            assert version in possible[number]
            assert record.payload["metadata"]["hash"] == payload(number, record.payload["document"]).content_hash
            assert record.vector["hashed"] == pytest.approx(model.embed_query(record.payload["document"]), abs=1e-6)
            expected = words.embed_document(record.payload["document"])
            assert sorted(record.vector["bm25"].indices) == sorted(expected.indices)

    play(make(folder), scenario)
