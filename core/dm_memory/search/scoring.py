"""How scores become an order, a word of relevance and the judgement that memory does not know.

Everything here is arithmetic on arrays; decision 0024 has the measurements behind each number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from dm_memory.lazy import np
from dm_memory.search.results import Relevance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = [
    "CANDIDATES",
    "COMPARED",
    "REORDERED",
    "Profile",
    "Scores",
    "add_likeness",
    "add_neighbours",
    "background_of",
    "by_likeness",
    "evidence_of",
    "fuse",
    "is_static",
    "profile_of",
    "relevance_of",
    "standing_out",
    "top_rows",
]

CANDIDATES = 200
"""Of either side."""

REORDERED = 15
"""How many of the best are compared word by word; nothing below can overtake them."""

NEIGHBOURS = 0.25
"""Of the better neighbour's score, for an entry of the same session."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What belongs to a kind of embedding model.

    Attributes:
        weight: Of meaning against words.
        centring: How much of the direction that all texts share is taken off the vectors.
        single_words: Weight of the likeness of single words; 0 if there is no static model to compare them.
        evidence: Factors of the best score by words, of how far the best similarity stands out, and of the best hit's
            likeness of words.
        spread: Standard deviation of similarities that few texts are thought to have.
        threshold: Evidence below it means that memory does not know.
        floor: Fit (see ``relevance_of``) below which a hit is only tangentially related.
    """

    weight: float
    centring: float
    single_words: float
    evidence: tuple[float, float, float]
    spread: float
    threshold: float
    floor: float


STATIC = Profile(0.3, 1.0, 0.5, (1.0, 0.2, 1.0), 0.1, 0.56, 0.3)
CONTEXTUAL = Profile(0.6, 0.0, 0.5, (1.0, 0.2, 0.75), 0.1, 0.52, 0.3)
CONTEXTUAL_ALONE = Profile(0.4, 0.0, 0.0, (1.0, 0.15, 0.0), 0.1, 0.28, 0.3)
WORDS_ALONE = Profile(0.0, 0.0, 0.0, (1.0, 0.0, 0.0), 0.1, 0.31, 0.15)


def is_static(model: str) -> bool:
    """Return whether a model's vector of a text is the mean of its words' vectors."""
    return model.startswith(("wordllama", "static"))


def profile_of(model: str, *, single_words: bool = True) -> Profile:
    """Return the profile of a model by its name or tag; "" is no model at all.

    Args:
        model: The model.
        single_words: Single words can be compared: by the model itself if it is static, else by a static one.
    """
    if not model:
        return WORDS_ALONE
    if is_static(model):
        return STATIC
    return CONTEXTUAL if single_words else CONTEXTUAL_ALONE


@dataclass(slots=True)
class Scores:
    """Of every row: what its place follows from. ``fused`` is 0 for all but candidates."""

    by_words: Floats
    by_meaning: Floats
    by_single_words: Floats
    by_neighbours: Floats
    fused: Floats
    candidates: Mask


def top_rows(scores: Floats, mask: Mask, count: int) -> Rows:
    """Return the rows of the highest scores above 0 inside a mask, in no order."""
    rows = np.flatnonzero(mask & (scores > 0))
    if len(rows) > count:
        rows = rows[np.argpartition(scores[rows], len(rows) - count)[-count:]]
    return rows


def fuse(bm25: Floats, similarity: Floats | None, mask: Mask, proposed: Rows, weight: float) -> Scores:
    """Return the weighted sum of both sides' scores, each between 0 and 1, for the best of both sides.

    Scores by words are divided by the best one: they start at 0 by nature. Similarities are stretched between the
    lowest and the highest of the candidates. One candidate, or equal ones, have 1; who is missing has 0.

    Args:
        bm25: Of every row; 0 for rows without any of the words.
        similarity: Of every row, or None without vectors.
        mask: The rows that may be found.
        proposed: Rows that a connected service proposes: candidates whatever their place.
        weight: Of similarity.
    """
    size = len(bm25)
    by_words, by_meaning = np.zeros(size, np.float32), np.zeros(size, np.float32)
    candidates = np.zeros(size, np.bool_)
    rows = top_rows(bm25, mask, CANDIDATES)
    if len(proposed):
        proposed = proposed[mask[proposed]]
        rows = _either(rows, proposed[bm25[proposed] > 0], size)
    if len(rows):
        by_words[rows] = bm25[rows] / bm25[rows].max()
        candidates[rows] = True
    if similarity is None:
        weight = 0.0
    else:
        rows = top_rows(similarity + 1.0, mask, CANDIDATES)  # rows without a vector have -1
        rows = _either(rows, proposed, size) if len(proposed) else rows
        if len(rows):
            found = similarity[rows]
            low, high = float(found.min()), float(found.max())
            by_meaning[rows] = 1.0 if high == low else (found - low) / (high - low)
            candidates[rows] = True
    fused = (1 - weight) * by_words + weight * by_meaning
    none = np.zeros(size, np.float32)
    return Scores(by_words, by_meaning, none, none, fused, candidates)


def _either(rows: Rows, others: Rows, size: int) -> Rows:
    """Return the rows of both, each once; numpy's own functions for sets import masked arrays: 80 ms."""
    found = np.zeros(size, np.bool_)
    found[rows] = found[others] = True
    return np.flatnonzero(found)


