"""Cross-session memory in Supermemory: a namespace for each brand, a document for each entry.

Importing this module does not import the SDK, which the extra ``supermemory`` installs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.services.faults import NOT_STORED, Faults
from dm_memory.services.protocol import Capabilities, Capacity, Outcome, ServiceBase, StoredRecord
from dm_memory.services.supermemory.connection import Connection, namespace_of, parse_address
from dm_memory.services.supermemory.documents import (
    document_of,
    filter_by_brand,
    filter_by_ids,
    id_of,
    payload_from,
    record_of,
    unfit,
)
from dm_memory.services.supermemory.replies import FAILED, PROCESSED, AddReply

__all__ = ["SupermemoryService"]

_BATCH = 200
"""Of the 600 documents a batch may have: as many ids as a condition of a list may name."""

_PAGE = 100
"""Documents on a page of a list, and ids in one deletion."""

_PARALLEL = 4
"""Updates, which are one call for each document, at the same time."""

_PAGES = 10
"""At most, of a list that should be two pages: a service that counts wrongly must not be asked for ever."""

_DID_NOTHING = frozenset({ErrorClass.AUTH, ErrorClass.QUOTA, ErrorClass.RATE_LIMIT, ErrorClass.VALIDATION})


@dataclass(frozen=True, slots=True)
class _Stored:
    """What Supermemory has stored under an id; ``failed``: it could not process it."""

    record: StoredRecord
    failed: bool

    def is_(self, payload: Payload) -> bool:
        hashes = (self.record.content_hash, self.record.metadata_hash)
        return not self.failed and hashes == (payload.content_hash, payload.metadata_hash)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A payload, and the document it becomes."""

    payload: Payload
    document: dict[str, Any]


_Verdicts = dict[str, ServiceError | None]
"""By id: why it was not stored, None if it was."""


