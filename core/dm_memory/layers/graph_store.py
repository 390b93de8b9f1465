"""Writing to the embedded graph: entries, the facts they state, and how long these hold.

An entry that is met for the first time costs rows and nothing else. One that changed is compared, fact by fact, to what
it stated before: what it still states stays as it is, what it no longer states ends, what is new begins. Then, in the
slots that were touched, each fact ends where the next one begins, in whatever order they came.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, pairwise
from operator import itemgetter
from typing import Any

from dm_memory.facts.changes import Change, Standing, changes
from dm_memory.facts.extract import EXTRACTION_VERSION, is_living
from dm_memory.facts.model import BEGINNING, Entity, Fact, entry_slot
from dm_memory.items import Payload
from dm_memory.layers.graph_entities import EntityTable, in_json
from dm_memory.layers.graph_rows import FACTS_WHERE, ReadEntry, fact_of

__all__ = ["GraphStore", "Held"]

_Seqs = Mapping[str, tuple[int, str]]

_OWN_SLOT = "entry:"

_HELD = (
    "SELECT id, seq, content_hash, metadata_hash, moment, extraction FROM entries"
    " WHERE id IN (SELECT value FROM json_each(?))"
)
_TEXTS = "SELECT id, content FROM entries WHERE seq IN (SELECT value FROM json_each(?))"
_INSERT_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE_ENTRY = (
    "UPDATE entries SET (id, key, content, names, content_hash, metadata_hash, content_type, source, tags, recorded_at,"
    " recorded_day, expires_ts, details, moment, extraction) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " WHERE seq = ?"
)
_NEXT_FACT = "SELECT coalesce(max(seq), 0) + 1 FROM facts"
_INSERT_FACT = (
    "INSERT INTO facts (seq, id, entry, subject, relation, object, text, slot, stated_at, valid_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_FACT = (
    "UPDATE facts SET subject = ?, relation = ?, object = ?, text = ?, stated_at = ?, valid_at = ?, ended_at = ?,"
    " invalid_at = ? WHERE seq = ?"
)
_INSERT_MENTION = "INSERT OR IGNORE INTO mentions (entity, entry) VALUES (?, ?)"
_SUCCESSION = (
    "SELECT slot, seq, valid_at, ended_at, invalid_at FROM facts WHERE slot IN (SELECT value FROM json_each(?))"
    " ORDER BY slot, valid_at, id"
)

_INDEX_FROM = "INSERT INTO search (rowid, content, names) SELECT seq, content, names FROM entries WHERE seq >= ?"
_INDEX = "INSERT INTO search (rowid, content, names) SELECT seq, content, names FROM entries WHERE seq = ?"
_UNINDEX = (
    "INSERT INTO search (search, rowid, content, names) SELECT 'delete', seq, content, names FROM entries"
    " WHERE seq IN (SELECT value FROM json_each(?))"
)

_SLOTS_OF = "SELECT DISTINCT slot FROM facts WHERE slot IS NOT NULL AND entry IN (SELECT value FROM json_each(?))"
_ENTITIES_OF = (
    "SELECT subject FROM facts WHERE entry IN (SELECT value FROM json_each(?1))"
    " UNION SELECT object FROM facts WHERE entry IN (SELECT value FROM json_each(?1))"
    " UNION SELECT entity FROM mentions WHERE entry IN (SELECT value FROM json_each(?1))"
)
_DELETE = (
    _UNINDEX,
    "DELETE FROM facts WHERE entry IN (SELECT value FROM json_each(?))",
    "DELETE FROM mentions WHERE entry IN (SELECT value FROM json_each(?))",
    "DELETE FROM entries WHERE seq IN (SELECT value FROM json_each(?))",
)
_DELETE_ORPHANS = (
    "DELETE FROM entities WHERE seq IN (SELECT value FROM json_each(?))"
    " AND NOT EXISTS (SELECT 1 FROM facts WHERE subject = entities.seq)"
    " AND NOT EXISTS (SELECT 1 FROM facts WHERE object = entities.seq)"
    " AND NOT EXISTS (SELECT 1 FROM mentions WHERE entity = entities.seq)"
)


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that is stored."""

    seq: int
    content_hash: str
    metadata_hash: str
    moment: str
    extraction: int

    def is_same(self, payload: Payload) -> bool:
        """Tell whether storing the payload would change nothing."""
        known = (self.content_hash, self.metadata_hash, self.extraction)
        return known == (payload.content_hash, payload.metadata_hash, EXTRACTION_VERSION)


