"""The entities in the embedded graph's file, most of which are known after the first batch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from itertools import count

import orjson

from dm_memory.facts.model import Entity, entity_id, normal_name

__all__ = ["EntityTable", "in_json"]


class EntityTable:
    """Row numbers and names of entities by their ids, kept from one transaction to the next.

    What another connection wrote, or a transaction of ours that was rolled back, makes all of it worth nothing.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}
        self._state: tuple[int, int] | None = None

    def begin(self, connection: sqlite3.Connection) -> None:
        """Take up a transaction: forget everything unless the file is as this connection left it."""
        state = id(connection), connection.execute("PRAGMA data_version").fetchone()[0]
        if state != self._state:
            self._known.clear()
            self._state = state

    def forget(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._state = None

    def seqs(self, connection: sqlite3.Connection, entities: Iterable[Entity]) -> Mapping[str, tuple[int, str]]:
        """Return (row number, name) by id, of at least these entities; those that are not there are inserted."""
        known = self._known
        wanted: dict[str, Entity] = {}
        for entity in entities:
            found = known.get(entity.id)
            if found is None or found[1] != entity.name:
                wanted[entity.id] = _shown(entity, wanted.get(entity.id))
        if wanted:
            self._look_up(connection, wanted)
            self._insert(connection, [entity for entity in wanted.values() if entity.id not in known])
            self._rename(connection, [entity for entity in wanted.values() if entity.name != known[entity.id][1]])
        return known

    def _look_up(self, connection: sqlite3.Connection, wanted: Mapping[str, Entity]) -> None:
        sql = "SELECT id, seq, name FROM entities WHERE id IN (SELECT value FROM json_each(?))"
        for entity, seq, name in connection.execute(sql, (in_json(list(wanted)),)):
            self._known[entity] = seq, name

    def _insert(self, connection: sqlite3.Connection, entities: Iterable[Entity]) -> None:
        first = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM entities").fetchone()[0]
        rows = [
            (seq, entity.id, entity.type._value_, entity.name, normal_name(entity.name))
            for seq, entity in zip(count(first), entities, strict=False)
        ]
        connection.executemany("INSERT INTO entities (seq, id, type, name, normal) VALUES (?, ?, ?, ?, ?)", rows)
        self._known |= {row[1]: (row[0], row[3]) for row in rows}

    def _rename(self, connection: sqlite3.Connection, entities: Iterable[Entity]) -> None:
        for entity in entities:
            seq, name = self._known[entity.id]
            better = _shown(entity, Entity(entity.id, entity.brand, entity.type, name)).name
            if better != name:
                sql = "UPDATE entities SET name = ?, normal = ? WHERE seq = ?"
                connection.execute(sql, (better, normal_name(better), seq))
                self._known[entity.id] = seq, better


def _shown(entity: Entity, other: Entity | None) -> Entity:
    """Return which of two spellings of an entity is shown: a campaign's name rather than its id; then, any but stable.

    Where both are names, capitals come first in the order of characters, and with them what people wrote themselves.
    """
    if other is None or other.name == entity.name:
        return entity
    names = (other.name, entity.name)
    plain = [entity_id(entity.brand, entity.type, name) == entity.id for name in names]
    if plain[0] != plain[1]:
        return entity if plain[0] else other
    return min(entity, other, key=lambda each: each.name)


def in_json(values: Iterable[object]) -> str:
    """Return values for SQLite's ``json_each``: a list of any length as one parameter."""
    return orjson.dumps(list(values)).decode()
