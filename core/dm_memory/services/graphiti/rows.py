"""Entries as rows of the connected graph, and back. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dm_memory.facts.changes import Change, Standing, changes
from dm_memory.facts.extract import facts_of, is_living
from dm_memory.facts.model import Entity, EntityType, Fact, Relation, entry_slot, utc_moment
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
        moment: Since when what that version states holds.
        facts: All it ever stated, ``invalid_at`` where it ceased to; ids are the group's.
        edges: Name and ends of the facts, in the same order.
    """

    content_hash: str
    moment: str
    facts: list[Standing] = field(default_factory=list)
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, uuid: str, slot: str, text: str, times: Sequence[str], edge: tuple[str, str, str]) -> None:
        """Add a fact; ``times`` are since when it holds, since when the entry says it does, and until when it said so.

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
        moved: UUIDs of facts that are created anew between other entities.
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
        TypeError, UnicodeEncodeError: It holds something no database stores: half a character pair, a number of more
            than 64 bits.
    """
    details = _details(payload)
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
    row["facts"] = [
        _add(made, change, known, ids, own)
        for change in changes(piece.facts, standing, _since(payload, known, moment, now), moment)
    ]
    row["fact_count"] = len({*row["facts"], *(stood.fact.id for stood in standing)})
    return made


def _since(payload: Payload, known: Known | None, moment: str, now: str) -> str:
    """Return when a change took effect: at its date, or now where the entry is edited in place under an old date."""
    if known is None or not known.content_hash:
        return moment
    is_news = is_living(payload) and moment <= known.moment and payload.content_hash != known.content_hash
    return max(moment, now) if is_news or not moment else moment


def _add(made: Written, change: Change, known: Known | None, ids: Ids, own: str) -> str:
    """Note a fact that is to be stored; return its UUID. ``own`` is the slot nothing but its entry replaces."""
    fact = change.fact
    if change.seq is None or known is None:
        uuid = ids.of(fact.id)
        made.created.append(_fact_row(uuid, change, ids))
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
    """Return a moment of ``graph_facts`` with its offset in digits, as Graphiti has it: Python 3.10 reads no ``Z``."""
    return f"{moment[:-1]}+00:00" if moment else ""


def plain(text: str) -> str:
    """Return a text without NUL, which FalkorDB's parser takes for the end; Graphiti leaves it out as well."""
    return text.replace("\0", "") if "\0" in text else text


def _description(payload: Payload) -> str:
    tags = f" ({', '.join(payload.tags)})" if payload.tags else ""
    return f"dm-memory {payload.content_type}{tags}"


_PLAIN_FIELDS = (
    *("key", "kind", "content_type", "source", "recorded_at", "created_at", "version", "updated_from"),
    *("priority", "expires_at"),
)


def _details(payload: Payload) -> str:
    """Return everything else a payload holds, as JSON."""
    values: dict[str, Any] = {name: getattr(payload, name) for name in _PLAIN_FIELDS}
    values |= {"tags": payload.tags, "facts": dict(payload.facts), "related": payload.related}
    return orjson.dumps(values).decode()


def payload_of(brand: str, content: str, content_hash: str, metadata_hash: str, details: str) -> Payload:
    """Return the payload of an entry that is held.

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
        **{name: values[name] for name in _PLAIN_FIELDS},
    )
