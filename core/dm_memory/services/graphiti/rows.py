"""Entries as rows of the connected graph, and back. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from dm_memory.facts.extract import facts_of, is_living
from dm_memory.facts.model import (
    Change,
    Entity,
    EntityType,
    Fact,
    Relation,
    Standing,
    changes,
    entry_slot,
    since_when,
    utc_moment,
)
from dm_memory.items import Payload, storage_id
from dm_memory.services.graphiti.database import Row

__all__ = ["Ids", "Known", "Written", "offset", "payload_of", "plain", "written"]


@dataclass(frozen=True, slots=True)
class Ids:
    """How ids are written into a group. The same brand in two groups of one Neo4j is two separate graphs."""

    brand: str
    group: str

    def of(self, identity: str) -> str:
        """Return the UUID for something's id; it is the id itself in the brand's own group."""
        return identity if self.group == self.brand else storage_id(self.group, identity)


@dataclass(slots=True)
class Known:
    """What the graph has from an entry already.

    Attributes:
        content_hash: Of the version that was stored whole last, or "".
        moment: Since when what that version states is valid.
        state: Its state, or "".
        facts: All it ever stated, ``invalid_at`` if it ceased to; ids are the group's.
        edges: Name and ends of the facts, in the same order.
    """

    content_hash: str
    moment: str
    state: str
    facts: list[Standing] = field(default_factory=list)
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, uuid: str, slot: str, text: str, times: Sequence[str], edge: tuple[str, str, str]) -> None:
        """Add a fact; ``times`` are since when it is valid, since when the entry states that, and until when it did.

        Its ends are not made entities again: changes are found by slot, text and times.
        """
        valid_at, stated_at, withdrawn_at = map(utc_moment, times)
        fact = Fact(uuid, "", _NOTHING, Relation.RELATED, _NOTHING, text, valid_at, "", slot, withdrawn_at)
        self.facts.append(Standing(len(self.facts), fact, stated_at))
        self.edges.append(edge)


_NOTHING = Entity("", "", EntityType.TOPIC, "")


@dataclass(slots=True)
class Written:
    """What writing an entry means for the graph.

    Attributes:
        entry: The entry's own row.
        known: The entry may have been written before.
        entities: What it is about.
        created: Rows of facts that are not there.
        updated: Rows of facts that are there, with their times.
        moved: UUIDs of facts that are created again between other entities.
        slots: Slots that other entries share, whose facts may have got another end.
        mentions: Rows of edges to its entities.
    """

    entry: Row
    known: bool
    entities: Sequence[Entity]
    created: list[Row] = field(default_factory=list)
    updated: list[Row] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    slots: set[str] = field(default_factory=set)
    mentions: list[Row] = field(default_factory=list)


def written(payload: Payload, known: Known | None, ids: Ids, now: str) -> Written:
    """Return what writing a payload means, given what the graph has from its entry, and the present moment.

    Raises:
        TypeError, UnicodeEncodeError: It contains something no database stores: half a character pair, a number of more
            than 64 bits.
    """
    values: dict[str, Any] = {name: getattr(payload, name) for name in _PLAIN_FIELDS}
    values |= {"tags": payload.tags, "facts": dict(payload.facts), "related": payload.related}
    details = orjson.dumps(values).decode()
    payload.content.encode()
    piece = facts_of(payload)
    moment = piece.facts[0].valid_at
    entities = [ids.of(entity.id) for entity in piece.entities]
    row: dict[str, Any] = {
        "uuid": ids.of(payload.id),
        "name": plain(payload.key),
        "source_description": plain(_description(payload)),
        "content": plain(payload.content),
        "created_at": offset(utc_moment(payload.created_at) or now),
        "valid_at": offset(moment or now),  # Graphiti can't read an episode without one
        "since": offset(moment),
        "content_hash": payload.content_hash,
        "metadata_hash": payload.metadata_hash,
        "details": details,
        "state": payload.state,
        "entities": entities,
    }
    made = Written(row, known is not None, piece.entities)
    made.mentions = [
        {"uuid": storage_id(ids.group, f"mention/{payload.id}/{entity}"), "entry": row["uuid"], "entity": entity}
        for entity in entities
    ]
    own = entry_slot(payload.id)
    standing = known.facts if known else []
    # All of them: a write that was cut off may have ended facts without giving their slots' other facts their ends.
    made.slots |= {stood.fact.slot for stood in standing} - {own}
    row["facts"] = [_add(made, change, known, ids, own) for change in _changes(payload, piece.facts, known, now)]
    row["fact_count"] = len({*row["facts"], *(stood.fact.id for stood in standing)})
    return made


def _changes(payload: Payload, facts: Sequence[Fact], known: Known | None, now: str) -> list[Change]:
    """Return what becomes of an entry's facts; a retired entry states nothing from the moment it was retired."""
    moment = facts[0].valid_at
    standing = known.facts if known else []
    retired_at = (utc_moment(payload.retired_at) or now) if payload.state == "retired" else ""
    again = known is not None and known.state == "retired" and not retired_at
    is_whole = known is not None and known.content_hash and not all(stood.fact.invalid_at for stood in standing)
    is_news = is_living(payload) and known is not None and payload.content_hash != known.content_hash
    before = known.moment if known and is_whole else None
    since = max(moment, now) if again else since_when(moment, before, now, is_news=is_news)
    made = changes(facts, standing, since, moment, again=again)
    if not retired_at:
        return made
    return [
        replace(change, fact=replace(fact, invalid_at=fact.invalid_at or max(retired_at, fact.valid_at)))
        for change in made
        for fact in (change.fact,)
    ]


