"""What an entry said when; what worked and what failed over campaigns; and what contradicts itself.

Nothing is overwritten because of a contradiction: both sources are named, and a person decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import orjson

from dm_memory.errors import InputError
from dm_memory.facts.campaigns import quantity
from dm_memory.facts.extract import facts_of
from dm_memory.facts.model import EntityType, Fact, Relation, normal_name
from dm_memory.facts.patterns import PatternRow, outcome_of
from dm_memory.results import Contradiction, HistoryResult, PatternLine, PatternsResult, Version
from dm_memory.search.knowledge import history_lines
from dm_memory.store.database import Store, read_store
from dm_memory.store.entries import EntryRow, effective, in_json, payload_of_row, tags_of
from dm_memory.store.history import facts_of_entry
from dm_memory.store.patterns import read_patterns
from dm_memory.sync.outcomes import title_of

__all__ = ["contradictions", "history_of_key", "patterns_of_brand"]

_COLUMNS = ", ".join(EntryRow._fields)


def history_of_key(memory_dir: Path, brand: str, key: str) -> HistoryResult:
    """Return what an entry said, the oldest text first.

    Raises:
        InputError: There is no such entry.
        StoreError: The memory can't be read.
    """
    with read_store(memory_dir, brand) as store:
        if store is None:
            raise InputError(f"There is no entry with the key {key[:200]!r}.", "Take the key from a search result.")
        with store.snapshot() as connection:
            lines = history_lines(connection, key.strip())
            row = EntryRow(*store.rows(_STANDING, (key.strip(),))[0])
            tags = effective(tags_of(connection, [row.seq]).get(row.seq, ()))
            facts = facts_of_entry(connection, brand, row.seq)
    return HistoryResult(
        brand,
        key.strip(),
        row.key,
        row.content_type,
        row.state,
        row.origin,
        row.author,
        tags,
        tuple(Version(line.number, line.content, line.recorded_at, line.replaced_at, line.reason) for line in lines),
        tuple((each.fact.text, each.fact.valid_at, each.fact.invalid_at) for each in facts if not each.own),
    )


_STANDING = (
    f"SELECT {_COLUMNS} FROM entries WHERE seq = (SELECT coalesce(duplicate_of, seq) FROM entries WHERE key = ?)"
)


def patterns_of_brand(memory_dir: Path, brand: str, limit: int) -> PatternsResult:
    """Return a brand's patterns and contradictions. Raises ``StoreError``."""
    with read_store(memory_dir, brand) as store:
        if store is None:
            return PatternsResult(brand, (), 0)
        with store.snapshot() as connection:
            rows = read_patterns(connection, limit=limit)
            total = store.value("SELECT count(*) FROM patterns")
            return PatternsResult(brand, tuple(map(_line, rows)), total, tuple(contradictions(store)))


def _line(row: PatternRow) -> PatternLine:
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


# Contradictions ------------------------------------------------------------------------------------------------------


def contradictions(store: Store, seqs: Collection[int] | None = None) -> Iterator[Contradiction]:
    """Yield what does not agree: one point that worked and failed, and two figures for one metric, channel and period.

    Args:
        store: Open.
        seqs: Only what these entries have a part in; None for all.
    """
    yield from _mixed_points(store, seqs)
    yield from _other_figures(store, seqs)


def _mixed_points(store: Store, seqs: Collection[int] | None) -> Iterator[Contradiction]:
    own = "" if seqs is None else " AND EXISTS (SELECT 1 FROM points x WHERE x.pattern = p.pattern AND x.seq IN ({}))"
    sql = (
        "SELECT t.text, e.key, e.content FROM points p JOIN patterns t ON t.id = p.pattern JOIN entries e ON e.seq = p.seq"
        f" WHERE t.outcome = 'mixed'{own.format('SELECT value FROM json_each(?)')} ORDER BY t.occurrence_count DESC, t.id,"
        " e.key"
    )
    found: dict[str, dict[bool, tuple[str, str]]] = {}
    for text, key, content in store.rows(sql, () if seqs is None else (in_json(seqs),)):
        worked = outcome_of(key)
        if worked is not None:
            found.setdefault(text, {}).setdefault(worked, (title_of(content), key))
    for text, sides in found.items():
        if len(sides) == 2:  # noqa: PLR2004  # worked and failed
            yield Contradiction(text, *sides[True], *sides[False])


def _other_figures(store: Store, seqs: Collection[int] | None) -> Iterator[Contradiction]:
    """Compare the figures of current entries that are about the same metric, channel and period of one campaign."""
    known: dict[tuple[str, ...], tuple[str, str, int]] = {}
    named: dict[tuple[str, ...], str] = {}
    chosen = None if seqs is None else set(seqs)
    for row in _measured(store):
        payload = payload_of_row(store.brand, row, effective(tags_of(store.connection, [row.seq]).get(row.seq, ())))
        period = normal_name(str(payload.facts.get("period", "")))
        for fact in facts_of(payload).facts:
            value = _figure(fact)
            if value is None:
                continue
            place = (fact.subject.id, fact.object.id, fact.slot, period)
            other = known.setdefault(place, (value, row.key, row.seq))
            named.setdefault(place, f"{fact.subject.name}, {fact.object.name}" + (f", {period}" if period else ""))
            fresh = chosen is None or {row.seq, other[2]} & chosen
            if quantity(other[0]) != quantity(value) and fresh:
                yield Contradiction(named[place], other[0], other[1], value, row.key)


def _measured(store: Store) -> Iterator[EntryRow]:
    sql = (
        f"SELECT {_COLUMNS} FROM entries WHERE duplicate_of IS NULL AND state = 'current'"
        " AND (kind = 'performance' OR (kind = 'campaign' AND instr(key, '#results') > 0)) ORDER BY recorded_at, key"
    )
    for row in store.rows(sql):
        yield EntryRow(*row)


def _figure(fact: Fact) -> str | None:
    """Return the value of a fact that says ``X achieved metric: value (remark).``"""
    if fact.relation is not Relation.ACHIEVED or fact.object.type is not EntityType.METRIC:
        return None
    _, colon, rest = fact.text.partition(f"achieved {fact.object.name}: ")
    value = rest.removesuffix(".").partition(" (")[0] if colon else ""
    return value if value and quantity(value) is not None else None
