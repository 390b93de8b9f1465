"""Entities and facts in memory.db: what entries state, what it is about, and how long it is valid.

Tables:
    entities: Each once, by its id. ``words`` is its name as ``entities_named`` compares it with a question.
    facts: One row a statement and stretch of validity, in the order in which they were recorded. ``slot`` is NULL for
        what an entry states of its own, which is most of it; ``text`` is NULL if it is the entry's. ``stated_at`` is
        the moment the entry gives, ``ended_at`` when it ceased to state it (or was retired), ``invalid_at`` the end
        that follows from it and from the slot's next fact.
    mentions: Entities an entry is about without being an end of one of its facts. ``day`` is the entry's, yyyymmdd.
    points: See ``store.patterns``.

Every function works on an open connection; those that write, in the caller's transaction, in which the rows of
``entries`` are written as well. A new entry costs rows and nothing else. One that changed is compared, fact by fact,
with what it stated before: see ``facts.model.changes``. Then, in the slots that were touched, each fact ends when the
next one begins, in whatever order they came.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, groupby, pairwise
from operator import itemgetter
from typing import NamedTuple
from unicodedata import combining, normalize

from dm_memory.facts.draft import statement_text
from dm_memory.facts.extract import facts_of, is_living
from dm_memory.facts.model import (
    BEGINNING,
    Change,
    Entity,
    EntityType,
    Fact,
    GraphPiece,
    Standing,
    changes,
    entity_id,
    entry_slot,
    since_when,
    utc_moment,
)
from dm_memory.items import Payload
from dm_memory.store.entries import in_json
from dm_memory.store.history import FACTS_WHERE, stored_fact

__all__ = ["Stated", "count_facts", "entities_named", "import_facts", "remove_facts", "retire_facts", "store_facts"]


class Stated(NamedTuple):
    """An entry whose facts are to be stored.

    Attributes:
        seq: Its row in ``entries``.
        payload: As it is now; a retired one states nothing from ``retired_at`` on.
        before: The text it had before; None for a new entry. The same text if its metadata alone changed, if it
            is current again, or if nothing changed.
    """

    seq: int
    payload: Payload
    before: str | None = None


# Writing -------------------------------------------------------------------------------------------------------------

_INSERT_FACT = (
    "INSERT INTO facts (seq, id, entry, subject, relation, object, text, slot, stated_at, valid_at, ended_at,"
    " invalid_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NEXT_FACT = "SELECT coalesce(max(seq), 0) + 1 FROM facts"


def store_facts(connection: sqlite3.Connection, brand: str, stated: Sequence[Stated], now: str) -> None:
    """Store what entries state by now.

    Args:
        connection: In a transaction, after the entries' own rows were written.
        brand: The brand's slug.
        stated: Each entry once.
        now: The present moment, ISO-8601.
    """
    now = utc_moment(now)
    read = [(each, facts_of(each.payload)) for each in stated]
    entities = _entity_rows(connection, (entity for _, piece in read for entity in piece.entities))
    standing = _standing(connection, brand, [each for each in stated if each.before is not None])
    writing = _Writing(connection, now, entities, count(connection.execute(_NEXT_FACT).fetchone()[0]), [], set(), set())
    for each, piece in read:
        if before := standing.get(each.seq):
            _change(writing, each, piece, before)
        else:
            for fact in piece.facts:
                _insert(writing, each.seq, fact, fact.valid_at)
    connection.executemany(_INSERT_FACT, writing.new)
    _store_mentions(writing, read, standing)
    _succeed(connection, writing.slots)
    if writing.left:
        sql = "SELECT seq FROM entities WHERE id IN (SELECT value FROM json_each(?))"
        _remove_orphans(connection, [seq for (seq,) in connection.execute(sql, (in_json(writing.left),))])
    for each in stated:
        if each.payload.state == "retired":
            retire_facts(connection, [each.seq], utc_moment(each.payload.retired_at) or now)


def retire_facts(connection: sqlite3.Connection, seqs: Collection[int], when: str) -> None:
    """End what entries state at ``when`` (ISO-8601). ``store_facts`` states it again, from its own ``now`` on."""
    rows = connection.execute(
        "SELECT DISTINCT slot FROM facts WHERE entry IN (SELECT value FROM json_each(?))", (in_json(seqs),)
    )
    slots = {slot for (slot,) in rows if slot is not None}
    connection.execute(
        "UPDATE facts SET ended_at = max(valid_at, ?1),"
        " invalid_at = CASE WHEN invalid_at = '' THEN max(valid_at, ?1) ELSE min(invalid_at, max(valid_at, ?1)) END"
        " WHERE ended_at = '' AND entry IN (SELECT value FROM json_each(?2))",
        (utc_moment(when), in_json(seqs)),
    )
    _succeed(connection, slots)


def remove_facts(connection: sqlite3.Connection, seqs: Collection[int]) -> None:
    """Remove all that entries ever stated, and entities nothing else is about; before their own rows are deleted.

    Facts of others that theirs had ended are valid again.
    """
    numbers = (in_json(seqs),)
    execute = connection.execute
    sql = "SELECT subject, object, slot FROM facts WHERE entry IN (SELECT value FROM json_each(?))"
    rows = execute(sql, numbers).fetchall()
    mentioned = execute(
        "SELECT entity FROM mentions WHERE entry IN (SELECT value FROM json_each(?))", numbers
    ).fetchall()
    execute("DELETE FROM facts WHERE entry IN (SELECT value FROM json_each(?))", numbers)
    execute("DELETE FROM mentions WHERE entry IN (SELECT value FROM json_each(?))", numbers)
    _remove_orphans(connection, {seq for row in rows for seq in row[:2]} | {seq for (seq,) in mentioned})
    _succeed(connection, {row[2] for row in rows if row[2] is not None})


def _remove_orphans(connection: sqlite3.Connection, entities: Collection[int]) -> None:
    connection.execute(
        "DELETE FROM entities WHERE seq IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM facts WHERE subject = entities.seq)"
        " AND NOT EXISTS (SELECT 1 FROM facts WHERE object = entities.seq)"
        " AND NOT EXISTS (SELECT 1 FROM mentions WHERE entity = entities.seq)",
        (in_json(entities),),
    )


def import_facts(connection: sqlite3.Connection, facts: Iterable[tuple[int, Fact, str]]) -> None:
    """Insert facts as another store kept them: (entry's row, fact, stated_at), ``invalid_at`` if its entry ended it.

    The entries' own rows are there. ``store_facts`` with each entry's text as ``before`` completes it.
    """
    facts = list(facts)
    entities = _entity_rows(connection, (end for _, fact, _ in facts for end in (fact.subject, fact.object)))
    writing = _Writing(connection, "", entities, count(connection.execute(_NEXT_FACT).fetchone()[0]), [], set(), set())
    for seq, fact, stated_at in facts:
        _insert(writing, seq, fact, stated_at)
    connection.executemany(_INSERT_FACT, writing.new)
    _succeed(connection, writing.slots)


class _Writing(NamedTuple):
    """One call's work.

    Attributes:
        entities: Row numbers by id.
        numbers: For new facts.
        new: New facts' rows.
        slots: Those that were touched.
        left: Entities (ids) that an entry was about before: nothing may be about them any more.
    """

    connection: sqlite3.Connection
    now: str
    entities: Mapping[str, int]
    numbers: Iterator[int]
    new: list[tuple[object, ...]]
    slots: set[str]
    left: set[str]


def _insert(writing: _Writing, entry: int, fact: Fact, stated_at: str) -> None:
    """Note a new row, and its slot. An entry's own statement has no text here until it ends."""
    text: str | None = fact.text
    slot: str | None = fact.slot
    ended = fact.invalid_at
    if slot == entry_slot(fact.entry_id):
        slot = None
        if not ended:
            text = None
    else:
        writing.slots.add(fact.slot)
    entities = writing.entities
    ends = entities[fact.subject.id], fact.relation._value_, entities[fact.object.id]
    number = next(writing.numbers)
    writing.new.append((number, fact.id, entry, *ends, text, slot, stated_at, fact.valid_at, ended, ended))


def _change(writing: _Writing, each: Stated, piece: GraphPiece, standing: Sequence[Standing]) -> None:
    payload, moment = each.payload, piece.facts[0].valid_at
    valid = [stood for stood in standing if not stood.fact.invalid_at]
    again = not valid and payload.state != "retired"
    before = max((stood.stated_at for stood in valid), default=None)
    is_news = is_living(payload) and payload.content != each.before
    since = max(moment, writing.now) if again else since_when(moment, before, writing.now, is_news=is_news)
    words = statement_text(each.before or "")
    if words != statement_text(payload.content):  # what it stated keeps its words here: the entry has others now
        sql = "UPDATE facts SET text = ? WHERE entry = ? AND slot IS NULL AND text IS NULL"
        writing.connection.execute(sql, (words, each.seq))
    known = {stood.seq: stood for stood in standing}
    for change in changes(piece.facts, standing, since, moment, again=again):
        if change.seq is None:
            _insert(writing, each.seq, change.fact, change.stated_at)
        elif _columns(stood := known[change.seq]) != _columns(change):
            _update(writing, change.seq, change.fact, change.stated_at)
            writing.left.update((stood.fact.subject.id, stood.fact.object.id))


def _columns(stored: Standing | Change) -> tuple[str, ...]:
    """Return what a change can change in a row; the spelling of its ends is not in it."""
    fact = stored.fact
    ends = fact.subject.id, fact.relation.value, fact.object.id
    return *ends, fact.text, stored.stated_at, fact.valid_at, fact.invalid_at


def _update(writing: _Writing, seq: int, fact: Fact, stated_at: str) -> None:
    is_own = fact.slot == entry_slot(fact.entry_id)
    if not is_own:
        writing.slots.add(fact.slot)
    if fact.invalid_at:
        sql = "UPDATE facts SET ended_at = ?1, invalid_at = ?1 WHERE seq = ?2"
        writing.connection.execute(sql, (fact.invalid_at, seq))
        return
    sql = (
        "UPDATE facts SET subject = ?, relation = ?, object = ?, text = ?, stated_at = ?, valid_at = ?, ended_at = '',"
        " invalid_at = '' WHERE seq = ?"
    )
    ends = writing.entities[fact.subject.id], fact.relation.value, writing.entities[fact.object.id]
    text = None if is_own else fact.text
    writing.connection.execute(sql, (*ends, text, stated_at, fact.valid_at, seq))


def _standing(connection: sqlite3.Connection, brand: str, stated: Sequence[Stated]) -> dict[int, list[Standing]]:
    """Return what is stored of entries; ``invalid_at`` says here when the entry ceased to state it."""
    texts = {each.seq: each.before or "" for each in stated}
    found: dict[int, list[Standing]] = {}
    if texts:
        sql = FACTS_WHERE + "f.entry IN (SELECT value FROM json_each(?)) ORDER BY f.entry, f.seq"  # constants
        for row in connection.execute(sql, (in_json(texts),)):
            seq, ended_at, entry = row[0], row[1], row[9]
            stored = stored_fact(brand, row, texts[entry])
            standing = Standing(seq, replace(stored.fact, invalid_at=ended_at), stored.stated_at)
            found.setdefault(entry, []).append(standing)
    return found


def _store_mentions(writing: _Writing, read: Sequence[tuple[Stated, GraphPiece]], changed: Collection[int]) -> None:
    connection, entities = writing.connection, writing.entities
    rows: set[tuple[int, int, int]] = set()
    old: set[tuple[int, int, int]] = set()
    if changed:
        sql = (
            "SELECT m.entity, m.day, m.entry, n.id FROM mentions m JOIN entities n ON n.seq = m.entity"
            " WHERE m.entry IN (SELECT value FROM json_each(?))"
        )
        for *row, identity in connection.execute(sql, (in_json(changed),)):
            old.add((row[0], row[1], row[2]))
            writing.left.add(identity)
    for (seq, _, _), piece in read:
        if len(piece.entities) == 2 and len(piece.facts) == 1:  # noqa: PLR2004  # both are its ends: the usual case
            continue
        ends = {end.id for fact in piece.facts for end in (fact.subject, fact.object)}
        day = int(piece.facts[0].valid_at[:10].replace("-", "") or 0)
        rows |= {(entities[entity.id], day, seq) for entity in piece.entities if entity.id not in ends}
    connection.executemany("DELETE FROM mentions WHERE entity = ? AND day = ? AND entry = ?", sorted(old - rows))
    connection.executemany("INSERT INTO mentions (entity, day, entry) VALUES (?, ?, ?)", sorted(rows - old))


def _succeed(connection: sqlite3.Connection, slots: Collection[str]) -> None:
    """Let each fact of some slots end when the next one begins, by the rule in ``facts.model``."""
    if not slots:
        return
    sql = (
        "SELECT slot, seq, valid_at, ended_at, invalid_at FROM facts WHERE slot IN (SELECT value FROM json_each(?))"
        " ORDER BY slot, valid_at, id"
    )
    rows = connection.execute(sql, (in_json(slots),)).fetchall()
    moved: list[tuple[str, int]] = []
    for _, line in groupby(rows, key=itemgetter(0)):
        group = list(line)
        valid = [row for row in group if not row[3] or row[2] < row[3]]
        follows = {row[1]: later[2] or BEGINNING for row, later in pairwise(valid)}
        for _, seq, _, ended, stored in group:
            follower = follows.get(seq, "")
            end = min(ended, follower) if ended and follower else ended or follower
            if end != stored:
                moved.append((end, seq))
    connection.executemany("UPDATE facts SET invalid_at = ? WHERE seq = ?", moved)


# Entities ------------------------------------------------------------------------------------------------------------


def _entity_rows(connection: sqlite3.Connection, entities: Iterable[Entity]) -> dict[str, int]:
    """Return the row numbers of entities by their ids; those that are not there are inserted.

    Nothing is kept from one transaction to the next: another process may write, a transaction may be rolled back, and
    looking up a chunk's entities takes a millisecond.
    """
    wanted: dict[str, Entity] = {}
    for entity in entities:
        known = wanted.get(entity.id)
        if known is not entity:
            wanted[entity.id] = _shown(entity, known)
    sql = "SELECT id, seq, name FROM entities WHERE id IN (SELECT value FROM json_each(?))"
    stored = {row[0]: row[1:] for row in connection.execute(sql, (in_json(wanted),))}
    numbers = count(connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM entities").fetchone()[0])
    new = [
        (next(numbers), entity.id, entity.type._value_, entity.name, _words_of(entity.name))
        for entity in wanted.values()
        if entity.id not in stored
    ]
    connection.executemany("INSERT INTO entities (seq, id, type, name, words) VALUES (?, ?, ?, ?, ?)", new)
    for key, (seq, name) in stored.items():
        if (entity := wanted[key]).name != name:
            better = _shown(entity, replace(entity, name=name)).name
            if better != name:
                update = "UPDATE entities SET name = ?, words = ? WHERE seq = ?"
                connection.execute(update, (better, _words_of(better), seq))
    return {row[0]: row[1][0] for row in stored.items()} | {row[1]: row[0] for row in new}


def _shown(entity: Entity, other: Entity | None) -> Entity:
    """Return which of two spellings of an entity is shown: a campaign's name rather than its id; then, any but stable.

    Of two names, capitals come first in the order of characters, and with them what people wrote themselves.
    """
    if other is None or other.name == entity.name:
        return entity
    plain = [entity_id(entity.brand, entity.type, each.name) == entity.id for each in (other, entity)]
    if plain[0] != plain[1]:
        return entity if plain[0] else other
    return min(entity, other, key=lambda each: each.name)


_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+?(?=[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[\W_]|\Z)"
)
"""A word; of scripts that write no spaces (Japanese, Chinese), a character."""

_LOOSE_MARKS = 9
"""Combining classes above it are accents and vowel points; those below make other letters (Indic, voiced kana)."""


@lru_cache(maxsize=16384)
def _words_of(text: str) -> str:
    """Return the words of a name or question, one space between them: without case, accents or punctuation."""
    folded = normalize("NFKD", normalize("NFKC", text).casefold())
    plain = "".join([character for character in folded if combining(character) <= _LOOSE_MARKS])
    return " ".join(_WORD.findall(normalize("NFC", plain)))


_QUESTION_WORDS = 128
_NAME_WORDS = 16


def entities_named(connection: sqlite3.Connection, brand: str, text: str) -> list[Entity]:
    """Return the entities whose names occur in a text as whole words, the longest names first; never the brand itself.

    Case, accents, hyphens and punctuation do not count. A campaign is found by its name and by its id.
    """
    words = _words_of(text).split()[:_QUESTION_WORDS]
    runs = {
        " ".join(words[start:end]): end - start
        for start in range(len(words))
        for end in range(start + 1, min(start + _NAME_WORDS, len(words)) + 1)
    }
    ids = {entity_id(brand, EntityType.CAMPAIGN, run): run for run in runs}
    rows = connection.execute(
        "SELECT id, type, name, words FROM entities WHERE words IN (SELECT value FROM json_each(?1))"
        " UNION SELECT id, type, name, words FROM entities WHERE id IN (SELECT value FROM json_each(?2))",
        (in_json(runs), in_json(ids)),
    )
    found = [
        (-runs[ids.get(identity, own)], own, Entity(identity, brand, EntityType(kind), name))
        for identity, kind, name, own in rows
        if kind != EntityType.BRAND
    ]
    return [entity for _, _, entity in sorted(found, key=lambda each: (each[0], each[1], each[2].id))]


def count_facts(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many entities and facts there are; each answered by an index: no row is read."""
    row = connection.execute("SELECT (SELECT count(*) FROM entities), (SELECT count(*) FROM facts)").fetchone()
    return row[0], row[1]
