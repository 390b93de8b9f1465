"""The vector database on Pinecone: an index that embeds texts itself, a namespace per brand.

Importing this module does not import the SDK: ``prepare`` does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.embedding.batch import CHUNKING_VERSION
from dm_memory.errors import ConfigurationError, ServiceError
from dm_memory.extras import how_to_install_vector
from dm_memory.items import Payload
from dm_memory.services.entries import days_of, is_entry_id, searchable
from dm_memory.services.faults import NOT_STORED, Faults
from dm_memory.services.http import is_loopback
from dm_memory.services.pinecone.records import (
    BATCH_BYTES,
    BATCH_RECORDS,
    TEXT_FIELD,
    Entry,
    IndexPlan,
    batches,
    chunks_of,
    entry_of,
    is_whole,
    prepared,
    record_id,
    records_of,
    restored,
)
from dm_memory.services.protocol import (
    Capabilities,
    Capacity,
    Outcome,
    Proposal,
    SearchQuery,
    ServiceBase,
    StoredRecord,
)

if TYPE_CHECKING:
    from pinecone import Vector

    from dm_memory.services.pinecone.index import PineconeIndex, Target
    from dm_memory.services.pinecone.namespace import Namespace

__all__ = ["PineconeService"]

_PUBLIC = "api.pinecone.io"
_USUAL_DIMENSION = 1024
_MOST_PAGES = 20_000
"""Pages after which a listing can't be in order: two million records."""

_FOUND = ["key", "content_type", "tags", "recorded_at", "expires_ts"]


