"""Single words of similar meaning: "collapsed" in a question stands for "fell" in a text.

By a static embedding model, whose vector of a word costs microseconds and means the same in every sentence: for texts
whose own vectors are another model's as well.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from dm_memory.embedding.protocol import Embedder
from dm_memory.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

__all__ = ["WordVectors"]

_WORD = re.compile(r"[^\W\d_]{2,}")
_MAX_WORDS = 40_000
"""Vectors kept: 40 MB at 256 dimensions."""

_MAX_WORDS_OF_TEXT = 400
_COMMON = (
    "the and of to in for with on at by from a is was are be it this that we our you they their as an or not have has",
    "more than which when who what how all can will about new one two first last year month week day time good best",
    "people work make use show find give take come go see look want need help start end high low big small long",
)
"""Words whose mean stands for the direction that all words share."""


class WordVectors:
    """The vectors of words that were met, each of length 1, without the direction that all words share.

    Attributes:
        generation: Changes when all were forgotten, and with them the numbers handed out.
    """

    def __init__(self, embedder: Embedder, max_words: int = _MAX_WORDS) -> None:
        self.generation = 0
        self._embedder = embedder
        self._max_words = max_words
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._rows: Floats | None = None
        self._mean: Floats | None = None

    def numbers_of_texts(self, texts: Sequence[str]) -> list[Rows]:
        """Return the numbers of each text's distinct words."""
        words = [list(dict.fromkeys(_WORD.findall(text.casefold())))[:_MAX_WORDS_OF_TEXT] for text in texts]
        numbers = self.numbers([word for own in words for word in own])
        ends = list(accumulate(map(len, words), initial=0))
        return [numbers[start:end] for start, end in pairwise(ends)]

    def numbers(self, words: Sequence[str]) -> Rows:
        """Return the numbers of words, for ``vectors``."""
        with self._lock:
            if missing := [word for word in dict.fromkeys(words) if word not in self._numbers]:
                self._add(missing)
            return np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))

    def vectors(self, numbers: Rows) -> Floats:
        """Return the vectors of words by their numbers."""
        assert self._rows is not None  # noqa: S101  # there are no numbers before there are vectors
        return self._rows[numbers]

    def make_room(self) -> None:
        """Forget everything if too much is remembered; between two searches."""
        with self._lock:
            if len(self._numbers) > self._max_words:
                self._numbers.clear()
                self._rows = None
                self.generation += 1

    def _add(self, words: Sequence[str]) -> None:
        if self._mean is None:
            self._mean = np.asarray(self._embedder.embed_documents(" ".join(_COMMON).split()), np.float32).mean(axis=0)
        new = np.asarray(self._embedder.embed_documents(words), np.float32) - self._mean
        lengths = np.linalg.norm(new, axis=1, keepdims=True)
        lengths[lengths == 0] = 1.0
        first, last = len(self._numbers), len(self._numbers) + len(words)
        if self._rows is None or last > len(self._rows):
            grown = np.empty((max(1024, 2 * last), new.shape[1]), np.float32)
            if self._rows is not None:
                grown[:first] = self._rows[:first]
            self._rows = grown
        self._rows[first:last] = new / lengths
        self._numbers |= {word: first + place for place, word in enumerate(words)}
