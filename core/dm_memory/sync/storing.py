"""Storing: from items to rows of memory.db, one transaction a chunk.

An entry is in memory when the transaction that wrote it, its vectors, its words, its facts and what is due for it in the
services has committed. What files can't give back is in the journal before that. A chunk is planned before its
transaction, because embedding takes time; if somebody else wrote in between, it is planned again inside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from itertools import count
from typing import Any

import orjson

from dm_memory.embedding.batch import EmbeddingError, embedded
from dm_memory.findings import Finding, Severity
from dm_memory.items import Item, storage_id
from dm_memory.results import Action
from dm_memory.store import entries as table
from dm_memory.store import outbox
from dm_memory.store.entries import EntryRow, Known, effective, payload_of_row, version_of
from dm_memory.store.importing import record_of_entry, to_json
from dm_memory.store.facts import Stated, remove_facts, retire_facts, store_facts
from dm_memory.store.patterns import update_patterns
from dm_memory.store.vectors import Embedded, put_vectors, without_vectors
from dm_memory.store.words import put_words, remove_words
from dm_memory.sync.identity import identified
from dm_memory.sync.outcomes import title_of
from dm_memory.sync.payloads import Prepared
from dm_memory.sync.plan import Planned, Surroundings, Wishes, merged_tags, plan
from dm_memory.sync.run import KINDS, Run
from dm_memory.text.hashing import content_hash, metadata_hash
from dm_memory.text.tags import normalise_tags
from dm_memory.text.timestamps import day_of
from dm_memory.text.words import analyse, language_of

__all__ = ["SourceItems", "Storing", "Writing", "record_of"]

_WRITTEN = frozenset({Action.NEW, Action.MODIFIED, Action.METADATA, Action.FORCED, Action.RESTORED})
_NEW_TEXT = frozenset({Action.NEW, Action.MODIFIED, Action.FORCED, Action.RESTORED})
_UNSETTLED = frozenset({Action.EXCLUDED, Action.REFUSED})
"""A file with such items is looked at again the next time: the patterns may differ, the credential may be gone."""
_CHANGED = frozenset({Action.MODIFIED, Action.METADATA, Action.RESTORED})
_EMBED_AT_ONCE = 512
_HELD_BACK = 10
"""From so many entries on, a sync asks before it retires more than half of a source."""


@dataclass(frozen=True, slots=True)
class SourceItems:
    """The items of one source file (or of what was handed in: path "").

    Attributes:
        digest: SHA-256 of the bytes; None if the file has to be read again the next time, whatever it states.
        may_have_rolled: Whether older entries may have left the file.
        whole: Whether all of the file was read: only then is an entry that is missing in it gone.
    """

    path: str
    items: Sequence[Item]
    digest: bytes | None = None
    may_have_rolled: bool = False
    whole: bool = False


@dataclass(slots=True)
class _Chunk:
    """Some sources on their way through the plan."""

    sources: Sequence[SourceItems]
    items: dict[str, list[Item]] = field(default_factory=dict)
    planned: list[Planned] = field(default_factory=list)
    untouched: list[int] = field(default_factory=list)
    superseded: int = 0
    seen: dict[str, set[str]] = field(default_factory=dict)


class Storing:
    """Stores the items of one run. All of it runs on the run's worker thread.

    Args:
        run: The run.
        model: The tag of the embedding model in use, "" if there is none.
    """

    def __init__(self, run: Run, model: str) -> None:
        self._run = run
        self._store = run.store
        self._model = model
        self._wishes = Wishes(
            force=run.request.force,
            tags=normalise_tags(run.request.tags),
            retag=run.request.retag,
            untag=normalise_tags(run.request.untag),
            content_type=run.request.content_type,
        )
        self._salt = run.preparer.fingerprint.encode()

    # One chunk -------------------------------------------------------------------------------------------------------

    def take(self, sources: Sequence[SourceItems]) -> None:
        """Plan the items of some sources, embed what is new and commit it all, with the digests of the files."""
        chunk = _Chunk(sources)
        clock = self._store.meta("clock")
        self._plan(chunk)
        vectors = self._embed(chunk.planned)
        before = self._before(chunk.planned)
        if not self._run.request.dry_run:
            self._write_journal(chunk.planned)
        with self._store.transaction() as connection:
            if self._store.meta("clock") != clock:  # another process stored a payload meanwhile
                self._plan(chunk)
            self._write(connection, chunk, vectors)
        self._run.outcomes.planned(chunk.planned, before, frozenset(self._wishes.tags))
        self._run.outcomes.counts.unchanged += len(chunk.untouched) + chunk.superseded

    @property
    def looks_at_all(self) -> bool:
        """Whether files have to be parsed although their bytes are as they were."""
        return self._wishes.concern_all or bool(self._run.excluder)

    def _plan(self, chunk: _Chunk) -> None:
        connection = self._store.connection
        chunk.items.clear()
        chunk.untouched.clear()
        chunk.superseded = 0
        for source in chunk.sources:
            chunk.items[source.path] = identified(
                connection, source.path, source.items, self._text_hash, may_have_rolled=source.may_have_rolled
            )
        chunk.seen = {path: {item.key for item in items} for path, items in chunk.items.items() if path}
        items, known = self._newest(chunk)
        touched = self._touched(chunk, items, known)
        prepared = [self._run.preparer.prepare(item) for item in touched]
        fresh = [
            entry.content_hash
            for entry in prepared
            if (row := known.get(entry.item.key)) is None
            or row.duplicate_of is not None
            or row.content_hash != entry.content_hash
        ]
        mine = {row.seq for entry in prepared if (row := known.get(entry.item.key)) is not None}
        around = Surroundings(
            known=known,
            owners=table.owners_by_hash(connection, fresh),
            tags=table.tags_of(connection, mine) if mine else {},
            excluded=self._excluded(prepared, known),
        )
        chunk.planned = plan(prepared, around, self._wishes)
        self._merge_tags(chunk.planned)

    def _before(self, planned: Sequence[Planned]) -> dict[str, dict[str, str]]:
        """Return what changed entries were before, by key: text, content type and tags, of those that changed."""
        changed = [entry for entry in planned if entry.known is not None and entry.action in _CHANGED]
        seqs = [entry.known.seq for entry in changed if entry.known is not None]
        texts = table.texts_of(self._store.connection, seqs)
        tags = table.tags_of(self._store.connection, seqs)
        before: dict[str, dict[str, str]] = {}
        for entry in changed:
            row = entry.known
            if row is None:
                continue
            old = before[entry.key] = {}
            if row.content_hash != entry.prepared.content_hash:
                old["text"] = title_of(texts.get(row.seq, ""))
            if row.content_type != entry.content_type:
                old["content_type"] = row.content_type
            names = effective(tags.get(row.seq, ()))
            if names != effective(entry.tags):
                old["tags"] = ", ".join(names)
        return before

    def _text_hash(self, item: Item) -> str:
        return self._run.preparer.prepare(item).content_hash

    def _newest(self, chunk: _Chunk) -> tuple[list[Item], dict[str, Known]]:
        """Return one item a key: of several files that state it, the one that was changed last.

        A file that is not in this chunk counts by what memory knows of it.
        """
        newest: dict[str, Item] = {}
        for items in chunk.items.values():
            for item in items:
                other = newest.get(item.key)
                if other is None or (item.source_updated_at, other.origin) > (other.source_updated_at, item.origin):
                    chunk.superseded += other is not None
                    newest[item.key] = item
                else:
                    chunk.superseded += 1
        known = table.known_by_key(self._store.connection, newest)
        current = []
        for key, item in newest.items():
            row = known.get(key)
            if row is None or row.origin == item.origin or self._supersedes(item, row):
                current.append(item)
            else:
                chunk.superseded += 1
        return current, known

    def _supersedes(self, item: Item, row: Known) -> bool:
        """Return whether an item of another file than the entry's counts: that file is older, or states it no more."""
        if not row.origin or row.state == "retired" or item.source_updated_at > row.source_updated_at:
            return True
        if item.source_updated_at < row.source_updated_at:
            return False
        sql = "SELECT 1 FROM sightings WHERE path = ? AND seq = ?"
        return not self._store.rows(sql, (row.origin, row.seq)) or item.origin < row.origin

    def _touched(self, chunk: _Chunk, items: list[Item], known: Mapping[str, Known]) -> list[Item]:
        """Leave out the items that read as they did when they were stored: they need no guard, no tags, no hashes."""
        if not known or self._wishes.concern_all or self._run.excluder:
            return items
        touched = []
        for item in items:
            row = known.get(item.key)
            same = row is not None and row.source_digest and row.source_digest == self._digest(item)
            if same and row is not None and row.state == "current":
                chunk.untouched.append(row.seq)
            else:
                touched.append(item)
        return touched

    def _digest(self, item: Item) -> str:
        """Return what tells an item, and the way items are prepared, from what it was."""
        try:
            return md5(orjson.dumps(item) + self._salt, usedforsecurity=False).hexdigest()
        except orjson.JSONEncodeError:
            return ""  # a number beyond 64 bits, or the like: such an item is always looked at

    def _excluded(self, prepared: Sequence[Prepared], known: Mapping[str, Known]) -> dict[str, str]:
        if not self._run.excluder:
            return {}
        found = {}
        for entry in prepared:
            row = known.get(entry.item.key)
            types = {entry.item.content_type.value, row.content_type if row else ""}
            tags = (*entry.detected, *entry.given)
            pattern = next((p for kind in types if (p := self._run.excluder.match(entry.item, kind, tags))), None)
            if pattern is not None:
                found[entry.item.key] = pattern
        return found

    @staticmethod
    def _merge_tags(planned: Sequence[Planned]) -> None:
        """Give the tags of duplicates to the entries of the same plan that stand for their texts."""
        by_key = {entry.key: entry for entry in planned}
        for entry in planned:
            owner = by_key.get(entry.owner_key) if entry.owner_key else None
            if owner is None:
                continue
            merged = merged_tags(owner.tags, effective(entry.tags))
            if merged != owner.tags:
                owner.tags = merged
                owner.metadata_hash = owner.hashed()
                if owner.action is Action.UNCHANGED:
                    owner.action = Action.METADATA

    # Embedding -------------------------------------------------------------------------------------------------------

    def _embed(self, planned: Sequence[Planned]) -> dict[str, Embedded]:
        """Return the vectors of new texts by content hash; none if the model fails, which leaves them due."""
        texts = {
            entry.prepared.content_hash: entry.prepared.content
            for entry in planned
            if entry.action in {Action.NEW, Action.MODIFIED, Action.FORCED} and not entry.owner_key
        }
        if not texts or not self._model or self._run.env.embedder is None or self._run.request.dry_run:
            return {}
        try:
            chunks = embedded(self._run.env.embedder, list(texts.values()))
        except EmbeddingError as error:
            self._note_embedding_error(error)
            return {}
        return {digest: Embedded(self._model, own) for digest, own in zip(texts, chunks, strict=True)}

    def _note_embedding_error(self, error: EmbeddingError) -> None:
        if not self._run.embedding_error:
            finding = Finding("not-embedded", Severity.WARNING, error.problem, error.remedy)
            self._run.outcomes.add_findings([finding])
        self._run.embedding_error = error.problem

    def embed_missing(self) -> Iterator[int]:
        """Embed, chunk by chunk, the entries that have no vectors of the model in use; yield how many were done.

        After another model was chosen, an error of the model, a killed run or a force. Each chunk is committed.
        """
        embedder = self._run.env.embedder
        while embedder is not None and not self._run.embedding_error:
            with self._store.snapshot() as connection:
                due = without_vectors(connection, self._model, _EMBED_AT_ONCE)
            if not due:
                return
            try:
                chunks = embedded(embedder, [text for *_, text in due])
            except EmbeddingError as error:
                self._note_embedding_error(error)
                return
            rows = [
                (seq, id_, digest, Embedded(self._model, own))
                for (seq, id_, digest, _), own in zip(due, chunks, strict=True)
            ]
            with self._store.transaction() as connection:
                self._run.note_change(connection)
                self._put_vectors(connection, rows)
            yield len(rows)

    def _put_vectors(self, connection: sqlite3.Connection, rows: Sequence[tuple[int, str, str, Embedded]]) -> None:
        if not rows:
            return
        self._run.outcomes.counts.embedded += len(rows)
        ticks = self._store.ticks(sum(len(row[3].chunks) for row in rows))
        put_vectors(connection, self._run.brand, rows, ticks)
        connection.executemany(
            "UPDATE entries SET embedded = ? WHERE seq = ? AND content_hash = ?",
            [(self._model, seq, digest) for seq, _, digest, _ in rows],
        )

    # The journal -----------------------------------------------------------------------------------------------------

    def _write_journal(self, planned: Sequence[Planned]) -> None:
        """Journal what files can't give back: entries of rolling files, and the texts that are about to be replaced."""
        records: list[Mapping[str, Any]] = [
            record_of(entry.prepared, effective_origins(entry), self._run.now)
            for entry in planned
            if entry.action is Action.NEW and entry.known is None and entry.prepared.item.rolling
        ]
        changed = {
            row.seq: entry
            for entry in planned
            if (row := entry.known) is not None
            and entry.action in {Action.MODIFIED, Action.DUPLICATE}
            and row.content_hash != entry.prepared.content_hash
        }
        if changed:
            texts = table.texts_of(self._store.connection, changed)
            records += [
                {"op": "replaced", "at": self._run.now, "key": entry.key, "content": texts[seq], "reason": "changed"}
                for seq, entry in changed.items()
            ]
        self._append(records)

    def _append(self, records: Sequence[Mapping[str, Any]]) -> None:
        if records and not self._run.request.dry_run:
            identity, end = self._run.journal.append(records)
            self._store.set_meta("journal", f"{identity}:{end}")

    # The transaction -------------------------------------------------------------------------------------------------

    def _write(self, connection: sqlite3.Connection, chunk: _Chunk, vectors: Mapping[str, Embedded]) -> None:
        writing = Writing(self._run, connection, vectors, self._digest)
        writing.entries(chunk.planned)
        if any(entry.action in _WRITTEN or entry.action is Action.DUPLICATE for entry in chunk.planned):
            self._run.note_change(connection)
        self._put_vectors(connection, writing.vector_rows)
        self._record_files(connection, chunk)

    def _record_files(self, connection: sqlite3.Connection, chunk: _Chunk) -> None:
        unsettled = {entry.prepared.item.origin for entry in chunk.planned if entry.action in _UNSETTLED}
        sources = [source for source in chunk.sources if source.path]
        whole = {source.path for source in sources if source.whole}
        keys = {path: [item.key for item in chunk.items[path] if not item.rolling] for path in whole}
        known = table.known_by_key(connection, (key for own in keys.values() for key in own))
        seen = {path: {known[key].seq for key in own if key in known} for path, own in keys.items()}
        self._run.gone.update(table.see(connection, seen))
        connection.executemany(
            "INSERT OR REPLACE INTO source_files VALUES (?, ?, ?, ?)",
            [
                (
                    source.path,
                    None if source.path in unsettled else source.digest,
                    self._run.preparer.fingerprint,
                    len(source.items),
                )
                for source in sources
            ],
        )

    # What no file states any more ------------------------------------------------------------------------------------

    def forget_files(self, paths: Iterable[str]) -> None:
        """Note that files are gone: what only they stated is to be retired."""
        with self._store.transaction() as connection:
            for path in paths:
                self._run.note_change(connection)
                self._run.gone.update(table.see(connection, {path: set()}))
                connection.execute("DELETE FROM source_files WHERE path = ?", (path,))

    def reread(self) -> list[str]:
        """Return the files that still state entries which another file dropped: their words count again.

        These files have to be parsed once more, although they did not change.
        """
        sql = (
            "SELECT DISTINCT s.path FROM sightings s JOIN entries e ON e.seq = s.seq"
            " WHERE s.seq IN (SELECT value FROM json_each(?)) AND e.origin <> s.path"
        )
        return [path for (path,) in self._store.rows(sql, (table.in_json(self._run.gone),))]

    def retire(self) -> None:
        """Retire the entries that no file states any more, unless that concerns more than half of a source."""
        run = self._run
        held_back = table.seqs_seen_in(self._store.connection, "")
        gone = self._unstated(run.gone | held_back)
        if held_back:
            with self._store.transaction() as connection:
                connection.execute("DELETE FROM sightings WHERE path = ''")
        if not gone:
            return
        for kind, rows in _by_kind(gone).items():
            total = self._store.value(
                "SELECT count(*) FROM entries WHERE kind = ? AND state = 'current' AND duplicate_of IS NULL", (kind,)
            )
            if len(rows) >= _HELD_BACK and len(rows) * 2 > total and not run.request.retire:
                run.outcomes.add_findings([_too_many(kind, len(rows), total)])
                run.outcomes.counts.held_back += len(rows)
                run.broken = True
                self._keep_due(rows)
                continue
            if run.request.dry_run:
                run.outcomes.retired(rows, table.texts_of(self._store.connection, [row.seq for row in rows]))
                continue
            self._retire(rows)
        run.gone.clear()

    def _unstated(self, seqs: Iterable[int]) -> list[Known]:
        sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT seq FROM sightings)"
        left = [seq for (seq,) in self._store.rows(sql, (table.in_json(seqs),))]
        rows = table.known_by_seq(self._store.connection, left).values()
        kinds = KINDS[self._run.request.scope]
        return [row for row in rows if row.state == "current" and row.kind in kinds]

    def _keep_due(self, rows: Sequence[Known]) -> None:
        """Remember what waits for a word: a sighting by nobody, which the next run meets again."""
        with self._store.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO sightings VALUES ('', ?)", [(row.seq,) for row in rows])

    def _retire(self, rows: Sequence[Known]) -> None:
        now = self._run.now
        seqs = [row.seq for row in rows]
        texts = table.texts_of(self._store.connection, seqs)
        whole = [EntryRow(*row) for row in self._store.rows(table.SELECT_ROWS, (table.in_json(seqs),))]
        tags = table.tags_of(self._store.connection, seqs)
        self._append([record_of_entry(row, tags.get(row.seq, ()), "retired", now) for row in whole])
        with self._store.transaction() as connection:
            self._run.note_change(connection)
            ticks = self._store.ticks(len(rows))
            connection.executemany(
                "UPDATE entries SET state = 'retired', retired_at = ?, updated_at = ?, run = ? WHERE seq = ?",
                [(now, tick, self._run.number, seq) for seq, tick in zip(seqs, ticks, strict=True)],
            )
            writing = Writing(self._run, connection)
            owners = [row for row in rows if row.duplicate_of is None]
            retire_facts(connection, [row.seq for row in owners], now)
            writing.promote(owners)
            writing.want([(row, "retired", Action.RETIRED) for row in owners])
            update_patterns(connection, self._run.brand, seqs, self._store.ticks)
        self._run.outcomes.retired(rows, texts)

    def force_rest(self) -> None:
        """Deliver and embed again what the sources do not state: rolled out of their file, or retired."""
        kinds = table.in_json(sorted(KINDS[self._run.request.scope]))
        with self._store.transaction() as connection:
            self._run.note_change(connection)
            rest = [
                Known(*row)
                for row in connection.execute(
                    f"{table.SELECT_KNOWN} duplicate_of IS NULL AND run <> ? AND kind IN (SELECT value FROM json_each(?))",
                    (self._run.number, kinds),
                )
            ]
            connection.executemany("UPDATE entries SET embedded = '' WHERE seq = ?", [(row.seq,) for row in rest])
            writing = Writing(self._run, connection)
            writing.want([(row, row.state, Action.FORCED) for row in rest], again=True)
        self._run.outcomes.counts.forced += len(rest)


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
        changed = [
            entry.known.seq
            for entry in written
            if entry.known and entry.known.content_hash != entry.prepared.content_hash
        ]
        if changed:
            lost = table.add_revisions(self.connection, changed, self.run.now, "changed")
            self._note_lost_revisions(lost)
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
        self.promote([entry.known for entry in old if entry.known and entry.known.seq in set(changed)])
        self._renew_digests(planned, rows)

    def _seqs(self, planned: Sequence[Planned]) -> dict[str, int]:
        first = self.run.store.value("SELECT max(seq) FROM entries") + 1
        numbers = count(first)
        seqs = {}
        for entry in planned:
            if entry.known is not None:
                seqs[entry.key] = entry.known.seq
            elif entry.action in _WRITTEN or entry.action is Action.DUPLICATE:
                seqs[entry.key] = next(numbers)
        return seqs

    def _is_written(self, entry: Planned, seqs: Mapping[str, int]) -> bool:
        if entry.action in _WRITTEN or entry.action is Action.DUPLICATE:
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
        keeps = known is not None and item.priority == "normal" and not item.expires_at
        owner = self._owner(entry, seqs)
        has_vectors = known is not None and not changed and entry.action is not Action.FORCED and owner is None
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
            known.priority if keeps and known else item.priority,
            known.expires_at if keeps and known else item.expires_at,
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
            item.author,
            known.embedded if known and has_vectors and known.duplicate_of is None else "",
            self.run.number,
            tick,
        )

    def _derive(
        self, written: Sequence[Planned], rows: Mapping[str, EntryRow], texts: Mapping[int, str]
    ) -> None:
        """Write what follows from entries: words, vectors, facts, patterns, deliveries."""
        standing = [entry for entry in written if not entry.owner_key]
        pointing = [rows[entry.key].seq for entry in written if entry.owner_key and entry.known is not None]
        new_texts = [entry for entry in standing if entry.action in _NEW_TEXT]
        known = {rows[entry.key].seq for entry in new_texts if entry.known is not None}
        remove_words(self.connection, [*known, *pointing])
        put_words(
            self.connection,
            [
                (row.seq, analyse(row.content, row.language))
                for entry in new_texts
                for row in (rows[entry.key],)
            ],
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
            self.connection.execute(
                "DELETE FROM vectors WHERE seq IN (SELECT value FROM json_each(?))", (table.in_json(pointing),)
            )
            remove_facts(self.connection, pointing)
            outbox.remove(self.connection, ids, self.run.number, Action.DUPLICATE)
        forced = [e for e in standing if e.action is Action.FORCED]
        versions = {
            e.key: (rows[e.key].id, version_of(rows[e.key].content_hash, rows[e.key].metadata_hash), e.action.value)
            for e in standing
        }
        names = self.run.service_names
        if names:
            outbox.want(
                self.connection, names, [versions[e.key] for e in standing if e.action is not Action.FORCED], self.run.number
            )
            outbox.want(self.connection, names, [versions[e.key] for e in forced], self.run.number, again=True)
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
                self._stand(heir)

    def _stand(self, heir: Known) -> None:
        self.connection.execute("UPDATE entries SET duplicate_of = NULL, embedded = '' WHERE seq = ?", (heir.seq,))
        row = EntryRow(*self.connection.execute(table.SELECT_ROWS, (table.in_json([heir.seq]),)).fetchone())
        tags = effective(table.tags_of(self.connection, [heir.seq]).get(heir.seq, ()))
        put_words(self.connection, [(row.seq, analyse(row.content, row.language))])
        payload = payload_of_row(self.run.brand, row, tags)
        store_facts(self.connection, self.run.brand, [Stated(row.seq, payload)], self.run.now)
        self.connection.execute(
            "UPDATE entries SET updated_at = ? WHERE seq = ?", (self.run.store.ticks(1)[0], heir.seq)
        )
        self.want([(row, row.state, Action.NEW)])
        self.run.outcomes.promoted()

    def want(self, rows: Sequence[tuple[Known | EntryRow, str, Action]], *, again: bool = False) -> None:
        """Make versions of entries due in every service; a retired one leaves those that keep only current ones."""
        for service in self.run.env.services:
            keeps = service.capabilities.keeps_retired
            versions = [
                (
                    row.id,
                    version_of(row.content_hash, row.metadata_hash, state) if keeps or state == "current" else "",
                    action.value,
                )
                for row, state, action in rows
            ]
            outbox.want(self.connection, [service.name], versions, self.run.number, again=again)

    def _renew_digests(self, planned: Sequence[Planned], rows: Mapping[str, EntryRow]) -> None:
        """Remember how unchanged items read now: a profile or a rule changed, and they came out the same."""
        renewed = [
            (self.digest(entry.prepared.item), entry.prepared.item.origin, entry.prepared.item.source_updated_at, entry.known.seq)
            for entry in planned
            if entry.action is Action.UNCHANGED and entry.known is not None and entry.key not in rows
        ]
        self.connection.executemany(
            "UPDATE entries SET source_digest = ?, origin = ?, source_updated_at = ? WHERE seq = ?", renewed
        )

    def _note_lost_revisions(self, lost: int) -> None:
        if lost > 0:
            message = f"{lost} of the oldest revisions had to go: an entry keeps {table.KEPT_REVISIONS}."
            self.run.outcomes.add_findings([Finding("revisions-dropped", Severity.INFO, message)])


def effective_origins(entry: Planned) -> list[list[str]]:
    """Return the tags that count, each with its origin, as the journal has them."""
    return [[tag.tag, tag.origin] for tag in entry.tags if not tag.removed]


def record_of(prepared: Prepared, tags: Sequence[Sequence[str]], at: str) -> dict[str, Any]:
    """Return an entry as the journal keeps it: masked, with everything that its source said."""
    item = prepared.item
    record = {
        "op": "entry",
        "at": at,
        "key": item.key,
        "list": item.list_key,
        "kind": item.kind.value,
        "content_type": item.content_type.value,
        "source": item.source.value,
        "content": prepared.content,
        "facts": dict(prepared.facts),
        "tags": [list(tag) for tag in tags],
        "recorded_at": item.recorded_at,
        "created_at": item.created_at or at,
        "priority": item.priority.value,
        "expires_at": item.expires_at,
        "related": list(item.related),
        "origin": item.origin,
        "prepared": item.prepared_hash,
        "author": item.author,
    }
    return {name: value for name, value in record.items() if value not in ("", [], {}) or name == "content"}


def _by_kind(rows: Iterable[Known]) -> dict[str, list[Known]]:
    kinds: dict[str, list[Known]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    return kinds


def _too_many(kind: str, gone: int, total: int) -> Finding:
    message = f"{gone} of {total} entries of the kind {kind} are no longer in the brand's files; none was retired."
    remedy = "Restore the files if that was a mistake, or sync with retire=true (command line: --retire) to retire them."
    return Finding("retire-held-back", Severity.WARNING, message, remedy)