class PineconeService(ServiceBase):
    """A brand's memory in a namespace of a Pinecone index. See ``Service`` for the contract of its methods.

    The index is made by the first ``upsert`` if it is missing; until then everything reads as empty. Reads are
    eventually consistent: what was just stored may take seconds to be found, fetched or counted.

    Args:
        api_key: The project's key.
        index: The index; one with integrated embedding, or a name that is free.
        brand: The brand's slug, which names the namespace.
        host: The control plane's address, if it is not the public one; ``http`` on this machine only.
        model: The embedding model of an index that is made here; an index that is there has its own.
        cloud: Where it is made.
        region: As above.
        limit: Bytes that the plan stores.
        timeout: Seconds for connecting, for each wait for bytes, and for a new index to become ready.

    Raises:
        ConfigurationError: ``host`` would send the key in clear text over a network.
    """

    role = "vector"
    capabilities = Capabilities(BATCH_RECORDS, BATCH_BYTES, counts=True, lists=True, proposes=True, embeds=True)

    def __init__(
        self,
        api_key: SecretStr,
        index: str,
        brand: str,
        *,
        host: str | None = None,
        model: str,
        cloud: str,
        region: str,
        limit: int,
        timeout: float = 30,
    ) -> None:
        place = _place(host)
        self.name = f"vector@pinecone:{place or _PUBLIC}/{index}"
        self.engine = f"Pinecone ({index})"
        self.brand = brand
        self.faults = Faults(
            "Pinecone",
            place,
            "PINECONE_API_KEY",
            "PINECONE_CONTROLLER_HOST" if place else "",
            "the Usage page of the Pinecone console",
        )
        self._key = api_key
        self._host = host
        self._plan = IndexPlan(index, model, cloud, region)
        self._limit = limit
        self._timeout = timeout
        self._index: PineconeIndex | None = None
        self._opening = asyncio.Lock()
        self._dimension: int | None = None
        self._has_long_entries: bool | None = None

    # Opening ---------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Import the SDK and make the control plane's client."""
        async with self._opening:
            if self._index is None:
                self._index = await asyncio.to_thread(self._open)

    def _open(self) -> PineconeIndex:
        try:
            from dm_memory.services.pinecone import index, namespace  # noqa: F401, PLC0415  # they import the SDK
        except ImportError as error:
            raise ConfigurationError(
                "Pinecone is configured, but its package is not installed.", how_to_install_vector("pinecone")
            ) from error
        control = index.open_control(self._key.get_secret_value(), self._host, self._timeout, self.faults)
        return index.PineconeIndex(control, self._plan, self.faults, self._timeout)

    async def close(self) -> None:
        """Close both planes. Idempotent; a later call opens them again."""
        opened, self._index = self._index, None
        self._opening = asyncio.Lock()  # free for another event loop
        if opened is not None:
            await opened.close()

    async def _ready(self) -> PineconeIndex:
        if self._index is None:
            await self.prepare()
        if self._index is None:  # it was closed meanwhile
            raise self.faults.unavailable("closed")
        return self._index

    def _space(self, opened: PineconeIndex, target: Target) -> Namespace:
        from dm_memory.services.pinecone.namespace import Namespace  # noqa: PLC0415  # imported by prepare

        return Namespace(target, self.brand, self.faults, opened.forget)

    async def _reading(self) -> Namespace | None:
        """Return the brand's namespace, or None if there is no index and so nothing stored."""
        opened = await self._ready()
        target = await opened.found()
        return None if target is None else self._space(opened, target)

    # What there is ---------------------------------------------------------------------------------------------------

    async def fingerprint(self) -> str:
        """Return model, text field and chunking of the index, or of the one to be made. Raises ``ServiceError``."""
        embedding = await (await self._ready()).embedding()
        model, field = (embedding.model, embedding.field) if embedding else (self._plan.model, TEXT_FIELD)
        return f"{model} in {field!r}, chunking {CHUNKING_VERSION}"

    async def ping(self) -> str:
        """Ask the control plane for the index. Raises ``ServiceError``."""
        embedding = await (await self._ready()).embedding()
        return f"It answers, and embeds with {embedding.model}." if embedding else "The first sync makes the index."

    async def capacity(self) -> Capacity:
        """Return how many bytes the whole index has, all brands, against the plan's limit.

        The bytes are what Pinecone reports of each namespace (``size_bytes`` of API 2026-07, approximate and late), or,
        where it reports none, the number of records times their vector and 1,000 bytes. The limit is a setting: no
        interface states the plan's, which all indexes of a project share. Raises ``ServiceError``.
        """
        space, setting = await self._reading(), "DM_MEMORY_PINECONE_LIMIT"
        if space is None:
            return Capacity(0, self._limit, "bytes", 0, setting)
        if self._dimension is None:
            self._dimension = await space.dimension()
        return Capacity(
            await space.used_bytes(self._dimension), self._limit, "bytes", await space.count_entries(), setting
        )

    def preview(self, payload: Payload) -> Mapping[str, Any]:
        """Return a payload's first record."""
        entries, _ = prepared([payload], TEXT_FIELD)
        return entries[0].records[0] if entries else super().preview(payload)

    def size_of(self, payload: Payload) -> int:
        """Return the bytes of a payload's records and their vectors; 0 for one that can't be stored.

        Vectors are as long as the index's, once ``capacity`` has asked for that, else 1,024 numbers.
        """
        entries, _ = prepared([payload], TEXT_FIELD)
        vector = 4 * (self._dimension or _USUAL_DIMENSION)
        return sum(sum(entry.sizes) + vector * len(entry.sizes) for entry in entries)

    async def count(self) -> int | None:
        """Count the brand's first chunks; None if the key may only read. Raises ``ServiceError``."""
        space = await self._reading()
        return 0 if space is None else await space.count_entries()

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of entries that are stored with all their chunks. Raises ``ServiceError``."""
        space = await self._reading() if ids else None
        stored = _metadata(await self._stored(space, ids)) if space else {}
        return {
            entry: StoredRecord(entry, stored[entry]["hash"], stored[entry]["meta_hash"])
            for entry in ids
            if is_whole(entry, stored)
        }

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``ServiceError``."""
        space = await self._reading()
        if space is None:
            return [], None
        pages, _, token = (after or "0 ").partition(" ")
        for page in range(int(pages) + 1, _MOST_PAGES):
            ids, following = await space.page(token or None, limit)
            if following is not None and following == token:
                break
            found = await self._payloads(space, [entry for entry in ids if is_entry_id(entry)])
            if found or following is None:
                return found, f"{page} {following}" if following else None
            token = following
        raise self.faults.malformed("pagination")

    async def search(self, query: SearchQuery) -> list[Proposal]:
        """Return the entries nearest in meaning, each with its best chunk. Raises ``ServiceError``.

        Left out: what has expired, and records that other programs keep in the namespace.
        """
        days_of(query)
        text, now = searchable(query.text), time.time()
        space = await self._reading() if text and query.limit > 0 else None
        if space is None:
            return []
        field = space.embedding.field
        found: dict[str, Proposal] = {}
        for hit in await space.search(query, text, [field, *_FOUND]):
            entry, fields = entry_of(hit.id), hit.fields
            if entry not in found and "key" in fields and fields.get("expires_ts", now) >= now:
                found[entry] = Proposal(
                    id=entry,
                    score=hit.score,
                    content=str(fields.get(field, "")),
                    key=str(fields["key"]),
                    content_type=str(fields.get("content_type", "")),
                    tags=tuple(fields.get("tags") or ()),
                    recorded_at=str(fields.get("recorded_at", "")),
                    brand=self.brand,
                )
        return list(found.values())

    # Storing ---------------------------------------------------------------------------------------------------------

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads, and remove chunks left over from longer texts. Raises ``ServiceError`` for the whole call."""
        if not payloads:
            return []
        opened = await self._ready()
        space = self._space(opened, await opened.made())
        distinct = {payload.id: payload for payload in payloads}
        entries, errors = prepared(distinct.values(), space.embedding.field)
        if entries:
            changed = {entry.id for entry in entries if (was := distinct[entry.id]).version > 1 or was.updated_from}
            await self._store(space, entries, changed)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Write records again with the vectors they have: Pinecone's own update can't take a field away.

        An entry that is not stored whole, or with another text, is refused for itself. Raises ``ServiceError``.
        """
        if not payloads:
            return []
        distinct = {payload.id: payload for payload in payloads}
        space = await self._reading()
        if space is None:
            return [Outcome(payload.id, NOT_STORED) for payload in payloads]
        vectors, errors = _relabelled(distinct, await self._stored(space, list(distinct)), space.embedding.field)
        await space.rewrite(vectors)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries with all their chunks, the first one last. Raises ``ServiceError``."""
        ours = [entry for entry in dict.fromkeys(ids) if is_entry_id(entry)]
        space = await self._reading() if ours else None
        if space is None:
            return
        stored = _metadata(await space.vectors(ours))
        counts = {entry: chunks_of(stored.get(entry)) for entry in ours}
        chunks = [record_id(entry, number) for entry in ours for number in range(1, counts[entry])]
        await space.delete([*await space.surplus(counts), *chunks, *ours])

    async def _store(self, space: Namespace, entries: Sequence[Entry], changed: Collection[str]) -> None:
        """Write records, and look meanwhile for left-over chunks: no write of ours touches those."""
        looking = asyncio.create_task(self._left_overs(space, entries, changed))
        try:
            for batch in batches(entries):
                await space.write(batch)
            await space.delete(await looking)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _left_overs(self, space: Namespace, entries: Sequence[Entry], changed: Collection[str]) -> list[str]:
        """Return the ids of chunks that earlier texts of entries had and these have not.

        An entry whose text has ``changed`` is looked for always. Any other has left-overs only if the store was
        lost or the chunking is new, so not in a namespace without a long text: which is asked once.
        """
        if any(len(entry.records) > 1 for entry in entries):
            self._has_long_entries = True
        if self._has_long_entries is None:
            said = await space.may_have_long_entries()
            self._has_long_entries = self._has_long_entries or said
        suspects = entries if self._has_long_entries else [entry for entry in entries if entry.id in changed]
        return await space.surplus({entry.id: len(entry.records) for entry in suspects})

    async def _stored(self, space: Namespace, ids: Sequence[str]) -> dict[str, Vector]:
        """Return all records of entries."""
        ours = [entry for entry in dict.fromkeys(ids) if is_entry_id(entry)]
        firsts = await space.vectors(ours)
        chunks = [
            record_id(entry, number)
            for entry, first in firsts.items()
            for number in range(1, chunks_of(first.metadata))
        ]
        return firsts | await space.vectors(chunks)

    async def _payloads(self, space: Namespace, ids: Sequence[str]) -> list[Payload]:
        """Return the entries that are stored whole; records that other programs keep in the namespace are none."""
        stored = _metadata(await self._stored(space, ids))
        found = []
        for entry in ids:
            if is_whole(entry, stored):
                chunks = [stored[record_id(entry, number)] for number in range(chunks_of(stored[entry]))]
                try:
                    found.append(restored(self.brand, space.embedding.field, entry, chunks))
                except (KeyError, TypeError, ValueError):
                    continue
        return found


def _metadata(vectors: Mapping[str, Vector]) -> dict[str, Mapping[str, Any]]:
    return {found: vector.metadata or {} for found, vector in vectors.items()}


def _relabelled(
    payloads: Mapping[str, Payload], stored: Mapping[str, Vector], field: str
) -> tuple[list[Vector], dict[str, ServiceError]]:
    """Return the records of entries with the metadata of payloads, and by id why some can't have it."""
    vectors: list[Vector] = []
    errors: dict[str, ServiceError] = {}
    metadata = _metadata(stored)
    for entry, payload in payloads.items():
        if not is_whole(entry, metadata) or metadata[entry]["hash"] != payload.content_hash:
            errors[entry] = NOT_STORED
            continue
        parts = [stored[record_id(entry, number)] for number in range(chunks_of(metadata[entry]))]
        try:
            records = records_of(payload, field, [str((part.metadata or {}).get(field, "")) for part in parts])
        except ServiceError as error:
            errors[entry] = error
            continue
        for part, record in zip(parts, records.records, strict=True):
            part.metadata = {name: value for name, value in record.items() if name != "_id"}
        vectors += parts
    return vectors, errors


def _place(host: str | None) -> str:
    """Return where the control plane is, without scheme and secrets, or "" for the public one.

    Raises:
        ConfigurationError: It is no address, or one that must not see the key.
    """
    if not host:
        return ""
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        name = ""
    if not name or not name.isprintable() or " " in name:
        raise ConfigurationError(
            "PINECONE_CONTROLLER_HOST is not an address.",
            "Write it as https://host, or unset it to use Pinecone's own.",
        )
    if parts.scheme != "https" and not is_loopback(name):
        raise ConfigurationError(
            "PINECONE_CONTROLLER_HOST would send the key over the network in clear text.",
            "Write it with https://, or unset it to use Pinecone's own address.",
        )
    return parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")
