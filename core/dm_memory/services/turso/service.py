"""The durable store as a memory layer: a sync writes every item there whole, with its vectors and what it adds up to.

It is delivered to after the vector layer, whose vectors it keeps: another machine, or another vector database, can be
filled from the durable store alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.facts.patterns import Counted, with_others
from dm_memory.items import Payload
from dm_memory.services.protocol import Capabilities, Capacity, Health, Outcome, StoredRecord, Vectors, VectorSource
from dm_memory.services.turso.protocol import START, DurableStore, Key, Page
from dm_memory.services.turso.rows import (
    EmbeddingRow,
    EpisodeRow,
    PatternRow,
    embedding_id,
    episode_of,
    pack_vector,
    payload_of,
)
from dm_memory.services.turso.schema import NATIVE, Table
from dm_memory.services.turso.statement import Row

__all__ = ["Digest", "DurableLayer", "episode_from_row"]


@dataclass(frozen=True, slots=True)
class Digest:
    """What tells whether an entry is known as it is, without its text."""

    id: str
    key: str
    content_hash: str
    metadata_hash: str


_FINGERPRINT = "episodes-1"
"""What an episode is made of; the tables' own versions are the store's business."""

_DIGEST_PAGE = 5000
_VECTOR_PAGE = 256
_EPISODE_PAGE = 500
_PATTERN = ("id", *NATIVE.tables[Table.PATTERNS].columns)
_EPISODE = ("id", *NATIVE.tables[Table.EPISODES].columns)


class DurableLayer:
    """Episodes, their embeddings, and patterns in a ``DurableStore``. See ``Layer`` for the contract of its methods.

    Args:
        store: Where it all goes; closed with the layer.
        name: See ``Layer.name``.
        vectors: The vector layer, where it embeds on this machine: its vectors are kept beside the episodes.
        batch_items: Most episodes of one ``upsert``.
        shared: True where other machines write to the same store.
    """

    role = "durable"

    def __init__(
        self,
        store: DurableStore,
        name: str = "durable",
        vectors: VectorSource | None = None,
        *,
        batch_items: int = 1024,
        shared: bool = False,
    ) -> None:
        self._store = store
        self._vectors = vectors
        self.name = name
        self.shared = shared
        self.capabilities = Capabilities(batch_items=batch_items, remote=shared)

    @property
    def engine(self) -> str:
        """The engine, for people."""
        return self._store.engine

    async def fingerprint(self) -> str:
        """Return the version of what an episode holds."""
        return _FINGERPRINT

    async def health(self) -> Health:
        """Ask for the schema's version, one round trip. Never raises."""
        try:
            pong = await self._store.ping()
        except LayerError as error:
            return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        if pong.layout == "do-memory":
            return Health(ok=False, engine=self.engine, detail=_NOT_OURS.problem, error=_NOT_OURS)
        detail = f"It answers, schema version {pong.schema_version}." if pong.schema_version else "Nothing stored yet."
        return Health(ok=True, engine=self.engine, detail=detail)

    async def capacity(self) -> Capacity:
        """Count the brand's episodes; neither a file nor Turso states a limit. Raises ``LayerError``."""
        entries = (await self._store.counts())[Table.EPISODES]
        return Capacity(entries, None, "entries", entries)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads as episodes, then their vectors. Raises ``LayerError``."""
        latest = {payload.id: payload for payload in payloads}
        errors = await self._store_episodes(latest)
        for id_ in errors:
            del latest[id_]
        if self._vectors is not None:
            await self._keep_vectors(self._vectors, latest)
        await self._drop_old_vectors(latest)
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace episodes that are there; their text is the same, so their vectors are. Raises ``LayerError``."""
        held = await self.fetch([payload.id for payload in payloads])
        errors = await self._store_episodes({payload.id: payload for payload in payloads if payload.id in held})
        errors |= {payload.id: _NOT_HELD for payload in payloads if payload.id not in held}
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of the episodes there are. Raises ``LayerError``."""
        rows = await self._store.digests_of(ids)
        return {str(row[0]): StoredRecord(str(row[0]), str(row[3]), str(row[4])) for row in rows}

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove episodes with their vectors; tombstones tell the copies. Raises ``LayerError``."""
        await self._store.delete(Table.EPISODES, ids)

    async def close(self) -> None:
        """Close the store. Idempotent."""
        await self._store.close()

    async def _store_episodes(self, payloads: Mapping[str, Payload]) -> dict[str, LayerError]:
        """Store what can be stored, and return by id why the rest can't."""
        try:
            await self._store.upsert_episodes([episode_of(payload) for payload in payloads.values()])
        except LayerError as error:
            if error.error_class is not ErrorClass.VALIDATION:
                raise
            trouble = error
        else:
            return {}
        if len(payloads) == 1:
            return dict.fromkeys(payloads, trouble)
        pairs = list(payloads.items())
        middle = len(pairs) // 2
        return {
            **await self._store_episodes(dict(pairs[:middle])),
            **await self._store_episodes(dict(pairs[middle:])),
        }

    # Vectors -----------------------------------------------------------------------------------------------------

    async def _keep_vectors(self, source: VectorSource, payloads: Mapping[str, Payload]) -> None:
        """Store the vectors that the vector layer holds of exactly these texts.

        What it does not hold yet comes later: an item that reaches it in another run is delivered here again.
        """
        ids = list(payloads)
        for start in range(0, len(ids), _VECTOR_PAGE):
            model, found = await _ask(source, ids[start : start + _VECTOR_PAGE])
            rows = [row for id_, held in found.items() for row in _embeddings(payloads[id_], held, model)]
            await self._store.upsert_embeddings(rows)

    async def _drop_old_vectors(self, payloads: Mapping[str, Payload]) -> None:
        """Remove vectors of texts that changed: those of other models too, for they say what no longer stands."""
        changed = [payload.id for payload in payloads.values() if payload.version > 1]
        if not changed:
            return
        page = await self._store.embeddings_of(changed)
        item, content = (page.columns.index(name) if page.rows else 0 for name in ("item_id", "content_hash"))
        old = [str(row[0]) for row in page.rows if row[content] != payloads[str(row[item])].content_hash]
        if old:
            await self._store.delete(Table.EMBEDDINGS, old)

    # What others stored ------------------------------------------------------------------------------------------

    async def changes(self, after: Key | None) -> tuple[list[Digest], Key | None]:
        """Return what was stored after a place in the order of changes, by whichever machine, and where to go on.

        Args:
            after: Where an earlier answer ended; None begins.

        Returns:
            Digests in that order, some thousand at most, and the last one's place; nothing, and None, at the end.

        Raises:
            LayerError: The store can't be read.
        """
        rows = await self._store.digests(after or START, limit=_DIGEST_PAGE)
        digests = [Digest(str(id_), str(key), str(content), str(meta)) for id_, _, key, content, meta in rows]
        return digests, (int(rows[-1][1] or 0), str(rows[-1][0])) if rows else None

    async def payloads(self, ids: Sequence[str]) -> list[Payload]:
        """Return entries whole; those that are not there, or damaged, are absent. Raises ``LayerError``."""
        found = []
        for start in range(0, len(ids), _EPISODE_PAGE):
            page = await self._store.rows(Table.EPISODES, ids[start : start + _EPISODE_PAGE])
            found += [payload for row in page.rows if (payload := _payload(page, row)) is not None]
        return found

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries in the order of their changes, and where to go on. Raises ``LayerError``."""
        moment, _, id_ = (after or "").partition("/")
        page = await self._store.page(Table.EPISODES, (int(moment), id_) if after else START, limit=limit)
        payloads = [payload for row in page.rows if (payload := _payload(page, row)) is not None]
        more = len(page.rows) == limit
        return payloads, f"{int(page.rows[-1][1] or 0)}/{page.rows[-1][0]!s}" if more else None

    # Patterns ----------------------------------------------------------------------------------------------------

    async def put_patterns(self, counted: Counted, gone: Sequence[str]) -> None:
        """Store patterns that are new or changed, and remove those with the ids ``gone``, which nothing here bears out.

        In a store that others write to they are first joined with what is there. Raises ``LayerError``.
        """
        rows = counted.rows
        if self.shared:
            own = {row.id: row for row in rows}
            held = {row.id: row for row in await self._patterns(None if counted.whole else [*own, *gone])}
            wanted = with_others(own, held, counted.files)
            rows = [row for row in wanted if held.get(row.id) != row]
            gone = [*(held.keys() - {row.id for row in wanted})]
        if rows:
            await self._store.upsert_patterns(rows)
        if gone:
            await self._store.delete(Table.PATTERNS, gone)

    async def _patterns(self, ids: Sequence[str] | None) -> list[PatternRow]:
        """Return the patterns with these ids, or all there are, whoever stored them."""
        found: list[PatternRow] = []
        if ids is not None:
            for start in range(0, len(ids), _EPISODE_PAGE):
                found += _pattern_rows(await self._store.rows(Table.PATTERNS, ids[start : start + _EPISODE_PAGE]))
            return found
        after = START
        while rows := (page := await self._store.page(Table.PATTERNS, after, limit=_EPISODE_PAGE)).rows:
            found += _pattern_rows(page)
            after = (int(rows[-1][1] or 0), str(rows[-1][0]))
        return found


def episode_from_row(row: Mapping[str, object]) -> EpisodeRow:
    """Return an episode from its columns; others are left out. Raises ``KeyError`` where one is missing."""
    return EpisodeRow(**{name: row[name] for name in _EPISODE})  # type: ignore[arg-type]  # as the store returned them


def _pattern_rows(page: Page) -> list[PatternRow]:
    rows = (dict(zip(page.columns, row, strict=True)) for row in page.rows)
    return [PatternRow(**{name: row[name] for name in _PATTERN}) for row in rows]  # type: ignore[arg-type]  # as stored


def _payload(page: Page, row: Row) -> Payload | None:
    try:
        return payload_of(episode_from_row(dict(zip(page.columns, row, strict=True))))
    except LayerError:
        return None  # damaged JSON: the entry is planned from its source, and then written over it


async def _ask(source: VectorSource, ids: Sequence[str]) -> tuple[str, Mapping[str, Vectors]]:
    """Return the model's name and the vectors there are; trouble of that layer is reported by its own delivery."""
    try:
        model = await source.vector_model()
        return f"{model.name}@{model.weights[:12]}", await source.vectors(ids)
    except LayerError:
        return "", {}


def _embeddings(payload: Payload, held: Vectors, model: str) -> Iterable[EmbeddingRow]:
    if held.content_hash != payload.content_hash:
        return
    for number, vector in enumerate(held.chunks):
        yield EmbeddingRow(
            id=embedding_id(payload.brand, payload.id, model, number),
            brand=payload.brand,
            item_id=payload.id,
            item_type="episode",
            chunk=number,
            content_hash=payload.content_hash,
            model=model,
            dimension=len(vector),
            vector=pack_vector(vector),
        )


_NOT_HELD = LayerError(
    "The entry is not in the durable store.",
    "It is stored whole with the next sync.",
    error_class=ErrorClass.VALIDATION,
)


_NOT_OURS = LayerError(
    "The durable store's database belongs to do-memory, so nothing is written to it.",
    "Point TURSO_DATABASE_URL at a database of its own; storage_sync goes on reading this one.",
    error_class=ErrorClass.VALIDATION,
    code="do-memory",
)
