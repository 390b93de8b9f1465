"""The durable store's tables, their versions, and which layout a database has; and what a statement is.

A layout is data, because the store also reads databases of other programs: tables of the same names, other columns. It
is recognised by the columns, whether they are a table's or a view's (memory.db has views), so that versions of one
program that differ in columns nobody asks for are read as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from dm_memory.errors import ErrorClass, ServiceError

__all__ = [
    "DETECT",
    "EMPTY",
    "NATIVE",
    "SCHEMA_VERSION",
    "Layout",
    "ReplyTooLargeError",
    "Row",
    "SchemaMismatchError",
    "SqlValue",
    "Statement",
    "Table",
    "TableLayout",
    "at_version",
    "migration",
    "recognise",
    "version_query",
]

SqlValue = None | int | float | str | bytes
"""What SQLite stores. Integers have 64 bits."""

Row = tuple[SqlValue, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with question marks, and the values for them."""

    sql: str
    arguments: tuple[SqlValue, ...] = ()


class SchemaMismatchError(ServiceError):
    """A table or column that a statement names is not in the database: another layout, or none yet."""

    def __init__(self) -> None:
        super().__init__(
            "The durable store does not have the tables that were asked for.",
            "Run a sync, which creates them, or point TURSO_DATABASE_URL at the right database.",
            error_class=ErrorClass.VALIDATION,
            code="schema-mismatch",
        )


class ReplyTooLargeError(ServiceError):
    """An answer is larger than the server or we allow: ask for fewer rows."""

    def __init__(self) -> None:
        super().__init__(
            "One entry in the durable store is larger than an answer of the server may be.",
            "Shorten that entry in its source, then sync again.",
            error_class=ErrorClass.VALIDATION,
            code="RESPONSE_TOO_LARGE",
        )


class Table(StrEnum):
    """What is stored durably."""

    EPISODES = "episodes"
    """Entries: everything that is needed to rebuild any service."""
    PATTERNS = "patterns"
    """What worked and what failed, merged over campaigns."""
    EMBEDDINGS = "embeddings"
    """Vectors with the model that made them."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Where a table has what every reader needs.

    Attributes:
        id_column: The column with the row's id, a text.
        watermark: An SQL expression: when the row last changed, in microseconds since 1970.
        columns: Every other column, in the order in which pages return them.
        item_column: For embeddings, the column with the id of the episode or pattern they belong to.
        scoped: True where rows of several brands share the table.
    """

    name: str
    id_column: str
    watermark: str
    columns: tuple[str, ...]
    item_column: str = ""
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of one kind of database; a table that is absent reads as empty.

    Attributes:
        name: ``dm-memory``, ``do-memory``, ``timestamped`` (ids and timestamps, nothing else is known) or ``empty``.
        writable: False for databases that belong to another program.
    """

    name: str
    tables: Mapping[Table, TableLayout]
    writable: bool
    tombstones: bool


SCHEMA_VERSION = 2
"""Of the tables on Turso; memory.db's views return rows of this version."""

_EPISODE_COLUMNS = (
    "brand", "key", "kind", "content_type", "source", "content", "content_hash", "metadata_hash", "tags", "facts",
    "recorded_at", "created_at", "version", "updated_from", "priority", "expires_at", "related", "state", "retired_at",
    "author",
)  # fmt: skip
_PATTERN_COLUMNS = (
    "brand", "text", "outcome", "occurrence_count", "worked_count", "failed_count", "success_rate", "campaigns",
    "channels", "episode_ids", "first_seen", "last_seen",
)  # fmt: skip
_EMBEDDING_COLUMNS = (
    "brand", "item_id", "item_type", "chunk", "content_hash", "model", "dimension", "vector",
)  # fmt: skip


def _native(table: Table, columns: tuple[str, ...], item_column: str = "") -> TableLayout:
    return TableLayout(table.value, "id", "updated_at", columns, item_column, scoped=True)


NATIVE = Layout(
    "dm-memory",
    MappingProxyType(
        {
            Table.EPISODES: _native(Table.EPISODES, _EPISODE_COLUMNS),
            Table.PATTERNS: _native(Table.PATTERNS, _PATTERN_COLUMNS),
            Table.EMBEDDINGS: _native(Table.EMBEDDINGS, _EMBEDDING_COLUMNS, "item_id"),
        }
    ),
    writable=True,
    tombstones=True,
)

