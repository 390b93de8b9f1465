"""The outbox: which version of which entry each connected service should have, and which it is known to have.

A service is known by its name, which says where it is: the same service at another place is another one, and fills by
itself. What is wanted and what is confirmed are versions (``entries.version_of``); "" stands for nothing, so that a
deletion is an entry that is wanted no more. What differs is due; an error and a time for the next attempt say that it
failed. Functions that write run inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from dm_memory.store.entries import in_json

__all__ = [
    "Delivery",
    "confirm",
    "count_confirmed",
    "count_due",
    "count_failed",
    "delete",
    "doubt",
    "drop",
    "due_page",
    "fail",
    "fill",
    "forget_entries",
    "forget_service",
    "park",
    "remove",
    "want",
]


class Delivery(NamedTuple):
    """What a service has yet to store, change or delete."""

    id: str
    wanted: str
    confirmed: str
    attempts: int
    next_attempt: str
    error: str
    action: str
    run: int


_COLUMNS = ", ".join(Delivery._fields)

_CURRENT = "content_hash || ':' || metadata_hash || CASE state WHEN 'retired' THEN ':retired' ELSE '' END"
"""``version_of`` in SQL."""


def want(
    connection: sqlite3.Connection,
    services: Iterable[str],
    versions: Sequence[tuple[str, str, str]],
    run: int,
    *,
    again: bool = False,
) -> None:
    """Want versions of entries (id, version, action) in services; with ``again``, whatever they have.

    What is wanted no more is deleted there even if it was never confirmed: an answer may have been lost.
    """
    confirmed = (
        "CASE confirmed WHEN '' THEN '' ELSE '?' END"
        if again
        else "iif(confirmed = '' AND excluded.wanted = '', '?', confirmed)"
    )
    sql = (
        "INSERT INTO deliveries (service, id, kind, wanted, action, run) VALUES (?, ?, 'entry', ?, ?, ?)"
        " ON CONFLICT (service, kind, id) DO UPDATE SET wanted = excluded.wanted, action = excluded.action,"
        f" run = excluded.run, attempts = 0, next_attempt = '', error = '', confirmed = {confirmed}"
    )
    gone = in_json(id_ for id_, version, _ in versions if not version)
    for service in services:
        connection.executemany(sql, [(service, id_, version, action, run) for id_, version, action in versions])
        connection.execute(
            "DELETE FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted = '' AND confirmed = ''"
            " AND id IN (SELECT value FROM json_each(?))",
            (service, gone),
        )


def fill(connection: sqlite3.Connection, service: str, run: int, *, keeps_retired: bool) -> int:
    """Want everything that is in memory in a service, as it is now; return how much of it was never wanted there.

    For a service that is new, or that is configured again after a while.
    """
    states = "" if keeps_retired else " AND state = 'current'"
    cursor = connection.execute(
        "INSERT INTO deliveries (service, id, kind, wanted, action, run)"
        f" SELECT ?, id, 'entry', {_CURRENT}, 'added', ? FROM entries WHERE duplicate_of IS NULL{states}"
        " AND id NOT IN (SELECT id FROM deliveries WHERE service = ? AND kind = 'entry')",
        (service, run, service),
    )
    kept = f"duplicate_of IS NULL{states}"
    connection.execute(
        "UPDATE deliveries SET action = 'added', run = ?, wanted = coalesce("
        f"(SELECT {_CURRENT} FROM entries e WHERE e.id = deliveries.id AND {kept}), '')"
        " WHERE service = ? AND kind = 'entry' AND wanted <> coalesce("
        f"(SELECT {_CURRENT} FROM entries e WHERE e.id = deliveries.id AND {kept}), '')",
        (run, service),
    )
    return cursor.rowcount


def park(connection: sqlite3.Connection, configured: Collection[str]) -> None:
    """Leave alone what is due in services that are no longer configured; what they have stays known."""
    connection.execute(
        "DELETE FROM deliveries WHERE wanted <> confirmed AND confirmed = ''"
        " AND service NOT IN (SELECT value FROM json_each(?))",
        (in_json(configured),),
    )


def due_page(
    connection: sqlite3.Connection, service: str, after: str, limit: int, *, deletions: bool
) -> list[Delivery]:
    """Return the next entries that are due in a service, in the order of their ids: to store, or to delete."""
    sql = (
        f"SELECT {_COLUMNS} FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted <> confirmed AND id > ?"
        f" AND wanted {'=' if deletions else '<>'} '' ORDER BY id LIMIT ?"
    )
    return [Delivery(*row) for row in connection.execute(sql, (service, after, limit))]


def confirm(
    connection: sqlite3.Connection, service: str, versions: Iterable[tuple[str, str]], at: str, run: int
) -> None:
    """Record what a service confirmed: ids and the versions it has now ("": it is gone)."""
    rows = [(version, at, run, service, id_) for id_, version in versions]
    connection.executemany(
        "UPDATE deliveries SET confirmed = ?, confirmed_at = ?, run = ?, attempts = 0, next_attempt = '', error = ''"
        " WHERE service = ? AND kind = 'entry' AND id = ?",
        rows,
    )
    gone = [(service, row[4]) for row in rows if not row[0]]
    connection.executemany(
        "DELETE FROM deliveries WHERE service = ? AND kind = 'entry' AND id = ? AND wanted = ''", gone
    )


def fail(connection: sqlite3.Connection, service: str, failures: Iterable[tuple[str, int, str, str]], run: int) -> None:
    """Record what a service refused: id, attempts so far, the next attempt's moment and the error."""
    connection.executemany(
        "UPDATE deliveries SET run = ?, attempts = ?, next_attempt = ?, error = ?"
        " WHERE service = ? AND kind = 'entry' AND id = ?",
        [(run, attempts, moment, error, service, id_) for id_, attempts, moment, error in failures],
    )


