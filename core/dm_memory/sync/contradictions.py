"""What does not agree: one point that worked here and failed there, two figures for one metric, channel and period.

Nothing is overwritten because of it: both sources are named, and a person decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dm_memory.facts.campaigns import quantity
from dm_memory.facts.extract import facts_of
from dm_memory.facts.model import EntityType, Fact, Relation, normal_name
from dm_memory.facts.patterns import outcome_of
from dm_memory.findings import Finding, Severity
from dm_memory.results import Contradiction
from dm_memory.store.database import Store
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow, effective, in_json, payload_of_row, tags_of
from dm_memory.sync.run import title_of

__all__ = ["contradiction_findings", "contradictions"]

_SHOWN = 10


def contradiction_findings(store: Store, run: int) -> list[Finding]:
    """Return findings for what the entries that a run wrote contradict, or are contradicted by."""
    seqs = [
        seq
        for (seq,) in store.rows(
            "SELECT seq FROM entries WHERE run = ? AND kind IN ('performance', 'campaign')", (run,)
        )
    ]
    found = list(contradictions(store, seqs)) if seqs else []
    findings = [
        Finding(
            "contradiction",
            Severity.WARNING,
            f"{each.what}: {each.first} ({each.first_key}) against {each.second} ({each.second_key}).",
            "Both are kept. Correct the one that is wrong in its file.",
            key=each.first_key,
        )
        for each in found[:_SHOWN]
    ]
    if len(found) > _SHOWN:
        message = f"{len(found) - _SHOWN} more points and figures contradict each other."
        findings.append(Finding("contradiction", Severity.INFO, message, "See dm-memory patterns."))
    return findings


def contradictions(store: Store, seqs: Collection[int] | None = None) -> Iterator[Contradiction]:
    """Yield what does not agree.

    Args:
        store: Open.
        seqs: Only what these entries have a part in; None for all.
    """
    yield from _mixed_points(store, seqs)
    yield from _other_figures(store, seqs)


def _mixed_points(store: Store, seqs: Collection[int] | None) -> Iterator[Contradiction]:
    """Compare retrospectives: the same normalised point under what worked and what failed."""
    own = " AND p.pattern IN (SELECT pattern FROM points WHERE seq IN (SELECT value FROM json_each(?)))"
    sql = (
        "SELECT t.text, e.key, e.content FROM points p JOIN patterns t ON t.id = p.pattern"
        f" JOIN entries e ON e.seq = p.seq WHERE t.outcome = 'mixed'{'' if seqs is None else own}"
        " ORDER BY t.occurrence_count DESC, t.id, e.key"
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
    """Compare the figures of current entries; a snapshot that names no period is of its day."""
    known: dict[tuple[str, ...], tuple[str, str, int]] = {}
    chosen = None if seqs is None else set(seqs)
    for row in _measured(store, seqs):
        payload = payload_of_row(store.brand, row, effective(tags_of(store.connection, [row.seq]).get(row.seq, ())))
        period = normal_name(str(payload.facts.get("period", ""))) or row.recorded_at[:10]
        for fact in facts_of(payload).facts:
            value = _figure(fact)
            if value is None:
                continue
            other = known.setdefault((fact.slot, period), (value, row.key, row.seq))
            concerns = chosen is None or bool({row.seq, other[2]} & chosen)
            if concerns and quantity(other[0]) != quantity(value):
                what = f"{fact.subject.name}, {fact.object.name}" + (f", {period}" if period else "")
                yield Contradiction(what, other[0], other[1], value, row.key)


def _measured(store: Store, seqs: Collection[int] | None) -> Iterator[EntryRow]:
    """Yield snapshots and results; if only some entries matter, those of the same periods."""
    measured = "(kind = 'performance' OR (kind = 'campaign' AND instr(key, '#results') > 0))"
    own = f"SELECT {_PERIOD} FROM entries WHERE {measured} AND seq IN (SELECT value FROM json_each(?))"
    sql = (
        f"{SELECT_ENTRIES}duplicate_of IS NULL AND state = 'current' AND {measured}"
        f"{'' if seqs is None else f' AND {_PERIOD} IN ({own})'} ORDER BY recorded_at, key"
    )
    for row in store.rows(sql, () if seqs is None else (in_json(seqs),)):
        yield EntryRow(*row)


_PERIOD = "coalesce(nullif(json_extract(facts, '$.period'), ''), substr(recorded_at, 1, 10))"


def _figure(fact: Fact) -> str | None:
    """Return the value of a fact that reads "X achieved metric: value (remark).", None of any other."""
    if fact.relation is not Relation.ACHIEVED or fact.object.type is not EntityType.METRIC:
        return None
    _, colon, rest = fact.text.partition(f"achieved {fact.object.name}: ")
    value = rest.removesuffix(".").partition(" (")[0] if colon else ""
    return value if value and quantity(value) is not None else None
