"""Facts of memory.db as they are read: what was valid when, and what replaced what, each with its source."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dm_memory.errors import InputError
from dm_memory.facts.draft import statement_text
from dm_memory.facts.model import Entity, EntityType, Fact, Relation, entry_slot, utc_moment
from dm_memory.store.entries import in_json

__all__ = [
    "FACTS_WHERE",
    "StoredFact",
    "changes_about",
    "facts_about",
    "facts_of_entry",
    "history_of",
    "stored_fact",
]


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact and the entry it comes from.

    Attributes:
        fact: ``invalid_at`` no later than ``valid_at``: it was taken back, and never valid.
        stated_at: Since when the entry states it to be valid.
        entry: The entry's row.
        key: The entry's key: the source.
        state: ``current`` or ``retired``: the entry's.
        expires_at: The entry's, or "".
        own: It is the entry's text itself.
    """

    fact: Fact
    stated_at: str
    entry: int
    key: str
    state: str
    expires_at: str
    own: bool


FACTS_WHERE = (
    "SELECT f.seq, f.ended_at, f.stated_at, f.id, f.relation, f.text, f.valid_at, f.invalid_at, f.slot,"
    " e.seq, e.id, e.key, e.content, e.state, e.expires_at, s.id, s.type, s.name, o.id, o.type, o.name"
    " FROM facts f JOIN entries e ON e.seq = f.entry"
    " JOIN entities s ON s.seq = f.subject JOIN entities o ON o.seq = f.object WHERE "
)


def stored_fact(brand: str, row: Sequence[Any], content: str | None = None) -> StoredFact:
    """Return the fact in a row of ``FACTS_WHERE``; ``content`` is the entry's text if it is not the one in the row."""
    stated_at, fact_id, relation, text, valid_at, invalid_at, slot, entry, identity, key, written, *rest = row[2:]
    state, expires_at, *ends = rest
    subject, thing = (Entity(ends[at], brand, EntityType(ends[at + 1]), ends[at + 2]) for at in (0, 3))
    if text is None:
        text = statement_text(written if content is None else content)
    own = entry_slot(identity)
    fact = Fact(fact_id, brand, subject, Relation(relation), thing, text, valid_at, identity, slot or own, invalid_at)
    return StoredFact(fact, stated_at, entry, key, state, expires_at, own=slot is None)


def facts_about(
    connection: sqlite3.Connection,
    brand: str,
    entities: Collection[str],
    *,
    as_of: str | None,
    now: str,
    limit: int,
) -> list[StoredFact]:
    """Return the facts about entities that were valid at a moment, the latest first.

    A fact is about its two ends; what an entry states of its own also is about all that the entry mentions. Facts of
    entries that had expired at that moment are left out.

    Args:
        connection: Any.
        brand: The brand's slug.
        entities: Ids, as ``entities_named`` gives them.
        as_of: ISO-8601; a day means its end in local time. None for what has not ended, be its date in the future:
            clocks differ.
        now: The present moment, ISO-8601: entries that expired before it are left out if ``as_of`` is None.
        limit: The most facts to return.

    Raises:
        InputError: ``as_of`` is no date.
    """
    at = None if as_of is None else utc_moment(f"{as_of}T23:59:59.999" if len(as_of) == len("2026-01-31") else as_of)
    if at == "":
        raise InputError(f"{as_of!r} is not a date.", "Write dates as 2026-01-31.")
    moment = at or utc_moment(now)
    validity, arguments = ("f.invalid_at = ''", ()) if at is None else (_VALID_AT, (at, at))
    latest_day = int(at[:10].replace("-", "")) if at else _NEVER
    found: dict[int, StoredFact] = {}
    for number in _numbers(connection, entities):
        for select, place in ((_SUBJECT, ()), (_OBJECT, ()), (_MENTION, (latest_day,))):
            rows = connection.execute(select.format(validity), (number, *place, *arguments))
            current = (row for row in rows if not (row[14] and "" < utc_moment(row[14]) <= moment))
            found |= {row[0]: stored_fact(brand, row) for row in islice(current, limit)}
    latest = sorted(found.items(), key=lambda each: (each[1].fact.valid_at, each[0]), reverse=True)
    return [fact for _, fact in latest[:limit]]


