"""The graph piece of one entry while it is put together: what every reader of entries adds facts to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from dm_memory.facts.model import (
    Entity,
    EntityType,
    Fact,
    GraphPiece,
    Relation,
    entry_slot,
    make_entity,
    make_fact,
    utc_moment,
)
from dm_memory.items import Payload

__all__ = ["Draft", "cut", "section_of", "statement_text", "text_of"]

_MAX_FACTS = 64
"""Facts one entry may state besides its own text; a file of hundreds of figures is a table, not a graph."""

_MAX_TEXT = 2000
_MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class _TagEntities:
    """What an entry's tags say it is about."""

    campaign: Entity | None
    competitors: tuple[Entity, ...]
    channels: tuple[Entity, ...]
    markets: tuple[Entity, ...]


@dataclass(slots=True)
class Draft:
    """Collects entities and facts of a payload.

    Attributes:
        brand: The brand's entity.
        subject: Whom the entry's statements are about: the brand, or one of its campaigns.
        tags: What its tags say it is about.
        moment: Since when what it states is valid: as its source dates it, else since memory met it.
    """

    payload: Payload
    brand: Entity
    subject: Entity
    tags: _TagEntities
    moment: str
    entities: dict[str, Entity] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)

    @classmethod
    def of(cls, payload: Payload, subject: Entity | None = None) -> Draft:
        """Return the empty draft of a payload; ``subject`` None stands for its brand."""
        brand = make_entity(payload.brand, EntityType.BRAND, payload.brand)
        moment = utc_moment(payload.recorded_at) or utc_moment(payload.created_at)
        return cls(payload, brand, subject or brand, _entities_of_tags(payload.brand, payload.tags), moment)

    def entity(self, kind: EntityType, name: str) -> Entity:
        """Return the brand's entity of that name."""
        return make_entity(self.payload.brand, kind, cut(name, _MAX_NAME))

    def state(self, relation: Relation, thing: Entity, subject: Entity | None = None) -> None:
        """Add the statement of the entry itself: its text."""
        entry = self.payload.id
        text = statement_text(self.payload.content)
        self._add(
            make_fact(
                entry, subject or self.subject, relation, thing, text, valid_at=self.moment, slot=entry_slot(entry)
            )
        )

    def add(  # in the order of Fact's own fields
        self, subject: Entity, relation: Relation, thing: Entity, text: str, slot: str, valid_at: str = ""
    ) -> None:
        """Add a fact that was read from the entry; ``slot`` is completed with subject and relation."""
        if len(self.facts) <= _MAX_FACTS:
            place = f"{subject.id}|{relation._value_}|{slot}"
            self._add(
                make_fact(self.payload.id, subject, relation, thing, text, valid_at=valid_at or self.moment, slot=place)
            )

    def mention(self, *entities: Entity) -> None:
        """Add entities the entry is about without a fact of their own."""
        for entity in entities:
            self.entities[entity.id] = entity

    def piece(self) -> GraphPiece:
        """Return everything that was collected; of two facts with one id the first."""
        facts = self.facts
        if len(facts) > 1:
            facts = list({fact.id: fact for fact in reversed(facts)}.values())[::-1]
        return GraphPiece(tuple(self.entities.values()), tuple(facts))

    def _add(self, fact: Fact) -> None:
        self.entities[fact.subject.id] = fact.subject
        self.entities[fact.object.id] = fact.object
        self.facts.append(fact)


def text_of(payload: Payload, name: str) -> str:
    """Return a text in an entry's metadata, or ""."""
    value = payload.facts.get(name)
    return value.strip() if isinstance(value, str) else ""


def section_of(key: str) -> str:
    """Return the section of a campaign's file that an entry's key names, without its place in a list.

    ``campaign/x#retrospective/what_worked/3f2a90c41b7d`` -> ``retrospective/what_worked``; 0.2 numbered the places.
    """
    return _PLACE.sub("", key.partition("#")[2])


_PLACE = re.compile(r"/(?:\d+|[0-9a-f]{12})(?:~\d+)?\Z")


def statement_text(content: str) -> str:
    """Return the text by which an entry states itself."""
    return cut(content.strip(), _MAX_TEXT)


def cut(text: str, length: int) -> str:
    """Return ``text``, cut at a word if it is longer than ``length``."""
    if len(text) <= length:
        return text
    head = text[:length]
    return (head.rpartition(" ")[0] or head).rstrip()


@lru_cache(maxsize=1024)  # the entries of a campaign have the same tags
def _entities_of_tags(brand: str, tags: tuple[str, ...]) -> _TagEntities:
    """Return the entities in tags of the form ``dimension:value``."""
    found: dict[EntityType, list[Entity]] = {}
    for tag in tags:
        entity = _entity_of_tag(brand, tag)
        if entity is not None:
            found.setdefault(entity.type, []).append(entity)
    get = found.get
    campaigns = get(EntityType.CAMPAIGN, ())
    return _TagEntities(
        # One campaign is what the entry is about; several are a list of tags somebody gave.
        campaigns[0] if len(campaigns) == 1 else None,
        tuple(get(EntityType.COMPETITOR, ())),
        tuple(get(EntityType.CHANNEL, ())),
        tuple(get(EntityType.MARKET, ())),
    )


_DIMENSIONS = {
    kind.value: kind for kind in (EntityType.CAMPAIGN, EntityType.COMPETITOR, EntityType.CHANNEL, EntityType.MARKET)
}


@lru_cache(maxsize=4096)
def _entity_of_tag(brand: str, tag: str) -> Entity | None:
    """Return the entity in a tag. Tags are in lower case; names of competitors and markets get their capitals back."""
    dimension, _, value = tag.partition(":")
    kind = _DIMENSIONS.get(dimension)
    if kind is None or not value:
        return None
    if kind is EntityType.CAMPAIGN:
        return make_entity(brand, kind, value, value)
    name = value.replace("-", " ")
    return make_entity(brand, kind, name if kind is EntityType.CHANNEL else name.title())
