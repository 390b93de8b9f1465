"""Reading the durable store, over any engine that runs SQLite's SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.turso import sql
from dm_memory.services.turso.protocol import START, Engine, Key, Page, Pong, Survey
from dm_memory.services.turso.schema import (
    DETECT,
    NATIVE,
    SCHEMA_VERSION,
    Layout,
    ReplyTooLargeError,
    Row,
    SchemaMismatchError,
    SqlValue,
    Statement,
    Table,
    recognise,
    version_query,
)

__all__ = ["DurableStore", "integer"]


class DurableStore:
    """The durable memory of one brand, for reading; see ``protocol``.

    Args:
        engine: Where the statements run.
        brand: The brand whose rows are read. Databases of other programs know no brands and are read whole.
    """

    def __init__(self, engine: Engine, brand: str) -> None:
        self._engine = engine
        self._brand = brand
        self._layout: Layout | None = None

    @property
    def engine(self) -> str:
        """The engine, for people."""
        return self._engine.name

    @property
    def remote(self) -> bool:
        """Whether the engine answers over a network."""
        return self._engine.remote

    async def close(self) -> None:
        """Close the engine. Idempotent."""
        await self._engine.close()

    async def ping(self) -> Pong:
        """Make one round trip, one more if the database is not ours, or not made yet.

        Raises also if the schema is newer than this program knows, or nobody's.
        """
        try:
            (found,) = await self._engine.read([version_query()])
        except SchemaMismatchError:
            return Pong((await self._detect()).name, 0)
        version = _number(found)
        if version > SCHEMA_VERSION:
            raise _newer(version)
        return Pong(NATIVE.name, version)

    async def _detect(self) -> Layout:
        (rows,) = await self._engine.read([DETECT])
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(str(table), []).append(str(column))
        layout = recognise(found)
        if layout is None:
            raise _unknown_layout()
        if found:
            self._layout = layout
        return layout

    async def _read(self, make: Callable[[Layout], list[Statement]]) -> tuple[Layout, list[list[Row]]]:
        """Run what ``make`` returns for the layout, assuming ours until the database knows better.

        So a database of ours costs no round trip for finding out what it is.
        """
        layout = self._layout or NATIVE
        try:
            return layout, await self._engine.read(make(layout))
        except SchemaMismatchError:
            if self._layout is not None and self._layout is not NATIVE:
                raise
        layout = await self._detect()
        # The same layout again: another process made the tables this very moment.
        statements = make(layout)
        return layout, await self._engine.read(statements) if statements else []

    async def survey(self, after: Mapping[Table, Key], tombstones_after: Key = START) -> Survey:
        """Return counts and what changed above these keys; the tables of our own layout in one round trip."""
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
        """Return the key of each ``every``-th row above ``after``: where pages fetched in parallel meet."""
        _, answers = await self._read(
            lambda layout: (
                [sql.splits(layout.tables[table], self._brand, after, every)] if table in layout.tables else []
            )
        )
        return _keys(answers[0]) if answers else []

    async def page(self, table: Table, after: Key = START, *, limit: int = 500, through: Key | None = None) -> Page:
        """Return the first ``limit`` rows above ``after`` (exclusive), not above ``through`` (inclusive).

        Rows too long for one answer are fetched in several.
        """
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
            row = part.rows[-1]
            after = integer(row[1]), str(row[0])
        return Page(columns, rows)

    async def _page(self, table: Table, after: Key, through: Key | None, limit: int) -> Page:
        return await self._rows(
            table, lambda layout: sql.page(layout.tables[table], self._brand, after, through, limit)
        )

    async def rows(self, table: Table, ids: Sequence[str]) -> Page:
        """Return the rows with these ids, in no order; unknown ids are absent."""
        return await self._rows_by(table, ids, lambda layout: layout.tables[table].id_column)

    async def embeddings_of(self, item_ids: Sequence[str]) -> Page:
        """Return the embeddings of these episodes or patterns, in no order."""
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
        """Return tombstones above ``after``: rows of id, ``updated_at`` and the table's name."""
        _, answers = await self._read(
            lambda layout: [sql.tombstone_page(self._brand, after, limit)] if layout.tombstones else []
        )
        return Page(("id", "updated_at", "table"), answers[0] if answers else [])

    async def counts(self) -> Mapping[Table, int]:
        """Count the rows of each table, now."""
        layout, answers = await self._read(
            lambda layout: [sql.count(where, self._brand) for where in layout.tables.values()]
        )
        return dict.fromkeys(Table, 0) | dict(zip(layout.tables, map(_number, answers), strict=True))

    async def newest_episodes(self, limit: int) -> list[Key]:
        """Return the keys of the episodes that changed last, newest first."""
        _, answers = await self._read(
            lambda layout: [sql.newest(layout.tables[Table.EPISODES], self._brand, limit)] if layout.tables else []
        )
        return _keys(answers[0]) if answers else []

    async def lost_embeddings(self) -> tuple[int, str]:
        """Return how many embeddings belong to no episode and no pattern, and the id of one of them."""

        def make(layout: Layout) -> list[Statement]:
            owners = [layout.tables[table] for table in (Table.EPISODES, Table.PATTERNS) if table in layout.tables]
            found = layout.tables.get(Table.EMBEDDINGS)
            return [sql.lost_embeddings(found, owners, self._brand)] if found else []

        _, answers = await self._read(make)
        count, first = answers[0][0] if answers else (0, "")
        return integer(count), str(first or "")


def _number(rows: Sequence[Row]) -> int:
    return integer(rows[0][0]) if rows else 0


def integer(value: SqlValue) -> int:
    """Return a value that must be a number. Raises ``ServiceError``."""
    if not isinstance(value, int):
        raise _damaged_key()
    return value


def _keys(rows: Sequence[Row]) -> list[Key]:
    return [(integer(moment), str(identity)) for moment, identity in rows]


def _damaged_key() -> ServiceError:
    return ServiceError(
        "A row of the durable store has something else than a number in the column for the moment of its last change.",
        "Correct that database with the program that wrote it.",
        error_class=ErrorClass.MALFORMED_REPLY,
        code="not-a-number",
    )


def _newer(version: int) -> ServiceError:
    return ServiceError(
        f"The durable store was made by a newer dm-memory (schema {version}).",
        "Update dm-memory on this machine.",
        error_class=ErrorClass.CONFIGURATION,
        code="newer-schema",
    )


def _unknown_layout() -> ServiceError:
    return ServiceError(
        "Unknown layout: the database has tables called episodes, patterns or embeddings whose columns dm-memory does"
        " not know.",
        "Point TURSO_DATABASE_URL at an empty database or at one of dm-memory's.",
        error_class=ErrorClass.CONFIGURATION,
        code="unknown-layout",
    )
