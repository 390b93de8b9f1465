"""Patterns in memory.db: what worked and what failed over campaigns, kept in step with the entries that state it.

``points`` says which entry states which pattern. What changed entries stated before, and state now, names the patterns
that are counted again: the work is proportional to the change. A retired entry states nothing; a duplicate counts for
its own campaign and points at the entry that stands for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import astuple, fields
from typing import Any, NamedTuple

import orjson

from dm_memory.facts.patterns import Episode, PatternRow, Point, outcome_of, pattern_of, points_of
from dm_memory.items import Kind
from dm_memory.results import PatternLine
from dm_memory.store.entries import in_json

__all__ = ["PatternChanges", "campaigns_here", "pattern_line", "patterns_of", "read_patterns", "update_patterns"]

_COLUMNS = tuple(field.name for field in fields(PatternRow))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM patterns"
_INSERT = (
    f"INSERT OR REPLACE INTO patterns ({', '.join(_COLUMNS)}, updated_at)"
    f" VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"
)
_EPISODE = "coalesce(o.id, e.id), e.key, e.kind, e.content, e.facts, e.recorded_at"


class PatternChanges(NamedTuple):
    """Patterns that were counted again, as they are now, and ids of those that nothing supports any more."""

    changed: list[PatternRow]
    gone: list[str]


def update_patterns(
    connection: sqlite3.Connection, brand: str, seqs: Collection[int], ticks: Callable[[int], Iterable[int]]
) -> PatternChanges:
    """Count the patterns again that some entries stated or state.

    Args:
        connection: In a transaction, after the entries' own rows were written, retired or deleted.
        brand: The brand's slug.
        seqs: Entries whose text, state, campaign, channels or date changed.
        ticks: Takes so many moments of the store's clock; see ``Store.ticks``.
    """
    touched = _note_points(connection, brand, seqs)
    if not touched:
        return PatternChanges([], [])
    found: dict[str, list[Point]] = {}
    known: dict[int, list[Point]] = {}
    for pattern, seq, *row in connection.execute(
        f"SELECT p.pattern, e.seq, {_EPISODE} FROM points p JOIN entries e ON e.seq = p.seq"
        " LEFT JOIN entries o ON o.seq = e.duplicate_of"
        " WHERE p.pattern IN (SELECT value FROM json_each(?)) ORDER BY p.pattern, e.seq",
        (in_json(touched),),
    ):
        if seq not in known:
            known[seq] = points_of(brand, _episode(row))
        found.setdefault(pattern, []).extend(point for point in known[seq] if point.id == pattern)
    stored = {row.id: row for row in read_patterns(connection, touched)}
    rows = [pattern_of(brand, points) for points in found.values() if points]
    changed = [row for row in rows if stored.get(row.id) != row]
    gone = sorted(stored.keys() - {row.id for row in rows})
    moments = iter(ticks(len(changed) + len(gone))) if changed or gone else iter(())
    connection.executemany(_INSERT, [(*astuple(row), next(moments)) for row in changed])
    connection.executemany("DELETE FROM patterns WHERE id = ?", [(id_,) for id_ in gone])
    connection.executemany(
        "DELETE FROM tombstones WHERE item_table = 'patterns' AND id = ?", [(row.id,) for row in changed]
    )
    connection.executemany(
        "INSERT OR REPLACE INTO tombstones (item_table, id, updated_at, brand) VALUES ('patterns', ?, ?, ?)",
        [(id_, next(moments), brand) for id_ in gone],
    )
    return PatternChanges(changed, gone)


def _note_points(connection: sqlite3.Connection, brand: str, seqs: Collection[int]) -> set[str]:
    """Bring ``points`` up to the entries, and return the patterns they stated or state."""
    old = set(
        connection.execute(
            "SELECT pattern, seq FROM points WHERE seq IN (SELECT value FROM json_each(?))", (in_json(seqs),)
        )
    )
    keys = connection.execute(
        "SELECT seq, key FROM entries WHERE seq IN (SELECT value FROM json_each(?)) AND kind = ? AND state = 'current'",
        (in_json(seqs), Kind.CAMPAIGN.value),
    ).fetchall()
    rows = connection.execute(
        f"SELECT e.seq, {_EPISODE} FROM entries e LEFT JOIN entries o ON o.seq = e.duplicate_of"
        " WHERE e.seq IN (SELECT value FROM json_each(?))",
        (in_json(seq for seq, key in keys if outcome_of(key) is not None),),
    )
    new = {(point.id, seq) for seq, *row in rows for point in points_of(brand, _episode(row))}
    connection.executemany("DELETE FROM points WHERE pattern = ? AND seq = ?", sorted(old - new))
    connection.executemany("INSERT INTO points (pattern, seq) VALUES (?, ?)", sorted(new - old))
    return {pattern for pattern, _ in old | new}


def _episode(row: list[Any]) -> Episode:
    identity, key, kind, content, facts, recorded_at = row
    return Episode(identity, key, kind, content, orjson.loads(facts), recorded_at)


def read_patterns(
    connection: sqlite3.Connection, ids: Collection[str] | None = None, limit: int | None = None
) -> list[PatternRow]:
    """Return patterns, the most frequent first: all of them, or those with these ids."""
    where = "" if ids is None else " WHERE id IN (SELECT value FROM json_each(?))"
    arguments = () if ids is None else (in_json(ids),)
    order = " ORDER BY occurrence_count DESC, text, id LIMIT ?"
    rows = connection.execute(_SELECT + where + order, (*arguments, -1 if limit is None else limit))
    return [PatternRow(*row) for row in rows]


def patterns_of(connection: sqlite3.Connection, entries: Collection[str], limit: int) -> list[PatternRow]:
    """Return the patterns that entries with these ids state, the most frequent first."""
    rows = connection.execute(
        f"{_SELECT} WHERE id IN (SELECT p.pattern FROM entries e JOIN points p ON p.seq = e.seq"
        " WHERE e.id IN (SELECT value FROM json_each(?))) ORDER BY occurrence_count DESC, text, id LIMIT ?",
        (in_json(entries), limit),
    )
    return [PatternRow(*row) for row in rows]


def pattern_line(row: PatternRow) -> PatternLine:
    """Return a pattern as results have it."""
    return PatternLine(
        row.text,
        row.outcome,
        row.worked_count,
        row.failed_count,
        row.success_rate,
        tuple(orjson.loads(row.campaigns)),
        tuple(orjson.loads(row.channels)),
        row.first_seen,
        row.last_seen,
    )


def campaigns_here(connection: sqlite3.Connection) -> set[str]:
    """Return the ids of the campaigns that were read from files of this machine: what it says of them counts."""
    # Key by key through the index, a step a campaign: entries are not read.
    rows = connection.execute(
        "WITH RECURSIVE campaigns (prefix) AS ("
        " SELECT (SELECT substr(key, 1, instr(key, '#')) FROM entries"
        "  WHERE key > 'campaign/' AND key < 'campaign0' ORDER BY key LIMIT 1)"
        " UNION ALL SELECT (SELECT substr(key, 1, instr(key, '#')) FROM entries"
        "  WHERE key >= substr(prefix, 1, length(prefix) - 1) || '$' AND key < 'campaign0' ORDER BY key LIMIT 1)"
        " FROM campaigns WHERE prefix IS NOT NULL)"
        " SELECT substr(prefix, 10, length(prefix) - 10) FROM campaigns WHERE prefix <> '' AND EXISTS ("
        " SELECT 1 FROM entries WHERE key > prefix AND key < substr(prefix, 1, length(prefix) - 1) || '$'"
        " AND origin <> '')"
    )
    return {name for (name,) in rows}