EMPTY = Layout("empty", MappingProxyType({}), writable=True, tombstones=False)

# Every index leads with the brand, the way every page is asked for, and has all that a split of the table needs. Ids
# are uuid5 over the brand, so they are unique across brands that share a database.
_VERSION_1 = """
CREATE TABLE episodes (id TEXT PRIMARY KEY NOT NULL, updated_at INTEGER NOT NULL, brand TEXT NOT NULL, key
    TEXT NOT NULL, kind TEXT NOT NULL, content_type TEXT NOT NULL, source TEXT NOT NULL, content TEXT NOT NULL,
    content_hash TEXT NOT NULL, metadata_hash TEXT NOT NULL, tags TEXT NOT NULL, facts TEXT NOT NULL, recorded_at
    TEXT NOT NULL, created_at TEXT NOT NULL, version INTEGER NOT NULL, updated_from TEXT NOT NULL, priority TEXT
    NOT NULL, expires_at TEXT NOT NULL, related TEXT NOT NULL);
CREATE TABLE patterns (id TEXT PRIMARY KEY NOT NULL, updated_at INTEGER NOT NULL, brand TEXT NOT NULL, text
    TEXT NOT NULL, outcome TEXT NOT NULL, occurrence_count INTEGER NOT NULL, worked_count INTEGER NOT NULL,
    failed_count INTEGER NOT NULL, success_rate REAL NOT NULL, campaigns TEXT NOT NULL, channels TEXT NOT NULL,
    episode_ids TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL);
CREATE TABLE embeddings (id TEXT PRIMARY KEY NOT NULL, updated_at INTEGER NOT NULL, brand TEXT NOT NULL,
    item_id TEXT NOT NULL, item_type TEXT NOT NULL, chunk INTEGER NOT NULL, content_hash TEXT NOT NULL, model TEXT
    NOT NULL, dimension INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE TABLE tombstones (item_table TEXT NOT NULL, id TEXT NOT NULL, updated_at INTEGER NOT NULL, brand TEXT
    NOT NULL, PRIMARY KEY (item_table, id));
CREATE INDEX episodes_changes ON episodes (brand, updated_at, id);
CREATE INDEX patterns_changes ON patterns (brand, updated_at, id);
CREATE INDEX embeddings_changes ON embeddings (brand, updated_at, id);
CREATE INDEX embeddings_of_items ON embeddings (item_id);
CREATE INDEX tombstones_changes ON tombstones (brand, updated_at, id);
INSERT INTO dm_memory_meta VALUES ('clock', 0);
"""
_VERSION_2 = """
ALTER TABLE episodes ADD COLUMN state TEXT NOT NULL DEFAULT 'current';
ALTER TABLE episodes ADD COLUMN retired_at TEXT NOT NULL DEFAULT '';
ALTER TABLE episodes ADD COLUMN author TEXT NOT NULL DEFAULT '';
ALTER TABLE tombstones ADD COLUMN content_mac TEXT NOT NULL DEFAULT '';
CREATE TABLE revisions (id TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL, content_hash TEXT NOT NULL,
    recorded_at TEXT NOT NULL, replaced_at TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (id, number));
"""
_MIGRATIONS = (_VERSION_1, _VERSION_2)

_META_TABLE = "dm_memory_meta"
_META = "CREATE TABLE IF NOT EXISTS dm_memory_meta (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL)"
_VERSION = "(SELECT coalesce(max(value), 0) FROM dm_memory_meta WHERE name = 'schema_version')"


def migration(version: int) -> list[Statement]:
    """Return what brings a store from ``version - 1`` to ``version``; for one transaction.

    The second statement breaks a NOT NULL rule, and with it the transaction, where another process came first: a batch
    over HTTP can't branch on what it reads, but it stops at what fails.
    """
    steps = [Statement(sql.strip()) for sql in _MIGRATIONS[version - 1].split(";") if sql.strip()]
    record = Statement("INSERT OR REPLACE INTO dm_memory_meta VALUES ('schema_version', ?)", (version,))
    return [Statement(_META), at_version(version - 1), *steps, record]


def at_version(version: int) -> Statement:
    """Return what breaks a transaction in a store of any other version: another machine may have a newer program."""
    return Statement(f"INSERT INTO dm_memory_meta SELECT 'another version', NULL WHERE {_VERSION} <> ?", (version,))


def version_query() -> Statement:
    """Return the statement that asks for the version; it finds no row, or no table, in a store not yet made."""
    return Statement("SELECT value FROM dm_memory_meta WHERE name = 'schema_version'")


