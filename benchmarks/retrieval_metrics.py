"""The figures of ranked answers: hit, recall, reciprocal rank, nDCG, and recognising what can't be answered.

A question's answer is given as the grades of its ranked hits: 0 is not relevant, each relevant entry counts once. The
ideal is the grades of everything that is relevant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

__all__ = ["Judged", "figures", "hit", "mean_figures", "ndcg", "quantiles", "recall", "reciprocal_rank", "recognised"]

Judged = tuple[Sequence[int], Sequence[int]]
"""(grades of the hits, best first; grades of all that is relevant)."""

_DEPTH = 10
_HITS = (1, 5, 10)
_REFUSED = 0.05
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def hit(grades: Sequence[int], depth: int) -> float:
    """Return 1 if anything relevant is among the first ``depth`` hits, else 0."""
    return float(any(grades[:depth]))


def recall(grades: Sequence[int], ideal: Sequence[int], depth: int = _DEPTH) -> float:
    """Return the share of what is relevant that is among the first ``depth`` hits."""
    return sum(grade > 0 for grade in grades[:depth]) / len(ideal)


def reciprocal_rank(grades: Sequence[int], depth: int = _DEPTH) -> float:
    """Return 1 / the rank of the first relevant hit, or 0 if there is none among the first ``depth``."""
    return next((1.0 / rank for rank, grade in enumerate(grades[:depth], 1) if grade), 0.0)


def ndcg(grades: Sequence[int], ideal: Sequence[int], depth: int = _DEPTH) -> float:
    """Return the normalised discounted cumulative gain; a grade gains ``2 ** grade - 1`` (Burges et al. 2005)."""
    return _dcg(grades[:depth]) / _dcg(sorted(ideal, reverse=True)[:depth])


def _dcg(grades: Sequence[int]) -> float:
    return sum((2.0**grade - 1.0) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def figures(grades: Sequence[int], ideal: Sequence[int]) -> dict[str, float]:
    """Return every figure of one question.

    Raises:
        ValueError: Nothing is relevant: such a question has no figures.
    """
    if not ideal:
        raise ValueError("a question to which nothing is relevant has no figures")
    return {
        **{f"hit@{depth}": hit(grades, depth) for depth in _HITS},
        "recall@10": recall(grades, ideal),
        "MRR": reciprocal_rank(grades),
        "nDCG@10": ndcg(grades, ideal),
    }


def mean_figures(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the mean of every figure over the questions; no questions give no figures."""
    each = [figures(grades, ideal) for grades, ideal in judged]
    return {name: fmean(values[name] for values in each) for name in each[0]} if each else {}


def recognised(
    answerable: Sequence[float], unanswerable: Sequence[float], threshold: float | None = None
) -> dict[str, float]:
    """Return how many questions of each sort score below a threshold.

    Args:
        answerable: A score for each question that can be answered; more says "known".
        unanswerable: The same for each that can't.
        threshold: By default the highest that refuses at most 5 % of the answerable questions.

    Raises:
        ValueError: There are no questions of one sort.
    """
    if not answerable or not unanswerable:
        raise ValueError("both sorts of questions are needed")
    if threshold is None:
        threshold = sorted(answerable)[int(_REFUSED * len(answerable))]
    return {
        "threshold": threshold,
        "refused": fmean(score < threshold for score in answerable),
        "recognised": fmean(score < threshold for score in unanswerable),
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the 5th, 25th, 50th, 75th and 95th percentile (nearest rank); no values give none."""
    ordered = sorted(values)
    return {f"p{100 * q:.0f}": ordered[max(0, math.ceil(q * len(ordered)) - 1)] for q in _QUANTILES if ordered}
