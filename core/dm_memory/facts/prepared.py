"""Graph statements that somebody prepared: ``memory/pending/graph-*.json``, as the plugin's ``prepare-graph`` writes.

    {"brand", "entity", "entity_type", "relationships": [{"target", "relation_type", "temporal_context"}], "created_at"}

Such a file becomes an item like any other: guarded, hashed, recorded and delivered to every service. Its text says in
words what its metadata says in fields, from which ``read_graph_entry`` makes the facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import orjson

from dm_memory.facts.draft import Draft, cut, text_of
from dm_memory.facts.model import Entity, EntityType, GraphPiece, Relation, utc_moment
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Item, Kind, Payload, Source, Value

__all__ = ["ParsedGraph", "graph_payload", "is_graph_entry", "read_graph_entry"]

_ENTITY, _TYPE, _RELATIONS = "graph_entity", "graph_entity_type", "graph_relations"
_MAX_NAME = 120
_MAX_CONTEXT = 200
_MAX_RELATIONS = 50

_TYPES = {kind.value: kind for kind in EntityType} | {"message": EntityType.TOPIC, "product": EntityType.TOPIC}

_WORDS = {
    Relation.TARGETED: ("target", "targets", "targeted", "targeting", "aimed at", "addresses", "addressed"),
    Relation.USED: ("use", "uses", "used", "uses channel", "used channel", "ran on", "runs on", "active on"),
    Relation.ACHIEVED: ("achieve", "achieves", "achieved", "reached", "measured by"),
    Relation.DECIDED: ("decide", "decides", "decided", "chose", "decided on"),
    Relation.OUTPERFORMED: ("outperform", "outperforms", "outperformed", "beat", "beats"),
    Relation.REPLACED: ("replace", "replaces", "replaced", "supersedes", "superseded", "succeeded"),
    Relation.LEARNED: ("learned", "learnt", "learned about"),
    Relation.RAN: ("run", "runs", "ran", "launched", "has campaign"),
}
_RELATION_OF = {word: relation for relation, words in _WORDS.items() for word in words}

_TARGET_TYPE = {
    Relation.TARGETED: EntityType.AUDIENCE,
    Relation.USED: EntityType.CHANNEL,
    Relation.ACHIEVED: EntityType.METRIC,
    Relation.RAN: EntityType.CAMPAIGN,
}
_TYPE_WORDS = {
    "competes with": EntityType.COMPETITOR,
    "competitor": EntityType.COMPETITOR,
    "sold in": EntityType.MARKET,
}
_SAME_TYPE = frozenset({Relation.OUTPERFORMED, Relation.REPLACED})

_DAY = re.compile(r"(?<!\d)(\d{4}-\d{2}(?:-\d{2})?)(?!\d)")
_BROKEN = "Correct it, or prepare it again with memory-manager.py."


@dataclass(frozen=True, slots=True)
class ParsedGraph:
    """What a graph file contains: an item (None if nothing in it can be used), and what a person should know."""

    item: Item | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Statement:
    relation: str
    target: str
    context: str


def graph_payload(name: str, data: object) -> ParsedGraph:
    """Return the item of the parsed JSON of ``memory/pending/{name}``. Never raises: what is wrong is a finding.

    The item's key is ``prepared/`` and the file's stem, which is ``prepared_hash`` as well.
    """
    path = f"memory/pending/{name}"
    if not isinstance(data, dict) or not (entity := _text(data.get("entity"), _MAX_NAME)):
        return ParsedGraph(None, (_finding(path, "is not a graph payload: an object with an entity is expected"),))
    statements, findings = _statements(data.get("relationships"), path)
    if not statements:
        return ParsedGraph(None, (*findings, _finding(path, "states no relationship and was left out")))
    kind = _text(data.get("entity_type"), _MAX_NAME)
    if kind.casefold() not in _TYPES:
        findings.append(_finding(path, f"has the unknown entity type {kind!r}; it is treated as a topic"))
    facts: dict[str, Value] = {
        _ENTITY: entity,
        _TYPE: kind,
        _RELATIONS: [orjson.dumps([s.relation, s.target, s.context]).decode() for s in statements],
    }
    return ParsedGraph(_item(path, _text(data.get("created_at"), _MAX_NAME), facts), tuple(findings))


def is_graph_entry(payload: Payload) -> bool:
    """Return whether an entry is one of ``graph_payload``'s."""
    return _RELATIONS in payload.facts