def add_likeness(scores: Scores, rows: Rows, likeness: Floats, weight: float) -> None:
    """Order these rows, the best ones, by their likeness as well; all others stay below them, scaled down for that."""
    scores.by_single_words = np.zeros(len(scores.fused), np.float32)
    scores.by_single_words[rows] = weight * likeness
    compared = scores.fused[rows] + weight * likeness
    others = scores.fused.copy()
    others[rows] = 0
    if (most := float(others.max())) > (least := float(compared.min())):
        others *= np.float32(least / most)
    others[rows] = compared
    scores.fused = others


def add_neighbours(scores: Scores, neighbours: Rows) -> None:
    """Add to each candidate a part of its better neighbour's score."""
    rows = np.flatnonzero(scores.candidates)
    with_none = np.append(scores.fused, np.float32(0))
    scores.by_neighbours = np.zeros(len(scores.fused), np.float32)
    scores.by_neighbours[rows] = NEIGHBOURS * with_none[neighbours[:, rows]].max(axis=0)
    scores.fused = scores.fused + scores.by_neighbours


def by_likeness(question: Floats, weights: Floats, words: Floats, starts: Rows) -> Floats:
    """Return how well single words of texts stand for a question's: each one's most similar, weighted by rarity.

    Args:
        question: Vectors of the question's words.
        weights: Their rarity.
        words: Vectors of all texts' words, one text after the other; none is empty.
        starts: Where each text begins.
    """
    each = np.vecdot(question[:, None], words[None])  # a matrix product waits for its threads on a busy machine
    best = np.maximum(np.maximum.reduceat(each, starts, axis=1), 0)
    found: Floats = weights @ best / weights.sum()
    return found


def background_of(fits: Sequence[float]) -> float:
    """Return what is nothing special for a question: the median fit of its ten best hits; missing ones fit nothing."""
    compared = [*fits[:COMPARED], *([0.0] * (COMPARED - len(fits)))]
    return min(median(compared), _MOST_BACKGROUND)


COMPARED = 10
_MOST_BACKGROUND = 0.9
"""Where all of the ten fit as well as this, they are all relevant."""

_HIGH, _SOME = 0.3, 0.05


def relevance_of(fit: float, background: float, profile: Profile, *, known: bool) -> Relevance:
    """Return how relevant a hit is.

    The same fit means less where many texts have it: what counts is how far it is above the others.

    Args:
        fit: The hit's share of the question's words, weighted by rarity, plus its raw similarity.
        background: See ``background_of``.
        profile: The model's.
        known: Whether memory knows the answer at all.
    """
    above = fit - background
    if not known or fit < profile.floor or above < _SOME:
        return Relevance.TANGENTIAL
    return Relevance.HIGHLY if above >= _HIGH else Relevance.RELATED


def standing_out(similarity: Floats, mask: Mask, spread: float) -> float:
    """Return how far the best similarity inside a mask stands out of all of them, in standard deviations.

    Among many texts one is near any question by chance: what the best of so many independent ones would have is taken
    off. A few texts say little about mean and deviation: they count as beside ten with the usual ones.
    """
    known = similarity[similarity > -1]
    inside = similarity[mask]
    inside = inside[inside > -1]
    if not len(inside):
        return 0.0
    total = len(known) + _USUAL
    mean = float(known.sum()) / total
    variance = (float(np.square(known - mean).sum()) + _USUAL * spread**2) / total
    return (float(inside.max()) - mean) / math.sqrt(variance) - math.sqrt(2 * math.log(len(inside) + 1))


_USUAL = 10


def evidence_of(best_words: float, rarest: float, standing: float, likeness: float, profile: Profile) -> float:
    """Return how much speaks for memory knowing the answer.

    Args:
        best_words: The best score by words; as many as ``rarest`` words that occur nowhere else would have.
        rarest: What a word that occurs in no entry weighs.
        standing: How far the best similarity stands out.
        likeness: Of the best hit's single words.
        profile: The model's.
    """
    parts = (best_words / (rarest * 2.2), standing, likeness)
    return math.fsum(factor * part for factor, part in zip(profile.evidence, parts, strict=True))
