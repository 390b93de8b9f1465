"""Learning what other machines stored: before anything is planned, the registry catches up with the durable store.

The store tells what changed since the last look, by hashes alone; whole entries are read only where they are news. So
a second machine with an empty registry knows what is in memory, and stores none of it again.

What happens to an entry, by what this registry knows of it:
    unknown: It is entered as stored there, and becomes due in this machine's other layers.
    known, with the same hashes: It is stored there, whether or not this registry saw the confirmation.
    known, with other hashes: The newer word counts. What this machine has yet to deliver stands; else theirs is taken.
    unknown, with a text that another entry here stands for: It stays there, and is nothing new here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import orjson

from dm_memory.errors import LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.items import Kind, Payload
from dm_memory.services.protocol import Layer
from dm_memory.services.turso.protocol import Key
from dm_memory.services.turso.service import Digest
from dm_memory.sync import rows
from dm_memory.sync.asking import answered
from dm_memory.sync.duplicates import promote
from dm_memory.sync.exports import mark_index_due
from dm_memory.sync.patterns_step import OTHERS_WROTE, due_name
from dm_memory.sync.reclaim import row_of_entry
from dm_memory.sync.registry import Registry
from dm_memory.sync.results import Action
from dm_memory.sync.rows import Known
from dm_memory.sync.worker import Worker
from dm_memory.text.hashing import content_hash

__all__ = ["Learned", "NewsDesk", "NewsLayer", "learn", "take_over"]


@runtime_checkable
class NewsLayer(Layer, Protocol):
    """A layer that tells what changed in it, in order, whoever changed it."""

    @property
    def shared(self) -> bool:
        """True where other machines may write to it."""

    async def changes(self, after: Key | None) -> tuple[list[Digest], Key | None]:
        """Return what changed after a place, and where to go on (None: that is all). Raises ``LayerError``."""

    async def payloads(self, ids: Sequence[str]) -> list[Payload]:
        """Return entries whole. Raises ``LayerError``."""


@dataclass(slots=True)
class Learned:
    """What a look at the store brought.

    Attributes:
        new: Entries this registry did not know.
        changed: Entries that another machine changed.
        seqs: Their rows in the registry.
        failure: Why the store could not be read; what was learned before that stands.
    """

    new: int = 0
    changed: int = 0
    seqs: set[int] = field(default_factory=set)
    failure: LayerError | None = None

    def add(self, new: Sequence[int], changed: Sequence[int]) -> None:
        """Count entries that were entered, by their rows in the registry."""
        self.new += len(new)
        self.changed += len(changed)
        self.seqs.update(new, changed)

    def finding(self, engine: str) -> Finding | None:
        """Return what a person should know of it."""
        if not self.new and not self.changed:
            return None
        entries = "entry" if self.new == 1 else "entries"
        message = f"{engine} held {self.new} {entries} that this machine did not know and {self.changed} changed."
        return Finding("durable-learned", Severity.INFO, f"{message} They are known here now; none was stored again.")


async def learn(desk: NewsDesk, worker: Worker, layer: NewsLayer) -> Learned:
    """Bring the registry up to the durable store; what was learned before the store failed stands."""
    learned = Learned()
    name = f"seen:{layer.name}"
    place = _key(await worker.run(desk.registry.meta, name))
    try:
        while True:
            digests, following = await answered(layer.engine, layer.changes(place))
            if not digests:
                return learned
            news = await worker.run(desk.news, digests)
            payloads = await answered(layer.engine, layer.payloads(news)) if news else []
            place = following or place
            new, changed = await worker.run(desk.enter, payloads, name, place)
            learned.add(new, changed)
    except LayerError as error:
        learned.failure = error
        return learned


def take_over(desk: NewsDesk, payloads: Sequence[Payload]) -> Learned:
    """Enter what the local cache says of a durable store that can't be asked now; the next look is not moved."""
    wanted = set(desk.news([Digest(p.id, p.key, p.content_hash, p.metadata_hash) for p in payloads]))
    learned = Learned()
    learned.add(*desk.enter([payload for payload in payloads if payload.id in wanted], "", None))
    return learned


