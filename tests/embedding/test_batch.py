"""From texts to raw vectors: in batches that a model takes well, and without the ones it does not take."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
import pytest

from dm_memory.embedding.batch import (
    CHUNK_CHARS,
    EmbeddingError,
    embedded,
    embedded_each,
    is_installed,
    model_tag,
    pack,
)
from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.errors import ConfigurationError
from tests.support.embedders import ConstantEmbedder, HashEmbedder, NanEmbedder, PoisonedEmbedder


class Counting(HashEmbedder):
    """Counts calls; takes two texts, or a thousand characters, at a time."""

    batch_items = 2
    batch_chars = 1000

    def __init__(self) -> None:
        super().__init__(8)
        self.batches: list[Sequence[str]] = []

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.batches.append(texts)
        return super().embed_documents(texts)


def test_vectors_come_in_order_raw_and_a_list_of_chunks_each() -> None:
    model = HashEmbedder(8)
    long_text = "A sentence about newsletters. " * (CHUNK_CHARS // 10)
    short, long, last = embedded(model, ["one", long_text, "two"])
    assert (len(short), len(last)) == (1, 1)
    assert len(long) > 1
    assert array("f", short[0]).tolist() == pytest.approx(list(model.embed_query("one")))
    assert embedded(model, []) == []


def test_batches_are_as_large_as_the_model_likes_them() -> None:
    model = Counting()
    embedded(model, ["a", "b", "c", "x" * 900, "y" * 900])
    assert [len(batch) for batch in model.batches] == [2, 1, 1, 1] or [len(b) for b in model.batches] == [2, 2, 1]
    assert all(sum(map(len, batch)) <= 1000 for batch in model.batches)


def test_an_array_and_a_list_are_packed_alike() -> None:
    values = [0.25, -1.0, 3.5]
    assert (
        pack(values)
        == pack(np.array(values))
        == pack(np.array(values, dtype="float32"))
        == array("f", values).tobytes()
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_vector(value: float) -> None:
    for vector in ([1.0, value], np.array([1.0, value])):
        with pytest.raises(ValueError, match="finite"):
            pack(vector)


@pytest.mark.parametrize(("model", "word"), [(PoisonedEmbedder(8), "POISON"), (NanEmbedder(8), "NANVEC")])
@pytest.mark.parametrize("places", [(0,), (299,), (7, 150, 151)])
def test_a_text_that_the_model_does_not_take_costs_no_other_its_vector(
    model: HashEmbedder, word: str, places: tuple[int, ...]
) -> None:
    texts = [f"{word if place in places else 'text'} {place}" for place in range(300)]
    found = embedded_each(model, texts)
    assert [place for place, own in enumerate(found) if own is None] == list(places)


class Dead(ConstantEmbedder):
    """A model that does not work at all."""

    calls = 0

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        del texts
        self.calls += 1
        raise RuntimeError("secret")


def test_a_model_that_does_not_work_at_all_is_not_asked_text_by_text() -> None:
    model = Dead()
    with pytest.raises(EmbeddingError) as caught:
        embedded_each(model, ["text"] * 1000)
    assert model.calls < 50
    assert "secret" not in str(caught.value)
    assert "RuntimeError" in caught.value.problem


class Short(ConstantEmbedder):
    """Returns a vector too few, or one that is too short."""

    def __init__(self, vectors: Sequence[Sequence[float]]) -> None:
        super().__init__(2)
        self.vectors = vectors

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        del texts
        return self.vectors


@pytest.mark.parametrize("vectors", [[], [[1.0, 0.0]], [[1.0, 0.0]] * 3, [[1.0], [1.0]]])
def test_another_number_of_vectors_or_dimensions_is_an_error(vectors: Sequence[Sequence[float]]) -> None:
    with pytest.raises(EmbeddingError):
        embedded(Short(vectors), ["one", "two"])


def test_a_model_that_can_not_be_loaded_says_why_in_its_own_words() -> None:
    class Missing(ConstantEmbedder):
        @property
        def spec(self) -> EmbeddingSpec:
            raise ConfigurationError("It is missing.", "Install it.")

    with pytest.raises(EmbeddingError) as caught:
        model_tag(Missing())
    assert (caught.value.problem, caught.value.remedy) == ("It is missing.", "Install it.")


def test_whether_a_model_is_there_is_known_without_importing_it() -> None:
    assert is_installed("wordllama")
    assert is_installed("package.module:factory")
