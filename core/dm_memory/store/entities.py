"""The entities in memory.db: their rows, and how a question names them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import count
from unicodedata import combining, normalize

import orjson

from dm_memory.facts.model import Entity, EntityType, entity_id

__all__ = ["entities_named", "entity_rows", "in_json"]


def entity_rows(connection: sqlite3.Connection, entities: Iterable[Entity]) -> dict[str, int]:
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


def in_json(values: Iterable[object]) -> str:
    """Return values for SQLite's ``json_each``: a list of any length as one parameter."""
    return orjson.dumps(list(values)).decode()
