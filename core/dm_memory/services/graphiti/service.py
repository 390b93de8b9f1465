"""The connected knowledge graph: a brand's temporal facts in the FalkorDB or Neo4j behind the user's Graphiti.

The user's Graphiti finds what is written here by its own searches. Importing this module imports no driver.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from dm_memory.errors import ConfigurationError, ServiceError
from dm_memory.facts.extract import EXTRACTION_VERSION
from dm_memory.facts.model import BEGINNING, Entity, utc_moment
from dm_memory.items import Payload
from dm_memory.services.faults import NOT_STORED
from dm_memory.services.graphiti import cypher
from dm_memory.services.graphiti.database import GraphDatabase, Row, Statement, Value
from dm_memory.services.graphiti.rows import Ids, Known, Written, offset, payload_of, plain, written
from dm_memory.services.protocol import Capabilities, Capacity, Outcome, ServiceBase, StoredRecord
from dm_memory.settings import Settings

__all__ = ["GraphitiService", "graph_service"]

_LAYOUT = "graphiti-1"
_GROUP = re.compile(r"[A-Za-z0-9_-]+")
_BATCH = 500
_AT_ONCE = 50
_BEGINNING = offset(BEGINNING)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _group_of(brand: str, group_id: str | None) -> str:
    """Return the Graphiti group of a brand: ``group_id`` if it is given, else one of the brand's name.

    Graphiti takes ASCII letters, digits, ``-`` and ``_``; a name with others is spelled with them, and a digest makes
    it unique.

    Raises:
        ConfigurationError: ``group_id`` is none that Graphiti takes.
    """
    if group_id is not None:
        if not _GROUP.fullmatch(group_id):
            raise ConfigurationError(
                "GRAPHITI_GROUP_ID is no group that Graphiti takes.", "Use ASCII letters, digits, hyphens, underscores."
            )
        return group_id
    if _GROUP.fullmatch(brand):
        return brand
    digest = sha256(brand.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', brand).strip('-')}-{digest}".strip("-")


class GraphitiService(ServiceBase):
    """A brand's knowledge graph in Graphiti's database. See ``Service`` for the contract of its methods.

    An entry's facts are written before the entry counts as stored, and everything by its id, so that the next write
    resumes one that was cut off. How long a confirmed entry survives is the database's setting (FalkorDB: its
    persistence).

    Args:
        database: Where Graphiti keeps its groups.
        brand: The brand's slug.
        group_id: The Graphiti group; None: a group of the brand's own.
        clock: Returns the present moment.

    Raises:
        ConfigurationError: See ``_group_of``.
    """

    role = "graph"
    capabilities = Capabilities(batch_items=_BATCH, counts=True, lists=True, keeps_retired=True)

    def __init__(
        self,
        database: GraphDatabase,
        brand: str,
        *,
        group_id: str | None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.brand = brand
        self.group = _group_of(brand, group_id)
        self.name = f"graph@{database.kind}:{database.place}/{self.group}"
        self.engine = f"Graphiti's {database.faults.name} ({database.place})"
        self.faults = database.faults
        self._database = database
        self._ids = Ids(brand, self.group)
        self._clock = clock
        self._has_indexes = False

    async def prepare(self) -> None:
        """Import the database's driver."""
        await self._database.load()

    async def fingerprint(self) -> str:
        """Return the layout's version and the one by which facts are read from entries."""
        return f"{_LAYOUT}/facts-{EXTRACTION_VERSION}"

    async def ping(self) -> str:
        """Count the brand's entries. Raises ``ServiceError``."""
        return f"It answers, with {await self.count()} entries in Graphiti's group {self.group}."

    async def capacity(self) -> Capacity:
        """Count entries; neither database states a limit. Raises ``ServiceError``."""
        stored = await self.count()
        return Capacity(stored, None, "entries", stored)

    async def count(self) -> int:
        """Count the brand's entries, retired ones as well. Raises ``ServiceError``."""
        rows = await self._ask(cypher.COUNT, [int])
        return int(rows[0][0]) if rows else 0

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Write entries and their facts; an entry no database can represent fails alone. Raises ``ServiceError``."""
        distinct = {payload.id: payload for payload in payloads}
        errors = await self._write(list(distinct.values())) if distinct else {}
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Write entries that are stored; tags and figures are facts, so they change too. Raises ``ServiceError``."""
        stored = await self.fetch([payload.id for payload in payloads])
        known = [each for each in payloads if each.id in stored and stored[each.id].content_hash == each.content_hash]
        errors = {outcome.storage_id: outcome.error for outcome in await self.upsert(known)}
        return [Outcome(payload.id, errors.get(payload.id, NOT_STORED)) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of entries that are stored with all their facts. Raises ``ServiceError``."""
        wanted = {self._ids.of(identity): identity for identity in ids}
        rows = await self._ask(cypher.HASHES, [str] * 3, ids=list(wanted)) if wanted else []
        return {wanted[uuid]: StoredRecord(wanted[uuid], text, metadata) for uuid, text, metadata in rows}

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries, all they ever stated, and entities nothing else is about. Raises ``ServiceError``."""
        uuids = [self._ids.of(identity) for identity in ids]
        if not uuids or not await self._ask(cypher.KNOWN, [str], ids=uuids):
            return
        stated = await self._ask(cypher.STATED, [str] * 13, ids=uuids)
        mentioned = await self._ask(cypher.MENTIONED, [str], ids=uuids)
        facts = [row[4] for row in stated]
        entities = {uuid for row in stated for uuid in row[11:]} | {row[0] for row in mentioned}
        await self._run(
            self._succeed({row[5] for row in stated}, facts),
            self._statement(cypher.DELETE_FACTS, facts=facts),
            self._statement(cypher.DELETE_ENTRIES, ids=uuids),
            self._statement(cypher.DELETE_ORPHANS, entities=sorted(entities)),
        )

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``ServiceError``."""
        rows = await self._ask(cypher.PAGE, [str] * 5, after=after or "", limit=limit)
        try:
            payloads = [payload_of(self.brand, *row[1:]) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise self.faults.malformed("details") from error
        return payloads, rows[-1][0] if len(rows) == limit else None

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call connects again."""
        await self._database.close()

    # Writing -----------------------------------------------------------------------------------------------------

    async def _write(self, payloads: Sequence[Payload]) -> dict[str, ServiceError]:
        known = await self._known([payload.id for payload in payloads])
        changes, errors = await self._changes(payloads, known)
        if changes:
            if not self._has_indexes:
                await self._database.prepare(self.group)
                self._has_indexes = True
            await self._run(*self._statements(changes))
        return errors

    async def _changes(
        self, payloads: Sequence[Payload], known: Mapping[str, Known]
    ) -> tuple[list[Written], dict[str, ServiceError]]:
        now = self._now()
        changes: list[Written] = []
        errors: dict[str, ServiceError] = {}
        for number, payload in enumerate(payloads, 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # others' turn
            try:
                changes.append(written(payload, known.get(self._ids.of(payload.id)), self._ids, now))
            except (TypeError, UnicodeEncodeError):
                errors[payload.id] = self.faults.refused("encoding")
        return changes, errors

    def _statements(self, changes: Sequence[Written]) -> list[Statement]:
        """Return a write in its order: what is intended, what it is about, the facts and their ends, what is stored."""
        entries = [change.entry for change in changes]
        return [
            self._statement(cypher.MARK_ENTRIES, entries=[_mark(entry) for entry in entries]),
            *self._entities(entity for change in changes for entity in change.entities),
            self._statement(cypher.DELETE_FACTS, facts=[uuid for change in changes for uuid in change.moved]),
            self._statement(cypher.CREATE_FACTS, facts=[row for change in changes for row in change.created]),
            self._statement(cypher.UPDATE_FACTS, facts=[row for change in changes for row in change.updated]),
            self._succeed({slot for change in changes for slot in change.slots}),
            self._statement(cypher.MENTION, mentions=[row for change in changes for row in change.mentions]),
            self._statement(cypher.UNMENTION, entries=[_mark(change.entry) for change in changes if change.known]),
            self._statement(cypher.FINISH_ENTRIES, entries=entries),
        ]

    def _entities(self, entities: Iterable[Entity]) -> list[Statement]:
        """Return a statement for each type, because a label can't be a parameter in FalkorDB."""
        by_label: dict[str, dict[str, str]] = {}
        for entity in entities:
            by_label.setdefault(entity.type.value.title(), {})[self._ids.of(entity.id)] = plain(entity.name)
        return [
            self._statement(
                cypher.merge_entities(label), entities=[{"uuid": uuid, "name": name} for uuid, name in found.items()]
            )
            for label, found in sorted(by_label.items())
        ]

    def _succeed(self, slots: Iterable[str], gone: Sequence[str] = ()) -> Statement:
        return self._statement(cypher.SUCCEED, slots=sorted(slots), gone=gone, beginning=_BEGINNING)

    def _statement(self, text: str, **parameters: Value) -> Statement:
        return Statement(text, {"group": self.group, "brand": self.brand, "now": offset(self._now()), **parameters})

    def _now(self) -> str:
        return utc_moment(self._clock().isoformat())

    async def _run(self, *statements: Statement) -> None:
        """Run the statements that have something to do."""
        await self._database.write(self.group, [statement for statement in statements if _has_rows(statement)])

    # Reading -----------------------------------------------------------------------------------------------------

    async def _ask(self, text: str, kinds: Sequence[type], **parameters: Value) -> list[list[Any]]:
        """Return the rows of a question whose columns are of these kinds."""
        rows = await self._database.read(self.group, self._statement(text, **parameters))
        wanted = list(kinds)
        if not all([type(value) for value in row] == wanted for row in rows):
            raise self.faults.malformed()
        return rows

    async def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        found: dict[str, Known] = {}
        for entry, content_hash, moment, state, uuid, slot, text, *times, name, source, target in await self._ask(
            cypher.STATED, [str] * 13, ids=[self._ids.of(identity) for identity in ids]
        ):
            if entry not in found:
                found[entry] = Known(content_hash, utc_moment(moment), state)
            found[entry].add(uuid, slot, text, times, (name, source, target))
        return found


def _has_rows(statement: Statement) -> bool:
    unwound = _UNWIND.search(statement.cypher)
    return unwound is None or bool(statement.parameters[unwound[1]])


_UNWIND = re.compile(r"UNWIND \$(\w+)")


def _mark(entry: Row) -> Row:
    return {name: value for name, value in entry.items() if name not in _BULK}


_BULK = frozenset({"content", "details"})


def graph_service(settings: Settings, brand: str) -> GraphitiService:
    """Return the service for the graph database that is configured, without a guard.

    Raises:
        ConfigurationError: Its driver is not installed, or its address or group can't be used.
    """
    database: GraphDatabase
    if settings.falkordb_uri and settings.graph_db in {"auto", "falkordb"}:
        from dm_memory.services.graphiti.falkordb import FalkorDatabase  # noqa: PLC0415  # only what is configured

        password = settings.falkordb_password
        database = FalkorDatabase(
            settings.falkordb_uri,
            username=settings.falkordb_username,
            password=password.get_secret_value() if password else None,
            timeout=settings.layer_timeout,
        )
    else:
        from dm_memory.services.graphiti.neo4j import Neo4jDatabase  # noqa: PLC0415  # as above

        password = settings.neo4j_password
        database = Neo4jDatabase(
            settings.neo4j_uri or "",
            username=settings.neo4j_user,
            password=password.get_secret_value() if password else None,
            database=settings.neo4j_database,
            timeout=settings.layer_timeout,
        )
    return GraphitiService(database, brand, group_id=settings.graphiti_group_id)
