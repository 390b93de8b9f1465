"""Ranking one brand's texts for one question: filters first, then both scores, their sum, and the hits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

from dm_memory.embedding.chunking import chunk
from dm_memory.embedding.protocol import Embedder
from dm_memory.items import Item
from dm_memory.search.index import BrandIndex
from dm_memory.search.likeness import WordVectors
from dm_memory.search.results import Explanation, Hit, Mode, WordFound
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
    relevance_of,
    standing_out,
    top_rows,
)
from dm_memory.store.candidates import StoredText, contents, matching, seqs_of, texts, texts_containing, texts_in_force
from dm_memory.text.timestamps import day_of, from_iso
from dm_memory.text.words import QueryWord, QueryWords, analyse, language_of

if TYPE_CHECKING:
    import sqlite3

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Filters", "Question", "Ranking", "Vectors", "contains"]

_MAX_CHECKED = 2000
"""Texts whose own words are read to confirm a phrase or an exact match."""

_MAX_OTHER_TEXTS = 1000
"""Texts that are not in the index: revisions in force on another day, and files that wait."""

_WORD = re.compile(r"[^\W_]+")


class Vectors(NamedTuple):
    """The question as the model sees it."""

    embedder: Embedder
    model: str
    vector: Sequence[float]
    words: WordVectors


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


@dataclass(frozen=True, slots=True)
class _Other:
    """A text that is not in the index: ``row`` is its entry's, or None for one that waits."""

    text: str
    row: int | None
    revision: int | None = None
    item: Item | None = None


@dataclass(slots=True)
class _Word:
    """A word of the question and what it found."""

    word: QueryWord
    weight: float
    rows: Rows
    others: frozenset[int] = frozenset()