@dataclass(frozen=True, slots=True)
class NewsDesk:
    """Where news are sorted. All of it runs on the worker's thread.

    Attributes:
        registry: Open for writing (or a private copy, in a dry run).
        layer: The durable store's name.
        others: Names of the other layers of this machine.
        run: The run's number.
        now: The moment, ISO-8601.
    """

    registry: Registry
    layer: str
    others: tuple[str, ...]
    run: int
    now: str

    def news(self, digests: Sequence[Digest]) -> list[str]:
        """Note what is stored there as this registry wants it; return the ids of what has to be read."""
        known = rows.known_by_key(self.registry, [digest.key for digest in digests])
        waiting = self._waiting({row.seq for row in known.values()}) if known else set()
        same = []
        unknown = []
        for digest in digests:
            row = known.get(digest.key)
            if row is None:
                unknown.append(digest.id)
            elif row.duplicate_of is None:
                # What is due there is stored again even so: a write that ended early may have left out its vectors.
                if row.seq in waiting:
                    continue
                if (row.content_hash, row.metadata_hash) == (digest.content_hash, digest.metadata_hash):
                    same.append(row)
                else:
                    unknown.append(digest.id)
        with self.registry.transaction() as connection:
            self._confirm(connection, [(row.seq, row.content_hash, row.metadata_hash) for row in same])
        return unknown

    def enter(
        self, payloads: Sequence[Payload], place_name: str, place: Key | None
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Enter news, and the place up to which all is known, in one transaction; return ``seq`` of new and changed."""
        sound = [payload for payload in payloads if content_hash(payload.content) == payload.content_hash]
        known = rows.known_by_key(self.registry, [payload.key for payload in sound])
        owners = rows.owners_by_hash(self.registry, [payload.content_hash for payload in sound])
        new: list[Payload] = []
        taken: set[str] = set()
        changed: list[tuple[Known, Payload]] = []
        for payload in sound:
            row, owner = known.get(payload.key), owners.get(payload.content_hash)
            if payload.content_hash in taken or (owner is not None and (row is None or owner.seq != row.seq)):
                continue
            taken.add(payload.content_hash)
            if row is None:
                new.append(payload)
            else:
                changed.append((row, payload))
        with self.registry.transaction() as connection:
            seqs = self._insert(connection, new)
            for row, payload in changed:
                self._replace(connection, row, payload)
            if new or changed:
                mark_index_due(connection)
                self._mark_patterns_due(connection, [*new, *(entry for _, entry in changed)])
            if place is not None:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (place_name, _text(place)))
        return seqs, [row.seq for row, _ in changed]

    def _mark_patterns_due(self, connection: sqlite3.Connection, entries: Sequence[Payload]) -> None:
        if any(entry.kind == Kind.CAMPAIGN for entry in entries):
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (due_name(self.layer), OTHERS_WROTE))

    def _waiting(self, seqs: set[int]) -> set[int]:
        """Return those whose own change has yet to reach the store: it is newer than what the store tells."""
        due = self.registry.tuples(
            "SELECT seq FROM deliveries INDEXED BY deliveries_due WHERE layer = ? AND state <> 1", (self.layer,)
        )
        return seqs & {seq for (seq,) in due}

    def _insert(self, connection: sqlite3.Connection, new: Sequence[Payload]) -> Sequence[int]:
        first = self.registry.value("SELECT max(seq) FROM items") + 1
        seqs = range(first, first + len(new))
        rows.insert_items(
            connection, [row_of_entry(entry, seq, self.run) for seq, entry in zip(seqs, new, strict=True)]
        )
        held = [(seq, entry.content_hash, entry.metadata_hash) for seq, entry in zip(seqs, new, strict=True)]
        self._confirm(connection, held)
        due = [(seq, Action.LEARNED.value) for seq in seqs]
        rows.mark_due(connection, self.others, due, self.run, rewrite=False)
        return seqs

    def _replace(self, connection: sqlite3.Connection, row: Known, entry: Payload) -> None:
        """Take another machine's version over.

        ``source_digest`` stays that of what this machine's file says: only when somebody changes that here, it is news.
        """
        details = rows.pack_details(entry.tags, entry.facts, entry.priority, entry.expires_at, entry.related)
        connection.execute(
            "UPDATE items SET content = ?, content_hash = ?, metadata_hash = ?, details = ?, content_type = ?,"
            " recorded_at = ?, version = ?, updated_from = ? WHERE seq = ?",
            (
                entry.content,
                entry.content_hash,
                entry.metadata_hash,
                details,
                entry.content_type,
                entry.recorded_at,
                entry.version,
                entry.updated_from,
                row.seq,
            ),
        )
        self._confirm(connection, [(row.seq, entry.content_hash, entry.metadata_hash)])
        rows.mark_due(connection, self.others, [(row.seq, Action.LEARNED)], self.run, rewrite=False)
        if entry.content_hash != row.content_hash:
            promote(connection, (self.layer, *self.others), row.seq, self.run)

    def _confirm(self, connection: sqlite3.Connection, held: Sequence[tuple[int, str, str]]) -> None:
        """Note what the store holds. No run of ours stored it, so none counts it as its own."""
        connection.executemany(
            "INSERT INTO deliveries (layer, seq, state, run, action, content_hash, metadata_hash, stored_at)"
            " VALUES (?, ?, 1, 0, 'learned', ?, ?, ?) ON CONFLICT DO UPDATE SET state = 1, run = 0, attempts = 0,"
            " error = '', content_hash = excluded.content_hash, metadata_hash = excluded.metadata_hash,"
            " stored_at = excluded.stored_at"
            " WHERE state IN (0, 2) OR (content_hash, metadata_hash)"
            " IS NOT (excluded.content_hash, excluded.metadata_hash)",
            [(self.layer, seq, content, metadata, self.now) for seq, content, metadata in held],
        )


def _key(text: str) -> Key | None:
    if not text:
        return None
    moment, id_ = orjson.loads(text)
    return int(moment), str(id_)


def _text(place: Key) -> str:
    return orjson.dumps(place).decode()