_VALID_AT = "f.valid_at <= ? AND (f.invalid_at = '' OR f.invalid_at > ?)"
_SUBJECT = FACTS_WHERE + "f.subject = ? AND {} ORDER BY f.valid_at DESC, f.seq DESC"
_OBJECT = FACTS_WHERE + "f.object = ? AND {} ORDER BY f.valid_at DESC, f.seq DESC"
_MENTION = (
    FACTS_WHERE.replace(" FROM facts f ", " FROM mentions m CROSS JOIN facts f ON f.entry = m.entry ")
    + "m.entity = ? AND m.day <= ? AND f.slot IS NULL AND {} ORDER BY m.day DESC, m.entry DESC"
)
_NEVER = 99999999


def changes_about(
    connection: sqlite3.Connection, brand: str, entities: Collection[str], limit: int
) -> list[list[StoredFact]]:
    """Return what replaced what: of entities' facts that ended, the lines they stand in, the latest change first.

    A line is what one slot had, or what one entry stated of its own, in the order in which it was valid. What was
    taken back, and so never was valid, is left out.

    Args:
        connection: Any.
        brand: The brand's slug.
        entities: Ids, as ``entities_named`` gives them.
        limit: The most lines to return.
    """
    ended: dict[tuple[str | None, int | None], str] = {}
    for number in _numbers(connection, entities):
        for sql in _ENDED:
            found: dict[tuple[str | None, int | None], str] = {}
            for slot, entry, at in connection.execute(sql, (number,)):
                found.setdefault((slot, entry if slot is None else None), at)
                if len(found) == limit:
                    break
            ended |= {place: max(at, ended.get(place, "")) for place, at in found.items()}
    latest = sorted(ended, key=lambda place: (ended[place], str(place)), reverse=True)[:limit]
    return [_line(connection, brand, *place) for place in latest]


_ENDED = tuple(
    f"SELECT slot, entry, invalid_at FROM facts WHERE {end} = ? AND invalid_at <> '' AND valid_at < invalid_at"
    " ORDER BY invalid_at DESC"
    for end in ("subject", "object")
)


def _numbers(connection: sqlite3.Connection, entities: Collection[str]) -> list[int]:
    sql = "SELECT seq FROM entities WHERE id IN (SELECT value FROM json_each(?))"
    return [seq for (seq,) in connection.execute(sql, (in_json(entities),))]


def _line(connection: sqlite3.Connection, brand: str, slot: str | None, entry: int | None) -> list[StoredFact]:
    where = "f.slot = ?" if slot is not None else "f.slot IS NULL AND f.entry = ?"
    sql = FACTS_WHERE + where + " AND (f.invalid_at = '' OR f.valid_at < f.invalid_at) ORDER BY f.valid_at, f.id"
    return [stored_fact(brand, row) for row in connection.execute(sql, (entry if slot is None else slot,))]


def history_of(connection: sqlite3.Connection, brand: str, slot: str) -> list[StoredFact]:
    """Return every fact that a slot (``Fact.slot``) ever had, in the order in which they were valid."""
    own = entry_slot("")
    where, argument = (
        ("f.slot IS NULL AND e.id = ?", slot[len(own) :]) if slot.startswith(own) else ("f.slot = ?", slot)
    )
    rows = connection.execute(FACTS_WHERE + where + " ORDER BY f.valid_at, f.id", (argument,))
    return [stored_fact(brand, row) for row in rows]


def facts_of_entry(connection: sqlite3.Connection, brand: str, seq: int) -> list[StoredFact]:
    """Return every fact that an entry states or stated, in the order in which they were recorded."""
    rows = connection.execute(FACTS_WHERE + "f.entry = ? ORDER BY f.seq", (seq,))
    return [stored_fact(brand, row) for row in rows]
