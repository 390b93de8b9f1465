"""The embedded graph layer: entities and temporal facts of one brand in a SQLite file, searched by words."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.facts.extract import EXTRACTION_VERSION
from dm_memory.facts.model import Fact, Relation
from dm_memory.items import Payload
from dm_memory.layers.graph_entities import EntityTable, in_json
from dm_memory.layers.graph_file import FILE_NAME, GraphFile, is_damage
from dm_memory.layers.graph_queries import facts_about, filters_of, history_of, match_of, moment_of, search_entries
from dm_memory.layers.graph_rows import read_entry
from dm_memory.layers.graph_store import GraphStore, Held
from dm_memory.services.protocol import Capabilities, Capacity, Health, Outcome, SearchHit, SearchQuery, StoredRecord

__all__ = ["SqliteGraphLayer"]

_T = TypeVar("_T")

_CHECKED_BYTES = 256 * 1024 * 1024
"""A larger file is not read whole to tell how it is; what is damaged in it is met when it is used."""


class SqliteGraphLayer:
    """A brand's knowledge graph in ``graph.db``. See ``SearchableLayer`` for the contract of its methods.

    Several processes may have the file open. SQLite runs on a thread of its own; readers never wait for writers.
    Each ``upsert`` is one transaction, on the disk when it returns.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        busy_timeout: Seconds to wait for another process that writes.
        clock: Returns the present moment, with a time zone; None for the machine's.
    """

    name = "graph"
    role = "graph"
    engine = "SQLite graph (embedded)"
    capabilities = Capabilities(batch_items=1024)

    def __init__(
        self,
        memory_dir: Path,
        brand: str,
        *,
        busy_timeout: float = 10.0,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.brand = brand
        self._file = GraphFile(memory_dir / FILE_NAME, busy_timeout)
        self._entities = EntityTable()
        self._clock = clock or partial(datetime.now, UTC)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"dm-memory-graph-{brand}")

    async def fingerprint(self) -> str:
        """Return the version by which facts are read from entries."""
        return f"graph facts {EXTRACTION_VERSION}"

    async def health(self) -> Health:
        """Open the file, check it where that is quick, and count. Never raises."""
        try:
            entries = await self._run(self._examine)
        except LayerError as error:
            return Health(ok=False, engine=self.engine, detail=error.problem, error=error)
        except Exception as error:  # noqa: BLE001  # health answers always; what is unknown is said to be
            return Health(ok=False, engine=self.engine, detail=_UNFORESEEN, error=_unforeseen(error))
        detail = "Nothing is stored yet." if entries is None else f"It answers and holds {entries} entries."
        return Health(ok=True, engine=self.engine, detail=detail)

    async def capacity(self) -> Capacity:
        """Count bytes on the disk and entries. Raises ``LayerError``."""
        return Capacity(await self._run(self._file.used_bytes), None, "bytes", await self._run(self._count) or 0)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads and what they state; a text that is none fails alone. Raises ``LayerError``."""
        errors = await self._run(partial(self._upsert, payloads)) if payloads else {}
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace metadata, and the facts that follow from it, of entries that are held. Raises ``LayerError``."""
        errors = await self._run(partial(self._update_metadata, payloads)) if payloads else {}
        return [Outcome(payload.id, errors.get(payload.id)) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the hashes of what is held. Raises ``LayerError``."""
        return await self._run(partial(self._fetch, ids))

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries with all that only they state; what theirs had replaced holds again. Raises ``LayerError``."""
        await self._run(partial(self._delete, ids))

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """Search texts and names by words (BM25); expired entries are left out. Raises ``LayerError``."""
        return await self._run(partial(self._search, query))

    async def facts(
        self, entity: str | None = None, relation: Relation | None = None, at: str | None = None, limit: int = 1000
    ) -> list[Fact]:
        """Return the facts that held at a moment, the latest first.

        Args:
            entity: What they are about, by its name; a campaign by its name or its id. None for anything.
            relation: None for any.
            at: ISO-8601, naive means local time; None for what has not ended.
            limit: The most facts to return.

        Raises:
            LayerError: The file can't be read; class validation: ``at`` is no moment.
        """
        moment = moment_of(at)
        ask = partial(facts_about, brand=self.brand, entity=entity, relation=relation, at=moment, limit=limit)
        return await self._run(partial(self._ask, ask))

    async def history(self, slot: str) -> list[Fact]:
        """Return every fact that a slot ever held, in order; an end no later than its beginning: it was taken back.

        Raises ``LayerError``.
        """
        return await self._run(partial(self._ask, lambda connection: history_of(connection, self.brand, slot)))

    async def begin_rebuild(self) -> None:
        """Put a damaged file aside, so that what is stored from now on builds the graph again; a sound one is kept.

        Raises ``LayerError``.
        """
        await self._run(self._put_aside_if_damaged)

    async def finish_rebuild(self) -> None:
        """Nothing: entries are read again in place."""

    async def close(self) -> None:
        """Close the file. Idempotent; a later call opens it again. Raises ``LayerError``."""
        await self._run(self._file.close)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # On the layer's thread ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _storing(self) -> Iterator[GraphStore]:
        with self._file.writing() as connection:
            try:
                self._entities.begin(connection)
                yield GraphStore(connection, self.brand, self._entities, self._now)
            except BaseException:
                self._entities.forget()
                raise

    def _upsert(self, payloads: Sequence[Payload]) -> dict[str, LayerError]:
        latest = {payload.id: payload for payload in payloads}
        with self._storing() as store:
            return _store(store, list(latest.values()), store.held(latest))

    def _update_metadata(self, payloads: Sequence[Payload]) -> dict[str, LayerError]:
        if not self._file.path.exists():
            return {payload.id: _NOT_HELD for payload in payloads}
        with self._storing() as store:
            held = store.held(payload.id for payload in payloads)
            texts = store.texts(held)
            latest = {payload.id: payload for payload in payloads}
            errors = _store(store, [_with_text(latest[key], held, texts) for key in latest if key in held], held)
        return {key: _NOT_HELD for key in latest if key not in held} | errors

    def _fetch(self, ids: Sequence[str]) -> dict[str, StoredRecord]:
        sql = "SELECT id, content_hash, metadata_hash FROM entries WHERE id IN (SELECT value FROM json_each(?))"
        rows: list[tuple[str, str, str]] = self._ask(lambda each: each.execute(sql, (in_json(ids),)).fetchall())
        return {row[0]: StoredRecord(*row) for row in rows}

    def _delete(self, ids: Sequence[str]) -> None:
        if ids and self._file.path.exists():
            with self._storing() as store:
                store.delete([held.seq for held in store.held(ids).values()])

    def _search(self, query: SearchQuery) -> list[SearchHit]:
        words, filters = match_of(query.text), filters_of(query, self._clock().timestamp())
        if not words or query.limit < 1:
            return []
        return self._ask(lambda connection: search_entries(connection, words, filters, query.limit))

    def _ask(self, question: Callable[[sqlite3.Connection], list[_T]]) -> list[_T]:
        with self._file.reading() as connection:
            return [] if connection is None else question(connection)

    def _count(self) -> int | None:
        counts: list[tuple[int]] = self._ask(lambda each: each.execute("SELECT count(*) FROM entries").fetchall())
        return counts[0][0] if counts else None

    def _examine(self) -> int | None:
        if self._file.used_bytes() <= _CHECKED_BYTES:
            self._file.check()
        return self._count()

    def _put_aside_if_damaged(self) -> None:
        try:
            self._examine()
        except LayerError as error:
            if not is_damage(error):
                raise
            self._file.set_aside()
            self._entities.forget()


def _store(store: GraphStore, payloads: Sequence[Payload], held: Mapping[str, Held]) -> dict[str, LayerError]:
    """Store what differs from what is held; return what can't be."""
    changed = (each for each in payloads if not (known := held.get(each.id)) or not known.is_same(each))
    read = {payload.id: read_entry(payload) for payload in changed}
    entries = [entry for entry in read.values() if not isinstance(entry, LayerError)]
    if entries:
        store.store(entries, held)
    return {key: entry for key, entry in read.items() if isinstance(entry, LayerError)}


def _with_text(payload: Payload, held: Mapping[str, Held], texts: Mapping[str, str]) -> Payload:
    """Return a payload with the text that is stored: its metadata alone is to change."""
    return replace(payload, content=texts[payload.id], content_hash=held[payload.id].content_hash)


_NOT_HELD = LayerError(
    "The entry is not in the knowledge graph.",
    "It is stored whole with the next sync.",
    error_class=ErrorClass.VALIDATION,
    code="not-held",
)
_UNFORESEEN = "The engine failed in a way dm-memory does not know."


def _unforeseen(error: Exception) -> LayerError:
    remedy = "Sync with force to build it anew; report the code if that does not help."
    return LayerError(_UNFORESEEN, remedy, error_class=ErrorClass.UNKNOWN, code=type(error).__name__)