class Ranking:
    """One question's ranking. Inside the read transaction, with the index's lock taken.

    Attributes:
        known: Whether memory has an answer.
        evidence: What that was decided by.
        searched: How many texts passed the filters.
    """

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
        self._index = index
        self._question = question
        self._filters = filters
        self._now = filters.as_of or now
        self._vectors = vectors if vectors and (index.embedded or not index.size) else None
        self.profile = profile_of(self._vectors.model if self._vectors else "")
        self.known, self.evidence, self.searched = False, 0.0, 0
        self._others: list[_Other] = []
        if filters.as_of:
            rows = texts_in_force(connection, filters.as_of, _MAX_OTHER_TEXTS)
            known = ((index.row(seq), number, text) for seq, number, text in rows)
            self._others = [_Other(text, row, number) for row, number, text in known if row is not None]

    def add_waiting(self, items: Iterable[Item]) -> None:
        """Let texts be found that are not stored yet."""
        if self._filters.as_of:
            return
        wanted = list(islice((item for item in items if self._passes(item)), _MAX_OTHER_TEXTS))
        stored = seqs_of(self._connection, keys=[item.key for item in wanted]) if wanted else {}
        self._others += [_Other(item.content, None, None, item) for item in wanted if item.key not in stored]

    def rank(self, proposed: Sequence[int] = ()) -> None:
        """Score everything. ``proposed`` are entries that a connected service found: candidates in any case."""
        import numpy as np  # noqa: PLC0415  # on the first search, not at the start

        index = self._index
        mask = self._mask()
        bm25 = self._score_words(mask)
        similarity = self._score_meaning(mask)
        self._bm25, self._similarity = bm25, similarity
        expired = self._expired()
        if not self._filters.include_expired:
            mask[list(expired)] = False
        self._expired_rows = expired
        self.searched = int(mask.sum())
        retired = np.append(self._retired(), np.zeros(len(self._others), np.bool_))
        rows = index.rows_of(proposed)
        weight = {Mode.SEMANTIC: 1.0, Mode.EXACT: 0.0}.get(self._question.mode, self.profile.weight)
        self._weight = weight if similarity is not None else 0.0
        self._groups = [self._scored(mask & ~retired, rows, weight)]
        if self._filters.include_retired is not False:
            shown = retired & mask
            if self._filters.include_retired is None:
                shown[: index.size] &= ~index.guidelines
            if shown.any():
                self._groups.append(self._scored(shown, rows[:0], weight))
        self._judge(mask)

    def hits(self, limit: int, *, explain: bool) -> tuple[Hit, ...]:
        """Return at most ``limit`` hits, best first; retired ones below all others."""
        found: list[Hit] = []
        for scores in self._groups:
            found += self._shown(scores, limit - len(found), explain=explain)
        return tuple(found)

    # Filters -------------------------------------------------------------------------------------------------------

    def _mask(self) -> Mask:
        """Return which rows may be found; texts that are not in the index stand behind them."""
        import numpy as np  # noqa: PLC0415  # as above

        index, filters = self._index, self._filters
        mask = index.allowed(
            self._connection,
            content_type=filters.content_type,
            tags=filters.tags,
            first=filters.first,
            last=filters.last,
            min_priority=filters.min_priority,
        )
        if filters.as_of_day:
            mask &= index.recorded_by(filters.as_of_day)
        others = np.ones(len(self._others), np.bool_)
        for number, other in enumerate(self._others):
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
            and set(filters.tags) <= set(item.tags)
            and (filters.first is None or (day or 0) >= filters.first)
            and (filters.last is None or 0 < (day or 0) <= filters.last)
            and _RANK[item.priority] >= _RANK[filters.min_priority]
            and (filters.include_expired or not _has_passed(item.expires_at, self._now))
        )

    def _retired(self) -> Mask:
        """Return which rows are retired now, or were on the day that is asked about."""
        index = self._index
        if not self._filters.as_of:
            return index.retired
        retired = index.retired.copy()
        for row, moment in index.retired_at:
            retired[row] = _has_passed(moment, self._now)
        return retired

    def _expired(self) -> frozenset[int]:
        return frozenset(row for row, moment in self._index.expiring if _has_passed(moment, self._now))

    def _with_phrase(self, phrase: str) -> list[int]:
        """Return entries that may contain a phrase, by the index alone."""
        forms = {analyse(phrase, language) for language in self._question.languages}
        if any(len(form) == 1 and not form.isascii() for form in forms):
            return texts_containing(self._connection, phrase)  # one character of a script that is indexed in pairs
        queries = " OR ".join(f'"{form}"' for form in sorted(forms) if form)
        return matching(self._connection, queries) if queries else []

    def _confirmed(self, seqs: Sequence[int], phrases: Sequence[str], mask: Mask) -> Mask:
        """Return which rows' own texts contain all phrases, or words, as written."""
        import numpy as np  # noqa: PLC0415  # as above

        index = self._index
        rows = index.rows_of(seqs)
        rows = rows[mask[rows]][:_MAX_CHECKED]
        read = contents(self._connection, index.seqs[rows].tolist())
        confirmed = np.zeros(len(mask), np.bool_)
        for row in rows.tolist():
            confirmed[row] = contains(read[int(index.seqs[row])], phrases)
        for number, other in enumerate(self._others):
            confirmed[index.size + number] = contains(other.text, phrases)
        return confirmed

    # Scores --------------------------------------------------------------------------------------------------------

    def _score_words(self, mask: Mask) -> Floats:
        """Return BM25 of every row. In exact mode ``mask`` loses the rows without all of the words."""
        import numpy as np  # noqa: PLC0415  # as above

        index = self._index
        bm25 = np.zeros(len(mask), np.float32)
        languages = self._question.languages
        others = [Counter(analyse(other.text, language_of(other.text, languages)).split()) for other in self._others]
        self._words: list[_Word] = []
        for word in self._question.words.words:
            posting = index.posting(self._connection, word.forms)
            counts = [max(other[form] for form in word.forms) for other in others]
            weight = index.rarity(len(posting.rows))
            found = frozenset(index.size + number for number, count in enumerate(counts) if count)
            self._words.append(_Word(word, weight, posting.rows, found))
            bm25[posting.rows] += index.word_score(posting, weight)
            for number, count in enumerate(counts):
                bm25[index.size + number] += index.text_score(count, others[number].total(), weight)
        if self._question.mode is Mode.EXACT:
            self._keep_exact(mask)
        return bm25

    def _keep_exact(self, mask: Mask) -> None:
        import numpy as np  # noqa: PLC0415  # as above

        size = self._index.size
        complete = np.ones(len(mask), np.bool_)
        for word in self._words:
            has = np.zeros(len(mask), np.bool_)
            has[word.rows] = True
            has[size:] = True
            complete &= has
        complete &= mask
        written = _WORD.findall(self._question.text)
        rows = np.flatnonzero(complete[:size])
        mask &= self._confirmed(self._index.seqs[rows].tolist(), written, complete)

    def _score_meaning(self, mask: Mask) -> Floats | None:
        import numpy as np  # noqa: PLC0415  # as above

        if self._vectors is None or self._question.mode is Mode.EXACT:
            return None
        index = self._index
        languages = self._question.languages
        direction = index.direction(self._vectors.vector, language_of(self._question.text, languages))
        similarity = np.full(len(mask), -1.0, np.float32)
        if index.embedded:
            similarity[: index.size] = index.similarities(direction)
        if self._others:
            vectors = self._vectors.embedder.embed_documents([other.text for other in self._others])
            for number, (other, vector) in enumerate(zip(self._others, vectors, strict=True), index.size):
                similarity[number] = index.direction(vector, language_of(other.text, languages)) @ direction
        return similarity

    def _scored(self, mask: Mask, proposed: Rows, weight: float) -> Scores:
        """Return the scores of the rows in a mask."""
        import numpy as np  # noqa: PLC0415  # as above

        scores = fuse(self._bm25, self._similarity, mask, proposed, weight)
        if self._question.words.phrases:  # what contains them is an answer, whatever else it scores
            scores.candidates[np.flatnonzero(mask)[:CANDIDATES]] = True
        if self._question.mode is not Mode.HYBRID:
            return scores
        neighbours = self._index.neighbours
        if self._others:  # they stand behind the index's rows, and have none
            beyond = np.full((2, len(self._others)), self._index.size, np.int64)
            neighbours = np.concatenate([neighbours, beyond], axis=1)
            neighbours[neighbours == self._index.size] = len(mask)
        add_neighbours(scores, neighbours)
        if self.profile.single_words:
            rows = np.sort(top_rows(scores.fused, mask, REORDERED))
            likeness = self._likeness(rows)
            if likeness is not None:
                add_likeness(scores, rows, likeness, self.profile.single_words)
        return scores

    def _likeness(self, rows: Rows) -> Floats | None:
        """Return how well the single words of texts stand for the question's; None if it has none to compare."""
        import numpy as np  # noqa: PLC0415  # as above

        assert self._vectors is not None  # noqa: S101  # only such profiles compare words
        words = self._vectors.words
        asked = [word for word in self._words if len(word.word.text) > 1 and word.word.text.isalpha()]
        if not asked or not len(rows):
            return None
        question = words.vectors(words.numbers([word.word.text for word in asked]))
        weights = np.fromiter((word.weight for word in asked), np.float32)
        found = np.zeros(len(rows), np.float32)
        for place, numbers in enumerate(self._numbers_of(rows.tolist())):
            if len(numbers):
                found[place] = by_likeness(question, weights, words.vectors(numbers))
        return found

    def _numbers_of(self, rows: Sequence[int]) -> list[Rows]:
        """Return the numbers of the words of texts; the index remembers its own."""
        assert self._vectors is not None  # noqa: S101  # as above
        index, words = self._index, self._vectors.words
        index.forget_words_of(words.generation)
        known = index.words_of_row
        missing = [row for row in rows if row not in known]
        read = contents(self._connection, [int(index.seqs[row]) for row in missing if row < index.size])
        texts_of = [
            read[int(index.seqs[row])] if row < index.size else self._others[row - index.size].text for row in missing
        ]
        new = dict(zip(missing, words.numbers_of_texts(texts_of) if missing else (), strict=True))
        known |= {row: numbers for row, numbers in new.items() if row < index.size}
        return [new[row] if row in new else known[row] for row in rows]

    def _judge(self, mask: Mask) -> None:
        """Decide whether memory knows the answer."""
        if not self.searched:
            return
        import numpy as np  # noqa: PLC0415  # as above

        first = self._groups[0]
        best_words = float(self._bm25[mask].max())
        standing = 0.0
        if self._similarity is not None:
            standing = standing_out(self._similarity, mask, self.profile.spread)
        likeness = 0.0
        if self.profile.single_words and first.candidates.any():
            likeness = float(first.by_single_words[int(np.argmax(first.fused))]) / self.profile.single_words
        rarest = self._index.rarity(0)
        self.evidence = evidence_of(best_words, rarest, standing, likeness, self.profile)
        exact = self._question.mode is Mode.EXACT or bool(self._question.words.phrases)
        self.known = exact or self.evidence >= self.profile.threshold

    # Hits ----------------------------------------------------------------------------------------------------------

    def _shown(self, scores: Scores, limit: int, *, explain: bool) -> Iterator[Hit]:
        import numpy as np  # noqa: PLC0415  # as above

        if limit <= 0:
            return
        rows = np.flatnonzero(scores.candidates)
        if self._question.mode is Mode.EXACT:
            rows = rows[self._bm25[rows] > 0] if self._words else rows
        rows = rows[np.argsort(-scores.fused[rows], kind="stable")][:limit]
        index = self._index
        places = ((row, self._place(row)) for row in rows.tolist())
        seqs = {row: int(index.seqs[place]) for row, place in places if place is not None}
        read = texts(self._connection, seqs.values())
        for row in rows.tolist():
            other = self._others[row - index.size] if row >= index.size else None
            stored = read[seqs[row]] if row in seqs else None
            yield self._hit(row, scores, stored, other, explain=explain)

    def _place(self, row: int) -> int | None:
        """Return the row in the index of what is shown, None for a text that waits."""
        return row if row < self._index.size else self._others[row - self._index.size].row

    def _hit(self, row: int, scores: Scores, stored: StoredText | None, other: _Other | None, *, explain: bool) -> Hit:
        words = [(word, row in word.others or _has(word.rows, row)) for word in self._words]
        total = sum(word.weight for word, _ in words)
        share = sum(word.weight for word, found in words if found) / total if total else 0.0
        similarity = None
        if self._similarity is not None and self._similarity[row] > -1:
            similarity = float(self._similarity[row])
        relevance = relevance_of(share, similarity, self.profile, known=self.known)
        content = other.text if other else stored.content if stored else ""
        shown: dict[str, object] = {
            "content": content,
            "passage": _best_passage(content, [word.word for word, found in words if found]),
            "score": float(scores.fused[row]),
            "relevance": relevance,
            "similarity": similarity,
            "share": share,
            "words": tuple(word.word.text for word, found in words if found),
            "revision": other.revision if other else None,
            "is_waiting": stored is None,
            "explanation": self._explanation(row, scores, words, similarity) if explain else None,
        }
        if stored is not None:
            expired = self._place(row) in self._expired_rows
            return Hit(**_from_store(stored), is_expired=expired, **shown)  # type: ignore[arg-type]  # as named above
        assert other is not None  # noqa: S101  # a hit is stored or waits
        assert other.item is not None  # noqa: S101  # as above
        return Hit(**_from_item(other.item), **shown)  # type: ignore[arg-type]  # as above

    def _explanation(
        self, row: int, scores: Scores, words: Sequence[tuple[_Word, bool]], similarity: float | None
    ) -> Explanation:
        found = [word.word.text for word, has in words if has]
        reasons = [f"contains {', '.join(found)}" if found else "contains none of the question's words"]
        if similarity is not None and scores.by_meaning[row] > 0:
            reasons.append(f"similar in meaning ({similarity:.2f})")
        if scores.by_single_words[row] > 0:
            reasons.append("has words of similar meaning")
        if scores.by_neighbours[row] > 0:
            reasons.append("stands beside another hit of the same session")
        return Explanation(
            tuple(WordFound(word.word.text, round(word.weight, 4), has) for word, has in words),
            float(self._bm25[row]),
            float(scores.by_words[row]),
            similarity,
            float(scores.by_meaning[row]),
            self._weight,
            float(scores.by_single_words[row]),
            float(scores.by_neighbours[row]),
            tuple(reasons),
        )


