"""From an entry to its piece of the graph: deterministic, without a model, from what the entry says plainly.

Every entry states its own text (campaign or brand -> learned, decided or achieved -> what it is about), so that nothing
that is remembered is missing from the graph. Figures, channels, audiences, targets and what outperformed what become
facts of their own if the entry's metadata or its layout names them; see ``campaigns``. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.facts.campaigns import metrics_named, read_campaign, read_performance
from dm_memory.facts.draft import Draft, text_of
from dm_memory.facts.model import Entity, EntityType, GraphPiece, Relation
from dm_memory.facts.prepared import is_graph_entry, read_graph_entry
from dm_memory.items import ContentType, Kind, Payload

__all__ = ["EXTRACTION_VERSION", "facts_of", "is_living"]

EXTRACTION_VERSION = 1
"""Changes when the same entry would give other facts."""

_DECISIONS = frozenset({"strategy_adjustment"})
_FIGURES = frozenset({ContentType.PERFORMANCE_INSIGHT.value})


def facts_of(payload: Payload) -> GraphPiece:
    """Return the entities and facts of an entry; the first fact states its text. Pure, and never raises."""
    match payload.kind:
        case Kind.CAMPAIGN:
            return read_campaign(payload)
        case Kind.PERFORMANCE:
            return read_performance(payload)
        case Kind.GUIDELINE:
            return _read_guideline(payload)
        case Kind.PREPARED if is_graph_entry(payload):
            return read_graph_entry(payload)
        case _:
            return _read_learning(payload)


_LIVING = frozenset({Kind.CAMPAIGN.value, Kind.GUIDELINE.value})
_LIVING_SOURCES = {"competitors": EntityType.COMPETITOR, "audiences": EntityType.AUDIENCE}
"""Files about things that go on, by ``insight_source``, and what each of their entries is about."""


def is_living(payload: Payload) -> bool:
    """Return whether a changed entry means that things changed, rather than that a record of them was corrected.

    Campaign files, guidelines, and files about competitors and audiences are edited as things go on, and keep the date
    on which they were begun: what a new version states is valid from the moment it is met. An insight or a snapshot
    says how things were at its date.
    """
    return payload.kind in _LIVING or payload.facts.get("insight_source") in _LIVING_SOURCES


def _read_guideline(payload: Payload) -> GraphPiece:
    """A guideline is what the brand decided on the topic of its section."""
    draft = Draft.of(payload)
    topic = text_of(payload, "section") or text_of(payload, "name") or Kind.GUIDELINE.value
    draft.state(Relation.DECIDED, draft.entity(EntityType.TOPIC, topic))
    draft.mention(*draft.tags.channels, *draft.tags.competitors)
    return draft.piece()


def _read_learning(payload: Payload) -> GraphPiece:
    """An insight, a session learning or a prepared text: one statement, about the most specific thing it names."""
    draft = Draft.of(payload)
    tags = draft.tags
    if tags.campaign is not None:
        draft.subject = tags.campaign
    folded = payload.content.casefold()
    metrics = [draft.entity(EntityType.METRIC, name) for name in metrics_named(folded)]
    insight_type = text_of(payload, "insight_type")
    if _state_comparison(draft, folded):
        draft.mention(draft.subject)
    else:
        relation = Relation.ACHIEVED if metrics and payload.content_type in _FIGURES else Relation.LEARNED
        if insight_type in _DECISIONS or payload.content_type == ContentType.GUIDELINE:
            relation = Relation.DECIDED
        topic = (insight_type or payload.content_type).replace("_", " ").replace("-", " ")
        draft.state(relation, _about(draft, folded, metrics, relation) or draft.entity(EntityType.TOPIC, topic))
    draft.mention(*tags.competitors, *metrics, *tags.channels, *tags.markets)
    return draft.piece()


def _state_comparison(draft: Draft, folded: str) -> bool:
    """State that one channel outperformed the other if a text says so of just two, one on each side of the word."""
    before, word, after = folded.partition(" outperformed ")
    if not word:
        return False
    winners = [channel for channel in draft.tags.channels if channel.name in before]
    losers = [channel for channel in draft.tags.channels if channel.name in after.partition(".")[0]]
    if len(winners) != 1 or len(losers) != 1 or winners == losers:
        return False
    draft.state(Relation.OUTPERFORMED, losers[0], winners[0])
    return True


def _about(draft: Draft, folded: str, metrics: Sequence[Entity], relation: Relation) -> Entity | None:
    """Return what a statement is about: what its source says, else the most specific of what it names."""
    if kind := _LIVING_SOURCES.get(text_of(draft.payload, "insight_source")):
        name = text_of(draft.payload, "name").removeprefix("Audience ")
        return draft.entity(kind, name.partition(" (")[0]) if name else None
    if relation is Relation.ACHIEVED:
        return metrics[0]
    for named in (draft.tags.competitors, draft.tags.channels, metrics):
        if named:
            return named[0]
    # A brand with one market has its tag on everything; it is the subject only of texts that name it.
    return next((market for market in draft.tags.markets if market.name.casefold() in folded), None)
