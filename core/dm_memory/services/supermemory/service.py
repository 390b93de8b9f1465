"""Cross-session memory in Supermemory: a namespace for each brand, a document for each entry.

Importing this module does not import the SDK, which the extra ``supermemory`` installs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.services.protocol import Capabilities, Capacity, Health, Outcome, StoredRecord
from dm_memory.services.remote import Service
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
from dm_memory.services.supermemory.errors import refused
from dm_memory.services.supermemory.replies import FAILED, PROCESSED, AddReply

__all__ = ["SupermemoryLayer"]

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
class _Held:
    """What Supermemory holds under an id; ``failed`` where it could not process it."""

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


_Verdicts = dict[str, LayerError | None]
"""By id: why it was not stored, None where it was."""


class SupermemoryLayer:
    """A brand's memory in Supermemory. See ``Layer`` for the contract of its methods.

    Adding to an id that is there appends to its text. So a batch is looked up first, in one call: what is held as it
    should be is left alone, what is held otherwise is updated (which replaces), and only what is not held is added.
    Where an earlier call got no answer the list may lag behind, and the registry may know of a version that it does
    not show: there an update is tried first, which says itself that there is no such document.

    Args:
        api_key: The key.
        brand: The brand's slug.
        url: The address of the interface, where it is not the public one.
        limit: Entries the user grants it; the interface tells nothing of its plans.
        timeout: Seconds to wait for a connection, and for each part of a reply.

    Raises:
        ConfigurationError: ``url`` can't be used.
    """

    role = "cross-session"
    capabilities = Capabilities(batch_items=_BATCH, remote=True)

    def __init__(
        self, api_key: SecretStr, brand: str, *, url: str | None = None, limit: int | None = None, timeout: float = 30
    ) -> None:
        address = parse_address(url)
        namespace = namespace_of(brand)
        self.brand = brand
        self.name = f"cross-session@supermemory:{address.place}/{namespace}"
        self.engine = "Supermemory" if address.is_public else f"Supermemory ({address.place})"
        self.service = Service(
            name="Supermemory",
            where="" if address.is_public else address.place,
            key_setting="SUPERMEMORY_API_KEY",
            url_setting="" if address.is_public else "SUPERMEMORY_BASE_URL",
            plan_page="the Billing page of the Supermemory console",
        )
        self._limit = limit
        self._connection = Connection(address, api_key, namespace, timeout, self.service)
        self._in_doubt: set[str] = set()

    async def fingerprint(self) -> str:
        """Return the version of the document layout; what Supermemory makes of it is its own business."""
        return "supermemory-documents-1"

    async def health(self) -> Health:
        """Ask for the number of entries. Never raises."""
        try:
            entries = await self._count()
        except LayerError as error:
            return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        except Exception as error:  # noqa: BLE001  # health answers always; what is unknown is said to be
            unknown = _unforeseen(error)
            return Health(ok=False, engine=self.engine, detail=unknown.problem, error=unknown)
        return Health(ok=True, engine=self.engine, detail=f"It answers and holds {entries} entries.")

    async def capacity(self) -> Capacity:
        """Count entries: plans are in credits, which the interface does not tell. Raises ``LayerError``."""
        entries = await self._count()
        return Capacity(entries, self._limit, "entries", entries)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Add what is new, update what is there and different. Raises ``LayerError``."""
        errors, sound = _sorted_out(payloads)
        known, new = await self._due(sound)
        if known:
            verdicts = await self._updated({draft.payload.id: draft.document for draft in known})
            new += [draft for draft in known if verdicts[draft.payload.id] is _NOT_HELD]
            errors.update(verdicts)
        if new:
            errors.update(await self._added(new))
        return _outcomes(payloads, errors)

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace the metadata of documents that are held. Raises ``LayerError``."""
        errors, sound = _sorted_out(payloads)
        fields = {draft.payload.id: {"metadata": draft.document["metadata"]} for draft in sound}
        errors.update(await self._updated(fields))
        return _outcomes(payloads, errors)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of what is held. What could not be processed is not. Raises ``LayerError``."""
        held = await self._held(ids)
        return {entry: found.record for entry, found in held.items() if not found.failed}

    async def delete(self, ids: Sequence[str]) -> None:
        """Delete documents by their ids. Raises ``LayerError``."""
        for batch in _batches(ids, _PAGE):
            reply = await self._connection.delete(batch)
            # Whether a document that is not there is an error, the interface does not say.
            doubtful = [trouble.id for trouble in reply.errors]
            if doubtful and await self._held(doubtful):
                raise self.service.unavailable("delete")
            self._in_doubt.difference_update(batch)

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``LayerError``."""
        page, size = int(after or 1), max(1, min(limit, _PAGE))
        reply = await self._connection.page(filter_by_brand(self.brand), page, size, content=True)
        found = [payload for listed in reply.documents if (payload := payload_from(listed)) is not None]
        is_last = not reply.documents or page * size >= reply.pagination.total
        return found, None if is_last else str(page + 1)

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call connects again."""
        await self._connection.close()

    # What is there -----------------------------------------------------------------------------------------------

    async def _count(self) -> int:
        return (await self._connection.page(filter_by_brand(self.brand), 1, 1)).pagination.total

    async def _held(self, ids: Iterable[str]) -> dict[str, _Held]:
        held: dict[str, _Held] = {}
        for batch in _batches(dict.fromkeys(ids), _BATCH):
            held.update(await self._held_of(batch))
        return held

    async def _held_of(self, ids: Sequence[str]) -> dict[str, _Held]:
        """Return what is held of at most 200 ids: two pages, unless the service holds ids more than once."""
        held: dict[str, _Held] = {}
        seen = 0
        for page in range(1, _PAGES + 1):
            reply = await self._connection.page(filter_by_ids(ids), page, _PAGE)
            for listed in reply.documents:
                held[id_of(listed)] = _Held(record_of(listed), listed.system.status in FAILED)
            seen += len(reply.documents)
            if not reply.documents or seen >= reply.pagination.total:
                break
        return {entry: held[entry] for entry in ids if entry in held}

    async def _due(self, drafts: Sequence[_Draft]) -> tuple[list[_Draft], list[_Draft]]:
        """Return what is to be updated and what to be added; what is held as it should be is neither."""
        held = await self._held(draft.payload.id for draft in drafts)
        known: list[_Draft] = []
        new: list[_Draft] = []
        for draft in drafts:
            payload = draft.payload
            found = held.get(payload.id)
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
        except LayerError as error:
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

    def _meaning(self, status: str, words: object = None) -> LayerError | None:
        """Return what a document's status means; None: it is stored. Its words decide the class, and go no further."""
        if status in PROCESSED:
            return None
        if status not in FAILED:
            return self.service.malformed("status")
        is_full = isinstance(words, str) and any(word in words.lower() for word in ("credit", "quota"))
        return self.service.quota(status) if is_full else self.service.refused(status)

    async def _looked_up(self, payloads: Sequence[Payload]) -> _Verdicts:
        """Return, for documents that a reply passed over, whether they are there."""
        held = await self._held(payload.id for payload in payloads)
        return {
            payload.id: None
            if payload.id in held and held[payload.id].is_(payload)
            else self.service.malformed("no-answer")
            for payload in payloads
        }

    async def _updated(self, fields: Mapping[str, dict[str, Any]]) -> _Verdicts:
        """Update documents by their ids; ``_NOT_HELD`` of those that are not there."""

        async def update(entry: str) -> LayerError | None:
            try:
                reply = await self._connection.update(entry, fields[entry])
            except LayerError as error:
                if error.concerns_whole_layer:
                    raise
                return error
            self._in_doubt.discard(entry)
            return _NOT_HELD if reply is None else self._meaning(reply.status)

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


async def _each(ids: Sequence[str], call: Callable[[str], Awaitable[LayerError | None]]) -> list[LayerError | None]:
    """Call for each id, a few at a time; the first exception ends the others."""
    places = asyncio.Semaphore(_PARALLEL)

    async def one(entry: str) -> LayerError | None:
        async with places:
            return await call(entry)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(entry)) for entry in ids]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


_NOT_HELD = refused("The entry is not in Supermemory.", "It is stored whole with the next sync.")


def _unforeseen(error: Exception) -> LayerError:
    return LayerError(
        "Supermemory failed in a way dm-memory does not know.",
        "Run dm-memory doctor, and report it with this code if it happens again.",
        error_class=ErrorClass.UNKNOWN,
        code=type(error).__name__,
    )
