"""Ranking one brand's texts for one question: filters first, then both scores, their sum, and the judgement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dm_memory.embedding.protocol import Embedder
from dm_memory.items import Item
from dm_memory.lazy import np
from dm_memory.search.index import PRIORITIES, BrandIndex, moment_when_over
from dm_memory.search.likeness import WordVectors
from dm_memory.search.phrases import contains
from dm_memory.search.results import Mode
from dm_memory.search.scoring import (
    CANDIDATES,
    REORDERED,
    Scores,
    add_likeness,
    add_neighbours,
    by_likeness,
    evidence_of,
    fuse,
    profile_of,
    standing_out,
    top_rows,
)
from dm_memory.search.spelling import standing_for
from dm_memory.store.candidates import matching, seqs_of, texts_containing, texts_in_force
from dm_memory.store.entries import texts_of
from dm_memory.text.authors import is_by
from dm_memory.text.timestamps import day_of
from dm_memory.text.words import QueryWord, QueryWords, analyse, language_of

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["AskedWord", "Filters", "OtherText", "Question", "Ranking", "Vectors", "contains"]

_MAX_CHECKED = 20_000
"""Texts whose own words are read to confirm a phrase or an exact match, the latest first: a tenth of a second."""

_MAX_WAITING = 1000
_MAX_EMBEDDED = 64
"""Texts outside of the index that are embedded for one question: beyond that, those with most of its words."""

_WORD = re.compile(r"[^\W_]+")


class Vectors(NamedTuple):
    """The question as the model sees it."""

    embedder: Embedder
    model: str
    vector: Sequence[float]
    words: WordVectors | None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, taken apart in the brand's languages."""

    text: str
    words: QueryWords
    languages: tuple[str, ...]
    mode: Mode = Mode.HYBRID


@dataclass(frozen=True, slots=True)
class Filters:
    """What an entry has to be to be found. Days are yyyymmdd; ``as_of`` is the end of a day, ISO-8601."""

    content_type: str | None = None
    tags: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    min_priority: str = "low"
    include_expired: bool = False
    include_retired: bool | None = None
    as_of: str = ""
    as_of_day: int | None = None
    author: str = ""


@dataclass(frozen=True, slots=True)
class OtherText:
    """A text that is not in the index: ``row`` is its entry's, or None for one that waits."""

    text: str
    row: int | None
    revision: int | None = None
    item: Item | None = None


@dataclass(slots=True)
class AskedWord:
    """A word of the question and what it found: itself, or if no text has it, the words that stand for it."""

    word: QueryWord
    weight: float
    rows: Rows
    others: frozenset[int] = frozenset()
    stands: tuple[str, ...] = ()


