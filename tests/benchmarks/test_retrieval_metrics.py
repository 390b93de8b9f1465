"""The figures of search are computed as the literature defines them, and the project's own questions are sound."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.retrieval_metrics import (
    figures,
    hit,
    mean_figures,
    ndcg,
    quantiles,
    recall,
    reciprocal_rank,
    recognised,
)

_REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_hit_counts_within_its_depth_only() -> None:
    grades = [0, 0, 1, 0, 1]
    assert [hit(grades, depth) for depth in (1, 2, 3, 5)] == [0, 0, 1, 1]
    assert hit([], 10) == 0


def test_recall_is_the_share_of_what_is_relevant() -> None:
    assert recall([1, 0, 1], [1, 1, 1, 1]) == 0.5
    assert recall([0] * 10 + [1], [1]) == 0


def test_the_reciprocal_rank_is_that_of_the_first_relevant_hit() -> None:
    assert reciprocal_rank([0, 0, 0, 1, 1]) == 0.25
    assert reciprocal_rank([0] * 10 + [1]) == 0


def test_a_perfect_ranking_gains_everything() -> None:
    assert ndcg([3, 2, 1], [1, 2, 3]) == 1
    assert ndcg([1, 1] + [0] * 8, [1, 1]) == 1


def test_grades_and_ranks_are_discounted_as_defined() -> None:
    gained = 1 / math.log2(2) + 7 / math.log2(4)
    ideal = 7 / math.log2(2) + 1 / math.log2(3)
    assert ndcg([1, 0, 3], [3, 1]) == pytest.approx(gained / ideal)


def test_more_relevant_entries_than_hits_can_still_be_perfect() -> None:
    assert ndcg([1] * 10, [1] * 30) == 1
    assert recall([1] * 10, [1] * 30) == pytest.approx(1 / 3)


def test_figures_are_means_over_questions() -> None:
    found = mean_figures([([1], [1]), ([0, 1], [1])])
    assert found["hit@1"] == 0.5
    assert found["hit@5"] == found["recall@10"] == 1
    assert found["MRR"] == 0.75
    assert found["nDCG@10"] == pytest.approx((1 + 1 / math.log2(3)) / 2)
    assert mean_figures([]) == {}


def test_a_question_without_an_answer_has_no_figures() -> None:
    with pytest.raises(ValueError, match="nothing is relevant"):
        figures([0, 0], [])


def test_the_threshold_refuses_at_most_five_in_a_hundred() -> None:
    answerable = [number / 100 for number in range(1, 101)]
    found = recognised(answerable, [0.01, 0.05, 0.06, 0.5])
    assert found == {"threshold": 0.06, "refused": 0.05, "recognised": 0.5}


def test_equal_scores_tell_nothing() -> None:
    assert recognised([0.5] * 20, [0.5] * 20)["recognised"] == 0


def test_a_yes_or_no_has_its_threshold() -> None:
    assert recognised([1, 1, 0, 1], [0, 0, 1, 0], threshold=1.0) == {
        "threshold": 1.0,
        "refused": 0.25,
        "recognised": 0.75,
    }


def test_both_sorts_of_questions_are_needed() -> None:
    with pytest.raises(ValueError, match="both sorts"):
        recognised([0.5], [])


def test_percentiles_are_values_that_occur() -> None:
    assert quantiles([3, 1, 2]) == {"p5": 1, "p25": 1, "p50": 2, "p75": 3, "p95": 3}
    assert quantiles([]) == {}


def test_the_projects_own_questions_share_at_most_one_word_with_their_answers() -> None:
    script = _REPOSITORY / "benchmarks" / "check_questions.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