def _add(made: Written, change: Change, known: Known | None, ids: Ids, own: str) -> str:
    """Note a fact that is to be stored; return its UUID. ``own`` is the slot nothing but its entry replaces."""
    fact = change.fact
    if change.seq is None or known is None:
        uuid = ids.of(fact.id)
        row = _fact_row(uuid, change, ids)
        made.created.append(row)
        if fact.invalid_at:
            made.updated.append({name: row[name] for name in _TIMES} | {"own": fact.slot == own})
    else:
        uuid = known.facts[change.seq].fact.id
        row = _fact_row(uuid, change, ids)
        # What it no longer states stays between the entities it was stated of.
        if fact.subject is not _NOTHING and known.edges[change.seq] != (row["name"], row["source"], row["target"]):
            made.moved.append(uuid)
            made.created.append(row)
        made.updated.append({name: row[name] for name in _TIMES} | {"own": fact.slot == own})
    if fact.slot != own:
        made.slots.add(plain(fact.slot))
    return uuid


_TIMES = ("uuid", "valid_at", "since", "stated_at", "withdrawn_at")


def _fact_row(uuid: str, change: Change, ids: Ids) -> dict[str, Any]:
    fact = change.fact
    return {
        "uuid": uuid,
        "source": ids.of(fact.subject.id),
        "target": ids.of(fact.object.id),
        "name": fact.relation.name,
        "fact": plain(fact.text),
        "slot": plain(fact.slot),
        "entry": ids.of(fact.entry_id),
        "valid_at": offset(fact.valid_at) or None,
        "since": offset(fact.valid_at),
        "stated_at": offset(change.stated_at),
        "withdrawn_at": offset(fact.invalid_at) or None,
    }


def offset(moment: str) -> str:
    """Return a moment of ``facts.model`` with its offset in digits, as Graphiti has it: Python 3.10 reads no ``Z``."""
    return f"{moment[:-1]}+00:00" if moment else ""


def plain(text: str) -> str:
    """Return a text without NUL, which FalkorDB's parser takes for the end; Graphiti leaves it out as well."""
    return text.replace("\0", "") if "\0" in text else text


def _description(payload: Payload) -> str:
    tags = f" ({', '.join(payload.tags)})" if payload.tags else ""
    return f"dm-memory {payload.content_type}{tags}"


_PLAIN_FIELDS = (
    *("key", "kind", "content_type", "source", "recorded_at", "created_at", "version", "updated_from"),
    *("priority", "expires_at", "state", "retired_at", "author"),
)


def payload_of(brand: str, content: str, content_hash: str, metadata_hash: str, details: str) -> Payload:
    """Return the payload of a stored entry.

    Raises:
        ValueError, KeyError, TypeError: Something else wrote its details.
    """
    values = orjson.loads(details)
    return Payload(
        id=storage_id(brand, values["key"]),
        brand=brand,
        content=content,
        content_hash=content_hash,
        metadata_hash=metadata_hash,
        tags=tuple(values["tags"]),
        facts=values["facts"],
        related=tuple(values["related"]),
        **{name: values[name] for name in _PLAIN_FIELDS if name in values},  # some are younger than the entry
    )
