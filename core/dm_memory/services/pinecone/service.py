"""The vector layer on Pinecone: an index that embeds texts itself, a namespace per brand.

Importing this module does not import the SDK.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.embedding.chunking import CHUNKING_VERSION
from dm_memory.errors import ConfigurationError, ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.services.pinecone.errors import pinecone_service, refused
from dm_memory.services.pinecone.index import TEXT_FIELD, IndexPlan, PineconeIndex, Target
from dm_memory.services.pinecone.namespace import MOST_HITS, MOST_PAGES, Namespace
from dm_memory.services.pinecone.records import (
    BATCH_BYTES,
    BATCH_RECORDS,
    Entry,
    batches,
    chunks_of,
    is_entry_id,
    is_whole,
    prepared,
    record_id,
    records_of,
    restored,
)
from dm_memory.services.pinecone.search import checked_text, entries_among, fields_wanted, filter_of
from dm_memory.services.protocol import (
    Capabilities,
    Capacity,
    Health,
    Outcome,
    SearchHit,
    SearchQuery,
    StoredRecord,
)

if TYPE_CHECKING:
    from pinecone import Vector

__all__ = ["PineconeLayer"]

_PUBLIC = "api.pinecone.io"
_VECTOR_BYTES = 4 * 1024
_HITS_PER_ENTRY = 4


class PineconeLayer:
    """A brand's memory in a namespace of a Pinecone index. See ``SearchableLayer`` for the contract of its methods.

    The index is made by the first ``upsert`` where it is missing; until then everything reads as empty. Reads are
    eventually consistent: what was just stored may take seconds to be found, fetched or counted.

    Args:
        api_key: The project's key.
        index: The index; one with integrated embedding, or a name that is free.
        brand: The brand's slug, which names the namespace.
        host: The control plane's address, where it is not the public one; ``http`` on this machine only.
        model: The embedding model of an index that is made here; an index that is there has its own.
        cloud: Where it is made.
        region: As above.
        limit: Bytes that the plan stores.
        timeout: Seconds for connecting, for each wait for bytes, and for a new index to become ready.

    Raises:
        ConfigurationError: ``host`` would send the key in clear text over a network.
    """

    role = "vector"
    capabilities = Capabilities(batch_items=BATCH_RECORDS, batch_bytes=BATCH_BYTES, remote=True, embeds=True)

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
        self._limit = limit
        self.service = pinecone_service(place)
        plan = IndexPlan(index, model, cloud, region)
        self._index = PineconeIndex(api_key, plan, self.service, host=host, timeout=timeout)
        self._has_long_entries: bool | None = None

    async def fingerprint(self) -> str:
        """Return model, text field and chunking of the index, or of the one to be made. Raises ``LayerError``."""
        embedding = await self._index.embedding()
        model, field = (embedding.model, embedding.field) if embedding else (self._index.plan.model, TEXT_FIELD)
        return f"{model} in {field!r}, chunking {CHUNKING_VERSION}"

    async def health(self) -> Health:
        """Ask the control plane for the index. Never raises."""
        try:
            embedding = await self._index.embedding()
        except LayerError as error:
            return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        except Exception as error:  # noqa: BLE001  # health answers always; what is unknown is said to be
            return Health(ok=False, engine=self.engine, detail=_UNFORESEEN, error=_unforeseen(error))
        detail = f"It answers, and embeds with {embedding.model}." if embedding else "The first sync makes the index."
        return Health(ok=True, engine=self.engine, detail=detail)

    async def capacity(self) -> Capacity:
        """Say how many bytes the whole index holds, all brands, against the plan's limit.

        The bytes are what Pinecone reports of each namespace (``size_bytes`` of API 2026-07, approximate and late), or,
        where it reports none, the number of records times their vector and 1,000 bytes. The limit is a setting: no
        interface tells the plan's, which all indexes of a project share. ``entries`` counts this brand's first chunks;
        None where the key may only read. Raises ``LayerError``.
        """
        space = await self._reading()
        if space is None:
            return Capacity(0, self._limit, "bytes", 0)
        return Capacity(await space.used_bytes(), self._limit, "bytes", await space.count_entries())

    def size_of(self, payload: Payload) -> int:
        """Return the bytes of a payload's records, a vector of 1,024 numbers each; 0 for one that can't be stored."""
        entries, _ = prepared([payload], TEXT_FIELD)
        return sum(sum(entry.sizes) + _VECTOR_BYTES * len(entry.sizes) for entry in entries)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads, and remove chunks left over from longer texts. Raises ``LayerError`` for the whole call."""
        if not payloads:
            return []
        space = self._space(await self._index.made())
        distinct = {payload.id: payload for payload in payloads}
        entries, errors = prepared(distinct.values(), space.embedding.field)
        if entries:
            changed = {entry.id for entry in entries if _was_another(distinct[entry.id])}
            await self._store(space, entries, changed)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Write records again with the vectors they have: Pinecone's own update can't take a field away.

        An entry that is not held whole, or with another text, is refused for itself. Raises ``LayerError``.
        """
        if not payloads:
            return []
        distinct = {payload.id: payload for payload in payloads}
        space = await self._reading()
        if space is None:
            return [Outcome(payload.id, _NOT_HELD) for payload in payloads]
        vectors, errors = _relabelled(distinct, await self._held(space, list(distinct)), space.embedding.field)
        await space.rewrite(vectors)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of entries that are held with all their chunks. Raises ``LayerError``."""
        space = await self._reading() if ids else None
        held = _metadata(await self._held(space, ids)) if space else {}
        return {
            entry: StoredRecord(entry, held[entry]["hash"], held[entry]["meta_hash"])
            for entry in ids
            if is_whole(entry, held)
        }

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries with all their chunks, the first one last. Raises ``LayerError``."""
        ours = [entry for entry in dict.fromkeys(ids) if is_entry_id(entry)]
        space = await self._reading() if ours else None
        if space is None:
            return
        held = _metadata(await space.vectors(ours))
        counts = {entry: chunks_of(held.get(entry)) for entry in ours}
        chunks = [record_id(entry, number) for entry in ours for number in range(1, counts[entry])]
        await space.delete([*await space.surplus(counts), *chunks, *ours])

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """Search by meaning; expired entries are left out. Raises ``LayerError``."""
        conditions = filter_of(query)
        text = checked_text(query.text)
        space = await self._reading() if text and query.limit > 0 else None
        if space is None:
            return []
        embedding = space.embedding
        top_k = min(_HITS_PER_ENTRY * query.limit, MOST_HITS)
        while True:
            hits = await space.search(text, top_k, conditions, fields_wanted(embedding.field))
            found = entries_among(hits, embedding.field, cosine=embedding.cosine, now=time.time(), limit=query.limit)
            if len(found) == query.limit or len(hits) < top_k or top_k == MOST_HITS:
                return found
            top_k = min(_HITS_PER_ENTRY * top_k, MOST_HITS)

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``LayerError``."""
        space = await self._reading()
        if space is None:
            return [], None
        pages, _, token = (after or "0 ").partition(" ")
        for page in range(int(pages) + 1, MOST_PAGES):
            ids, following = await space.page(token or None, limit)
            if following is not None and following == token:
                break
            found = await self._payloads(space, [entry for entry in ids if is_entry_id(entry)])
            if found or following is None:
                return found, f"{page} {following}" if following else None
            token = following
        raise self.service.malformed("pagination")

    async def close(self) -> None:
        """Close both planes. Idempotent; a later call opens them again."""
        await self._index.close()

    # -------------------------------------------------------------------------------------------------------------

    def _space(self, target: Target) -> Namespace:
        return Namespace(target, self.brand, self.service, self._index.forget)

    async def _reading(self) -> Namespace | None:
        """Return the brand's namespace, or None where there is no index and so nothing stored."""
        target = await self._index.found()
        return None if target is None else self._space(target)

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

        An entry whose text has ``changed`` is looked for always. Any other has left-overs only where the registry was
        lost or the chunking is new, so not in a namespace without a long text: which is asked once.
        """
        if any(len(entry.records) > 1 for entry in entries):
            self._has_long_entries = True
        if self._has_long_entries is None:
            said = await space.may_have_long_entries()
            self._has_long_entries = self._has_long_entries or said
        suspects = entries if self._has_long_entries else [entry for entry in entries if entry.id in changed]
        return await space.surplus({entry.id: len(entry.records) for entry in suspects})

    async def _held(self, space: Namespace, ids: Sequence[str]) -> dict[str, Vector]:
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
        """Return the entries that are held whole; records that other programs keep in the namespace are none."""
        held = _metadata(await self._held(space, ids))
        found = []
        for entry in ids:
            if is_whole(entry, held):
                chunks = [held[record_id(entry, number)] for number in range(chunks_of(held[entry]))]
                try:
                    found.append(restored(self.brand, space.embedding.field, entry, chunks))
                except (KeyError, TypeError, ValueError):
                    continue
        return found


def _was_another(payload: Payload) -> bool:
    return payload.version > 1 or bool(payload.updated_from)


def _metadata(vectors: Mapping[str, Vector]) -> dict[str, Mapping[str, Any]]:
    return {found: vector.metadata or {} for found, vector in vectors.items()}


def _relabelled(
    payloads: Mapping[str, Payload], held: Mapping[str, Vector], field: str
) -> tuple[list[Vector], dict[str, LayerError]]:
    """Return the records of entries with the metadata of payloads, and by id why some can't have it."""
    vectors: list[Vector] = []
    errors: dict[str, LayerError] = {}
    metadata = _metadata(held)
    for entry, payload in payloads.items():
        if not is_whole(entry, metadata) or metadata[entry]["hash"] != payload.content_hash:
            errors[entry] = _NOT_HELD
            continue
        parts = [held[record_id(entry, number)] for number in range(chunks_of(metadata[entry]))]
        try:
            records = records_of(payload, field, [str((part.metadata or {}).get(field, "")) for part in parts])
        except LayerError as error:
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
    if parts.scheme != "https" and not _is_loopback(name):
        raise ConfigurationError(
            "PINECONE_CONTROLLER_HOST would send the key over the network in clear text.",
            "Write it with https://, or unset it to use Pinecone's own address.",
        )
    return parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_NOT_HELD = refused("The entry is not in the vector database.", "It is stored whole with the next sync.")

_UNFORESEEN = "Pinecone failed in a way dm-memory does not know."


def _unforeseen(error: Exception) -> LayerError:
    remedy = "Run dm-memory doctor, and report it with this code if it happens again."
    return LayerError(_UNFORESEEN, remedy, error_class=ErrorClass.UNKNOWN, code=type(error).__name__)
