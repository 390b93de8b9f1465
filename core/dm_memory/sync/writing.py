"""Writing: a planned chunk as rows of memory.db, inside the caller's transaction.

Whatever follows from an entry is written with it: tags, revisions, words, facts, patterns and what is due for it in the
connected services.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import orjson

from dm_memory.findings import Finding, Severity
from dm_memory.items import Item, storage_id
from dm_memory.results import Action
from dm_memory.services.protocol import Service
from dm_memory.store import entries as table
from dm_memory.store import outbox
from dm_memory.store.entries import EntryRow, Known, effective, payload_of_row, statement_hash, to_json, version_of
from dm_memory.store.facts import Stated, remove_facts, store_facts
from dm_memory.store.indexes import Embedded, put_words, remove_words
from dm_memory.store.patterns import update_patterns
from dm_memory.sync.plan import WRITTEN, Planned, merged_tags
from dm_memory.sync.run import Run
from dm_memory.text.hashing import metadata_hash
from dm_memory.text.timestamps import day_of
from dm_memory.text.words import analyse, language_of

__all__ = ["Writing", "versions_for"]

_NEW_TEXT = frozenset({Action.NEW, Action.MODIFIED, Action.FORCED, Action.RESTORED})


@dataclass(slots=True)
class Writing:
    """The rows of one transaction."""

    run: Run
    connection: sqlite3.Connection
    vectors: Mapping[str, Embedded] = field(default_factory=dict)
    digest: Callable[[Item], str] = lambda _: ""
    vector_rows: list[tuple[int, str, str, Embedded]] = field(default_factory=list)

    def entries(self, planned: Sequence[Planned]) -> None:
        """Write a plan: entries with tags, revisions, words, facts, patterns and what is due for them."""
        seqs = self._seqs(planned)
        if not seqs:
            return
        rows: dict[str, EntryRow] = {}
        written = [entry for entry in planned if entry.key in seqs and self._is_written(entry, seqs)]
        ticks = iter(self.run.store.ticks(len(written)))
        for entry in written:
            rows[entry.key] = self._row(entry, seqs, next(ticks))
        changed = {
            entry.known.seq
            for entry in written
            if entry.known and entry.known.content_hash != entry.prepared.content_hash
        }
        if changed:
            lost = table.add_revisions(self.connection, sorted(changed), self.run.now, self.run.reason)
            if lost > 0:
                message = f"{lost} of the oldest revisions had to go: an entry keeps {table.KEPT_REVISIONS}."
                self.run.outcomes.add_findings([Finding("revisions-dropped", Severity.INFO, message)])
        fresh = [entry for entry in written if entry.known is None]
        old = [entry for entry in written if entry.known is not None]
        texts = table.texts_of(self.connection, [entry.known.seq for entry in old if entry.known])
        # Who stands for a text comes before those that point at it.
        fresh.sort(key=lambda entry: bool(entry.owner_key))
        table.insert_entries(self.connection, [rows[entry.key] for entry in fresh])
        table.replace_entries(self.connection, [rows[entry.key] for entry in old])
        table.put_tags(self.connection, {seqs[entry.key]: entry.tags for entry in written})
        self._derive(written, rows, texts)
        self._gain_tags(planned, seqs)
        self.promote([entry.known for entry in old if entry.known and entry.known.seq in changed])
        self._renew_digests(planned, rows)

    def _seqs(self, planned: Sequence[Planned]) -> dict[str, int]:
        first = self.run.store.value("SELECT max(seq) FROM entries") + 1
        numbers = count(first)
        seqs = {}
        for entry in planned:
            if entry.known is not None:
                seqs[entry.key] = entry.known.seq
            elif entry.action in WRITTEN or entry.action is Action.DUPLICATE:
                seqs[entry.key] = next(numbers)
        return seqs

    def _is_written(self, entry: Planned, seqs: Mapping[str, int]) -> bool:
        if entry.action in WRITTEN or entry.action is Action.DUPLICATE:
            return True
        known = entry.known
        if entry.action is not Action.UNCHANGED or known is None or not entry.owner_key:
            return False
        return known.duplicate_of != self._owner(entry, seqs)

    def _owner(self, entry: Planned, seqs: Mapping[str, int]) -> int | None:
        if not entry.owner_key:
            return None
        if entry.owner_key in seqs:
            return seqs[entry.owner_key]
        return table.known_by_key(self.connection, [entry.owner_key])[entry.owner_key].seq

    def _row(self, entry: Planned, seqs: Mapping[str, int], tick: int) -> EntryRow:
        prepared, known, item = entry.prepared, entry.known, entry.prepared.item
        changed = known is not None and known.content_hash != prepared.content_hash
        created = (known.created_at if known else item.created_at) or self.run.now
        priority, expires_at = entry.priority_and_expiry()
        owner = self._owner(entry, seqs)
        has_vectors = known is not None and not changed and entry.action is not Action.FORCED and owner is None
        embedded = known.embedded if known and has_vectors and known.duplicate_of is None else ""
        if owner is None and entry.action in _NEW_TEXT and (vectors := self.vectors.get(prepared.content_hash)):
            embedded = vectors.model  # they are written in the same transaction
        return EntryRow(
            seqs[item.key],
            known.id if known else storage_id(self.run.brand, item.key),
            item.key,
            item.list_key or (known.list_key if known else ""),
            item.kind.value,
            entry.content_type,
            entry.type_origin,
            item.source.value,
            prepared.content,
            prepared.content_hash,
            entry.metadata_hash,
            to_json(prepared.facts),
            item.recorded_at,
            day_of(item.recorded_at or created),
            created,
            priority,
            expires_at,
            to_json(item.related),
            (known.version + changed) if known else 1,
            known.content_hash if known and changed else (known.updated_from if known else ""),
            "current",
            "",
            owner,
            item.origin,
            item.source_updated_at,
            self.digest(item),
            item.prepared_hash or (known.prepared_hash if known else ""),
            language_of(prepared.content, self.run.context.languages),
            known.author if known else item.author,
            embedded,
            self.run.number,
            tick,
            statement_hash(item.kind.value, prepared.content),
        )

    def _derive(self, written: Sequence[Planned], rows: Mapping[str, EntryRow], texts: Mapping[int, str]) -> None:
        """Write what follows from entries: words, vectors, facts, patterns, deliveries."""
        standing = [entry for entry in written if not entry.owner_key]
        pointing = [rows[entry.key].seq for entry in written if entry.owner_key and entry.known is not None]
        new_texts = [entry for entry in standing if entry.action in _NEW_TEXT]
        known = {rows[entry.key].seq for entry in new_texts if entry.known is not None}
        remove_words(self.connection, [*known, *pointing])
        other_texts = [
            row.seq
            for entry in new_texts
            for row in (rows[entry.key],)
            if entry.known is not None and entry.known.content_hash != row.content_hash
        ]
        self.connection.execute(
            "DELETE FROM vectors WHERE seq IN (SELECT value FROM json_each(?))",
            (table.in_json([*other_texts, *pointing]),),
        )
        put_words(
            self.connection,
            [(row.seq, analyse(row.content, row.language)) for entry in new_texts for row in (rows[entry.key],)],
        )
        self.vector_rows += [
            (row.seq, row.id, row.content_hash, vectors)
            for entry in new_texts
            for row in (rows[entry.key],)
            if (vectors := self.vectors.get(row.content_hash)) is not None
        ]
        store_facts(
            self.connection,
            self.run.brand,
            [
                Stated(
                    row.seq,
                    payload_of_row(self.run.brand, row, effective(entry.tags)),
                    None if entry.known is None or entry.known.duplicate_of is not None else texts[row.seq],
                )
                for entry in standing
                for row in (rows[entry.key],)
            ],
            self.run.now,
        )
        if pointing:
            ids = [rows[entry.key].id for entry in written if entry.owner_key and entry.known is not None]
            remove_facts(self.connection, pointing)
            outbox.remove(self.connection, ids, self.run.number, Action.DUPLICATE)
        wanted = [(rows[entry.key], "current", entry.action) for entry in standing]
        self.want([each for each in wanted if each[2] is not Action.FORCED])
        self.want([each for each in wanted if each[2] is Action.FORCED], again=True)
        update_patterns(self.connection, self.run.brand, [rows[e.key].seq for e in written], self.run.store.ticks)

    def _gain_tags(self, planned: Sequence[Planned], seqs: Mapping[str, int]) -> None:
        """Give the tags of duplicates to entries outside of the plan that stand for their texts."""
        in_plan = {entry.key for entry in planned}
        gains: dict[str, set[str]] = {}
        for entry in planned:
            if entry.owner_key and entry.owner_key not in in_plan and entry.key in seqs:
                gains.setdefault(entry.owner_key, set()).update(effective(entry.tags))
        if gains:
            for key, row in table.known_by_key(self.connection, gains).items():
                self.gain_tags(row, gains[key], "merged")

    def gain_tags(self, row: Known, tags: Iterable[str], origin: str) -> tuple[str, ...]:
        """Add tags to an entry; return those it gained."""
        before = table.tags_of(self.connection, [row.seq]).get(row.seq, [])
        after = merged_tags(before, tags, origin)
        gained = sorted(set(effective(after)) - set(effective(before)))
        if gained:
            table.put_tags(self.connection, {row.seq: after})
            self.renew_metadata([row.seq], Action.METADATA)
        return tuple(gained)

    def renew_metadata(self, seqs: Sequence[int], action: Action) -> None:
        """Compute the metadata hashes of entries again after their tags or fields changed, and make them due."""
        rows = [EntryRow(*row) for row in self.connection.execute(table.SELECT_ROWS, (table.in_json(seqs),))]
        tags = table.tags_of(self.connection, seqs)
        ticks = self.run.store.ticks(len(rows))
        renewed = []
        for row, tick in zip(rows, ticks, strict=True):
            digest = metadata_hash(
                content_type=row.content_type,
                kind=row.kind,
                source=row.source,
                tags=effective(tags.get(row.seq, ())),
                facts=orjson.loads(row.facts),
                recorded_at=row.recorded_at,
                priority=row.priority,
                expires_at=row.expires_at,
                related=orjson.loads(row.related),
            )
            renewed.append(row._replace(metadata_hash=digest, updated_at=tick))
        table.replace_entries(self.connection, renewed)
        stated = [
            Stated(row.seq, payload_of_row(self.run.brand, row, effective(tags.get(row.seq, ()))), row.content)
            for row in renewed
        ]
        store_facts(self.connection, self.run.brand, stated, self.run.now)
        self.want([(row, row.state, action) for row in renewed])

    def promote(self, owners: Sequence[Known]) -> None:
        """Let the first duplicate of entries that no longer have its text stand for itself."""
        orphans: dict[str, list[Known]] = {}
        for row in table.duplicates_of(self.connection, [owner.seq for owner in owners]):
            orphans.setdefault(row.content_hash, []).append(row)
        now_owned = {row.seq: row for row in table.known_by_seq(self.connection, [o.seq for o in owners]).values()}
        for text, rows in orphans.items():
            owner = now_owned.get(rows[0].duplicate_of or 0)
            if owner is not None and owner.content_hash == text and owner.state == "current":
                continue
            standing = table.owners_by_hash(self.connection, [text]).get(text)
            heir, others = (standing, rows) if standing else (rows[0], rows[1:])
            self.connection.executemany(
                "UPDATE entries SET duplicate_of = ? WHERE seq = ?", [(heir.seq, row.seq) for row in others]
            )
            if standing is None:
                self.connection.execute(
                    "UPDATE entries SET duplicate_of = NULL, embedded = '' WHERE seq = ?", (heir.seq,)
                )
                fresh = EntryRow(*self.connection.execute(table.SELECT_ROWS, (table.in_json([heir.seq]),)).fetchone())
                tags = effective(table.tags_of(self.connection, [heir.seq]).get(heir.seq, ()))
                put_words(self.connection, [(fresh.seq, analyse(fresh.content, fresh.language))])
                payload = payload_of_row(self.run.brand, fresh, tags)
                store_facts(self.connection, self.run.brand, [Stated(fresh.seq, payload)], self.run.now)
                self.connection.execute(
                    "UPDATE entries SET updated_at = ? WHERE seq = ?", (self.run.store.ticks(1)[0], heir.seq)
                )
                self.want([(fresh, fresh.state, Action.NEW)])
                self.run.outcomes.promoted()

    def want(self, rows: Sequence[tuple[Known | EntryRow, str, Action]], *, again: bool = False) -> None:
        """Make versions of entries due in every service; a retired one leaves those that keep only current ones."""
        for service in self.run.env.services:
            versions = versions_for(service, rows)
            outbox.want(self.connection, [service.name], versions, self.run.number, again=again)

    def _renew_digests(self, planned: Sequence[Planned], rows: Mapping[str, EntryRow]) -> None:
        """Remember how unchanged items read now: a profile or a rule changed, and they came out the same."""
        renewed = [
            (
                self.digest(entry.prepared.item),
                entry.prepared.item.origin,
                entry.prepared.item.source_updated_at,
                entry.known.seq,
            )
            for entry in planned
            if entry.action is Action.UNCHANGED and entry.known is not None and entry.key not in rows
        ]
        self.connection.executemany(
            "UPDATE entries SET source_digest = ?, origin = ?, source_updated_at = ? WHERE seq = ?", renewed
        )


def versions_for(service: Service, rows: Sequence[tuple[Known | EntryRow, str, Action]]) -> list[tuple[str, str, str]]:
    """Return what a service should have of entries in some state: id, version ("" for gone) and why."""
    keeps = service.capabilities.keeps_retired
    return [
        (
            row.id,
            version_of(row.content_hash, row.metadata_hash, state) if keeps or state == "current" else "",
            action.value,
        )
        for row, state, action in rows
    ]
