"""The model of the knowledge graph: entities, facts that are valid from one moment to another, and how they change.

The store and the connected databases write the same values. Ids are UUIDs (version 5, RFC 9562) of names, so that every
machine of a team gives the same thing the same id and writing again changes nothing.

A fact belongs to a slot: what has one value at a time. A later fact of a slot ends the earlier one's validity
(``invalid_at``), it never overwrites it; facts of different slots are valid side by side. ``changes``, a pure function,
compares what an entry states with what it stated before. The order of a slot is a function of all its facts, whatever
the order in which they came: by ``valid_at``, then by id, each ends when the next one begins; one that ended before its
successor begins keeps its own end; one that was taken back when it began was never valid, and ends no other. The store
and the graph databases each apply that rule where the facts are; ``tests/facts/succession.py`` has it in plain Python,
and both are compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from unicodedata import normalize

from dm_memory.items import storage_id

__all__ = [
    "BEGINNING",
    "Change",
    "Entity",
    "EntityType",
    "Fact",
    "GraphPiece",
    "Relation",
    "Standing",
    "changes",
    "entity_id",
    "entry_slot",
    "make_entity",
    "make_fact",
    "normal_name",
    "since_when",
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
    """An edge: one statement, and how long it was valid.

    Attributes:
        id: UUID of brand, slot, entry and text; the same for every machine.
        text: The statement, to be read and searched alone.
        valid_at: Since when, ISO-8601 UTC with milliseconds; "" if nothing dates it.
        invalid_at: Until when, exclusive; "" while it is valid.
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
    """Return a fact that is valid from ``valid_at`` on."""
    fact_id = storage_id(subject.brand, f"fact/{slot}/{entry_id}/{text}")
    return Fact(fact_id, subject.brand, subject, relation, thing, text, valid_at, entry_id, slot)


def entry_slot(entry_id: str) -> str:
    """Return the slot of what an entry states of its own, which only a newer version of the entry replaces."""
    return f"entry:{entry_id}"


# Validity ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """A stored fact of the entry.

    Attributes:
        fact: With ``invalid_at`` only if the entry ceased to state it.
        stated_at: Since when the entry states it to be valid; ``fact.valid_at`` is later if a change of the entry
            began it.
    """

    seq: int
    fact: Fact
    stated_at: str


@dataclass(frozen=True, slots=True)
class Change:
    """A fact as it is to be stored: in the place of row ``seq``, or as a new row if that is None."""

    seq: int | None
    fact: Fact
    stated_at: str


def since_when(moment: str, before: str | None, now: str, *, is_news: bool) -> str:
    """Return when a change of an entry took effect: at its own date, or now.

    Args:
        moment: The date of the new version, or "".
        before: The date of the version before; None for an entry that was not stored whole, or not at all.
        now: The present moment.
        is_news: The entry is of a kind that is edited in place (``is_living``), and its text changed: unless it was
            given a later date, what it states is valid from now on.
    """
    if before is None:
        return moment
    return max(moment, now) if not moment or (is_news and moment <= before) else moment


def changes(
    facts: Sequence[Fact], standing: Sequence[Standing], since: str, moment: str, *, again: bool = False
) -> list[Change]:
    """Return what to store so that an entry states ``facts`` from now on.

    What it still states keeps its validity; a date that was corrected is. What it no longer states ends at ``since``.
    What is new begins there, unless the entry gives it a date of its own, and never before what was stated in its slot
    has ended. What had ended and is stated again continues if it ended just then, else it is another fact.

    Args:
        facts: What the new version states.
        standing: What is stored of the entry, ended facts as well.
        since: When the change took effect.
        moment: The date of the new version.
        again: The entry was retired and is current again: nothing it states is valid before ``since``.
    """
    known = {_statement(stood.fact): stood for stood in standing if not stood.fact.invalid_at}
    stated = {_statement(fact) for fact in facts}
    ending = [
        replace(stood, fact=replace(stood.fact, invalid_at=max(since, stood.fact.valid_at)))
        for statement, stood in known.items()
        if statement not in stated
    ]
    before = [stood for stood in standing if stood.fact.invalid_at] + ending
    made = [Change(stood.seq, stood.fact, stood.stated_at) for stood in ending]
    for fact in facts:
        stood = known.get(_statement(fact))
        if stood is None:
            start = since if fact.valid_at == moment else max(fact.valid_at, since) if again else fact.valid_at
            made.append(_begun(fact, before, start))
        else:
            made.append(_kept(fact, stood, before))
    return made


def _statement(fact: Fact) -> tuple[str, str]:
    return fact.slot, fact.text


def _kept(fact: Fact, stood: Standing, before: Iterable[Standing]) -> Change:
    start = stood.fact.valid_at
    if fact.valid_at != stood.stated_at and start == stood.stated_at:
        start = max(fact.valid_at, _last_end(fact, before))
    return Change(stood.seq, replace(fact, id=stood.fact.id, valid_at=start), fact.valid_at)


def _begun(fact: Fact, before: Sequence[Standing], since: str) -> Change:
    start = max(since, _last_end(fact, before))
    same = [stood for stood in before if _statement(stood.fact) == _statement(fact)]
    for stood in same:
        if start in {stood.fact.invalid_at, stood.fact.valid_at}:
            return Change(stood.seq, replace(fact, id=stood.fact.id, valid_at=stood.fact.valid_at), stood.stated_at)
    # The same statement, another edge.
    another = storage_id(fact.brand, f"fact/{fact.id}/{start}") if same else fact.id
    return Change(None, replace(fact, id=another, valid_at=start), fact.valid_at)


def _last_end(fact: Fact, before: Iterable[Standing]) -> str:
    """Return when the last fact that the entry stated in this slot ended; those taken back were never valid."""
    ends = (
        stood.fact.invalid_at
        for stood in before
        if stood.fact.slot == fact.slot and stood.fact.valid_at < stood.fact.invalid_at
    )
    return max(ends, default="")


@lru_cache(maxsize=4096)
def utc_moment(text: str) -> str:
    """Return an ISO-8601 moment in UTC with milliseconds; naive means local time, a day its beginning; else ""."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # the latter two: a day too near the calendar's ends to be moved
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