_RANK = {"low": 0, "normal": 1, "high": 2}


def contains(text: str, parts: Iterable[str]) -> bool:
    """Return whether a text has all of some words or phrases, as whole words; case, width and spaces do not count."""
    folded = _plain(text)
    return all(_has_whole(folded, _plain(part)) for part in parts)


def _plain(text: str) -> str:
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def _has_whole(text: str, part: str) -> bool:
    start = text.find(part) if part else -1
    while start >= 0:
        end = start + len(part)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (_joins(before, part[:1]) or _joins(part[-1:], after)):
            return True
        start = text.find(part, start + 1)
    return False


def _joins(left: str, right: str) -> bool:
    """Return whether two characters are in the same word; of scripts without spaces, none are."""
    return left.isalnum() and right.isalnum() and ord(left) < _UNSPACED and ord(right) < _UNSPACED


_UNSPACED = 0x0E00
"""From here on, scripts that put no spaces between words (Thai, kana, Han) outnumber the others."""


def _has_passed(moment: str, now: str) -> bool:
    """Return whether a moment (a day counts to its end) is over; what is no date never is."""
    if not moment:
        return False
    if len(moment) == len("2026-01-31"):
        moment += "T23:59:59.999"
    then, present = from_iso(moment), from_iso(now)
    return then is not None and present is not None and then <= present


def _has(rows: Rows, row: int) -> bool:
    place = int(rows.searchsorted(row))
    return place < len(rows) and int(rows[place]) == row


def _best_passage(content: str, words: Sequence[QueryWord]) -> str:
    """Return the part of a long text with the most of the words; a shorter text whole."""
    parts = chunk(content)
    if len(parts) == 1:
        return content
    return max(parts, key=lambda part: sum(word.text in part.casefold() for word in words))


def _from_store(stored: StoredText) -> dict[str, object]:
    return {name: getattr(stored, name) for name in (*_OF_BOTH, "id", "state", "retired_at", "version")}


def _from_item(item: Item) -> dict[str, object]:
    return {"id": "", **{name: getattr(item, name) for name in _OF_BOTH}}


_OF_BOTH = (
    "key",
    "kind",
    "content_type",
    "source",
    "tags",
    "recorded_at",
    "created_at",
    "priority",
    "expires_at",
    "author",
)