class GraphStore:
    """Writes into an open transaction.

    Args:
        brand: The brand's slug.
        entities: What is known of the entities in the file.
        now: Returns the present moment as facts have it.
    """

    def __init__(
        self, connection: sqlite3.Connection, brand: str, entities: EntityTable, now: Callable[[], str]
    ) -> None:
        self._connection = connection
        self._brand = brand
        self._entities = entities
        self._now = now
        self._slots: set[str] = set()

    def held(self, ids: Iterable[str]) -> dict[str, Held]:
        """Return what is stored under these ids."""
        return {row[0]: Held(*row[1:]) for row in self._connection.execute(_HELD, (in_json(ids),))}

    def texts(self, held: Mapping[str, Held]) -> dict[str, str]:
        """Return the texts of stored entries."""
        return dict(self._connection.execute(_TEXTS, (in_json(each.seq for each in held.values()),)).fetchall())

    def store(self, entries: Sequence[ReadEntry], held: Mapping[str, Held]) -> None:
        """Store entries, all of them new or changed."""
        seqs = self._entities.seqs(self._connection, (entity for _, piece, _ in entries for entity in piece.entities))
        self._insert([entry for entry in entries if entry[0].id not in held], seqs)
        for entry in entries:
            if known := held.get(entry[0].id):
                self._change(entry, known, seqs)
        self._succeed()

    def delete(self, seqs: Sequence[int]) -> None:
        """Remove entries with everything they state; facts that theirs had ended hold again."""
        numbers = (in_json(seqs),)
        execute = self._connection.execute
        self._slots |= {slot for (slot,) in execute(_SLOTS_OF, numbers)}
        doubtful = [seq for (seq,) in execute(_ENTITIES_OF, numbers)]
        for statement in _DELETE:
            execute(statement, numbers)
        execute(_DELETE_ORPHANS, (in_json(doubtful),))
        self._entities.forget()
        self._succeed()

    # New entries -----------------------------------------------------------------------------------------------------

    def _insert(self, entries: Sequence[ReadEntry], seqs: _Seqs) -> None:
        if not entries:
            return
        first = self._next("SELECT coalesce(max(seq), 0) + 1 FROM entries")
        numbers = count(self._next(_NEXT_FACT))
        facts: list[tuple[object, ...]] = []
        mentions: list[tuple[int, int]] = []
        for seq, (_, piece, _) in zip(count(first), entries, strict=False):
            facts += self._fact_rows(numbers, seq, piece.facts, seqs)
            mentions += _mentions(seq, piece.entities, piece.facts, seqs)
        many = self._connection.executemany
        many(_INSERT_ENTRY, [(seq, *row) for seq, (_, _, row) in zip(count(first), entries, strict=False)])
        many(_INSERT_FACT, facts)
        many(_INSERT_MENTION, mentions)
        self._connection.execute(_INDEX_FROM, (first,))

    def _fact_rows(
        self, numbers: Iterator[int], entry: int, facts: Iterable[Fact], seqs: _Seqs
    ) -> Iterator[tuple[object, ...]]:
        for fact in facts:
            text: str | None = fact.text
            slot: str | None = fact.slot
            if fact.slot.startswith(_OWN_SLOT):
                text = slot = None
            else:
                self._slots.add(fact.slot)
            subject, thing = seqs[fact.subject.id][0], seqs[fact.object.id][0]
            since = fact.valid_at
            yield next(numbers), fact.id, entry, subject, fact.relation._value_, thing, text, slot, since, since

    def _next(self, sql: str) -> int:
        number: int = self._connection.execute(sql).fetchone()[0]
        return number

    # Changed entries -------------------------------------------------------------------------------------------------

    def _change(self, entry: ReadEntry, known: Held, seqs: _Seqs) -> None:
        payload, piece, row = entry
        since = moment = piece.facts[0].valid_at
        is_news = is_living(payload) and moment <= known.moment and payload.content_hash != known.content_hash
        if is_news or not moment:
            since = max(moment, self._now())
        for change in changes(piece.facts, self._standing(known.seq), since, moment):
            self._store_change(change, known.seq, seqs)
        execute = self._connection.execute
        execute(_UNINDEX, (in_json([known.seq]),))
        execute(_UPDATE_ENTRY, (*row, known.seq))
        execute(_INDEX, (known.seq,))
        execute("DELETE FROM mentions WHERE entry = ?", (known.seq,))
        mentions = _mentions(known.seq, piece.entities, piece.facts, seqs)
        self._connection.executemany(_INSERT_MENTION, mentions)

    def _standing(self, seq: int) -> list[Standing]:
        rows = self._connection.execute(FACTS_WHERE + "f.entry = ?", (seq,)).fetchall()
        return [Standing(row[0], replace(fact_of(self._brand, row), invalid_at=row[2]), row[1]) for row in rows]

    def _store_change(self, change: Change, entry: int, seqs: _Seqs) -> None:
        fact, seq = change.fact, change.seq
        if fact.slot != entry_slot(fact.entry_id):
            self._slots.add(fact.slot)
        if seq is None:
            seq = self._next(_NEXT_FACT)
            self._connection.executemany(_INSERT_FACT, self._fact_rows(count(seq), entry, [fact], seqs))
        ends = self._seq_of(fact.subject, seqs), fact.relation._value_, self._seq_of(fact.object, seqs)
        # An ended statement keeps its words here: the entry will have others.
        text = None if not fact.invalid_at and fact.slot == entry_slot(fact.entry_id) else fact.text
        times = (change.stated_at, fact.valid_at, fact.invalid_at, fact.invalid_at)
        self._connection.execute(_UPDATE_FACT, (*ends, text, *times, seq))

    def _seq_of(self, entity: Entity, seqs: _Seqs) -> int:
        found = seqs.get(entity.id) or self._entities.seqs(self._connection, [entity])[entity.id]
        return found[0]

    # Validity --------------------------------------------------------------------------------------------------------

    def _succeed(self) -> None:
        """Let each fact of the touched slots end where the next one begins; see ``graph_facts.succession``."""
        if not self._slots:
            return
        rows = self._connection.execute(_SUCCESSION, (in_json(self._slots),)).fetchall()
        moved = [move for _, group in groupby(rows, key=itemgetter(0)) for move in _ends(list(group))]
        self._connection.executemany("UPDATE facts SET invalid_at = ? WHERE seq = ?", moved)
        self._slots.clear()


def _mentions(entry: int, entities: Sequence[Entity], facts: Sequence[Fact], seqs: _Seqs) -> list[tuple[int, int]]:
    """Return (entity, entry) for entities that no fact of the entry begins or ends at."""
    if len(entities) == 2 and len(facts) == 1:  # noqa: PLR2004  # both are its ends: the usual case
        return []
    ends = {end.id for fact in facts for end in (fact.subject, fact.object)}
    return [(seqs[entity.id][0], entry) for entity in entities if entity.id not in ends]


def _ends(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, int]]:
    """Yield (end, row number) where it differs from what is stored; ``rows`` are one slot's, in order."""
    held = [row for row in rows if not row[3] or row[2] < row[3]]
    follows = {row[1]: later[2] or BEGINNING for row, later in pairwise(held)}
    for _, seq, _, ended, stored in rows:
        follower = follows.get(seq, "")
        end = min(ended, follower) if ended and follower else ended or follower
        if end != stored:
            yield end, seq
