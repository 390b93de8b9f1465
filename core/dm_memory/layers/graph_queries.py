"""Reading the embedded graph: by words, and by what facts are about and when they held."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from datetime import date
from typing import Any
from unicodedata import normalize

from dm_memory.embedding.chunking import chunk
from dm_memory.errors import ErrorClass, LayerError
from dm_memory.facts.model import EntityType, Fact, Relation, entity_id, normal_name, utc_moment
from dm_memory.layers.graph_entities import in_json
from dm_memory.layers.graph_rows import FACTS_WHERE, day_number, fact_of, split_tags
from dm_memory.services.protocol import SearchHit, SearchQuery

__all__ = ["facts_about", "filters_of", "history_of", "match_of", "moment_of", "refused", "search_entries"]

_WORD = re.compile(r"[^\W_]+")
_MAX_WORDS = 64
_MAX_WORD = 64

_NAMES_WEIGHT = 0.5
"""Of a match in the names an entry goes by, against one in its text: a channel's name is on many entries."""

_SEARCH = (
    "SELECT e.id, e.key, e.content, e.content_type, e.source, e.tags, e.recorded_at, bm25(search, 1.0, ?) AS rank"
    " FROM search JOIN entries e ON e.seq = search.rowid WHERE search MATCH ?"
)


Filters = tuple[list[str], list[Any]]
"""Conditions on ``e``, an entry, and their arguments."""


def search_entries(connection: sqlite3.Connection, words: list[str], filters: Filters, limit: int) -> list[SearchHit]:
    """Return the entries that hold any of the words, best first.

    Args:
        connection: In a transaction.
        words: From ``match_of``.
        filters: From ``filters_of``.
        limit: The most entries to return.
    """
    conditions, arguments = filters
    match = " OR ".join(f'"{word}"' for word in words)
    sql = f"{_SEARCH} AND {' AND '.join(conditions)} ORDER BY rank, e.seq LIMIT ?"
    rows = connection.execute(sql, (_NAMES_WEIGHT, match, *arguments, limit))
    return [_hit(row, words) for row in rows]


def match_of(text: str) -> list[str]:
    """Return the distinct words of a question, at most 64.

    Raises:
        LayerError: Class validation: it holds half a character pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise refused("The question holds half a character pair.", "Ask it in other words.") from error
    words = (word for word in _WORD.findall(normalize("NFC", text)) if len(word) <= _MAX_WORD)
    return list(dict.fromkeys(words))[:_MAX_WORDS]


def filters_of(query: SearchQuery, now: float) -> Filters:
    """Return what a query asks for besides its words; entries that expired before ``now`` (seconds since 1970) are out.

    Raises:
        LayerError: Class validation: not a date.
    """
    conditions: list[tuple[str, Any]] = [("(e.expires_ts IS NULL OR e.expires_ts > ?)", now)]
    if query.content_type is not None:
        conditions.append(("e.content_type = ?", query.content_type))
    conditions += [("instr(e.tags, ?) > 0", f"\n{tag}\n") for tag in query.tags]
    if (first := _day(query.from_date)) is not None:
        conditions.append(("e.recorded_day >= ?", first))
    if (last := _day(query.to_date)) is not None:
        conditions.append(("e.recorded_day <= ?", last))
    return [condition for condition, _ in conditions], [value for _, value in conditions]


def _day(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return day_number(date.fromisoformat(text[:10]).isoformat())
    except ValueError as error:
        raise refused(f"{text!r} is not a date.", "Write dates as 2026-01-31.") from error


def _hit(row: Iterable[Any], words: list[str]) -> SearchHit:
    entry, key, content, content_type, source, tags, recorded_at, rank = row
    return SearchHit(
        id=entry,
        key=key,
        content=_best_part(content, words),
        content_type=content_type,
        source=source,
        tags=split_tags(tags),
        recorded_at=recorded_at,
        score=-rank,
        similarity=None,
        lexical=True,
    )


def _best_part(content: str, words: list[str]) -> str:
    """Return the part of a long text with the most of the words; a shorter text whole."""
    parts = chunk(content)
    if len(parts) == 1:
        return content
    wanted = [word.casefold() for word in words]

    def found(part: str) -> int:
        folded = part.casefold()
        return sum(word in folded for word in wanted)

    return max(parts, key=found)


def facts_about(
    connection: sqlite3.Connection,
    brand: str,
    *,
    entity: str | None,
    relation: Relation | None,
    at: str | None,
    limit: int,
) -> list[Fact]:
    """Return the facts that held at a moment, the latest first.

    Args:
        connection: In a transaction.
        brand: The brand's slug.
        entity: The name of an end of the fact, or of what its entry is about; a campaign's name or id. None for any.
        relation: None for any.
        at: From ``moment_of``; None for what has not ended, be its date in the future: clocks differ.
        limit: The most facts to return.
    """
    conditions, arguments = ["f.invalid_at = ''"], []
    if at is not None:
        conditions, arguments = ["f.valid_at <= ?", "(f.invalid_at = '' OR f.invalid_at > ?)"], [at, at]
    if relation is not None:
        conditions.append("f.relation = ?")
        arguments.append(relation.value)
    if entity is not None:
        conditions.append(_ABOUT)
        ids = [entity_id(brand, kind, entity) for kind in EntityType]
        arguments += [in_json(ids), normal_name(entity)]
    sql = FACTS_WHERE + " AND ".join(conditions) + " ORDER BY f.valid_at DESC, f.seq LIMIT ?"
    return [fact_of(brand, row) for row in connection.execute(sql, (*arguments, limit))]


_ABOUT = (
    "f.seq IN (WITH found AS (SELECT seq FROM entities WHERE id IN (SELECT value FROM json_each(?)) OR normal = ?)"
    " SELECT seq FROM facts WHERE subject IN found UNION SELECT seq FROM facts WHERE object IN found"
    " UNION SELECT facts.seq FROM mentions JOIN facts ON facts.entry = mentions.entry WHERE mentions.entity IN found)"
)


def history_of(connection: sqlite3.Connection, brand: str, slot: str) -> list[Fact]:
    """Return every fact that a slot ever held, in the order in which they held."""
    if slot.startswith("entry:"):
        condition, argument = "f.slot IS NULL AND e.id = ?", slot.removeprefix("entry:")
    else:
        condition, argument = "f.slot = ?", slot
    sql = FACTS_WHERE + condition + " ORDER BY f.valid_at, f.id"
    return [fact_of(brand, row) for row in connection.execute(sql, (argument,))]


def moment_of(at: str | None) -> str | None:
    """Return the moment a question is about as facts have it.

    Raises:
        LayerError: Class validation: not a moment.
    """
    if at is None:
        return None
    if moment := utc_moment(at):
        return moment
    raise refused(f"{at!r} is not a moment.", "Write moments as 2026-01-31 or 2026-01-31T12:00:00Z.")


def refused(problem: str, remedy: str) -> LayerError:
    """Return the error for a question that can't be answered as it is."""
    return LayerError(problem, remedy, error_class=ErrorClass.VALIDATION)