def read_graph_entry(payload: Payload) -> GraphPiece:
    """Return the facts that were prepared, each in a slot of its own: side by side unless one is stated again."""
    draft = Draft.of(payload)
    kind = _TYPES.get(text_of(payload, _TYPE).casefold(), EntityType.TOPIC)
    subject = _entity(draft, kind, text_of(payload, _ENTITY) or payload.key)
    draft.subject = subject
    draft.mention(subject)
    for statement in _kept(payload.facts.get(_RELATIONS)):
        relation = _RELATION_OF.get(_words(statement.relation), Relation.RELATED)
        thing = _entity(draft, _type_of_target(relation, kind, statement.relation), statement.target)
        text = _sentence(subject.name, statement)
        draft.add(subject, relation, thing, text, thing.id, _moment(statement.context))
    if not draft.facts:
        draft.state(Relation.RELATED, draft.brand)
    return draft.piece()


def _item(path: str, created_at: str, facts: dict[str, Value]) -> Item:
    stem = PurePosixPath(path).stem
    return Item(
        key=f"prepared/{stem}",
        content="\n".join(_sentence(str(facts[_ENTITY]), statement) for statement in _kept(facts[_RELATIONS])),
        kind=Kind.PREPARED,
        content_type=ContentType.BRAND_ASSET,
        recorded_at=created_at,
        facts=facts,
        origin=path,
        source=Source.SESSION,
        created_at=created_at,
        prepared_hash=stem,
    )


def _statements(value: object, path: str) -> tuple[list[_Statement], list[Finding]]:
    if not isinstance(value, list):
        return [], []
    statements, findings = [], []
    for number, entry in enumerate(value[:_MAX_RELATIONS], 1):
        target = _text(entry.get("target"), _MAX_NAME) if isinstance(entry, dict) else ""
        if not isinstance(entry, dict) or not target:
            findings.append(_finding(path, f"has no target in relationship {number}, which was left out"))
            continue
        relation = _text(entry.get("relation_type"), _MAX_NAME) or "related to"
        statements.append(_Statement(relation, target, _text(entry.get("temporal_context"), _MAX_CONTEXT)))
    if len(value) > _MAX_RELATIONS:
        findings.append(_finding(path, f"states {len(value)} relationships; {_MAX_RELATIONS} were taken"))
    return statements, findings


def _kept(value: Value | None) -> Iterator[_Statement]:
    """Yield the statements in an entry's metadata; what the guard masked beyond reading is left out."""
    for text in value if isinstance(value, list) else ():
        try:
            relation, target, context = orjson.loads(text)
        except (ValueError, TypeError):
            continue
        yield _Statement(str(relation), str(target), str(context))


def _sentence(subject: str, statement: _Statement) -> str:
    context = f" ({statement.context})" if statement.context else ""
    return f"{subject} {_words(statement.relation)} {statement.target}{context}."


def _entity(draft: Draft, kind: EntityType, name: str) -> Entity:
    """Return an entity; a brand that goes by whatever name in a brand's own memory is that brand."""
    return draft.brand if kind is EntityType.BRAND else draft.entity(kind, name)


def _type_of_target(relation: Relation, kind: EntityType, words: str) -> EntityType:
    """Return what a relation's target must be; the file does not say."""
    if relation in _SAME_TYPE:
        return kind
    return _TARGET_TYPE.get(relation) or _TYPE_WORDS.get(_words(words), EntityType.TOPIC)


def _moment(context: str) -> str:
    """Return the first date a temporal context names, or "": the entry's own moment then counts."""
    match = _DAY.search(context)
    return "" if match is None else utc_moment(match[1] if match[1].count("-") > 1 else f"{match[1]}-01")


def _words(relation: str) -> str:
    return " ".join(relation.casefold().replace("_", " ").replace("-", " ").split())


def _text(value: object, length: int) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
    return cut(text, length)


def _finding(path: str, what: str) -> Finding:
    return Finding("malformed-entry", Severity.WARNING, f"{path} {what}.", _BROKEN, path)
