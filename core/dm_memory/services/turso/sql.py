"""The durable store's statements, made from a layout: the same text runs on SQLite and on libsql-server.

Lists of ids travel as one JSON argument, so that a statement's text does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import orjson

from dm_memory.services.turso.schema import NATIVE, Row, SqlValue, Statement, Table, TableLayout

__all__ = [
    "KEY",
    "count",
    "delete_steps",
    "digests",
    "digests_of",
    "forgotten_page",
    "lift_tombstones",
    "lost_embeddings",
    "newest",
    "not_forgotten",
    "page",
    "propose_key",
    "revision_steps",
    "revisions_of",
    "rows_by",
    "set_clock",
    "splits",
    "tombstone_count",
    "tombstone_page",
    "tombstones_of",
    "upsert_steps",
]

# Statements contain names of tables and columns out of a layout, whose names are checked there, and question marks.
# ruff: noqa: S608

_ROWS_PER_STATEMENT = 32
"""A compromise between the parsing of many small statements and the parameters of a large one (at most 32,766)."""


def _names(layout: TableLayout) -> str:
    columns = ", ".join(f'"{column}"' for column in layout.columns)
    return f"{layout.id_column}, {layout.watermark}, {columns}"


def _key(layout: TableLayout) -> str:
    return f"({layout.watermark}, {layout.id_column})"


def _scope(layout: TableLayout, brand: str) -> tuple[str, tuple[SqlValue, ...]]:
    return ("brand = ? AND ", (brand,)) if layout.scoped else ("", ())


_BY_ID = "+brand = ? AND"
"""The brand where ids are given: the plus keeps SQLite from reading the whole brand by an index that leads with it."""


def page(
    layout: TableLayout, brand: str, after: tuple[int, str], through: tuple[int, str] | None, limit: int
) -> Statement:
    """Return the statement for at most ``limit`` rows above ``after`` not above ``through``, in order of the key."""
    scope, arguments = _scope(layout, brand)
    upper = f" AND {_key(layout)} <= (?, ?)" if through else ""
    return Statement(
        f"SELECT {_names(layout)} FROM {layout.name} WHERE {scope}{_key(layout)} > (?, ?){upper}"
        f" ORDER BY {layout.watermark}, {layout.id_column} LIMIT ?",
        (*arguments, *after, *(through or ()), limit),
    )


def splits(layout: TableLayout, brand: str, after: tuple[int, str], every: int) -> Statement:
    """Return the statement for the key of each ``every``-th row above ``after``."""
    scope, arguments = _scope(layout, brand)
    order = f"ORDER BY {layout.watermark}, {layout.id_column}"
    return Statement(
        f"SELECT moment, id FROM (SELECT {layout.watermark} AS moment, {layout.id_column} AS id,"
        f" row_number() OVER ({order}) AS place FROM {layout.name} WHERE {scope}{_key(layout)} > (?, ?))"
        " WHERE place % ? = 0 ORDER BY moment, id",
        (*arguments, *after, every),
    )


def count(layout: TableLayout, brand: str, after: tuple[int, str] | None = None) -> Statement:
    """Return the statement for the number of rows, of all or of those above ``after``."""
    scope, arguments = _scope(layout, brand)
    lower = f"{_key(layout)} > (?, ?)" if after else "true"
    return Statement(f"SELECT count(*) FROM {layout.name} WHERE {scope}{lower}", (*arguments, *(after or ())))


def newest(layout: TableLayout, brand: str, limit: int) -> Statement:
    """Return the statement for the keys of the rows that changed last, newest first."""
    scope, arguments = _scope(layout, brand)
    return Statement(
        f"SELECT {layout.watermark}, {layout.id_column} FROM {layout.name} WHERE {scope}true"
        f" ORDER BY {layout.watermark} DESC, {layout.id_column} DESC LIMIT ?",
        (*arguments, limit),
    )


def rows_by(layout: TableLayout, brand: str, column: str, values: Sequence[str]) -> Statement:
    """Return the statement for the rows in which ``column`` (of the layout) is one of ``values``."""
    scope, arguments = (_BY_ID, (brand,)) if layout.scoped else ("", ())
    return Statement(
        f"SELECT {_names(layout)} FROM {layout.name} WHERE {scope} {column} IN (SELECT value FROM json_each(?))",
        (*arguments, _json(values)),
    )


def lost_embeddings(layout: TableLayout, owners: Sequence[TableLayout], brand: str) -> Statement:
    """Return the statement for the number of embeddings whose episode or pattern is not there, and the first of them.

    What another program embeds besides episodes and patterns is not looked at.
    """
    scope, arguments = _scope(layout, brand)
    kinds = "item_type IN ('episode', 'pattern') AND " if "item_type" in layout.columns else ""
    absent = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {owner.name} o WHERE o.{owner.id_column} = e.{layout.item_column})"
        for owner in owners
    )
    return Statement(
        f"SELECT count(*), min(e.{layout.id_column}) FROM {layout.name} e WHERE {scope}{kinds}{absent}", arguments
    )


_DIGEST = "SELECT id, updated_at, key, content_hash, metadata_hash, state FROM episodes WHERE"


def digests(brand: str, after: tuple[int, str], limit: int) -> Statement:
    """Return the statement for the hashes of at most ``limit`` episodes above ``after``, in order of the key."""
    return Statement(
        f"{_DIGEST} brand = ? AND (updated_at, id) > (?, ?) ORDER BY updated_at, id LIMIT ?",  # a constant
        (brand, *after, limit),
    )


def digests_of(brand: str, ids: Sequence[str]) -> Statement:
    """Return the statement for the hashes of these episodes."""
    return Statement(f"{_DIGEST} {_BY_ID} id IN (SELECT value FROM json_each(?))", (brand, _json(ids)))


def tombstone_page(brand: str, after: tuple[int, str], limit: int) -> Statement:
    """Return the statement for at most ``limit`` tombstones above ``after``."""
    return Statement(
        "SELECT id, updated_at, item_table FROM tombstones WHERE brand = ? AND (updated_at, id) > (?, ?)"
        " ORDER BY updated_at, id LIMIT ?",
        (brand, *after, limit),
    )


def forgotten_page(brand: str, after: tuple[int, str], limit: int) -> Statement:
    """Return the statement for at most ``limit`` tombstones of episodes above ``after``, with what was forgotten."""
    return Statement(
        "SELECT id, updated_at, content_mac FROM tombstones WHERE brand = ? AND item_table = 'episodes'"
        " AND (updated_at, id) > (?, ?) ORDER BY updated_at, id LIMIT ?",
        (brand, *after, limit),
    )


def tombstones_of(ids: Sequence[str]) -> Statement:
    """Return the statement for the id and MAC of the tombstones of these episodes."""
    return Statement(
        "SELECT id, content_mac FROM tombstones WHERE item_table = 'episodes'"
        " AND id IN (SELECT value FROM json_each(?))",
        (_json(ids),),
    )


def tombstone_count(brand: str, after: tuple[int, str]) -> Statement:
    """Return the statement for the number of tombstones above ``after``."""
    return Statement("SELECT count(*) FROM tombstones WHERE brand = ? AND (updated_at, id) > (?, ?)", (brand, *after))


_LAST = "(SELECT value FROM dm_memory_meta WHERE name = 'clock')"


def set_clock(now: int) -> Statement:
    """Return what stands first in a transaction that writes.

    The store has one clock, moved inside the transaction: never behind the writers' clocks, always ahead of every row.
    So rows become visible in the order of ``updated_at``, and a reader's watermark passes none that is still to come,
    whatever the clocks of the writing machines say.
    """
    return Statement("UPDATE dm_memory_meta SET value = max(value + 1, ?) WHERE name = 'clock'", (now,))


def upsert_steps(table: Table, rows: Sequence[Row]) -> Iterator[Statement]:
    """Yield what writes ``rows`` (id, then the layout's columns). A row that is there already is left as it is.

    The tombstone of what was deleted goes; that of what was forgotten stays: it is about a text, and this is another.
    """
    layout = NATIVE.tables[table]
    places = f"(?, {_LAST} + ?, {', '.join('?' * len(layout.columns))})"
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        part = rows[start : start + _ROWS_PER_STATEMENT]
        values = [value for tick, row in enumerate(part, start) for value in (row[0], tick, *row[1:])]
        yield Statement(_upsert_sql(layout, ", ".join([places] * len(part))), tuple(values))
    ids = _json([str(row[0]) for row in rows])
    yield Statement(
        "DELETE FROM tombstones WHERE item_table = ? AND content_mac = '' AND id IN (SELECT value FROM json_each(?))",
        (layout.name, ids),
    )
    yield Statement("UPDATE dm_memory_meta SET value = value + ? WHERE name = 'clock'", (len(rows),))


KEY = Statement("SELECT value FROM dm_memory_meta WHERE name = 'mac_key'")
"""The key of the tombstones' MACs, which every machine of the team uses. A blob: a column's affinity changes digits."""


def propose_key(key: bytes) -> Statement:
    """Return the statement that makes ``key`` the shared one if there is none yet."""
    return Statement("INSERT OR IGNORE INTO dm_memory_meta VALUES ('mac_key', ?)", (key,))


def not_forgotten(macs: Mapping[str, str]) -> Statement:
    """Return what breaks a transaction that would store a text again which was forgotten.

    Args:
        macs: By the id of each episode the MAC of its content hash. An edited text has another one, and is new.
    """
    pairs = orjson.dumps([*macs.items()]).decode()
    return Statement(
        "INSERT INTO dm_memory_meta SELECT 'forgotten', NULL WHERE EXISTS (SELECT 1 FROM json_each(?) j JOIN"
        " tombstones t ON t.item_table = 'episodes' AND t.id = json_extract(j.value, '$[0]')"
        " AND t.content_mac = json_extract(j.value, '$[1]'))",
        (pairs,),
    )


_REVISIONS = 50
"""Kept for an entry; the oldest go."""


def lift_tombstones(ids: Sequence[str]) -> Statement:
    """Return the statement that lets episodes be stored again as they were."""
    return Statement(
        "DELETE FROM tombstones WHERE item_table = 'episodes' AND id IN (SELECT value FROM json_each(?))", (_json(ids),)
    )


def revision_steps(texts: Mapping[str, str]) -> Iterator[Statement]:
    """Yield what keeps the text that each episode has, if it is about to get another one.

    Whoever writes last wins, and the text that loses is kept: the machine that overwrites it need not know it.

    Args:
        texts: The new content hash by id.
    """
    pairs = orjson.dumps([*texts.items()]).decode()
    yield Statement(
        "INSERT INTO revisions SELECT e.id, (SELECT coalesce(max(number), 0) + 1 FROM revisions r WHERE r.id = e.id),"
        " e.content, e.content_hash, e.recorded_at, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 'edited'"
        " FROM json_each(?) j JOIN episodes e ON e.id = json_extract(j.value, '$[0]')"
        " WHERE e.content_hash <> json_extract(j.value, '$[1]')"
        " AND NOT EXISTS (SELECT 1 FROM revisions r WHERE r.id = e.id AND r.content_hash = e.content_hash"
        " AND r.recorded_at = e.recorded_at)",
        (pairs,),
    )
    yield Statement(
        "DELETE FROM revisions WHERE id IN (SELECT value FROM json_each(?)) AND number <= (SELECT max(number) FROM"
        f" revisions r WHERE r.id = revisions.id) - {_REVISIONS}",
        (_json([*texts]),),
    )


def revisions_of(ids: Sequence[str]) -> Statement:
    """Return the statement for the revisions of these episodes, oldest first."""
    return Statement(
        "SELECT id, number, content, content_hash, recorded_at, replaced_at, reason FROM revisions"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id, number",
        (_json(ids),),
    )


def _upsert_sql(layout: TableLayout, places: str) -> str:
    columns = ", ".join(layout.columns)
    old = ", ".join(f"{layout.name}.{column}" for column in layout.columns)
    new = ", ".join(f"excluded.{column}" for column in layout.columns)
    changes = ", ".join(f"{column} = excluded.{column}" for column in ("updated_at", *layout.columns))
    return (
        f"INSERT INTO {layout.name} (id, updated_at, {columns}) VALUES {places}"
        f" ON CONFLICT (id) DO UPDATE SET {changes} WHERE ({old}) IS NOT ({new})"
    )


def delete_steps(
    table: Table, brand: str, ids: Sequence[str], macs: Mapping[str, str] | None = None
) -> Iterator[Statement]:
    """Yield what removes rows and leaves tombstones; the embeddings and revisions of an episode go with it.

    Args:
        table: Where the rows are.
        brand: Whose they are.
        ids: Which they are.
        macs: What is forgotten: the MAC of the content hash by id. These tombstones are left also if the row is not
            there: another machine may have it.
    """
    chosen = _json(ids)
    if table is not Table.EMBEDDINGS:
        yield from _bury(Table.EMBEDDINGS, "item_id", brand, chosen)
    yield from _bury(table, "id", brand, chosen)
    if table is not Table.EPISODES:
        return
    yield Statement("DELETE FROM revisions WHERE id IN (SELECT value FROM json_each(?))", (chosen,))
    if macs:
        yield Statement(
            "INSERT INTO tombstones (item_table, id, updated_at, brand, content_mac) SELECT 'episodes',"
            f" json_extract(value, '$[0]'), {_LAST} + 1 + key, ?, json_extract(value, '$[1]') FROM json_each(?)"
            " WHERE true ON CONFLICT (item_table, id) DO UPDATE SET content_mac = excluded.content_mac,"
            " updated_at = excluded.updated_at WHERE content_mac <> excluded.content_mac",
            (brand, orjson.dumps([*macs.items()]).decode()),
        )
        yield _clock_past_tombstones(brand)


def _bury(table: Table, column: str, brand: str, ids: str) -> Iterator[Statement]:
    """Copy what is there to the tombstones, move the clock past them, delete the rows."""
    chosen = f"{_BY_ID} {column} IN (SELECT value FROM json_each(?))"
    yield Statement(
        f"INSERT OR REPLACE INTO tombstones (item_table, id, updated_at, brand) SELECT ?, id,"
        f" {_LAST} + row_number() OVER (ORDER BY id), brand FROM {table} WHERE {chosen}",
        (table.value, brand, ids),
    )
    yield _clock_past_tombstones(brand)
    yield Statement(f"DELETE FROM {table} WHERE {chosen}", (brand, ids))


def _clock_past_tombstones(brand: str) -> Statement:
    return Statement(
        "UPDATE dm_memory_meta SET value = max(value, (SELECT coalesce(max(updated_at), 0) FROM tombstones"
        " WHERE brand = ?)) WHERE name = 'clock'",
        (brand,),
    )


def _json(values: Sequence[str]) -> str:
    return orjson.dumps(values).decode()
