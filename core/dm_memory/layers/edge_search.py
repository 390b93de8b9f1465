"""Hybrid search: the two rankings of a collection become one list of entries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from dm_memory.layers.edge_errors import refused
from dm_memory.layers.edge_points import day_number
from dm_memory.services.protocol import SearchHit, SearchQuery

__all__ = ["Found", "days_of", "fuse"]

_K = 60
"""Reciprocal rank fusion's constant, as its authors chose it (Cormack, Clarke, Buettcher, SIGIR 2009)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A point in one ranking; ``score`` is a cosine similarity or a BM25 score."""

    id: str
    score: float
    payload: dict[str, Any]

    @property
    def entry(self) -> str:
        """The entry it is a chunk of."""
        return str(self.payload.get("entry", self.id))


def days_of(query: SearchQuery) -> tuple[int | None, int | None]:
    """Return the first and the last day a query asks for, as yyyymmdd.

    Raises:
        LayerError: Class validation: not a date.
    """
    return _day(query.from_date), _day(query.to_date)


def _day(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return day_number(date.fromisoformat(text[:10]).isoformat())
    except ValueError as error:
        raise refused(f"{text!r} is not a date.", "Write dates as 2026-01-31.") from error


def fuse(dense: list[Found], lexical: list[Found], limit: int) -> list[SearchHit]:
    """Return at most ``limit`` entries, best first, by reciprocal rank fusion.

    An entry ranks where its best chunk does, and is shown with the chunk that ranks best in either list.
    """
    by_meaning, by_words = _best_chunks(dense), _best_chunks(lexical)
    scores = {
        entry: sum(1.0 / (_K + ranking[entry][0]) for ranking in (by_meaning, by_words) if entry in ranking)
        for entry in [*by_meaning, *by_words]
    }
    similar = {entry: found.score for entry, (_, found) in by_meaning.items()}
    order = sorted(scores, key=lambda entry: (-scores[entry], -similar.get(entry, -1.0), entry))
    hits = []
    for entry in order[:limit]:
        shown = min(
            (ranking[entry] for ranking in (by_meaning, by_words) if entry in ranking), key=lambda pair: pair[0]
        )
        hits.append(_hit(entry, shown[1], scores[entry], similar.get(entry), lexical=entry in by_words))
    return hits


def _best_chunks(ranking: list[Found]) -> dict[str, tuple[int, Found]]:
    """Return each entry's rank, from 1, and its first chunk in a ranking of points."""
    best: dict[str, tuple[int, Found]] = {}
    for found in ranking:
        if found.entry not in best:
            best[found.entry] = (len(best) + 1, found)
    return best


def _hit(entry: str, found: Found, score: float, similarity: float | None, *, lexical: bool) -> SearchHit:
    metadata = found.payload.get("metadata") or {}
    return SearchHit(
        id=entry,
        key=str(metadata.get("key", "")),
        content=str(found.payload.get("document", "")),
        content_type=str(metadata.get("content_type", "")),
        source=str(metadata.get("source", "")),
        tags=tuple(metadata.get("tags") or ()),
        recorded_at=str(metadata.get("recorded_at", "")),
        score=score,
        similarity=similarity,
        lexical=lexical,
    )
