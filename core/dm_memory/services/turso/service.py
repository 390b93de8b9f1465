"""Turso as a connected service: the team's durable store, which keeps every entry whole.

Another machine, or another vector database, can be filled from it alone: entries with their state, the texts they had
before, their vectors, what they add up to, and what was forgotten. Beyond the protocol it has the change feed that a
sync reads before it plans.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.facts.patterns import Counted, PatternRow, with_others
from dm_memory.items import Payload
from dm_memory.services.faults import NOT_STORED, load, refused
from dm_memory.services.protocol import Capabilities, Capacity, Outcome, ServiceBase, StoredRecord
from dm_memory.services.turso.protocol import START, Key, Page
from dm_memory.services.turso.rows import (
    EmbeddingRow,
    episode_from_row,
    episode_of,
    payload_of,
)
from dm_memory.services.turso.schema import NATIVE, Row, Table
from dm_memory.services.turso.store import DurableStore, integer
from dm_memory.services.turso.wire import faults_of
from dm_memory.services.turso.writing import SharedStore
from dm_memory.settings import Settings
from dm_memory.store.indexes import vector_id
from dm_memory.text.hashing import content_mac

__all__ = ["Digest", "Revision", "Tombstone", "TursoService", "open_durable", "turso_service"]


@dataclass(frozen=True, slots=True)
class Digest:
    """What it takes to see whether an entry is known as it is, without its text."""

    id: str
    key: str
    content_hash: str
    metadata_hash: str
    state: str = "current"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An entry that is gone; ``content_mac`` is that of the text that was forgotten, "" if it was only removed."""

    id: str
    content_mac: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A text that an entry had before. The store numbers those of an entry, oldest first."""

    id: str
    number: int
    content: str
    content_hash: str
    recorded_at: str
    replaced_at: str
    reason: str


_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

_FINGERPRINT = "episodes-2"
"""What an episode is made of; the tables' own versions are the store's business."""

_BATCH = 256
_PAGE = 500
_FEED_PAGE = 5000
_ON_A_THREAD = 64
"""Rows from which on they are made into payloads on a thread, so that the event loop goes on."""

_PATTERN = ("id", *NATIVE.tables[Table.PATTERNS].columns)


class TursoService(ServiceBase):
    """Episodes, embeddings, patterns, revisions and tombstones on Turso or a libsql-server; see ``Service``.

    Args:
        url: ``TURSO_DATABASE_URL``.
        token: ``TURSO_AUTH_TOKEN``.
        brand: The brand's slug.
        timeout: Seconds for one answer.
    """

    role = "durable"
    capabilities = Capabilities(batch_items=_BATCH, counts=True, lists=True, shared=True, keeps_retired=True)

    def __init__(self, url: str, token: SecretStr | None, brand: str, timeout: float = 30.0) -> None:
        parts = urlsplit(url)  # without a password: what distinguishes one database from another
        place = f"{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self.name = f"durable@turso:{place}"
        self.engine = f"Turso ({place})"
        self.faults = faults_of(place)
        self._open = partial(_shared_store, url, token, brand, timeout)
        self._opened: SharedStore | None = None
        self._key = b""

    @property
    def store(self) -> SharedStore:
        """The database. Raises ``ConfigurationError`` if the URL or the token can't be used."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    async def prepare(self) -> None:
        """Import the HTTP client on a thread, and open the store; nothing is sent."""
        await load("dm_memory.services.turso.hrana")
        await self.store.connect()

    async def fingerprint(self) -> str:
        """Return the version of what an episode is made of."""
        return _FINGERPRINT

    async def ping(self) -> str:
        """Ask for the schema's version. Raises ``ServiceError``."""
        pong = await self.store.ping()
        if pong.layout not in {NATIVE.name, "empty"}:
            raise _not_ours(pong.layout)
        return f"It answers, schema version {pong.schema_version}." if pong.schema_version else "Nothing stored yet."

    async def capacity(self) -> Capacity:
        """Count the brand's entries: Turso states no limit."""
        entries = await self.count()
        return Capacity(entries, None, "entries", entries)

    async def count(self) -> int:
        """Count the brand's entries in the database, now."""
        return (await self.store.counts())[Table.EPISODES]

    async def close(self) -> None:
        """Close connections."""
        if self._opened is not None:
            await self._opened.close()

    # Entries ---------------------------------------------------------------------------------------------------------

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads as episodes, then their vectors."""
        latest = {payload.id: payload for payload in payloads}
        errors = await self._store_episodes(latest)
        for id_ in errors:
            del latest[id_]
        await self.store.upsert_embeddings([row for payload in latest.values() for row in _embeddings(payload)])
        await self._drop_old_vectors(latest)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace episodes that are stored with this text, whose vectors therefore stay."""
        known = await self.fetch([payload.id for payload in payloads])
        fit = {p.id: p for p in payloads if p.id in known and known[p.id].content_hash == p.content_hash}
        errors = await self._store_episodes(fit)
        errors |= {payload.id: NOT_STORED for payload in payloads if payload.id not in fit}
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def _store_episodes(self, payloads: Mapping[str, Payload]) -> dict[str, ServiceError]:
        """Store what can be stored, and return by id why the rest can't."""
        if not payloads:
            return {}
        key = await self.shared_key()
        macs = {payload.id: content_mac(key, payload.content_hash) for payload in payloads.values()}
        try:
            await self.store.upsert_episodes(await _in_pages(episode_of, [*payloads.values()]), macs)
        except ServiceError as error:
            if error.error_class is not ErrorClass.VALIDATION:
                raise
            refusal = error
        else:
            return {}
        buried = await self.store.tombstones_of([*payloads])
        if errors := {id_: _FORGOTTEN for id_, mac in macs.items() if buried.get(id_) == mac}:
            rest = {id_: payload for id_, payload in payloads.items() if id_ not in errors}
            return errors | await self._store_episodes(rest)
        if len(payloads) == 1:
            return dict.fromkeys(payloads, refusal)
        pairs = list(payloads.items())
        middle = len(pairs) // 2
        first = await self._store_episodes(dict(pairs[:middle]))
        return first | await self._store_episodes(dict(pairs[middle:]))

    async def _drop_old_vectors(self, payloads: Mapping[str, Payload]) -> None:
        """Remove vectors of texts that changed: those of other models too, for they are of what is no longer there."""
        changed = [payload.id for payload in payloads.values() if payload.version > 1]
        if not changed:
            return
        page = await self.store.embeddings_of(changed)
        item, content = (page.columns.index(name) if page.rows else 0 for name in ("item_id", "content_hash"))
        old = [str(row[0]) for row in page.rows if row[content] != payloads[str(row[item])].content_hash]
        if old:
            await self.store.delete(Table.EMBEDDINGS, old)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes and states of the episodes there are."""
        rows = await self.store.digests_of(ids)
        return {str(row[0]): StoredRecord(str(row[0]), str(row[3]), str(row[4]), str(row[5])) for row in rows}

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove episodes: duplicates, or those that are nowhere any more. See ``forget`` for what is forgotten."""
        await self.store.delete(Table.EPISODES, ids)

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries in the order of their changes, with their vectors, and where to go on."""
        moment, _, id_ = (after or "").partition("/")
        page = await self.store.page(Table.EPISODES, (int(moment), id_) if after else START, limit=limit)
        place = _last(page.rows)
        return await self._payloads(page), f"{place[0]}/{place[1]}" if place and len(page.rows) == limit else None

    async def payloads(self, ids: Sequence[str]) -> list[Payload]:
        """Return entries whole, with their vectors; those that are not there, or damaged, are absent."""
        found = []
        for start in range(0, len(ids), _PAGE):
            found += await self._payloads(await self.store.rows(Table.EPISODES, ids[start : start + _PAGE]))
        return found

    async def _payloads(self, page: Page) -> list[Payload]:
        made = await _in_pages(_payload, [dict(zip(page.columns, row, strict=True)) for row in page.rows])
        payloads = [payload for payload in made if payload is not None]
        if not payloads:
            return []
        vectors = _vectors(await self.store.embeddings_of([payload.id for payload in payloads]))
        nothing = ("", ())
        return [
            replace(payload, vector_model=model, vectors=chunks)
            for payload in payloads
            for model, chunks in [vectors.get((payload.id, payload.content_hash), nothing)]
        ]

    # What other machines stored and forgot ---------------------------------------------------------------------------

    async def changes(self, after: Key | None) -> tuple[list[Digest], Key | None]:
        """Return what was stored after a place in the order of changes, by whichever machine, and where to go on.

        Args:
            after: Where an earlier answer ended; None begins.

        Returns:
            Digests in that order, some thousand at most, and the last one's place; nothing, and None, at the end.
        """
        rows = await self.store.digests(after or START, limit=_FEED_PAGE)
        return [Digest(*map(str, (row[0], *row[2:]))) for row in rows], _last(rows)

    async def tombstones(self, after: Key | None) -> tuple[list[Tombstone], Key | None]:
        """Return the entries that went after a place in the order of changes, and where to go on; see ``changes``."""
        rows = await self.store.forgotten(after or START, limit=_FEED_PAGE)
        return [Tombstone(str(row[0]), str(row[2])) for row in rows], _last(rows)

    async def shared_key(self, proposal: bytes | None = None) -> bytes:
        """Return the key of the tombstones' MACs, the same on every machine.

        Args:
            proposal: Becomes it if there is none yet: a machine that forgot something before proposes its own.
        """
        self._key = self._key or await self.store.shared_key(proposal or secrets.token_bytes(32))
        return self._key

    async def forget(self, macs: Mapping[str, str]) -> None:
        """Remove entries for good, those also that are not stored here; by id the MAC of what is forgotten."""
        await self.store.delete(Table.EPISODES, [*macs], macs)

    async def restore(self, ids: Sequence[str]) -> None:
        """Let entries that were forgotten be stored again."""
        await self.store.lift(ids)

    async def revisions(self, ids: Sequence[str]) -> list[Revision]:
        """Return the texts that entries had before, oldest first."""
        rows = await self.store.revisions(ids)
        return [Revision(str(row[0]), integer(row[1]), *map(str, row[2:])) for row in rows]

    # Patterns --------------------------------------------------------------------------------------------------------

    async def put_patterns(self, counted: Counted, gone: Sequence[str]) -> None:
        """Store patterns that are new or changed, and remove those with the ids ``gone``, which nothing here bears out.

        They are first joined with what other machines stored.
        """
        own = {row.id: row for row in counted.rows}
        stored = {row.id: row for row in await self._patterns(None if counted.whole else [*own, *gone])}
        wanted = with_others(own, stored, counted.files)
        if rows := [row for row in wanted if stored.get(row.id) != row]:
            await self.store.upsert_patterns(rows)
        if lost := [*(stored.keys() - {row.id for row in wanted})]:
            await self.store.delete(Table.PATTERNS, lost)

    async def _patterns(self, ids: Sequence[str] | None) -> list[PatternRow]:
        """Return the patterns with these ids, or all there are, whoever stored them."""
        found: list[PatternRow] = []
        if ids is not None:
            for start in range(0, len(ids), _PAGE):
                found += _pattern_rows(await self.store.rows(Table.PATTERNS, ids[start : start + _PAGE]))
            return found
        after: Key | None = START
        while after is not None:
            page = await self.store.page(Table.PATTERNS, after, limit=_PAGE)
            found += _pattern_rows(page)
            after = _last(page.rows)
        return found


def turso_service(settings: Settings, brand: str) -> TursoService:
    """Return the service behind ``TURSO_DATABASE_URL``, which is set. Nothing is opened or sent before it is used."""
    url = settings.turso_database_url or ""
    return TursoService(url, settings.turso_auth_token, brand, settings.storage_timeout)


def open_durable(
    memory_dir: Path, brand: str, *, url: str | None, token: SecretStr | None, timeout: float
) -> DurableStore:
    """Return the store behind ``url``, else memory.db itself: what ``storage_sync`` reads. Nothing is opened yet.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        url: ``TURSO_DATABASE_URL``.
        token: ``TURSO_AUTH_TOKEN``.
        timeout: Seconds for one answer of a remote store.

    Raises:
        ConfigurationError: The URL or the token can't be used.
    """
    if url:
        return _shared_store(url, token, brand, timeout)
    from dm_memory.services.turso.sqlite import open_memory  # noqa: PLC0415  # only what is used is imported

    return open_memory(memory_dir, brand)


def _shared_store(url: str, token: SecretStr | None, brand: str, timeout: float) -> SharedStore:
    from dm_memory.services.turso.hrana import Timeouts, open_turso_store  # noqa: PLC0415  # a tenth of a second

    return open_turso_store(url, token, brand, timeouts=Timeouts(read=min(timeout, 15.0), overall=timeout))


async def _in_pages(make: Callable[[_Item], _Made], items: Sequence[_Item]) -> list[_Made]:
    """Return what ``make`` makes of each item; on a thread if there are many."""
    if len(items) < _ON_A_THREAD:
        return [make(item) for item in items]
    return await asyncio.to_thread(lambda: [make(item) for item in items])


def _last(rows: Sequence[Row]) -> Key | None:
    return (integer(rows[-1][1]), str(rows[-1][0])) if rows else None


def _payload(row: Mapping[str, object]) -> Payload | None:
    try:
        return payload_of(episode_from_row(row))
    except ServiceError:
        return None  # damaged JSON: the entry is planned from its source, and then written over it


def _pattern_rows(page: Page) -> list[PatternRow]:
    rows = (dict(zip(page.columns, row, strict=True)) for row in page.rows)
    return [PatternRow(**{name: row[name] for name in _PATTERN}) for row in rows]  # type: ignore[arg-type]  # as stored


def _embeddings(payload: Payload) -> Iterator[EmbeddingRow]:
    for number, vector in enumerate(payload.vectors):
        yield EmbeddingRow(
            id=vector_id(payload.brand, payload.id, payload.vector_model, number),
            brand=payload.brand,
            item_id=payload.id,
            item_type="episode",
            chunk=number,
            content_hash=payload.content_hash,
            model=payload.vector_model,
            dimension=len(vector) // 4,
            vector=vector,
        )


def _vectors(page: Page) -> dict[tuple[str, str], tuple[str, tuple[bytes, ...]]]:
    """Return by episode and content hash the model used last, and its chunks if all of them are there."""
    if not page.rows:
        return {}
    names = ("item_id", "content_hash", "model", "chunk", "vector")
    places = [page.columns.index(name) for name in names]
    found: dict[tuple[str, str], tuple[str, dict[int, bytes]]] = {}
    for row in sorted(page.rows, key=lambda row: integer(row[1])):
        item, text, model, chunk, vector = (row[place] for place in places)
        key = (str(item), str(text))
        if found.get(key, ("",))[0] != model:
            found[key] = (str(model), {})
        if isinstance(vector, bytes):
            found[key][1][integer(chunk)] = vector
    return {
        key: (model, tuple(chunks[number] for number in range(len(chunks))))
        for key, (model, chunks) in found.items()
        if chunks.keys() == set(range(len(chunks)))
    }


_FORGOTTEN = refused(
    "The entry was forgotten on one of the team's machines.",
    "Nothing has to be done; edit its text, or restore it, to store it again.",
    "forgotten",
)


def _not_ours(layout: str) -> ServiceError:
    owner = "do-memory" if layout == "do-memory" else "another program"
    return ServiceError(
        f"The database behind TURSO_DATABASE_URL belongs to {owner}, so nothing is written to it.",
        "Point TURSO_DATABASE_URL at a database of its own; storage_sync goes on reading this one.",
        error_class=ErrorClass.CONFIGURATION,
        code="read-only-layout",
    )
