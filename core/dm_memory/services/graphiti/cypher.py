"""The statements of the connected graph, in Cypher that FalkorDB and Neo4j both run.

The layout is Graphiti's (core 0.31): ``Episodic`` nodes are the entries, ``Entity`` nodes what they are about,
``RELATES_TO`` edges the facts, ``MENTIONS`` edges tie an entry to its entities. Its readers name the columns they read,
so the properties that are ours (hashes, state, slot, since, stated_at, withdrawn_at) do not disturb them. No embeddings
are written: one of another dimension breaks every search in the group, and Graphiti's own queries pass over a missing
one.

Moments are ISO-8601 texts in UTC with milliseconds, in parameters and in our own properties. ``moment(x)`` makes of one
what Graphiti stores: a text in FalkorDB, a date and time in Neo4j; the adapters put the right function there.

Facts are created if their id is missing instead of merged between their ends: most facts of a brand join a few
nodes, and merging compares with every edge that is there already (measured in docs/decisions/0020-graphiti.md).
"""

from __future__ import annotations

__all__ = [
    "COUNT",
    "CREATE_FACTS",
    "DELETE_ENTRIES",
    "DELETE_FACTS",
    "DELETE_ORPHANS",
    "FINISH_ENTRIES",
    "HASHES",
    "KNOWN",
    "MARK_ENTRIES",
    "MENTION",
    "MENTIONED",
    "PAGE",
    "STATED",
    "SUCCEED",
    "UNMENTION",
    "UPDATE_FACTS",
    "merge_entities",
]

_OURS = "n.group_id = $group AND n.brand = $brand AND n.content_hash <> ''"
"""Entries of this brand that were stored whole; a mark without hashes is the trace of a write that was cut off."""

_END = """SET e.invalid_at = moment(ends),
  e.expired_at = CASE WHEN ends IS NULL THEN null ELSE coalesce(e.expired_at, moment($now)) END"""

MARK_ENTRIES = """
UNWIND $entries AS row
MERGE (n:Episodic {uuid: row.uuid})
ON CREATE SET n.group_id = $group, n.brand = $brand, n.name = row.name, n.source = 'text', n.content = '',
  n.source_description = row.source_description,
  n.created_at = moment(row.created_at), n.valid_at = moment(row.valid_at),
  n.content_hash = '', n.metadata_hash = '', n.since = '', n.entity_edges = row.facts
ON MATCH SET n.entity_edges = n.entity_edges + [fact IN row.facts WHERE NOT fact IN n.entity_edges]
"""
"""First of a write: which facts each entry is about to state, so that a write that was cut off can be resumed."""


def merge_entities(label: str) -> str:
    """Return the statement that makes entities of a type. What Graphiti or a person made of them since then stays."""
    return f"""
UNWIND $entities AS row
MERGE (n:Entity {{uuid: row.uuid}})
ON CREATE SET n:{label}, n.name = row.name, n.group_id = $group, n.created_at = moment($now), n.summary = '',
  n.labels = ['Entity', '{label}']
"""


CREATE_FACTS = """
UNWIND $facts AS row
OPTIONAL MATCH ()-[old:RELATES_TO {uuid: row.uuid}]->()
WITH row, old WHERE old IS NULL
MATCH (s:Entity {uuid: row.source})
MATCH (t:Entity {uuid: row.target})
CREATE (s)-[e:RELATES_TO {uuid: row.uuid}]->(t)
SET e.name = row.name, e.fact = row.fact, e.group_id = $group, e.source_node_uuid = row.source,
  e.target_node_uuid = row.target, e.created_at = moment($now), e.valid_at = moment(row.valid_at),
  e.episodes = [row.entry], e.slot = row.slot, e.since = row.since, e.stated_at = row.stated_at,
  e.withdrawn_at = row.withdrawn_at
"""

UPDATE_FACTS = f"""
UNWIND $facts AS row
MATCH ()-[e:RELATES_TO {{uuid: row.uuid}}]->()
SET e.valid_at = moment(row.valid_at), e.since = row.since, e.stated_at = row.stated_at,
  e.withdrawn_at = row.withdrawn_at
WITH e, row WHERE row.own
WITH e, row.withdrawn_at AS ends
{_END}
"""
"""A fact in a slot of its entry's own ends when the entry ceases to state it; the others' ends are SUCCEED's."""

