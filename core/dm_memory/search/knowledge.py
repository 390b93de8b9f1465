"""What the question names: entities with their facts and changes; and what one entry said when."""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING

from dm_memory.errors import InputError
from dm_memory.search.results import EntityFacts, FactLine, RevisionLine
from dm_memory.store.candidates import revisions_of, seqs_of, texts
from dm_memory.store.facts import entities_named
from dm_memory.store.history import StoredFact, changes_about, facts_about
from dm_memory.store.naming import full_key

if TYPE_CHECKING:
    import sqlite3

__all__ = ["entities_in", "history_lines"]

_MAX_ENTITIES = 3
_MAX_FACTS = 8
_MAX_CHANGES = 3


def entities_in(
    connection: sqlite3.Connection, brand: str, question: str, as_of: str, now: str
) -> tuple[EntityFacts, ...]:
    """Return the entities that a question names: facts valid now, or on the day ``as_of``, and what replaced what."""
    found = []
    for entity in entities_named(connection, brand, question)[:_MAX_ENTITIES]:
        facts = facts_about(connection, brand, [entity.id], as_of=as_of or None, now=now, limit=_MAX_FACTS)
        changes = [] if as_of else changes_about(connection, brand, [entity.id], _MAX_CHANGES)
        lines = tuple(tuple(_line(fact) for fact in line) for line in changes)
        found.append(EntityFacts(entity.name, entity.type.value, tuple(_line(fact) for fact in facts), lines))
    return tuple(each for each in found if each.facts or each.changes)


def _line(stored: StoredFact) -> FactLine:
    fact = stored.fact
    return FactLine(fact.text, fact.valid_at, fact.invalid_at, stored.key, stored.state == "retired")


def history_lines(connection: sqlite3.Connection, name: str) -> tuple[RevisionLine, ...]:
    """Return what the entry with a key or id said, the oldest text first and the present one last.

    Raises:
        InputError: There is no such entry, or a short key fits several.
    """
    key = full_key(connection, name)
    seqs = seqs_of(connection, keys=[key] if key else [])
    if key is None or key not in seqs:
        problem = f"There is no entry with the key {name[:200]!r}."
        raise InputError(problem, "Take the key from a search result.")
    entry = texts(connection, [seqs[key]])[seqs[key]]
    before: list[RevisionLine] = []
    for line in starmap(RevisionLine, revisions_of(connection, seqs[key])):
        start = before[-1].replaced_at if before else ""  # a source's date stays what it was when its text changes
        before.append(replace(line, recorded_at=start) if line.recorded_at < start <= line.replaced_at else line)
    number = before[-1].number + 1 if before else 1
    since = before[-1].replaced_at if before else entry.recorded_at or entry.created_at
    reason = "retired" if entry.state == "retired" else ""
    return (*before, RevisionLine(number, entry.content, since, entry.retired_at, reason))
