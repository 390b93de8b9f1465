"""The hits of a ranking: their texts, what to say of each, and why it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dm_memory.embedding.batch import chunk
from dm_memory.findings import Finding, Severity
from dm_memory.lazy import np
from dm_memory.search.ranking import AskedWord, Ranking
from dm_memory.search.results import PASSAGE_CHARS, Explanation, Hit, Relevance, WordFound
from dm_memory.search.scoring import COMPARED, Scores, background_of, relevance_of
from dm_memory.store.candidates import texts
from dm_memory.text.words import analyse, language_of

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

    from dm_memory.store.candidates import StoredText

__all__ = ["hits_of"]

_RETIRED_SHARE = 3
"""One hit in so many may be a retired one that fits, if they are asked for by name."""


def hits_of(
    connection: sqlite3.Connection, ranking: Ranking, limit: int, *, retired: bool, explain: bool
) -> tuple[tuple[Hit, ...], list[Finding]]:
    """Return at most ``limit`` hits, best first, retired ones below all others; and what the reader should know.

    Args:
        connection: In the transaction of the ranking.
        ranking: Done.
        limit: Most hits.
        retired: Retired entries that fit get the last places even if there are current ones for all.
        explain: Say of each hit why it is there.
    """
    groups = [_Hits(connection, ranking, scores, explain=explain) for scores in ranking.groups]
    current, last = groups[0], groups[-1]
    background = 0.0 if ranking.is_literal else current.background()
    if last is current:
        found = current.best(limit, background)
    else:
        kept = [hit for hit in last.best(limit // _RETIRED_SHARE, background) if retired and _fits(hit)]
        found = current.best(limit - len(kept), background)
        found += last.best(limit - len(found), background)
    damaged = sorted(current.damaged | last.damaged)
    return found, [_damaged(damaged)] if damaged else []


def _damaged(keys: Sequence[str]) -> Finding:
    count = "1 entry was" if len(keys) == 1 else f"{len(keys)} entries were"
    message = f"{count} left out: the text in memory is not the one that was stored ({keys[0]})."
    remedy = "Run dm-memory verify --repair: it restores what can be restored."
    return Finding("damaged-text", Severity.WARNING, message, remedy)


def _fits(hit: Hit) -> bool:
    return hit.relevance is not Relevance.TANGENTIAL


class _Hits:
    """The hits of one group of a ranking."""

    def __init__(self, connection: sqlite3.Connection, ranking: Ranking, scores: Scores, *, explain: bool) -> None:
        self._connection = connection
        self._ranking = ranking
        self._scores = scores
        self._explain = explain
        self.damaged: set[str] = set()
        self._weights = np.fromiter((word.weight for word in ranking.words), np.float32, len(ranking.words))
        rows = np.flatnonzero(scores.candidates)
        if ranking.is_exact and ranking.words:
            rows = rows[ranking.bm25[rows] > 0]
        self._rows = rows[np.argsort(-scores.fused[rows], kind="stable")]

    def background(self) -> float:
        """Return what is nothing special for the question, see ``background_of``."""
        rows = self._rows[:COMPARED]
        return background_of(self._fits(rows, self._shares(self._words_in(rows))).tolist())

    def best(self, limit: int, background: float) -> tuple[Hit, ...]:
        """Return the best hits."""
        ranking = self._ranking
        rows = self._rows[: max(0, limit)]
        if not len(rows):
            return ()
        index, others = ranking.index, ranking.others
        places = [row if row < index.size else others[row - index.size].row for row in rows.tolist()]
        seqs = [None if place is None else int(index.seqs[place]) for place in places]
        read = texts(self._connection, [seq for seq in seqs if seq is not None])
        has = self._words_in(rows)
        shares = self._shares(has)
        fits = self._fits(rows, shares).tolist()
        found = []
        for number, (row, place, seq) in enumerate(zip(rows.tolist(), places, seqs, strict=True)):
            relevance = relevance_of(fits[number], background, ranking.profile, known=ranking.known)
            stored = None if seq is None else read[seq]
            if stored is not None and not stored.is_sound:
                self.damaged.add(stored.key)
                continue
            found.append(self._hit(row, place, stored, has[:, number].tolist(), float(shares[number]), relevance))
        return tuple(found)

    def _shares(self, has: Mask) -> Floats:
        """Return how much of the question's words, weighted by rarity, is in each row."""
        total = float(self._weights.sum())
        return self._weights @ has / total if total else np.zeros(has.shape[1], np.float32)

    def _fits(self, rows: Rows, shares: Floats) -> Floats:
        similarity = self._ranking.similarity
        return shares if similarity is None else shares + np.maximum(similarity[rows], 0)

    def _words_in(self, rows: Rows) -> Mask:
        """Return which of the question's words are in which of the rows."""
        found = np.zeros((len(self._weights), len(rows)), np.bool_)
        for number, word in enumerate(self._ranking.words):
            if len(word.rows):
                places = np.minimum(word.rows.searchsorted(rows), len(word.rows) - 1)
                found[number] = word.rows[places] == rows
            if word.others:
                found[number] |= np.fromiter((row in word.others for row in rows.tolist()), np.bool_, len(rows))
        return found

    def _hit(
        self,
        row: int,
        place: int | None,
        stored: StoredText | None,
        has: list[bool],
        share: float,
        relevance: Relevance,
    ) -> Hit:
        ranking = self._ranking
        other = ranking.others[row - ranking.index.size] if row >= ranking.index.size else None
        similarity = None
        if ranking.similarity is not None and ranking.similarity[row] > -1:
            similarity = float(ranking.similarity[row])
        asked = [word for word, found in zip(ranking.words, has, strict=True) if found]
        words = tuple(word.word.text for word in asked)
        source = stored or (other.item if other else None)
        assert source is not None  # noqa: S101  # a hit is stored or waits
        content = other.text if other else source.content
        return Hit(
            id=stored.id if stored else "",
            key=source.key,
            content=content,
            passage=_best_passage(content, asked, ranking.languages),
            kind=source.kind,
            content_type=source.content_type,
            source=source.source,
            tags=source.tags,
            recorded_at=source.recorded_at,
            score=float(self._scores.fused[row]),
            relevance=relevance,
            similarity=similarity,
            share=share,
            words=words,
            priority=source.priority,
            created_at=source.created_at,
            expires_at=source.expires_at,
            is_expired=place is not None and bool(ranking.expired[place]),
            state=stored.state if stored else "current",
            retired_at=stored.retired_at if stored else "",
            version=stored.version if stored else 1,
            author=source.author,
            is_waiting=stored is None,
            revision=other.revision if other else None,
            explanation=self._explanation(row, has, asked, similarity) if self._explain else None,
        )

    def _explanation(
        self, row: int, has: Sequence[bool], asked: Sequence[AskedWord], similarity: float | None
    ) -> Explanation:
        scores = self._scores
        words = [f"{w.word.text} (read as {' '.join(w.stands)})" if w.stands else w.word.text for w in asked]
        reasons = [f"contains {', '.join(words)}" if words else "contains none of the question's words"]
        if similarity is not None and scores.by_meaning[row] > 0:
            reasons.append(f"similar in meaning ({similarity:.2f})")
        if scores.by_single_words[row] > 0:
            reasons.append("has words of similar meaning")
        if scores.by_neighbours[row] > 0:
            reasons.append("stands beside another hit of the same session")
        return Explanation(
            tuple(
                WordFound(word.word.text, round(word.weight, 4), found)
                for word, found in zip(self._ranking.words, has, strict=True)
            ),
            float(self._ranking.bm25[row]),
            float(scores.by_words[row]),
            similarity,
            float(scores.by_meaning[row]),
            self._ranking.weight,
            float(scores.by_single_words[row]),
            float(scores.by_neighbours[row]),
            tuple(reasons),
        )


def _best_passage(content: str, words: Sequence[AskedWord], languages: Sequence[str]) -> str:
    """Return the part of a longer text with the most of the words, in whatever form; a short text whole."""
    if len(content) <= PASSAGE_CHARS:
        return content

    def worth(part: str) -> float:
        own = frozenset(analyse(part, language_of(content, languages)).split())
        return sum(word.weight for word in words if not own.isdisjoint((*word.word.forms, *word.stands)))

    return max(chunk(content, PASSAGE_CHARS), key=worth)
