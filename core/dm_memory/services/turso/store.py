"""The durable store over any engine that runs SQLite's SQL: all of it but the transport."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.turso import sql
from dm_memory.services.turso.protocol import START, Key, Page, Pong, Survey
from dm_memory.services.turso.rows import DurableRow, EmbeddingRow, EpisodeRow, PatternRow, row_checksum, sql_row
from dm_memory.services.turso.schema import (
    DETECT,
    NATIVE,
    SCHEMA_VERSION,
    Layout,
    Table,
    at_version,
    migration,
    recognise,
    version_query,
)
from dm_memory.services.turso.statement import ReplyTooLargeError, Row, SchemaMismatchError, SqlValue, Statement

__all__ = ["Engine", "SqlStore"]

_BATCH_BYTES = 4 * 1024 * 1024
"""Most text of one transaction: what a request over HTTP carries well, and what a lock on the store is held for."""


class Engine(Protocol):
    """What runs statements. An answer to a row request holds tuples in the order of the statement's columns."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def remote(self) -> bool:
        """True where statements go over a network."""

    @property
    def batch_rows(self) -> int:
        """Most rows of one transaction."""

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements that only read, in one round trip, and return each one's rows."""

    async def write(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction that is taken whole or not at all."""

    async def close(self) -> None:
        """Let go of files and connections. Idempotent."""


def _microseconds() -> int:
    return time.time_ns() // 1000


class SqlStore:
    """A ``DurableStore``.

    Args:
        engine: Where the statements run.
        brand: The brand whose rows are read and written. Databases of other programs know no brands and are read whole.
        now: The clock, in microseconds since 1970.
    """

    def __init__(self, engine: Engine, brand: str, now: Callable[[], int] = _microseconds) -> None:
        self._engine = engine
        self._brand = brand
        self._now = now
        self._layout: Layout | None = None

    @property
    def engine(self) -> str:
        """The engine, for people."""
        return self._engine.name

    @property
    def remote(self) -> bool:
        """True where the engine answers over a network."""
        return self._engine.remote

    async def close(self) -> None:
        """Let go of the engine."""
        await self._engine.close()

    # Schema ------------------------------------------------------------------------------------------------------

    async def ping(self) -> Pong:
        """Ask for one round trip, one more where the database is not ours, or not made yet."""
        try:
            (found,) = await self._engine.read([version_query()])
        except SchemaMismatchError:
            return Pong((await self._detect()).name, 0)
        version = _number(found)
        if version > SCHEMA_VERSION:
            raise _newer(version)
        return Pong(NATIVE.name, version)

    async def migrate(self) -> None:
        """Bring the tables to this program's version, one version a transaction."""
        if (layout := await self._detect()) and not layout.writable:
            raise _read_only(layout)
        while (version := (await self.ping()).schema_version) < SCHEMA_VERSION:
            await self._step_to(version + 1)
        self._layout = NATIVE

    async def _step_to(self, version: int) -> None:
        try:
            await self._engine.write(migration(version))
        except LayerError as error:
            # The guard in the transaction broke it: another process took the step between our look and our write.
            if error.concerns_whole_layer or (await self.ping()).schema_version < version:
                raise

    async def _detect(self) -> Layout:
        (rows,) = await self._engine.read([DETECT])
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(str(table), []).append(str(column))
        layout = recognise(found)
        if layout is None:
            raise _unknown_tables()
        if found:
            self._layout = layout
        return layout

    async def _read(self, make: Callable[[Layout], list[Statement]]) -> tuple[Layout, list[list[Row]]]:
        """Run what ``make`` says for the layout, taking it for ours until the database knows better.

        So a database of ours costs no round trip for finding out what it is.
        """
        layout = self._layout or NATIVE
        try:
            return layout, await self._engine.read(make(layout))
        except SchemaMismatchError:
            if self._layout is not None and self._layout is not NATIVE:
                raise
        layout = await self._detect()
        if layout is NATIVE:
            return layout, await self._engine.read(make(layout))  # another process made the tables this very moment
        statements = make(layout)
        return layout, await self._engine.read(statements) if statements else []

    # Writing -----------------------------------------------------------------------------------------------------

    async def upsert_episodes(self, rows: Sequence[EpisodeRow]) -> None:
        """Store episodes."""
        await self._upsert(Table.EPISODES, rows)

    async def upsert_patterns(self, rows: Sequence[PatternRow]) -> None:
        """Store patterns."""
        await self._upsert(Table.PATTERNS, rows)

    async def upsert_embeddings(self, rows: Sequence[EmbeddingRow]) -> None:
        """Store vectors."""
        await self._upsert(Table.EMBEDDINGS, rows)

    async def _upsert(self, table: Table, rows: Sequence[DurableRow]) -> None:
        for batch in _batches([sql_row(table, row) for row in rows], self._engine.batch_rows):
            await self._write([*sql.upsert_steps(table, batch)])

    async def delete(self, table: Table, ids: Sequence[str]) -> None:
        """Remove rows and leave tombstones."""
        step = self._engine.batch_rows
        for start in range(0, len(ids), step):
            await self._write([*sql.delete_steps(table, self._brand, ids[start : start + step])])

    async def _write(self, steps: list[Statement]) -> None:
        transaction = [at_version(SCHEMA_VERSION), sql.set_clock(self._now()), *steps]
        if self._layout is not None and not self._layout.writable:
            raise _read_only(self._layout)
        try:
            await self._engine.write(transaction)
        except LayerError as error:
            # Tables that are missing, or of another version: both are left to the migration, and nothing was written.
            if not isinstance(error, SchemaMismatchError) and not error.code.startswith("SQLITE_CONSTRAINT"):
                raise
            await self.migrate()
            await self._engine.write(transaction)

    # Reading -----------------------------------------------------------------------------------------------------

    async def survey(self, after: Mapping[Table, Key], tombstones_after: Key = START) -> Survey:
        """Return counts and changes; the tables of our own layout in one round trip."""
        layout, answers = await self._read(lambda layout: [*self._survey(layout, after, tombstones_after)])
        counts, changed, newest = dict.fromkeys(Table, 0), dict.fromkeys(Table, 0), dict.fromkeys(Table, START)
        for place, table in enumerate(layout.tables):
            counts[table] = _number(answers[3 * place])
            changed[table] = _number(answers[3 * place + 1])
            newest[table] = next(iter(_keys(answers[3 * place + 2])), START)
        return Survey(layout.name, counts, changed, newest, _number(answers[-1]) if layout.tombstones else 0)

    def _survey(self, layout: Layout, after: Mapping[Table, Key], tombstones_after: Key) -> Iterator[Statement]:
        for table, where in layout.tables.items():
            yield sql.count(where, self._brand)
            yield sql.count(where, self._brand, after.get(table, START))
            yield sql.newest(where, self._brand, 1)
        if layout.tombstones:
            yield sql.tombstone_count(self._brand, tombstones_after)

    async def splits(self, table: Table, after: Key, every: int) -> list[Key]:
        """Return the seams between pages of ``every`` rows."""
        _, answers = await self._read(
            lambda layout: (
                [sql.splits(layout.tables[table], self._brand, after, every)] if table in layout.tables else []
            )
        )
        return _keys(answers[0]) if answers else []

    async def page(self, table: Table, after: Key = START, *, limit: int = 500, through: Key | None = None) -> Page:
        """Return a page; rows too long for one answer are fetched in several."""
        columns: tuple[str, ...] = ()
        rows: list[Row] = []
        step = limit
        while len(rows) < limit:
            asked = min(step, limit - len(rows))
            try:
                part = await self._page(table, after, through, asked)
            except ReplyTooLargeError:
                if asked == 1:
                    raise
                step = asked // 2
                continue
            columns = part.columns
            rows.extend(part.rows)
            if len(part.rows) < asked:
                break
            after = _key_of(part.rows[-1])
        return Page(columns, rows)

    async def _page(self, table: Table, after: Key, through: Key | None, limit: int) -> Page:
        return await self._rows(
            table, lambda layout: sql.page(layout.tables[table], self._brand, after, through, limit)
        )

    async def rows(self, table: Table, ids: Sequence[str]) -> Page:
        """Return rows by id."""
        return await self._rows_by(table, ids, lambda layout: layout.tables[table].id_column)

    async def digests(self, after: Key = START, *, limit: int = 5000) -> list[Row]:
        """Return which episodes there are, and their hashes, in the order of their changes."""
        return await self._own_rows(lambda: sql.digests(self._brand, after, limit))

    async def digests_of(self, ids: Sequence[str]) -> list[Row]:
        """Return the hashes of episodes by id."""
        step = self._engine.batch_rows
        found: list[Row] = []
        for start in range(0, len(ids), step):
            part = ids[start : start + step]
            found += await self._own_rows(partial(sql.digests_of, self._brand, part))
        return found

    async def _own_rows(self, make: Callable[[], Statement]) -> list[Row]:
        """Return what a statement finds in our own layout; nothing in a store that is not made yet."""
        layout, answers = await self._read(lambda layout: [make()] if layout.writable and layout.tables else [])
        if not layout.writable:
            raise _read_only(layout)
        return answers[0] if answers else []

    async def embeddings_of(self, item_ids: Sequence[str]) -> Page:
        """Return embeddings by what they belong to."""
        return await self._rows_by(
            Table.EMBEDDINGS, item_ids, lambda layout: layout.tables[Table.EMBEDDINGS].item_column
        )

    async def _rows_by(self, table: Table, values: Sequence[str], column: Callable[[Layout], str]) -> Page:
        try:
            return await self._rows(
                table, lambda layout: sql.rows_by(layout.tables[table], self._brand, column(layout), values)
            )
        except ReplyTooLargeError:
            if len(values) == 1:
                raise
        half = len(values) // 2
        first = await self._rows_by(table, values[:half], column)
        second = await self._rows_by(table, values[half:], column)
        return Page(first.columns or second.columns, first.rows + second.rows)

    async def _rows(self, table: Table, make: Callable[[Layout], Statement]) -> Page:
        layout, answers = await self._read(lambda layout: [make(layout)] if table in layout.tables else [])
        if not answers:
            return Page((), [])
        return Page(("id", "updated_at", *layout.tables[table].columns), answers[0])

    async def tombstones(self, after: Key = START, *, limit: int = 500) -> Page:
        """Return tombstones; databases of other programs have none."""
        _, answers = await self._read(
            lambda layout: [sql.tombstone_page(self._brand, after, limit)] if layout.tombstones else []
        )
        return Page(("id", "updated_at", "table"), answers[0] if answers else [])

    async def counts(self) -> Mapping[Table, int]:
        """Return the number of rows per table."""
        layout, answers = await self._read(
            lambda layout: [sql.count(where, self._brand) for where in layout.tables.values()]
        )
        return dict.fromkeys(Table, 0) | dict(zip(layout.tables, map(_number, answers), strict=True))

    async def newest_episodes(self, limit: int) -> list[Key]:
        """Return the keys of the episodes that changed last."""
        _, answers = await self._read(
            lambda layout: [sql.newest(layout.tables[Table.EPISODES], self._brand, limit)] if layout.tables else []
        )
        return _keys(answers[0]) if answers else []

    async def checksums(self, table: Table, ids: Sequence[str]) -> Mapping[str, str]:
        """Return checksums of what rows hold now; costs their transfer, so ask for samples."""
        page = await self.rows(table, ids)
        return {str(row[0]): row_checksum(row) for row in page.rows}


def _batches(rows: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """Cut rows into transactions, by number and by bytes; a row that is larger than all of it goes alone."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        weight = sum([len(value) for value in row if isinstance(value, str | bytes)])
        if batch and (len(batch) == most or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch


def _number(rows: Sequence[Row]) -> int:
    return _integer(rows[0][0]) if rows else 0


def _integer(value: SqlValue) -> int:
    if not isinstance(value, int):
        raise _damaged_key()
    return value


def _key_of(row: Row) -> Key:
    return _integer(row[1]), str(row[0])


def _keys(rows: Sequence[Row]) -> list[Key]:
    return [(_integer(moment), str(identity)) for moment, identity in rows]


def _damaged_key() -> LayerError:
    return LayerError(
        "A row of the durable store says something else than a number where it should say when it changed.",
        "Correct that database with the program that wrote it.",
        error_class=ErrorClass.MALFORMED_REPLY,
        code="not-a-number",
    )


def _newer(version: int) -> LayerError:
    return LayerError(
        f"The durable store was made by a newer dm-memory (schema {version}).",
        "Update dm-memory on this machine.",
        error_class=ErrorClass.UNAVAILABLE,
        code="newer-schema",
    )


def _read_only(layout: Layout) -> LayerError:
    return LayerError(
        f"The database belongs to {layout.name}, so dm-memory reads it and writes nothing there.",
        "Point TURSO_DATABASE_URL at a database of its own to store this brand's memory.",
        error_class=ErrorClass.AUTH,
        code="read-only-layout",
    )


def _unknown_tables() -> LayerError:
    return LayerError(
        "The database has tables called episodes, patterns or embeddings that dm-memory does not know.",
        "Point TURSO_DATABASE_URL at an empty database or at one of dm-memory's.",
        error_class=ErrorClass.UNAVAILABLE,
        code="unknown-layout",
    )
