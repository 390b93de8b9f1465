"""Entries that come whole, with their identity: from another machine, a service, an export, or a home of 0.2."""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.items import Payload
from dm_memory.results import Action
from dm_memory.store import entries as table
from dm_memory.store import outbox
from dm_memory.store.entries import EntryRow, Known
from dm_memory.store.forgetting import Forgotten, lift, macs_of_entry
from dm_memory.store.importing import Imported, import_entries
from dm_memory.sync.run import Run
from dm_memory.sync.writing import Writing, versions_for

__all__ = ["Importing"]


class Importing:
    """Takes entries into memory as they are, and makes them due everywhere but where they come from.

    Args:
        run: The run.
        source: The name of the service they come from, "" for none.
    """

    def __init__(self, run: Run, source: str) -> None:
        self._run = run
        self._source = source

    def take(self, payloads: Sequence[Payload]) -> tuple[int, int]:
        """Store entries; return how many were new and how many were changed.

        An entry whose text another one here stands for is left out. The journal gets what no file of this machine has.
        """
        store = self._run.store
        known = table.known_by_key(store.connection, [payload.key for payload in payloads])
        owners = table.owners_by_hash(store.connection, [payload.content_hash for payload in payloads])
        wanted: dict[str, Payload] = {}
        for payload in self._without_forgotten(payloads):
            row, owner = known.get(payload.key), owners.get(payload.content_hash)
            if owner is None or (row is not None and owner.seq == row.seq):
                wanted.setdefault(payload.content_hash if payload.state == "current" else payload.key, payload)
        if not wanted:
            return 0, 0
        if not self._run.request.dry_run:
            self._journal(list(wanted.values()), known)
        with store.transaction() as connection:
            self._run.note_change(connection)
            return self._write(list(wanted.values()), known)

    def _without_forgotten(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leave out texts that were forgotten, and make them due to be deleted where they come from.

        A shared store lets nobody store a forgotten text under its id: what it has all the same was restored elsewhere.
        """
        store, run = self._run.store, self._run
        forgotten = Forgotten.load(store.connection)
        buried = {payload.id: payload for payload in payloads if forgotten.has(payload.content_hash)}
        if not buried:
            return list(payloads)
        shares = any(service.name == self._source and service.capabilities.shared for service in run.env.services)
        with store.transaction() as connection:
            if shares:
                for id_, payload in list(buried.items()):
                    macs = set(macs_of_entry(connection, id_)) & set(forgotten.macs_of(payload.content_hash))
                    if macs:
                        lift(store, macs)
                        del buried[id_]
            if self._source:
                outbox.delete(connection, [self._source], buried, run.number)
        return [payload for payload in payloads if payload.id not in buried]

    def _journal(self, payloads: Sequence[Payload], known: dict[str, Known]) -> None:
        texts = table.texts_of(self._run.store.connection, [row.seq for row in known.values()])
        now = self._run.now
        records: list[dict[str, object]] = []
        for payload in payloads:
            row = known.get(payload.key)
            if row is not None:
                replaced = {"key": payload.key, "content": texts[row.seq], "reason": "elsewhere"}
                records.append({"op": "replaced", "at": now, **replaced})
            records.append(
                {
                    "op": "retired" if payload.state == "retired" else "entry",
                    "at": payload.retired_at or now,
                    "key": payload.key,
                    "kind": payload.kind,
                    "content_type": payload.content_type,
                    "source": payload.source,
                    "content": payload.content,
                    "facts": dict(payload.facts),
                    "tags": [[tag, "source"] for tag in payload.tags],
                    "recorded_at": payload.recorded_at,
                    "created_at": payload.created_at,
                    "priority": payload.priority,
                    "expires_at": payload.expires_at,
                    "related": list(payload.related),
                    "author": payload.author,
                }
            )
        self._run.journal.append(records)

    def _write(self, payloads: Sequence[Payload], known: dict[str, Known]) -> tuple[int, int]:
        languages = self._run.context.languages
        rows = import_entries(
            self._run.store,
            [Imported(payload) for payload in payloads],
            self._run.now,
            self._run.number,
            languages,
            "changed on another computer",
        )
        self._deliver(rows)
        before = [known[row.key] for row in rows if row.key in known]
        Writing(self._run, self._run.store.connection).promote(before)  # duplicates of what changed elsewhere
        changed = sum(row.key in known for row in rows)
        return len(rows) - changed, changed

    def _deliver(self, rows: Sequence[EntryRow]) -> None:
        """Confirm the entries where they come from, and make them due everywhere else."""
        connection, run = self._run.store.connection, self._run
        learned = [(row, row.state, Action.LEARNED) for row in rows]
        Writing(run, connection).want(learned)
        for service in run.env.services:
            if service.name == self._source:
                versions = [(id_, version) for id_, version, _ in versions_for(service, learned)]
                outbox.confirm(connection, service.name, versions, run.now, run.number)