DETECT = Statement(
    "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
    " WHERE m.type IN ('table', 'view') AND m.name IN ('dm_memory_meta', 'episodes', 'patterns', 'embeddings')"
    " ORDER BY m.name, c.cid"
)


def recognise(found: Mapping[str, Sequence[str]]) -> Layout | None:
    """Return the layout of a database with these tables and columns; None if it is nobody's that we know."""
    if not set(found) - {_META_TABLE}:
        return EMPTY
    # Other columns than these may differ from version to version of our own; the schema's number says which.
    if _has(found, {_META_TABLE: {"name", "value"}, **{table.value: {"id", "updated_at", "brand"} for table in Table}}):
        return _own(found)
    if _has(found, {"episodes": {"episode_id", "start_time", "created_at"}}):
        return _foreign("do-memory", found, _DO_MEMORY, _seconds)
    if _has(found, {"episodes": {"id", "timestamp"}}):
        return _foreign("timestamped", found, _TIMESTAMPED, _any_time)
    return None


def _has(found: Mapping[str, Sequence[str]], needed: Mapping[str, set[str]]) -> bool:
    return all(columns <= set(found.get(name, ())) for name, columns in needed.items())


def _own(found: Mapping[str, Sequence[str]]) -> Layout:
    """Return our own layout, without the columns that an older version does not have yet."""
    tables = {
        table: replace(layout, columns=tuple(column for column in layout.columns if column in found[table.value]))
        for table, layout in NATIVE.tables.items()
    }
    return NATIVE if tables == NATIVE.tables else replace(NATIVE, tables=MappingProxyType(tables))


# Ids, possible clocks and the owner of each table. do-memory's clocks tick in seconds; its INSERT OR REPLACE renews
# created_at with every change of an episode. There is no index on these expressions, so each page scans its table: the
# cost of reading another program's database.
_DO_MEMORY = {
    Table.EPISODES: ("episode_id", ("created_at", "archived_at"), ()),
    Table.PATTERNS: ("pattern_id", ("updated_at", "created_at"), ()),
    Table.EMBEDDINGS: ("embedding_id", ("created_at",), ("item_id",)),
}
_CLOCKS = ("timestamp", "updated_at", "created_at")
_TIMESTAMPED = {
    Table.EPISODES: ("id", _CLOCKS, ()),
    Table.PATTERNS: ("id", (*_CLOCKS, "last_seen"), ()),
    Table.EMBEDDINGS: ("id", _CLOCKS, ("item_id", "episode_id")),
}

# Names of columns go into statements; what another program's database calls its columns is not ours to trust.
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def _foreign(
    name: str,
    found: Mapping[str, Sequence[str]],
    known: Mapping[Table, tuple[str, tuple[str, ...], tuple[str, ...]]],
    moment: Callable[[str], str],
) -> Layout:
    tables = {}
    for table, (id_column, possible, owners) in known.items():
        columns = found.get(table.value, ())
        clocks = [moment(clock) for clock in possible if clock in columns]
        owner = next((column for column in owners if column in columns), "")
        if id_column not in columns or not clocks or (owners and not owner):
            continue
        rest = tuple(column for column in columns if column != id_column and _PLAIN_NAME.fullmatch(column))
        latest = f"max({', '.join(clocks)})" if len(clocks) > 1 else clocks[0]
        tables[table] = TableLayout(table.value, id_column, f"({latest})", rest, owner)
    return Layout(name, MappingProxyType(tables), writable=False, tombstones=False)


def _seconds(clock: str) -> str:
    return f"coalesce(CAST({clock} AS INTEGER), 0) * 1000000"


def _any_time(clock: str) -> str:
    """Return the microseconds of a column with seconds, milliseconds, microseconds or ISO-8601 text in it."""
    number = (
        f"CASE WHEN abs({clock}) >= 1e14 THEN CAST({clock} AS INTEGER)"
        f" WHEN abs({clock}) >= 1e11 THEN CAST({clock} * 1000 AS INTEGER) ELSE CAST({clock} * 1000000 AS INTEGER) END"
    )
    text = f"CAST(round((julianday({clock}) - 2440587.5) * 86400000) AS INTEGER) * 1000"
    return f"coalesce(CASE typeof({clock}) WHEN 'text' THEN coalesce({text}, {number}) ELSE {number} END, 0)"