class Ranking:
    """One question's ranking. Inside the read transaction, with the index's lock taken.

    Attributes:
        index: The brand's.
        languages: Those of its texts.
        is_exact: All words are wanted as they are written.
        is_literal: The same, or a phrase is.
        known: Whether memory has an answer.
        evidence: What that was decided by.
        searched: How many texts passed the filters.
        words: The question's, with what each found.
        groups: The scores of current entries, then those of retired ones if they are shown.
        bm25: Raw scores by words, of every row: the index's, then those of ``others``.
        similarity: Raw similarities, -1 for rows without a vector; None if the search is by words alone.
        others: Texts that are not in the index: earlier ones of its entries, and those that wait.
        expired: Which rows have expired.
        weight: Of meaning against words.
    """

    bm25: Floats
    similarity: Floats | None
    expired: Mask

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: BrandIndex,
        question: Question,
        filters: Filters,
        *,
        vectors: Vectors | None,
        now: str,
    ) -> None:
        self._connection = connection
        self.index = index
        self.is_exact = question.mode is Mode.EXACT
        self.is_literal = self.is_exact or bool(question.words.phrases)
        self._question = question
        self.languages = question.languages
        self._filters = filters
        self._now = moment_when_over(filters.as_of or now)
        self._vectors = vectors if vectors and (index.embedded or not index.size) else None
        model = self._vectors.model if self._vectors else ""
        self.profile = profile_of(model, single_words=bool(self._vectors and self._vectors.words))
        self.known, self.evidence, self.searched = False, 0.0, 0
        self.words: list[AskedWord] = []
        self.groups: list[Scores] = []
        self.weight = 0.0
        self.others: list[OtherText] = []
        if filters.as_of:
            rows = texts_in_force(connection, filters.as_of)
            known = ((index.row(seq), number, text) for seq, number, text in rows)
            self.others = [OtherText(text, row, number) for row, number, text in known if row is not None]

    def add_waiting(self, items: Iterable[Item]) -> None:
        """Let texts be found that are not stored yet."""
        if self._filters.as_of:
            return
        wanted = list(islice((item for item in items if self._passes(item)), _MAX_WAITING))
        stored = seqs_of(self._connection, keys=[item.key for item in wanted]) if wanted else {}
        self.others += [OtherText(item.content, None, None, item) for item in wanted if item.key not in stored]

    def rank(self, proposed: Sequence[int] = ()) -> None:
        """Score everything. ``proposed`` are entries that a connected service found: candidates in any case."""
        index = self.index
        mask = self._mask()
        self.bm25 = self._score_words(mask)
        self.similarity = self._score_meaning(mask)
        self.expired = self._beside(index.over_at <= self._now)
        if not self._filters.include_expired:
            mask &= ~self.expired
        self.searched = int(mask.sum())
        retired = self._beside(index.retired_at <= self._now if self._filters.as_of else index.retired)
        rows = index.rows_of(proposed)
        weight = {Mode.SEMANTIC: 1.0, Mode.EXACT: 0.0}.get(self._question.mode, self.profile.weight)
        self.weight = weight if self.similarity is not None else 0.0
        current = mask & ~retired
        self.groups = [self._scored(current, rows, weight)]
        if self._filters.include_retired is not False:
            shown = mask & retired
            if self._filters.include_retired is None:
                shown &= ~self._beside(index.guidelines)
            if shown.any():
                self.groups.append(self._scored(shown, rows[:0], weight))
                current |= shown
        self._judge(current)

    # Filters -------------------------------------------------------------------------------------------------------

    def _mask(self) -> Mask:
        """Return which rows may be found; texts that are not in the index stand behind them."""
        index, filters = self.index, self._filters
        mask = index.allowed(
            self._connection,
            content_type=filters.content_type,
            tags=filters.tags,
            first=filters.first,
            last=filters.last,
            min_priority=filters.min_priority,
            author=filters.author,
        )
        if filters.as_of_day:
            mask &= index.recorded_by(filters.as_of_day)
        if self.others:
            others = np.ones(len(self.others), np.bool_)
            for number, other in enumerate(self.others):
                if other.row is not None:
                    others[number], mask[other.row] = mask[other.row], False
            mask = np.append(mask, others)
        for phrase in self._question.words.phrases:
            mask &= self._confirmed(self._with_phrase(phrase), [phrase], mask)
        return mask

    def _passes(self, item: Item) -> bool:
        filters = self._filters
        day = day_of(item.recorded_at or item.created_at)
        return (
            (filters.content_type is None or item.content_type == filters.content_type)
            and all(tag in item.tags or any(own.endswith(f":{tag}") for own in item.tags) for tag in filters.tags)
            and (filters.first is None or (day or 0) >= filters.first)
            and (filters.last is None or 0 < (day or 0) <= filters.last)
            and PRIORITIES[item.priority] >= PRIORITIES[filters.min_priority]
            and (not filters.author or is_by(item.author, filters.author))
            and (filters.include_expired or moment_when_over(item.expires_at) > self._now)
        )

    def _beside(self, rows: Mask) -> Mask:
        """Return a mask of the index's rows with the other texts behind them: none of those."""
        return np.append(rows, np.zeros(len(self.others), np.bool_)) if self.others else rows

    def _with_phrase(self, phrase: str) -> list[int]:
        """Return entries that may contain a phrase, by the index alone."""
        forms = {analyse(phrase, language) for language in self._question.languages}
        if any(len(form) == 1 and not form.isascii() for form in forms):
            return texts_containing(self._connection, phrase)  # one character of a script that is indexed in pairs
        queries = " OR ".join(f'"{form}"' for form in sorted(forms) if form)
        return matching(self._connection, queries) if queries else []

    def _confirmed(self, seqs: Sequence[int], phrases: Sequence[str], mask: Mask) -> Mask:
        """Return which rows' own texts contain all phrases, or words, as written."""
        index = self.index
        rows = index.rows_of(seqs)
        rows = rows[mask[rows]][-_MAX_CHECKED:]
        read = texts_of(self._connection, index.seqs[rows].tolist())
        confirmed = np.zeros(len(mask), np.bool_)
        for row in rows.tolist():
            confirmed[row] = contains(read[int(index.seqs[row])], phrases)
        for number, other in enumerate(self.others):
            confirmed[index.size + number] = contains(other.text, phrases)
        return confirmed

    # Scores --------------------------------------------------------------------------------------------------------

    def _score_words(self, mask: Mask) -> Floats:
        """Return BM25 of every row. In exact mode ``mask`` loses the rows without all of the words."""
        index = self.index
        bm25 = np.zeros(len(mask), np.float32)
        languages = self._question.languages
        others = [index.words_of_text(other.text, languages) for other in self.others]
        found_apart: set[str] = set()
        for word in (*self._question.words.words, *self._question.words.joined):
            posting = index.posting(self._connection, word.forms)
            counts = [max(other[form] for form in word.forms) for other in others]
            stands: tuple[str, ...] = ()
            has_texts = bool(len(posting.rows)) or any(counts)
            if word.parts and (self.is_exact or not has_texts or found_apart.issuperset(word.parts)):
                continue
            if has_texts:
                found_apart.add(word.text)
            elif not self.is_exact:
                near = standing_for(self._connection, word, languages)
                posting, stands = index.posting(self._connection, near.forms, together=near.together), near.forms
            weight = index.rarity(len(posting.rows))
            found = frozenset(index.size + number for number, count in enumerate(counts) if count)
            self.words.append(AskedWord(word, weight, posting.rows, found, stands))
            bm25[posting.rows] += index.word_score(posting, weight)
            for number, count in enumerate(counts):
                bm25[index.size + number] += index.text_score(count, others[number].total(), weight)
        if self.is_exact:
            self._keep_exact(mask)
        return bm25

    def _keep_exact(self, mask: Mask) -> None:
        size = self.index.size
        complete = np.ones(len(mask), np.bool_)
        for word in self.words:
            has = np.zeros(len(mask), np.bool_)
            has[word.rows] = True
            has[size:] = True
            complete &= has
        complete &= mask
        written = _WORD.findall(self._question.text)
        rows = np.flatnonzero(complete[:size])
        mask &= self._confirmed(self.index.seqs[rows].tolist(), written, complete)

    def _score_meaning(self, mask: Mask) -> Floats | None:
        if self._vectors is None or self.is_exact:
            return None
        index = self.index
        languages = self._question.languages
        direction = index.direction(self._vectors.vector, language_of(self._question.text, languages))
        similarity = np.full(len(mask), -1.0, np.float32)
        if index.embedded:
            similarity[: index.size] = index.similarities(direction)
        if self.others:
            behind = index.size + np.argsort(-self.bm25[index.size :], kind="stable")[:_MAX_EMBEDDED]
            texts = [self.others[row - index.size].text for row in behind.tolist()]
            for row, text, vector in zip(
                behind, texts, index.vectors_of_texts(self._vectors.embedder, texts), strict=True
            ):
                similarity[row] = np.vecdot(index.direction(vector, language_of(text, languages)), direction)
        return similarity

    def _scored(self, mask: Mask, proposed: Rows, weight: float) -> Scores:
        """Return the scores of the rows in a mask."""
        scores = fuse(self.bm25, self.similarity, mask, proposed, weight)
        if self._question.words.phrases:  # what contains them is an answer, whatever else it scores
            scores.candidates[np.flatnonzero(mask)[:CANDIDATES]] = True
        if self._question.mode is not Mode.HYBRID:
            return scores
        neighbours = self.index.neighbours
        if self.others:  # they stand behind the index's rows, and have none
            beyond = np.full((2, len(self.others)), self.index.size, np.int64)
            neighbours = np.concatenate([neighbours, beyond], axis=1)
            neighbours[neighbours == self.index.size] = len(mask)
        add_neighbours(scores, neighbours)
        if self.profile.single_words:
            rows = np.sort(top_rows(scores.fused, mask, REORDERED))
            likeness = self._likeness(rows)
            if likeness is not None:
                add_likeness(scores, rows, likeness, self.profile.single_words)
        return scores

    def _likeness(self, rows: Rows) -> Floats | None:
        """Return how well the single words of texts stand for the question's; None if it has none to compare."""
        assert self._vectors is not None  # noqa: S101  # only such profiles compare words
        words = self._vectors.words
        assert words is not None  # noqa: S101  # as above
        asked = [word for word in self.words if len(word.word.text) > 1 and word.word.text.isalpha()]
        if not asked or not len(rows):
            return None
        question = words.vectors(words.numbers([word.word.text for word in asked]))
        weights = np.fromiter((word.weight for word in asked), np.float32)
        numbers = self._numbers_of(rows.tolist(), words)
        lengths = np.fromiter(map(len, numbers), np.int64, len(rows))
        found = np.zeros(len(rows), np.float32)
        if lengths.any():
            starts = (np.cumsum(lengths) - lengths)[lengths > 0]
            found[lengths > 0] = by_likeness(question, weights, words.vectors(np.concatenate(numbers)), starts)
        return found

    def _numbers_of(self, rows: Sequence[int], words: WordVectors) -> list[Rows]:
        """Return the numbers of the words of texts; the index remembers its own."""
        index = self.index
        index.forget_words_of(words.generation)
        known = index.words_of_row
        missing = [row for row in rows if row not in known]
        read = texts_of(self._connection, [int(index.seqs[row]) for row in missing if row < index.size])
        texts = [
            read[int(index.seqs[row])] if row < index.size else self.others[row - index.size].text for row in missing
        ]
        new = dict(zip(missing, words.numbers_of_texts(texts) if missing else (), strict=True))
        known |= {row: numbers for row, numbers in new.items() if row < index.size}
        return [new[row] if row in new else known[row] for row in rows]

    def _judge(self, mask: Mask) -> None:
        """Decide whether memory knows the answer: by what is shown."""
        if not mask.any():
            return
        first = self.groups[0]
        best_words = float(self.bm25[mask].max())
        standing = 0.0
        if self.similarity is not None:
            standing = standing_out(self.similarity, mask, self.profile.spread)
        likeness = 0.0
        if self.profile.single_words and first.candidates.any():
            best = int(np.argmax(first.fused))
            likeness = float(first.by_single_words[best]) / self.profile.single_words
            if self._question.mode is Mode.SEMANTIC:  # they order nothing there, but speak for an answer as well
                found = self._likeness(np.array([best]))
                likeness = 0.0 if found is None else float(found[0])
        rarest = self.index.rarity(0)
        self.evidence = evidence_of(best_words, rarest, standing, likeness, self.profile)
        self.known = self.is_literal or self.evidence >= self.profile.threshold
