"""The durable store's tables: their versions, and which layout a database has.

A layout is data, because the store also reads databases that do-memory made: same tables, other columns. It is
recognised by the columns, so that versions of either that differ in columns nobody asks for are read as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from dm_memory.services.turso.statement import Statement

__all__ = [
    "DETECT",
    "EMPTY",
    "NATIVE",
    "SCHEMA_VERSION",
    "Layout",
    "Table",
    "TableLayout",
    "at_version",
    "migration",
    "recognise",
    "version_query",
]


class Table(StrEnum):
    """What is kept durably."""

    EPISODES = "episodes"
    """Items: everything that is needed to build any layer anew."""
    PATTERNS = "patterns"
    """What worked and what failed, merged over campaigns."""
    EMBEDDINGS = "embeddings"
    """Vectors with the model that made them."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Where a table keeps what every reader needs.

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
        name: ``dm-memory``, ``do-memory`` or ``empty``.
        writable: False for databases that belong to another program.
    """

    name: str
    tables: Mapping[Table, TableLayout]
    writable: bool
    tombstones: bool


SCHEMA_VERSION = 1

_EPISODE_COLUMNS = (
    "brand", "key", "kind", "content_type", "source", "content", "content_hash", "metadata_hash", "tags", "facts",
    "recorded_at", "created_at", "version", "updated_from", "priority", "expires_at", "related",
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

# Every index leads with the brand, the way every page is asked for, and holds all a split of the table needs. Ids are
# uuid5 over the brand, so they are unique across brands that share a database.
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
_MIGRATIONS = (_VERSION_1,)

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
    " WHERE m.type = 'table' AND m.name IN ('dm_memory_meta', 'episodes', 'patterns', 'embeddings')"
    " ORDER BY m.name, c.cid"
)


def recognise(found: Mapping[str, Sequence[str]]) -> Layout | None:
    """Return the layout of a database with these tables and columns; None where it is nobody's that we know."""
    if not set(found) - {_META_TABLE}:
        return EMPTY
    # Other columns than these may differ from version to version of our own; the schema's number tells which.
    if _has(found, {_META_TABLE: {"name", "value"}, **{table.value: {"id", "updated_at", "brand"} for table in Table}}):
        return NATIVE
    if _has(found, {"episodes": {"episode_id", "start_time", "created_at"}}):
        return _do_memory(found)
    return None


def _has(found: Mapping[str, Sequence[str]], needed: Mapping[str, set[str]]) -> bool:
    return all(columns <= set(found.get(name, ())) for name, columns in needed.items())


# do-memory's clocks tick in seconds; its INSERT OR REPLACE renews created_at with every change of an episode. It has no
# index on these expressions, so each page scans its table: the cost of reading another program's database.
_DO_MEMORY = {
    Table.EPISODES: ("episode_id", ("created_at", "archived_at"), ""),
    Table.PATTERNS: ("pattern_id", ("updated_at", "created_at"), ""),
    Table.EMBEDDINGS: ("embedding_id", ("created_at",), "item_id"),
}


# Names of columns go into statements; what another program's database calls its columns is not ours to trust.
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def _do_memory(found: Mapping[str, Sequence[str]]) -> Layout:
    tables = {}
    for table, (id_column, possible, item_column) in _DO_MEMORY.items():
        columns = found.get(table.value, ())
        clocks = tuple(clock for clock in possible if clock in columns)
        if id_column not in columns or not clocks or (item_column and item_column not in columns):
            continue
        rest = tuple(column for column in columns if column != id_column and _PLAIN_NAME.fullmatch(column))
        tables[table] = TableLayout(table.value, id_column, _latest(clocks), rest, item_column)
    return Layout("do-memory", MappingProxyType(tables), writable=False, tombstones=False)


def _latest(clocks: tuple[str, ...]) -> str:
    moments = [f"coalesce(CAST({clock} AS INTEGER), 0)" for clock in clocks]
    return f"(max({', '.join(moments)}) * 1000000)" if len(moments) > 1 else f"({moments[0]} * 1000000)"