class SupermemoryService(ServiceBase):
    """A brand's memory in Supermemory. See ``Service`` for the contract of its methods.

    Adding to an id that is there appends to its text. So a batch is looked up first, in one call: what is stored as
    it should be is left alone, what is stored otherwise is updated (which replaces), and only what is not there is
    added. After a call that got no answer the list may lag behind, and there may be a version that it does not show
    yet: then an update is tried first, which reports itself that there is no such document.

    Args:
        api_key: The key.
        brand: The brand's slug.
        url: The address of the interface, if it is not the public one.
        limit: Entries the user grants it; the interface states nothing of its plans.
        timeout: Seconds to wait for a connection, and for each part of a reply.

    Raises:
        ConfigurationError: ``url`` can't be used.
    """

    role = "cross-session"
    capabilities = Capabilities(_BATCH, lists=True)

    def __init__(
        self, api_key: SecretStr, brand: str, *, url: str | None = None, limit: int | None = None, timeout: float = 30
    ) -> None:
        address = parse_address(url)
        namespace = namespace_of(brand)
        self.brand = brand
        self.name = f"cross-session@supermemory:{address.place}/{namespace}"
        self.engine = "Supermemory" if address.is_public else f"Supermemory ({address.place})"
        self.faults = Faults(
            name="Supermemory",
            where="" if address.is_public else address.place,
            key_setting="SUPERMEMORY_API_KEY",
            url_setting="" if address.is_public else "SUPERMEMORY_BASE_URL",
            plan_page="the Billing page of the Supermemory console",
        )
        self._limit = limit
        self._connection = Connection(address, api_key, namespace, timeout, self.faults)
        self._in_doubt: set[str] = set()

    async def fingerprint(self) -> str:
        """Return the version of the document layout; what Supermemory makes of it is its own business."""
        return "supermemory-documents-1"

    async def prepare(self) -> None:
        """Import the SDK and make its client. Raises ``ServiceError``."""
        await self._connection.prepare()

    async def ping(self) -> str:
        """Ask for the number of entries. Raises ``ServiceError``."""
        return f"It answers and lists {await self._listed()} entries."

    async def capacity(self) -> Capacity:
        """Return the number of entries it lists: plans are in credits, which the interface does not state.

        Raises ``ServiceError``.
        """
        entries = await self._listed()
        return Capacity(entries, self._limit, "entries", entries, "DM_MEMORY_SUPERMEMORY_LIMIT")

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Add what is new, update what is there and different. Raises ``ServiceError``."""
        errors, sound = _sorted_out(payloads)
        known, new = await self._due(sound)
        if known:
            verdicts = await self._updated({draft.payload.id: draft.document for draft in known})
            new += [draft for draft in known if verdicts[draft.payload.id] is NOT_STORED]
            errors.update(verdicts)
        if new:
            errors.update(await self._added(new))
        return _outcomes(payloads, errors)

    def preview(self, payload: Payload) -> Mapping[str, Any]:
        """Return the document of an entry."""
        return document_of(payload)

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace the metadata of documents that are stored. Raises ``ServiceError``."""
        errors, sound = _sorted_out(payloads)
        fields = {draft.payload.id: {"metadata": draft.document["metadata"]} for draft in sound}
        errors.update(await self._updated(fields))
        return _outcomes(payloads, errors)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of what is stored. What could not be processed is not. Raises ``ServiceError``."""
        stored = await self._stored(ids)
        return {entry: found.record for entry, found in stored.items() if not found.failed}

    async def delete(self, ids: Sequence[str]) -> None:
        """Delete documents by their ids. Raises ``ServiceError``."""
        for batch in _batches(ids, _PAGE):
            reply = await self._connection.delete(batch)
            # Whether a document that is not there is an error, the interface does not say.
            doubtful = [failure.id for failure in reply.errors]
            if doubtful and await self._stored(doubtful):
                raise self.faults.unavailable("delete")
            self._in_doubt.difference_update(batch)

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``ServiceError``."""
        page, size = int(after or 1), max(1, min(limit, _PAGE))
        reply = await self._connection.page(filter_by_brand(self.brand), page, size, content=True)
        found = [payload for listed in reply.documents if (payload := payload_from(listed)) is not None]
        is_last = not reply.documents or page * size >= reply.pagination.total
        return found, None if is_last else str(page + 1)

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call connects again."""
        await self._connection.close()

    # What is there -----------------------------------------------------------------------------------------------

    async def _listed(self) -> int:
        return (await self._connection.page(filter_by_brand(self.brand), 1, 1)).pagination.total

    async def _stored(self, ids: Iterable[str]) -> dict[str, _Stored]:
        stored: dict[str, _Stored] = {}
        for batch in _batches(dict.fromkeys(ids), _BATCH):
            stored.update(await self._stored_of(batch))
        return stored

    async def _stored_of(self, ids: Sequence[str]) -> dict[str, _Stored]:
        """Return what is stored of at most 200 ids: two pages, unless the service has ids more than once."""
        stored: dict[str, _Stored] = {}
        seen = 0
        for page in range(1, _PAGES + 1):
            reply = await self._connection.page(filter_by_ids(ids), page, _PAGE)
            for listed in reply.documents:
                stored[id_of(listed)] = _Stored(record_of(listed), listed.system.status in FAILED)
            seen += len(reply.documents)
            if not reply.documents or seen >= reply.pagination.total:
                break
        return {entry: stored[entry] for entry in ids if entry in stored}

    async def _due(self, drafts: Sequence[_Draft]) -> tuple[list[_Draft], list[_Draft]]:
        """Return what is to be updated and what to be added; what is stored as it should be is neither."""
        stored = await self._stored(draft.payload.id for draft in drafts)
        known: list[_Draft] = []
        new: list[_Draft] = []
        for draft in drafts:
            payload = draft.payload
            found = stored.get(payload.id)
            if found is not None and found.is_(payload):
                self._in_doubt.discard(payload.id)
                continue
            is_known = found is not None or payload.version > 1 or payload.id in self._in_doubt
            (known if is_known else new).append(draft)
        return known, new

    # Storing -----------------------------------------------------------------------------------------------------

    async def _added(self, drafts: Sequence[_Draft]) -> _Verdicts:
        """Add documents, oldest first, because Supermemory learns from them in that order."""
        wanted = {draft.payload.id: draft.payload for draft in drafts}
        self._in_doubt |= wanted.keys()
        try:
            reply = await self._connection.add(
                [{"id": d.payload.id, **d.document} for d in sorted(drafts, key=lambda d: d.payload.recorded_at)]
            )
        except ServiceError as error:
            if error.error_class in _DID_NOTHING:
                self._in_doubt -= wanted.keys()
            raise
        verdicts = self._verdicts(reply, wanted)
        if silent := [payload for entry, payload in wanted.items() if entry not in verdicts]:
            verdicts.update(await self._looked_up(silent))
        self._in_doubt -= {entry for entry, error in verdicts.items() if error is None}
        return verdicts

    def _verdicts(self, reply: AddReply, wanted: Container[str]) -> _Verdicts:
        """Return the service's word on each document it named; results come in any order."""
        verdicts: _Verdicts = {}
        for result in reply.results:
            entry, status = result.get("id"), result.get("status")
            if isinstance(entry, str) and entry in wanted and isinstance(status, str):
                verdicts[entry] = self._meaning(status, result.get("error"))
        return verdicts

    def _meaning(self, status: str, words: object = None) -> ServiceError | None:
        """Return what a document's status means; None: it is stored. Its words decide the class, and go no further."""
        if status in PROCESSED:
            return None
        if status not in FAILED:
            return self.faults.malformed("status")
        is_full = isinstance(words, str) and any(word in words.lower() for word in ("credit", "quota"))
        return self.faults.quota(status) if is_full else self.faults.refused(status)

    async def _looked_up(self, payloads: Sequence[Payload]) -> _Verdicts:
        """Return, for documents that a reply passed over, whether they are there."""
        stored = await self._stored(payload.id for payload in payloads)
        return {
            payload.id: None
            if payload.id in stored and stored[payload.id].is_(payload)
            else self.faults.malformed("no-answer")
            for payload in payloads
        }

    async def _updated(self, fields: Mapping[str, dict[str, Any]]) -> _Verdicts:
        """Update documents by their ids; ``NOT_STORED`` of those that are not there."""

        async def update(entry: str) -> ServiceError | None:
            try:
                reply = await self._connection.update(entry, fields[entry])
            except ServiceError as error:
                if error.concerns_whole_service:
                    raise
                return error
            self._in_doubt.discard(entry)
            return NOT_STORED if reply is None else self._meaning(reply.status)

        return dict(zip(fields, await _each(list(fields), update), strict=True))


def _sorted_out(payloads: Sequence[Payload]) -> tuple[_Verdicts, list[_Draft]]:
    """Return why some can't be sent, and the others; of a payload that is there twice the later one."""
    drafts = [_Draft(payload, document_of(payload)) for payload in payloads]
    errors: _Verdicts = {d.payload.id: error for d in drafts if (error := unfit(d.document)) is not None}
    return errors, list({d.payload.id: d for d in drafts if d.payload.id not in errors}.values())


def _outcomes(payloads: Sequence[Payload], errors: _Verdicts) -> list[Outcome]:
    return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]


def _batches(ids: Iterable[str], size: int) -> list[list[str]]:
    every = list(ids)
    return [every[start : start + size] for start in range(0, len(every), size)]


async def _each(ids: Sequence[str], call: Callable[[str], Awaitable[ServiceError | None]]) -> list[ServiceError | None]:
    """Call for each id, a few at a time; the first exception ends the others."""
    places = asyncio.Semaphore(_PARALLEL)

    async def one(entry: str) -> ServiceError | None:
        async with places:
            return await call(entry)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(entry)) for entry in ids]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
