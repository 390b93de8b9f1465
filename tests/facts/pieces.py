"""Payloads and a memory of facts for the tests of entities, facts and patterns."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from dm_memory.facts.model import Fact
from dm_memory.items import Payload, storage_id
from dm_memory.store.facts import Stated, entities_named, remove_facts, retire_facts, store_facts
from dm_memory.store.history import facts_about, history_of
from dm_memory.store.schema import MIGRATIONS

BRAND = "acme"
MET_AT = "2026-11-21T08:00:00.000Z"


def entry(key: str, content: str, *, kind: str = "insight", tags: Iterable[str] = (), **fields: Any) -> Payload:
    """Return an entry of the test brand; its hashes follow from what is given."""
    facts = fields.pop("facts", {})
    return Payload(
        id=storage_id(BRAND, key),
        brand=BRAND,
        key=key,
        content=content,
        content_hash=sha256(content.encode()).hexdigest(),
        metadata_hash=sha256(repr((tuple(tags), facts, fields)).encode()).hexdigest(),
        content_type=fields.pop("content_type", "campaign-learning"),
        kind=kind,
        source="sync",
        tags=tuple(tags),
        facts=facts,
        recorded_at=fields.pop("recorded_at", "2026-03-01T00:00:00Z"),
        created_at=fields.pop("created_at", MET_AT),
        **fields,
    )


def snapshot(campaign: str, day: int, **metrics: float) -> Payload:
    """Return the performance snapshot of a campaign on a day of March 2026, UTC."""
    figures = ", ".join(f"{name}: {value}" for name, value in metrics.items())
    content = f"Performance of {campaign}, March\nMetrics: {figures}"
    return entry(
        f"performance/{campaign}-{day:02}",
        content,
        kind="performance",
        facts={"section": "snapshot", "campaign_id": campaign, "period": "March"},
        recorded_at=f"2026-03-{day:02}T00:00:00Z",
        content_type="performance-insight",
    )


def plan(status: str, *channels: str, campaign: str = "spring") -> Payload:
    """Return the plan of a campaign that was begun on 1 February 2026."""
    return entry(
        f"campaign/{campaign}#plan",
        f"Spring, plan:\nStatus: {status}\nChannels: {', '.join(channels)}",
        kind="campaign",
        tags=(f"campaign:{campaign}", *(f"channel:{channel}" for channel in channels)),
        facts={
            "campaign_id": campaign,
            "campaign_name": "Spring",
            "campaign_status": status,
            "channels": list(channels),
            "section": "plan",
        },
        recorded_at="2026-02-01T00:00:00Z",
    )


class SteppingClock:
    """A clock that stands until it is set."""

    def __init__(self, moment: str = "2026-06-01T00:00:00+00:00") -> None:
        self.set(moment)

    def set(self, moment: str) -> None:
        """Set it to an ISO-8601 moment."""
        self._moment = datetime.fromisoformat(moment).astimezone(UTC)

    def __call__(self) -> datetime:
        return self._moment


class Memory:
    """The facts of a memory.db in memory, and what a sync does with its entries around them.

    Args:
        clock: Returns the present moment; None for one that stands still.
    """

    def __init__(self, brand: str = BRAND, clock: Callable[[], datetime] | None = None) -> None:
        self.brand = brand
        self.clock = clock or SteppingClock()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        weakref.finalize(self, self.connection.close)
        self.connection.execute("PRAGMA foreign_keys = ON")
        for migration in MIGRATIONS:
            self.connection.executescript(migration)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit everything inside, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def store(self, payloads: Iterable[Payload]) -> None:
        """Store a batch: entries that are new, changed, or current again."""
        with self.transaction():
            self._store({payload.id: payload for payload in payloads})

    def update_metadata(self, payloads: Iterable[Payload]) -> None:
        """Change all but the text of entries that are stored."""
        rows = {payload.id: self._row(payload.id) for payload in payloads}
        with self.transaction():
            self._store(
                {
                    payload.id: replace(payload, content=row[1], content_hash=row[2])
                    for payload in payloads
                    if (row := rows[payload.id])
                }
            )

    def retire(self, payloads: Iterable[Payload]) -> None:
        """Retire entries, now."""
        with self.transaction() as connection:
            seqs = self.seqs(payloads)
            when = self.clock().isoformat()
            connection.executemany(
                "UPDATE entries SET state = 'retired', retired_at = ? WHERE seq = ?", [(when, seq) for seq in seqs]
            )
            retire_facts(connection, seqs, when)

    def forget(self, payloads: Iterable[Payload]) -> None:
        """Forget entries."""
        with self.transaction() as connection:
            seqs = self.seqs(payloads)
            remove_facts(connection, seqs)
            connection.executemany("DELETE FROM entries WHERE seq = ?", [(seq,) for seq in seqs])

    def seqs(self, payloads: Iterable[Payload]) -> list[int]:
        """Return the rows of those entries that are stored."""
        return [row[0] for payload in payloads if (row := self._row(payload.id))]

    def _row(self, identity: str) -> tuple[Any, ...] | None:
        sql = "SELECT seq, content, content_hash, metadata_hash, state FROM entries WHERE id = ?"
        row: tuple[Any, ...] | None = self.connection.execute(sql, (identity,)).fetchone()
        return row

    def _store(self, payloads: Mapping[str, Payload]) -> None:
        stated = []
        for payload in payloads.values():
            row = self._row(payload.id)
            if row and row[2:] == (payload.content_hash, payload.metadata_hash, payload.state):
                continue
            seq = self._write(payload, row[0] if row else None)
            stated.append(Stated(seq, payload, row[1] if row else None))
        store_facts(self.connection, self.brand, stated, self.clock().isoformat())

    def _write(self, payload: Payload, seq: int | None) -> int:
        values: dict[str, str | int] = {
            "id": payload.id,
            "key": payload.key,
            "kind": payload.kind,
            "content_type": payload.content_type,
            "source": payload.source,
            "content": payload.content,
            "content_hash": payload.content_hash,
            "metadata_hash": payload.metadata_hash,
            "facts": json.dumps(dict(payload.facts)),
            "recorded_at": payload.recorded_at,
            "created_at": payload.created_at,
            "priority": payload.priority,
            "expires_at": payload.expires_at,
            "state": payload.state,
            "retired_at": payload.retired_at,
        }
        if seq is not None:
            columns = ", ".join(f"{name} = ?" for name in values)
            update = f"UPDATE entries SET {columns} WHERE seq = ?"  # noqa: S608  # our names
            self.connection.execute(update, (*values.values(), seq))
            return seq
        values |= {"type_origin": "detected", "related": "[]", "version": 1, "updated_from": "", "origin": "x"}
        values |= {"run": 1, "updated_at": 1}
        sql = f"INSERT INTO entries ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"  # noqa: S608  # as above
        return int(self.connection.execute(sql, tuple(values.values())).lastrowid or 0)

    # Looking -----------------------------------------------------------------------------------------------------

    def facts(self, name: str, as_of: str | None = None, limit: int = 1000) -> list[Fact]:
        """Return the facts about what goes by a name."""
        ids = [entity.id for entity in entities_named(self.connection, self.brand, name)]
        now = self.clock().isoformat()
        found = facts_about(self.connection, self.brand, ids, as_of=as_of, now=now, limit=limit)
        return [stored.fact for stored in found]

    def history(self, slot: str) -> list[Fact]:
        """Return all that a slot ever had."""
        return [stored.fact for stored in history_of(self.connection, self.brand, slot)]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        return self.connection.execute(sql).fetchall()

    def validities(self) -> set[tuple[str, str, str, str]]:
        """Return (fact, slot, since, until) of every slotted fact that was valid for any time."""
        rows = self.rows("SELECT id, slot, valid_at, invalid_at FROM facts WHERE slot > ''")
        return {(fact, slot, since, until) for fact, slot, since, until in rows if not until or since < until}

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all there is of facts."""
        tables = ("entities", "facts", "mentions")
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}  # noqa: S608  # our names

    def assert_sound(self) -> None:
        """Assert that the database is whole, that no slot has two values at one moment, and that no entity is left."""
        assert self.rows("PRAGMA integrity_check") == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []
        by_slot: dict[str, list[tuple[str, str]]] = {}
        for _, slot, since, until in self.validities():
            by_slot.setdefault(slot, []).append((since, until))
        for intervals in by_slot.values():
            intervals.sort(key=lambda interval: (interval[0], interval[1] or "~"))
            for (_, until), (since, _) in pairwise(intervals):
                assert until, "a fact is still valid although a later one took its slot"
                assert until <= since
        used = "SELECT subject FROM facts UNION SELECT object FROM facts UNION SELECT entity FROM mentions"
        assert set(self.rows("SELECT seq FROM entities")) == set(self.rows(used))


figures = st.dictionaries(st.sampled_from(["roas", "signups", "cpa"]), st.integers(0, 3), min_size=1)
snapshots = st.builds(
    lambda campaign, day, values: snapshot(campaign, day, **values),
    st.sampled_from(["spring", "autumn"]),
    st.integers(1, 6),
    figures,
)
plans = st.builds(
    lambda status, channels: plan(status, *sorted(channels)),
    st.sampled_from(["planned", "active", "paused"]),
    st.sets(st.sampled_from(["email", "podcast", "sms"]), min_size=1),
)
