"""The model of the knowledge graph: entities, and facts that hold from one moment to another.

The embedded store and the connected databases write the same values. Ids are UUIDs (version 5, RFC 9562) of names, so
that every machine of a team gives the same thing the same id and writing again changes nothing.

A fact belongs to a slot: what has one value at a time. A later fact of a slot ends the earlier one's validity
(``invalid_at``), it never overwrites it; facts of different slots hold side by side. The validity of the facts that an
entry states is thus a function of all facts of their slots, whatever the order in which they came: see ``succession``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from unicodedata import normalize

from dm_memory.items import storage_id

__all__ = [
    "BEGINNING",
    "Entity",
    "EntityType",
    "Fact",
    "GraphPiece",
    "Relation",
    "entity_id",
    "entry_slot",
    "make_entity",
    "make_fact",
    "normal_name",
    "restarted",
    "succession",
    "utc_moment",
]

BEGINNING = "0001-01-01T00:00:00.000Z"
"""Before every moment: when an undated fact ended that another undated one replaced."""


class EntityType(StrEnum):
    """What a fact can be about."""

    BRAND = "brand"
    CAMPAIGN = "campaign"
    CHANNEL = "channel"
    AUDIENCE = "audience"
    COMPETITOR = "competitor"
    MARKET = "market"
    METRIC = "metric"
    TOPIC = "topic"
    """A guideline's section, a kind of learning, a product or a message: what none of the others is."""


class Relation(StrEnum):
    """How a fact's subject relates to its object."""

    TARGETED = "targeted"
    """Campaign -> audience, market, or metric with its target."""
    USED = "used"
    """Campaign -> channel."""
    ACHIEVED = "achieved"
    """Campaign or brand -> metric with its value."""
    DECIDED = "decided"
    """Campaign or brand -> what the decision is about; a guideline is a brand's decision."""
    OUTPERFORMED = "outperformed"
    """Channel -> channel, by a figure of one campaign."""
    REPLACED = "replaced"
    """What came -> what went."""
    LEARNED = "learned"
    """Campaign or brand -> what the learning is about. Most of what a team remembers is neither figure nor decision."""
    RAN = "ran"
    """Brand -> campaign, with its status. It ties the campaigns to their brand, and has one value at a time."""
    RELATED = "related"
    """What somebody stated in words that are none of these; the words stand in the fact's text."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A node.

    Attributes:
        id: UUID of brand, type and ``normal_name`` of its name; of a campaign's id instead of its name.
        name: As people write it.
    """

    id: str
    brand: str
    type: EntityType
    name: str


@dataclass(frozen=True, slots=True)
class Fact:
    """An edge: one statement, and how long it held.

    Attributes:
        id: UUID of brand, slot, entry and text; the same for every machine.
        text: The statement, to be read and searched alone.
        valid_at: Since when, ISO-8601 UTC with milliseconds; "" where nothing dates it.
        invalid_at: Until when, exclusive; "" while it holds.
        entry_id: ``Payload.id`` of the entry it was read from.
        slot: What a later fact replaces. ``entry:{entry_id}`` for what only a newer version of the entry replaces.
    """

    id: str
    brand: str
    subject: Entity
    relation: Relation
    object: Entity
    text: str
    valid_at: str
    entry_id: str
    slot: str
    invalid_at: str = ""


@dataclass(frozen=True, slots=True)
class GraphPiece:
    """What one entry adds to the graph.

    Attributes:
        entities: Every entity the entry is about; more than the ends of its facts.
        facts: At least one. The first states the entry's own text; a prepared graph's are its text, each a sentence.
    """

    entities: tuple[Entity, ...]
    facts: tuple[Fact, ...]


@lru_cache(maxsize=16384)
def normal_name(name: str) -> str:
    """Return what two names must share to be one: NFKC, case folded; hyphens, underscores, white space are one gap."""
    folded = normalize("NFKC", normalize("NFKC", name).casefold())
    return " ".join(folded.replace("-", " ").replace("_", " ").split())


def entity_id(brand: str, kind: EntityType, name: str) -> str:
    """Return the id of the entity that goes by ``name``; a campaign goes by its id."""
    return storage_id(brand, f"entity/{kind._value_}/{normal_name(name)}")


@lru_cache(maxsize=16384)
def make_entity(brand: str, kind: EntityType, name: str, key: str = "") -> Entity:
    """Return an entity. ``key`` identifies it instead of its name: campaigns are known by their ids."""
    return Entity(entity_id(brand, kind, key or name), brand, kind, name)


def make_fact(
    entry_id: str, subject: Entity, relation: Relation, thing: Entity, text: str, *, valid_at: str, slot: str
) -> Fact:
    """Return a fact that holds from ``valid_at`` on."""
    fact_id = storage_id(subject.brand, f"fact/{slot}/{entry_id}/{text}")
    return Fact(fact_id, subject.brand, subject, relation, thing, text, valid_at, entry_id, slot)


def entry_slot(entry_id: str) -> str:
    """Return the slot of what an entry states of its own, which only a newer version of the entry replaces."""
    return f"entry:{entry_id}"


def restarted(fact: Fact, moment: str) -> Fact:
    """Return a fact that had ended and is stated again: the same statement, another edge, from ``moment`` on."""
    return replace(fact, id=storage_id(fact.brand, f"fact/{fact.id}/{moment}"), valid_at=moment, invalid_at="")


def succession(facts: Iterable[Fact]) -> list[Fact]:
    """Return the facts of one slot in the order in which they held, each ended where the next one begins.

    A pure function of the set: the order given does not count. Facts of one moment are ordered by id, and all but the
    last of them held for no time. A fact that ended before its successor begins keeps its own end; one that was taken
    back (it ends where it begins) ends no other.

    Args:
        facts: With ``invalid_at`` only where their entry ceased to state them.
    """
    ordered = sorted(facts, key=lambda fact: (fact.valid_at, fact.id))
    held = [fact for fact in ordered if not fact.invalid_at or fact.valid_at < fact.invalid_at]
    ends = {
        fact.id: min(end for end in (fact.invalid_at, later.valid_at or BEGINNING) if end)
        for fact, later in pairwise(held)
    }
    return [replace(fact, invalid_at=ends[fact.id]) if fact.id in ends else fact for fact in ordered]


@lru_cache(maxsize=4096)
def utc_moment(text: str) -> str:
    """Return an ISO-8601 moment in UTC with milliseconds; naive means local time, a day its beginning; else ""."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # the latter two: a day too near the calendar's ends to be moved
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
