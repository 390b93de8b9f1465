"""The arithmetic of search: what stands out, what is relevant, and what is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.search.results import Relevance
from dm_memory.search.scoring import (
    CONTEXTUAL,
    CONTEXTUAL_ALONE,
    STATIC,
    WORDS_ALONE,
    background_of,
    by_likeness,
    fuse,
    profile_of,
    relevance_of,
    standing_out,
)

_ALL = np.ones(500, np.bool_)


def _similarities(best: float, size: int = 500) -> np.ndarray:
    found = np.random.default_rng(1).normal(0, 0.1, size).clip(-0.25, 0.25).astype(np.float32)
    found[0] = best
    return found


def test_a_profile_belongs_to_a_kind_of_model() -> None:
    assert profile_of("wordllama-l2-supercat-256@c2c596675fd6") is STATIC
    assert profile_of("sentence-transformers/all-MiniLM-L6-v2@53aa51172d14") is CONTEXTUAL
    assert profile_of("sentence-transformers/all-MiniLM-L6-v2@53aa51172d14", single_words=False) is CONTEXTUAL_ALONE
    assert profile_of("", single_words=False) is WORDS_ALONE


def test_a_similarity_stands_out_by_how_far_it_is_from_all_others() -> None:
    near, far = (standing_out(_similarities(best), _ALL, 0.1) for best in (0.3, 0.6))
    assert near < 1 < far


def test_a_filter_moves_no_mean_and_leaves_fewer_chances() -> None:
    similarity = _similarities(0.4)
    few = _ALL.copy()
    few[5:] = False
    assert standing_out(similarity, few, 0.1) > standing_out(similarity, _ALL, 0.1)
    few[0] = False
    assert standing_out(similarity, few, 0.1) < standing_out(similarity, _ALL, 0.1)


def test_nothing_stands_out_without_vectors() -> None:
    assert standing_out(np.full(500, -1, np.float32), _ALL, 0.1) == 0.0
    assert standing_out(_similarities(0.9), ~_ALL, 0.1) == 0.0


def test_of_few_texts_none_stands_out_by_chance() -> None:
    two = np.array([0.12, 0.1], np.float32)
    assert standing_out(two, np.ones(2, np.bool_), 0.1) < 1


def test_the_background_is_what_ten_hits_have_and_missing_ones_have_nothing() -> None:
    assert background_of([0.8]) == 0.0
    assert background_of([0.5] * 20) == 0.5
    assert background_of([1.4] * 10) == 0.9
    assert background_of([]) == 0.0


@pytest.mark.parametrize(
    ("fit", "background", "known", "expected"),
    [
        (1.2, 0.2, True, Relevance.HIGHLY),
        (1.25, 0.9, True, Relevance.HIGHLY),
        (0.7, 0.6, True, Relevance.RELATED),
        (0.6, 0.6, True, Relevance.TANGENTIAL),
        (0.2, 0.0, True, Relevance.TANGENTIAL),
        (1.2, 0.2, False, Relevance.TANGENTIAL),
    ],
)
def test_a_hit_is_as_relevant_as_it_fits_better_than_the_others(
    fit: float, background: float, known: bool, expected: Relevance
) -> None:
    assert relevance_of(fit, background, STATIC, known=known) is expected


def test_each_word_of_the_question_takes_its_most_similar_word_weighted_by_rarity() -> None:
    question = np.eye(3, dtype=np.float32)[:2]
    words = np.array([[1, 0, 0], [0, 0, 1], [0, 0.5, 0], [0, 1, 0]], np.float32)
    found = by_likeness(question, np.array([3, 1], np.float32), words, np.array([0, 2]))
    assert found.tolist() == [0.75, 0.25]


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(-0.99, 1)), min_size=1, max_size=300),
    st.floats(0, 1),
    st.lists(st.integers(0, 299), max_size=5),
)
def test_a_fused_score_lies_between_0_and_1_and_only_candidates_have_one(
    rows: list[tuple[float, float]], weight: float, proposed: list[int]
) -> None:
    bm25, similarity = (np.array(side, np.float32) for side in zip(*rows, strict=True))
    mask = np.arange(len(rows)) % 3 > 0
    inside = np.array([row for row in proposed if row < len(rows)], np.int64)
    scores = fuse(bm25, similarity, mask, inside, weight)
    assert not scores.candidates[~mask].any()
    assert (scores.fused[~scores.candidates] == 0).all()
    assert scores.fused.min() >= 0
    assert scores.fused.max() <= 1 + 1e-6
    assert scores.candidates[inside[mask[inside]]].all()