def doubt(connection: sqlite3.Connection, service: str, ids: Iterable[str], run: int, action: str = "missing") -> None:
    """Make entries due again that a service turned out not to have, or to have otherwise."""
    connection.executemany(
        "UPDATE deliveries SET confirmed = '', action = ?, run = ?, attempts = 0, next_attempt = '', error = ''"
        " WHERE service = ? AND kind = 'entry' AND id = ?",
        [(action, run, service, id_) for id_ in ids],
    )


def remove(connection: sqlite3.Connection, ids: Iterable[str], run: int, action: str = "removed") -> None:
    """Want entries nowhere any more, wherever they were wanted: what was never confirmed may be there all the same."""
    connection.execute(
        "UPDATE deliveries SET wanted = '', action = ?, run = ?, attempts = 0, next_attempt = '', error = '',"
        " confirmed = iif(confirmed = '', '?', confirmed)"
        " WHERE kind = 'entry' AND id IN (SELECT value FROM json_each(?))",
        (action, run, in_json(ids)),
    )


def delete(connection: sqlite3.Connection, services: Iterable[str], ids: Collection[str], run: int) -> None:
    """Want entries deleted in services, known to be there or not: an answer may have been lost."""
    connection.executemany(
        "INSERT INTO deliveries (service, id, kind, wanted, confirmed, action, run)"
        " VALUES (?, ?, 'entry', '', '?', 'forgotten', ?) ON CONFLICT (service, kind, id) DO UPDATE SET wanted = '',"
        " action = excluded.action, run = excluded.run, attempts = 0, next_attempt = '', error = '',"
        " confirmed = CASE confirmed WHEN '' THEN '?' ELSE confirmed END",
        [(service, id_, run) for service in services for id_ in ids],
    )


def drop(connection: sqlite3.Connection, service: str, ids: Iterable[str]) -> None:
    """Drop what is known of entries in a service, unless something of them is due there."""
    connection.execute(
        "DELETE FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted = confirmed"
        " AND id IN (SELECT value FROM json_each(?))",
        (service, in_json(ids)),
    )


def forget_entries(connection: sqlite3.Connection, service: str, ids: Iterable[str]) -> None:
    """Drop all that is known of entries in a service: it no longer has them, and nothing of them is due there."""
    connection.execute(
        "DELETE FROM deliveries WHERE service = ? AND kind = 'entry' AND id IN (SELECT value FROM json_each(?))",
        (service, in_json(ids)),
    )


def forget_service(connection: sqlite3.Connection, service: str) -> None:
    """Drop everything that is known of a service."""
    connection.execute("DELETE FROM deliveries WHERE service = ?", (service,))


def count_due(connection: sqlite3.Connection, service: str) -> int:
    """Count what is due in a service, failed attempts included; answered by an index."""
    sql = "SELECT count(*) FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted <> confirmed"
    return int(connection.execute(sql, (service,)).fetchone()[0])


def count_failed(connection: sqlite3.Connection, service: str) -> int:
    """Count what failed in a service at its last attempt."""
    sql = "SELECT count(*) FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted <> confirmed AND error <> ''"
    return int(connection.execute(sql, (service,)).fetchone()[0])


def count_confirmed(connection: sqlite3.Connection, service: str) -> int:
    """Count the entries that a service is known to have, in whatever version."""
    sql = "SELECT count(*) FROM deliveries WHERE service = ? AND kind = 'entry' AND confirmed NOT IN ('', '?')"
    return int(connection.execute(sql, (service,)).fetchone()[0])