SUCCEED = f"""
UNWIND $slots AS slot
MATCH ()-[e:RELATES_TO {{slot: slot}}]->()
WHERE e.group_id = $group AND NOT e.uuid IN $gone
WITH slot, e, e.withdrawn_at IS NOT NULL AND e.withdrawn_at <= e.since AS never
ORDER BY never, e.since, e.uuid
WITH slot, collect(e) AS line, collect(never) AS nevers
UNWIND range(0, size(line) - 1) AS i
WITH line[i] AS e, nevers[i] AS never, line[i + 1] AS later, nevers[i + 1] AS ended
WITH e, CASE WHEN never OR later IS NULL OR ended THEN null WHEN later.since = '' THEN $beginning ELSE later.since END
  AS replaced
WITH e, CASE WHEN replaced IS NULL OR e.withdrawn_at < replaced THEN e.withdrawn_at ELSE replaced END AS ends
{_END}
"""
"""Give every fact of some slots its end, by the rule in ``facts.model``, in the database.

There, because it is a function of all facts of a slot, whoever wrote them and when: two machines that write at once
come to the same. A fact that was withdrawn when it began was never valid, and ends no other. ``$gone`` are facts about
to be deleted: their slots are in order before they go, so that a deletion that was cut off can be resumed.
"""

MENTION = """
UNWIND $mentions AS row
MATCH (n:Episodic {uuid: row.entry})
MATCH (t:Entity {uuid: row.entity})
MERGE (n)-[m:MENTIONS {uuid: row.uuid}]->(t)
ON CREATE SET m.group_id = $group, m.created_at = moment($now)
"""

UNMENTION = """
UNWIND $entries AS row
MATCH (n:Episodic {uuid: row.uuid})-[m:MENTIONS]->(t:Entity)
WHERE NOT t.uuid IN row.entities
DELETE m
"""

FINISH_ENTRIES = """
UNWIND $entries AS row
MATCH (n:Episodic {uuid: row.uuid})
SET n.name = row.name, n.content = row.content, n.source_description = row.source_description,
  n.valid_at = moment(row.valid_at), n.since = row.since, n.content_hash = row.content_hash,
  n.metadata_hash = row.metadata_hash, n.details = row.details, n.fact_count = row.fact_count, n.state = row.state
"""
"""Last of a write: only now the entry counts as stored, so that ``fetch`` never returns one whose facts are missing."""

HASHES = f"""
UNWIND $ids AS id
MATCH (n:Episodic {{uuid: id}})
WHERE {_OURS} AND coalesce(n.details, '') <> ''
UNWIND coalesce(n.entity_edges, []) + [''] AS fact
OPTIONAL MATCH ()-[e:RELATES_TO {{uuid: fact}}]->()
WITH n, count(DISTINCT e.uuid) AS facts
WHERE facts >= coalesce(n.fact_count, 0)
RETURN n.uuid, n.content_hash, coalesce(n.metadata_hash, '')
"""
"""Entries that are stored with all their facts: one whose facts somebody deleted is to be written again."""

KNOWN = """
UNWIND $ids AS id
MATCH (n:Episodic {uuid: id})
WHERE n.group_id = $group
RETURN id
"""

STATED = """
UNWIND $ids AS id
MATCH (n:Episodic {uuid: id})
WHERE n.group_id = $group
UNWIND n.entity_edges AS fact
MATCH (s)-[e:RELATES_TO {uuid: fact}]->(t)
RETURN id, coalesce(n.content_hash, ''), coalesce(n.since, ''), coalesce(n.state, ''), e.uuid,
  coalesce(e.slot, ''), coalesce(e.fact, ''),
  coalesce(e.since, ''), coalesce(e.stated_at, ''), coalesce(e.withdrawn_at, ''), coalesce(e.name, ''), s.uuid, t.uuid
"""
"""What entries state by now, and stated once."""

MENTIONED = """
UNWIND $ids AS id
MATCH (n:Episodic {uuid: id})-[:MENTIONS]->(t:Entity)
WHERE n.group_id = $group
RETURN DISTINCT t.uuid
"""

COUNT = f"MATCH (n:Episodic) WHERE {_OURS} RETURN count(n)"

PAGE = f"""
MATCH (n:Episodic)
WHERE {_OURS} AND n.uuid > $after
RETURN n.uuid, coalesce(n.content, ''), n.content_hash, coalesce(n.metadata_hash, ''), coalesce(n.details, '')
ORDER BY n.uuid
LIMIT $limit
"""

DELETE_FACTS = """
UNWIND $facts AS fact
MATCH ()-[e:RELATES_TO {uuid: fact}]->()
DELETE e
"""

DELETE_ENTRIES = """
UNWIND $ids AS id
MATCH (n:Episodic {uuid: id})
WHERE n.group_id = $group
DETACH DELETE n
"""

DELETE_ORPHANS = """
UNWIND $entities AS id
MATCH (n:Entity {uuid: id})
WHERE NOT (n)--()
DELETE n
"""
