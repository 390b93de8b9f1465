"""fastembed's models: only what is on this machine, texts of any length, and the way out where something is missing."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dm_memory.embedding.fastembed import FastembedEmbedder
from dm_memory.embedding.models import make_embedder
from dm_memory.embedding.protocol import MINILM
from dm_memory.errors import ConfigurationError
from dm_memory.services.protocol import SearchQuery
from dm_memory.services.qdrant.service import QdrantService
from tests.services.payloads import payload
from tests.services.qdrant.cluster import Cluster
from tests.services.qdrant.standin import WINDOW, write_cache, write_model

needs_fastembed = pytest.mark.fastembed


@pytest.fixture
def model_cache(tmp_path: Path) -> Path:
    """A cache of fastembed's that contains a stand-in for MiniLM, and nothing else."""
    write_cache(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def minilm(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> FastembedEmbedder:
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(model_cache))
    return FastembedEmbedder()


@needs_fastembed
def test_minilm_says_what_it_is(minilm: FastembedEmbedder) -> None:
    assert (minilm.spec.name, minilm.spec.dimension, len(minilm.spec.weights)) == (MINILM, 384, 64)


@needs_fastembed
def test_a_folder_with_the_files_will_do(tmp_path: Path) -> None:
    write_model(tmp_path / "one")
    write_model(tmp_path / "other", seed=2)
    one, other = (make_embedder(f"fastembed:{tmp_path / name}") for name in ("one", "other"))
    assert one.spec.name == other.spec.name == MINILM
    assert one.spec.weights != other.spec.weights
    assert one.embed_query("newsletters") != other.embed_query("newsletters")


@needs_fastembed
def test_vectors_have_length_one_whatever_the_texts(minilm: FastembedEmbedder) -> None:
    texts = [
        "Shorter subject lines.",
        "",
        " ",
        "漢字",
        "\x00",
        "newsletters " * 3000,
        *(f"Learning {n}." for n in range(70)),
    ]
    vectors = minilm.embed_documents(texts)
    assert [len(vector) for vector in vectors] == [384] * len(texts)
    assert [math.hypot(*vector) for vector in vectors[5:]] == pytest.approx([1.0] * 71, abs=1e-4)
    assert all(math.isfinite(sum(vector)) for vector in vectors)


@needs_fastembed
def test_a_text_has_the_same_vector_alone_in_company_and_as_a_question(minilm: FastembedEmbedder) -> None:
    texts = ["Shorter subject lines.", "The cheapest leads of the year.", "podcast " * 50]
    for text, vector in zip(texts, minilm.embed_documents(texts), strict=True):
        assert minilm.embed_query(text) == pytest.approx(vector, abs=1e-5)


@needs_fastembed
def test_what_lies_beyond_the_models_window_counts_too(minilm: FastembedEmbedder) -> None:
    """The model alone would take two texts for the same whose first 128 tokens are."""
    beginning = "budget plan " * (WINDOW // 2)
    podcast, zebra = minilm.embed_documents([beginning + "podcast " * WINDOW, beginning + "zebra " * WINDOW])
    assert near(podcast, minilm.embed_query("podcast")) > 0.5 > near(zebra, minilm.embed_query("podcast"))


@needs_fastembed
def test_english_texts_are_cut_to_fit_the_window(minilm: FastembedEmbedder) -> None:
    text = "Shorter subject lines open more newsletters than longer ones, and customers answer them by email. " * 4
    minilm.embed_query(text[: minilm.chunk_chars])
    assert len(list(minilm._windows(text[: minilm.chunk_chars]))) == 1


@needs_fastembed
@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_a_long_text_is_found_by_any_part_of_it(minilm: FastembedEmbedder) -> None:
    text = "Our budget is a plan with a price. " * 60 + "The zebra mascot tripled dwell time." + " More of it." * 200

    async def scenario(service: QdrantService) -> None:
        await service.upsert([payload(1, text), *(payload(number) for number in range(2, 6))])
        hit = (await service.search(SearchQuery("zebra mascot dwell time")))[0]
        assert hit.key == "insight/1"
        assert len(hit.content) <= minilm.chunk_chars
        assert f"{minilm.chunk_chars} characters" in await service.fingerprint()

    Cluster().play(scenario, embedder=minilm)


@needs_fastembed
def test_a_model_that_is_not_here_is_said_at_once_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def refuse(*host: Any, **_: Any) -> None:
        asked.append(host)
        raise OSError

    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    importlib.import_module("fastembed")
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(ConfigurationError, match="not on this machine") as caught:
        make_embedder("fastembed").embed_query("anything")
    assert "FASTEMBED_CACHE_PATH" in caught.value.remedy
    assert MINILM in caught.value.remedy
    assert asked == []
    assert capfd.readouterr() == ("", "")


@needs_fastembed
@pytest.mark.parametrize("name", ["fastembed:no/such-model", "fastembed:/no/such/folder", "fastembed:nowhere"])
def test_a_model_or_a_folder_there_is_not_is_a_clear_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="fastembed:FOLDER"):
        make_embedder(name).embed_query("anything")


@needs_fastembed
@pytest.mark.parametrize("damage", ["model.onnx", "tokenizer.json", "tokenizer_config.json"])
def test_damaged_files_are_a_clear_error(tmp_path: Path, damage: str) -> None:
    write_model(tmp_path / "model")
    (tmp_path / "model" / damage).write_bytes(b"{garbage")
    with pytest.raises(ConfigurationError, match="can't be loaded"):
        FastembedEmbedder(str(tmp_path / "model")).embed_query("anything")


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(ConfigurationError, match="the extra fastembed"):
        _ = make_embedder("fastembed").spec


def test_naming_the_model_loads_nothing() -> None:
    code = (
        "import sys; from dm_memory.embedding.models import make_embedder; make_embedder('fastembed');"
        "print([m for m in ('fastembed', 'onnxruntime', 'numpy', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def near(one: Any, other: Any) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
