"""Writing the durable store that machines share: upserts, deletions with their tombstones, revisions, migration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from dm_memory.embedding.batch import in_batches
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.turso import sql
from dm_memory.services.turso.protocol import START, Key, WritingEngine
from dm_memory.services.turso.rows import DurableRow, EmbeddingRow, EpisodeRow, PatternRow, sql_row
from dm_memory.services.turso.schema import (
    NATIVE,
    SCHEMA_VERSION,
    Layout,
    ReplyTooLargeError,
    Row,
    SchemaMismatchError,
    Statement,
    Table,
    at_version,
    migration,
)
from dm_memory.services.turso.store import DurableStore

__all__ = ["SharedStore"]

_BATCH_BYTES = 4 * 1024 * 1024
"""Most text of one transaction: what a request over HTTP carries well, and how long a lock on the store may last."""

_ON_A_THREAD = 64
"""Rows from which on statements are made on a thread, so that the event loop goes on."""


def _microseconds() -> int:
    return time.time_ns() // 1000


class SharedStore(DurableStore):
    """A durable store that is also written.

    Args:
        engine: Where the statements run.
        brand: The brand whose rows are read and written.
        now: The clock, in microseconds since 1970.
    """

    def __init__(self, engine: WritingEngine, brand: str, now: Callable[[], int] = _microseconds) -> None:
        super().__init__(engine, brand)
        self._writer = engine
        self._now = now

    async def connect(self) -> None:
        """Make what the first request needs. Sends nothing. Raises ``ConfigurationError``."""
        await self._writer.connect()

    async def migrate(self) -> None:
        """Create or update the tables, one version a transaction. Idempotent; several processes may do it at once."""
        if (layout := await self._detect()) and not layout.writable:
            raise _read_only(layout)
        while (version := (await self.ping()).schema_version) < SCHEMA_VERSION:
            await self._step_to(version + 1)
        self._layout = NATIVE

    async def _step_to(self, version: int) -> None:
        try:
            await self._writer.write(migration(version))
        except ServiceError as error:
            # The guard in the transaction broke it: another process took the step between our look and our write.
            if error.concerns_whole_service or (await self.ping()).schema_version < version:
                raise

    async def upsert_episodes(self, rows: Sequence[EpisodeRow], macs: Mapping[str, str] | None = None) -> None:
        """Store episodes; the texts they replace become revisions.

        Args:
            rows: The episodes.
            macs: By id the MAC of the content hash. A text that was forgotten makes the call fail with a constraint.
        """
        await self._upsert(Table.EPISODES, rows, macs or {})

    async def upsert_patterns(self, rows: Sequence[PatternRow]) -> None:
        """Store patterns."""
        await self._upsert(Table.PATTERNS, rows, {})

    async def upsert_embeddings(self, rows: Sequence[EmbeddingRow]) -> None:
        """Store vectors."""
        await self._upsert(Table.EMBEDDINGS, rows, {})

    async def _upsert(self, table: Table, rows: Sequence[DurableRow], macs: Mapping[str, str]) -> None:
        if len(rows) < _ON_A_THREAD:
            transactions = self._upserts(table, rows, macs)
        else:
            transactions = await asyncio.to_thread(self._upserts, table, rows, macs)
        for steps in transactions:
            await self._write(steps)

    def _upserts(self, table: Table, rows: Sequence[DurableRow], macs: Mapping[str, str]) -> list[list[Statement]]:
        """Return the statements of each transaction; some milliseconds for a thousand rows."""
        place = NATIVE.tables[table].columns.index("content_hash") + 1 if table is Table.EPISODES else 0
        found = []
        written = (sql_row(table, row) for row in rows)
        for batch in in_batches(written, _weight, self._writer.batch_rows, _BATCH_BYTES):
            steps = [*sql.upsert_steps(table, batch)]
            if place:
                texts = {str(row[0]): str(row[place]) for row in batch}
                steps = [*sql.revision_steps(texts), *steps]
                guarded = {id_: mac for id_ in texts if (mac := macs.get(id_))}
                steps = [sql.not_forgotten(guarded), *steps] if guarded else steps
            found.append(steps)
        return found

    async def delete(self, table: Table, ids: Sequence[str], macs: Mapping[str, str] | None = None) -> None:
        """Remove rows, with the embeddings of episodes and patterns, and leave tombstones. Unknown ids are no error.

        Args:
            table: Where they are.
            ids: Which.
            macs: By id the MAC of the content hash of what is forgotten: it leaves a tombstone though it is not there.
        """
        step = self._writer.batch_rows
        for start in range(0, len(ids), step):
            part = ids[start : start + step]
            known = {id_: mac for id_ in part if macs and (mac := macs.get(id_))}
            await self._write([*sql.delete_steps(table, self._brand, part, known)])

    async def lift(self, ids: Sequence[str]) -> None:
        """Remove the tombstones of episodes, so that they may be stored again as they were."""
        await self._write([sql.lift_tombstones(ids)])

    async def shared_key(self, proposal: bytes) -> bytes:
        """Return the key of the tombstones' MACs; ``proposal`` becomes it if there is none yet."""
        await self._write([sql.propose_key(proposal)])
        (rows,) = await self._engine.read([sql.KEY])
        found = rows[0][0] if rows else None
        return found if isinstance(found, bytes) else proposal

    async def _write(self, steps: list[Statement]) -> None:
        transaction = [at_version(SCHEMA_VERSION), sql.set_clock(self._now()), *steps]
        if self._layout is not None and not self._layout.writable:
            raise _read_only(self._layout)
        try:
            await self._writer.write(transaction)
        except ServiceError as error:
            # Tables that are missing, or of another version: both are left to the migration, and nothing was written.
            if not isinstance(error, SchemaMismatchError) and not error.code.startswith("SQLITE_CONSTRAINT"):
                raise
            await self.migrate()
            await self._writer.write(transaction)

    # What a machine of the team needs besides ------------------------------------------------------------------------

    async def digests(self, after: Key = START, *, limit: int = 5000) -> list[Row]:
        """Return the first episodes above ``after``: id, ``updated_at``, key, content hash, metadata hash, state.

        Raises for databases of other programs, which have no such columns.
        """
        return await self._own_rows(lambda: sql.digests(self._brand, after, limit))

    async def digests_of(self, ids: Sequence[str]) -> list[Row]:
        """Return the same of these episodes, in no order; unknown ids are absent."""
        return await self._by_ids(ids, partial(sql.digests_of, self._brand))

    async def forgotten(self, after: Key = START, *, limit: int = 5000) -> list[Row]:
        """Return the first tombstones of episodes above ``after``: id, ``updated_at``, MAC of the content hash."""
        return await self._own_rows(lambda: sql.forgotten_page(self._brand, after, limit))

    async def tombstones_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the MACs of the tombstones of these episodes, by id."""
        return {str(id_): str(mac) for id_, mac in await self._by_ids(ids, sql.tombstones_of)}

    async def revisions(self, ids: Sequence[str]) -> list[Row]:
        """Return the texts that episodes had before, oldest first; none of one whose texts exceed the largest answer.

        Rows of id, number, content, content hash, recorded at, replaced at, reason.
        """
        try:
            return await self._by_ids(ids, sql.revisions_of)
        except ReplyTooLargeError:
            if len(ids) == 1:
                return []  # a history is not worth a sync
        half = len(ids) // 2
        return [*await self.revisions(ids[:half]), *await self.revisions(ids[half:])]

    async def _by_ids(self, ids: Sequence[str], make: Callable[[Sequence[str]], Statement]) -> list[Row]:
        step = self._writer.batch_rows
        found: list[Row] = []
        for start in range(0, len(ids), step):
            found += await self._own_rows(partial(make, ids[start : start + step]))
        return found

    async def _own_rows(self, make: Callable[[], Statement]) -> list[Row]:
        """Return what a statement finds in our own layout; nothing in a store that is not made yet."""
        for attempt in range(2):
            try:
                layout, answers = await self._read(lambda layout: [make()] if layout.writable and layout.tables else [])
            except SchemaMismatchError:
                if attempt:
                    raise
                await self.migrate()  # the store of an older version has no such columns
                continue
            break
        if not layout.writable:
            raise _read_only(layout)
        return answers[0] if answers else []


def _weight(row: Row) -> int:
    return sum([len(value) for value in row if isinstance(value, str | bytes)])


def _read_only(layout: Layout) -> ServiceError:
    return ServiceError(
        f"The database belongs to {_OWNERS.get(layout.name, 'another program')}, so dm-memory reads it and writes"
        " nothing there.",
        "Point TURSO_DATABASE_URL at a database of its own to store this brand's memory.",
        error_class=ErrorClass.CONFIGURATION,
        code="read-only-layout",
    )


_OWNERS = {"do-memory": "do-memory"}
