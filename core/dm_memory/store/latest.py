"""What is new in memory.db: the latest learnings, what was retired lately, what the last run wrote, what is due.

Everything is read with a limit: these questions are asked at the start of each session.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from dm_memory.store.database import Store
from dm_memory.store.entries import in_json

__all__ = [
    "LastRun",
    "campaign_ids",
    "count_waiting",
    "last_run",
    "latest_learnings",
    "latest_measured",
    "most_used_tags",
    "retired_lately",
    "written_by",
]

_LEARNINGS = (
    "(priority = 'high' OR (recorded_at <> '' AND (kind IN ('session', 'insight', 'prepared')"
    " OR (kind = 'campaign' AND (instr(key, '#learnings') > 0 OR instr(key, '#strategy_decisions') > 0)))))"
)


class LastRun(NamedTuple):
    """The last run on record; ``finished_at`` is "" while it runs, or if it was killed; ``counts`` are JSON."""

    number: int
    started_at: str
    finished_at: str
    status: str
    scope: str
    counts: str


def latest_learnings(connection: sqlite3.Connection, limit: int) -> list[int]:
    """Return the rows of the latest learnings: those of high priority first, then the latest day first."""
    return _seqs(
        connection,
        f"SELECT seq FROM entries WHERE duplicate_of IS NULL AND state = 'current' AND {_LEARNINGS}"
        " ORDER BY priority = 'high' DESC, coalesce(day, 0) DESC, seq DESC LIMIT ?",
        limit,
    )


def retired_lately(connection: sqlite3.Connection, since: str, limit: int) -> list[int]:
    """Return the rows of what was retired after a moment (ISO-8601, UTC), the latest first."""
    return _seqs(
        connection,
        "SELECT seq FROM entries WHERE duplicate_of IS NULL AND state = 'retired' AND retired_at >= ?"
        " ORDER BY retired_at DESC, seq DESC LIMIT ?",
        since,
        limit,
    )


def latest_measured(connection: sqlite3.Connection, limit: int) -> list[int]:
    """Return the rows of the snapshots and campaign entries that were written last."""
    return _seqs(
        connection,
        "SELECT seq FROM entries WHERE kind IN ('performance', 'campaign') ORDER BY updated_at DESC LIMIT ?",
        limit,
    )


def written_by(connection: sqlite3.Connection, run: int, limit: int) -> list[int]:
    """Return the rows of what a run wrote last, in the order of the table."""
    return _seqs(
        connection, "SELECT seq FROM entries WHERE duplicate_of IS NULL AND run = ? ORDER BY seq LIMIT ?", run, limit
    )


def _seqs(connection: sqlite3.Connection, sql: str, *arguments: object) -> list[int]:
    return [seq for (seq,) in connection.execute(sql, arguments)]


def last_run(store: Store) -> LastRun | None:
    """Return the last run, None if there was none. Raises ``StoreError``."""
    rows = store.rows(
        "SELECT number, started_at, finished_at, status, scope, counts FROM runs ORDER BY number DESC LIMIT 1"
    )
    return LastRun(*rows[0]) if rows else None


def count_waiting(connection: sqlite3.Connection) -> tuple[int, int]:
    """Count what is due in the services that the last sync had, and how much of it failed at its last attempt."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'services'").fetchone()
    row = connection.execute(
        "SELECT count(DISTINCT id), count(DISTINCT iif(error <> '', id, NULL)) FROM deliveries WHERE kind = 'entry'"
        " AND wanted <> confirmed AND service IN (SELECT value FROM json_each(?))",
        (in_json(str(found[0]).splitlines() if found else ()),),
    ).fetchone()
    return int(row[0]), int(row[1])


def most_used_tags(connection: sqlite3.Connection, part: str, limit: int) -> list[str]:
    """Return tags that contain ``part`` in whatever case: those that begin with it first, then the most used."""
    rows = connection.execute(
        "SELECT tag FROM tags WHERE removed = 0 AND instr(lower(tag), lower(?1)) > 0 GROUP BY tag"
        " ORDER BY instr(lower(tag), lower(?1)) = 1 DESC, count(*) DESC, tag LIMIT ?2",
        (part, limit),
    )
    return [tag for (tag,) in rows]


def campaign_ids(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of the campaigns that memory knows, the latest first."""
    rows = connection.execute(
        "SELECT json_extract(facts, '$.campaign_id') AS campaign FROM entries WHERE kind = 'campaign'"
        " GROUP BY campaign ORDER BY max(coalesce(day, 0)) DESC, campaign"
    )
    return [str(campaign) for (campaign,) in rows if campaign]
