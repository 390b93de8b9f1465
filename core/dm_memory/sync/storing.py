"""Storing: from items to rows of memory.db, one transaction a chunk.

An entry is in memory when the transaction that wrote it, its vectors, its words, its facts and what is due for it in
the services has committed. What files can't give back is in the journal before that. A chunk is planned before its
transaction, because embedding takes time; if somebody else wrote in between, it is planned again inside.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import md5
from typing import Any

import orjson

from dm_memory.brand.files import original_of
from dm_memory.embedding.batch import EmbeddingError, embedded_each
from dm_memory.findings import Finding, Severity, count_of_entries
from dm_memory.items import ContentType, Item, Kind, Source
from dm_memory.results import Action
from dm_memory.store import entries as table
from dm_memory.store.entries import EntryRow, Known, effective
from dm_memory.store.forgetting import Forgotten, corrected_texts
from dm_memory.store.indexes import Embedded, put_vectors, without_vectors
from dm_memory.store.journal import Appended
from dm_memory.sync.identity import identified
from dm_memory.sync.payloads import Prepared
from dm_memory.sync.plan import WRITTEN, Planned, Surroundings, Wishes, merged_tags, plan
from dm_memory.sync.run import KINDS, Run, title_of
from dm_memory.sync.unstated import unstated_items
from dm_memory.sync.writing import Writing
from dm_memory.text.tags import normalise_tags

__all__ = ["SourceItems", "Storing", "record_of"]

_UNSETTLED = frozenset({Action.EXCLUDED, Action.FORGOTTEN, Action.REFUSED})
"""A file with such items is looked at again the next time: they are not in memory, and the reason may be gone."""
_CHANGED = frozenset({Action.MODIFIED, Action.METADATA, Action.RESTORED})
_JOURNALED = frozenset({Action.NEW, Action.MODIFIED, Action.DUPLICATE})
_DECIDED = _CHANGED | {Action.NEW}
_EMBED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class SourceItems:
    """The items of one source file (or of what was handed in: path "").

    Attributes:
        digest: SHA-256 of the bytes; None if the file has to be read again the next time, whatever it states.
        may_have_rolled: Whether older entries may have left the file.
        whole: Whether all of the file was read: only then is an entry that is missing in it gone.
        unchanged: Whether its bytes are as they were: it is no newer word than another machine's that retired an entry.
        conflict_copy: Whether a cloud drive made it beside the file that counts.
    """

    path: str
    items: Sequence[Item]
    digest: bytes | None = None
    may_have_rolled: bool = False
    whole: bool = False
    unchanged: bool = False
    conflict_copy: bool = False


@dataclass(slots=True)
class _Chunk:
    """Some sources on their way through the plan."""

    sources: Sequence[SourceItems]
    items: dict[str, list[Item]] = field(default_factory=dict)
    planned: list[Planned] = field(default_factory=list)
    unchanged: int = 0


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
        self._digests: dict[int, tuple[Item, str]] = {}
        self._planned: set[str] = set()

    # One chunk -------------------------------------------------------------------------------------------------------

    def take(self, sources: Sequence[SourceItems]) -> None:
        """Plan the items of some sources, embed what is new and commit it all, with the digests of the files."""
        chunk = _Chunk(sources)
        clock = self._store.meta("clock")
        self._plan(chunk)
        vectors = self._embed(chunk.planned)
        before = self._before(chunk.planned)
        added = self._write_journal(chunk.planned)
        with self._store.transaction() as connection:
            self._run.note_journal(added)
            if self._store.meta("clock") != clock:  # another process stored a payload meanwhile
                self._plan(chunk)
            writing = Writing(self._run, connection, vectors, self._digest)
            writing.entries(chunk.planned)
            if any(entry.action in WRITTEN or entry.action is Action.DUPLICATE for entry in chunk.planned):
                self._run.note_change(connection)
            self._put_vectors(connection, writing.vector_rows)
            self._record_files(connection, chunk)
        if self._wishes.change_all:
            self._planned |= {entry.key for entry in chunk.planned}
        self._run.outcomes.add_findings(_only_in_copies(chunk))
        self._run.outcomes.planned(chunk.planned, before, frozenset(self._wishes.tags))
        self._run.outcomes.counts.unchanged += chunk.unchanged
        self._digests.clear()

    @property
    def looks_at_all(self) -> bool:
        """Whether files have to be parsed although their bytes are as they were."""
        return self._wishes.concern_all or bool(self._run.excluder)

    def _plan(self, chunk: _Chunk) -> None:
        connection = self._store.connection
        chunk.items.clear()
        chunk.unchanged = 0
        met: dict[str, Known] = {}
        for source in chunk.sources:
            rolled = source.may_have_rolled
            chunk.items[source.path] = (
                identified(
                    connection,
                    source.path,
                    source.items,
                    self._text_hash,
                    self._digest,
                    met,
                    may_have_rolled=rolled,
                )
                if source.path
                else list(source.items)
            )
        items, known = self._newest(chunk, met)
        touched = self._touched(chunk, items, known)
        prepared = self._corrected([self._run.preparer.prepare(item) for item in touched], known)
        forgotten = Forgotten.load(connection)
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
            forgotten={entry.item.key for entry in prepared if forgotten.has(entry.content_hash)},
        )
        chunk.planned = plan(prepared, around, self._wishes)
        self._merge_tags(chunk.planned)

    def _corrected(self, prepared: list[Prepared], known: Mapping[str, Known]) -> list[Prepared]:
        """Let entries that a user corrected keep their texts while their sources state what was wrong."""
        changed = {
            row.seq
            for entry in prepared
            if (row := known.get(entry.item.key)) and row.content_hash != entry.content_hash
        }
        wrong = corrected_texts(self._store.connection, changed)
        texts = table.texts_of(self._store.connection, {seq for seq, _ in wrong})
        for place, entry in enumerate(prepared if wrong else ()):
            row = known.get(entry.item.key)
            if row is not None and (row.seq, entry.content_hash) in wrong:
                prepared[place] = self._run.preparer.prepare(replace(entry.item, content=texts[row.seq]))
        return prepared

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

    def _newest(self, chunk: _Chunk, met: dict[str, Known]) -> tuple[list[Item], dict[str, Known]]:
        """Return one item a key: of several files that state it, the one that was changed last.

        A file that is not in this chunk counts by what memory knows of it; ``met`` are entries that were read already.
        """
        newest: dict[str, Item] = {}
        for items in chunk.items.values():
            for item in items:
                other = newest.get(item.key)
                if other is None or _comes_before(item, other.source_updated_at, other.origin):
                    chunk.unchanged += other is not None
                    newest[item.key] = item
                else:
                    chunk.unchanged += 1
        known = table.known_by_key(self._store.connection, newest.keys() - met.keys())
        known |= {key: row for key, row in met.items() if key in newest}
        unchanged = {source.path for source in chunk.sources if source.unchanged}
        current = []
        for key, item in newest.items():
            row = known.get(key)
            if row is not None and row.state == "retired" and item.origin in unchanged:
                chunk.unchanged += 1
            elif row is None or row.origin == item.origin or self._supersedes(item, row):
                current.append(item)
            else:
                chunk.unchanged += 1
        return current, known

    def _supersedes(self, item: Item, row: Known) -> bool:
        """Return whether an item of another file than the entry's counts: that file is older, or states it no more."""
        if not row.origin or row.state == "retired" or item.source_updated_at > row.source_updated_at:
            return True
        sql = "SELECT 1 FROM sightings WHERE path = ? AND seq = ?"
        if not self._store.rows(sql, (row.origin, row.seq)):
            return True
        return _comes_before(item, row.source_updated_at, row.origin)

    def _touched(self, chunk: _Chunk, items: list[Item], known: Mapping[str, Known]) -> list[Item]:
        """Leave out the items that read as they did when they were stored: they need no guard, no tags, no hashes."""
        if not known or self.looks_at_all:
            return items
        touched = []
        for item in items:
            row = known.get(item.key)
            same = row is not None and row.source_digest and row.source_digest == self._digest(item)
            if same and row is not None and row.state == "current":
                chunk.unchanged += 1
            else:
                touched.append(item)
        return touched

    def _digest(self, item: Item) -> str:
        """Return what changes if an item changes, or the way items are prepared."""
        known = self._digests.get(id(item))
        if known is not None:
            return known[1]
        try:
            digest = md5(orjson.dumps(item) + self._salt, usedforsecurity=False).hexdigest()
        except orjson.JSONEncodeError:
            digest = ""  # a number beyond 64 bits, or the like: such an item is always looked at
        self._digests[id(item)] = item, digest
        return digest

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
            chunks = embedded_each(self._run.env.embedder, list(texts.values()))
        except EmbeddingError as error:
            self._note_embedding_error(error)
            return {}
        return {digest: Embedded(self._model, own) for digest, own in zip(texts, chunks, strict=True) if own}

    def _note_embedding_error(self, error: EmbeddingError) -> None:
        if not self._run.embedding_error:
            finding = Finding("not-embedded", Severity.WARNING, error.problem, error.remedy)
            self._run.outcomes.add_findings([finding])
        self._run.embedding_error = error.problem

    def embed_missing(self) -> Iterator[int]:
        """Embed, chunk by chunk, the entries that have no vectors of the model in use; yield how many were tried.

        After another model was chosen, an error of the model, a killed run or a force. Each chunk is committed.
        """
        embedder = self._run.env.embedder
        after = refused = 0
        while embedder is not None and not self._run.embedding_error:
            with self._store.snapshot() as connection:
                due = without_vectors(connection, self._model, after, _EMBED_AT_ONCE)
            if not due:
                break
            after = due[-1][0]
            try:
                chunks = embedded_each(embedder, [text for *_, text in due])
            except EmbeddingError as error:
                if len(due) > 1 or not refused:
                    self._note_embedding_error(error)
                    return
                chunks = [None]
            rows = [
                (seq, id_, digest, Embedded(self._model, own))
                for (seq, id_, digest, _), own in zip(due, chunks, strict=True)
                if own
            ]
            refused += len(due) - len(rows)
            with self._store.transaction() as connection:
                self._run.note_change(connection)
                self._put_vectors(connection, rows)
                connection.executemany(
                    "UPDATE entries SET embedded = ? WHERE seq = ? AND content_hash = ?",
                    [(self._model, seq, digest) for seq, _, digest, _ in rows],
                )
            yield len(due)
        if refused:
            message = f"The embedding model does not take {refused} of the texts; they are found by their words alone."
            finding = Finding("not-embedded", Severity.WARNING, message, "Shorten them, or choose another model.")
            self._run.outcomes.add_findings([finding])
            self._run.broken = True

    def _put_vectors(self, connection: sqlite3.Connection, rows: Sequence[tuple[int, str, str, Embedded]]) -> None:
        if not rows:
            return
        self._run.outcomes.counts.embedded += len(rows)
        ticks = self._store.ticks(sum(len(row[3].chunks) for row in rows))
        put_vectors(connection, self._run.brand, rows, ticks)

    # The journal -----------------------------------------------------------------------------------------------------

    def _write_journal(self, planned: Sequence[Planned]) -> Appended | None:
        """Journal what files can't give back: the texts of rolling files, and those that are about to be replaced."""
        decided = {entry.key for entry in planned if _is_decided(entry)}
        records: list[Mapping[str, Any]] = [
            _record_of_decision(entry, self._run.now)
            if entry.key in decided
            else record_of(entry.prepared, _effective_origins(entry), self._run.now)
            for entry in planned
            if entry.key in decided
            or (
                entry.action in _JOURNALED
                and entry.prepared.item.rolling
                and (entry.known is None or entry.known.content_hash != entry.prepared.content_hash)
            )
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
                {
                    "op": "replaced",
                    "at": self._run.now,
                    "key": entry.key,
                    "content": texts[seq],
                    "reason": self._run.reason,
                }
                for seq, entry in changed.items()
            ]
        return self._run.append(records)

    # The transaction -------------------------------------------------------------------------------------------------

    def _record_files(self, connection: sqlite3.Connection, chunk: _Chunk) -> None:
        unsettled = {entry.prepared.item.origin for entry in chunk.planned if entry.action in _UNSETTLED}
        sources = [source for source in chunk.sources if source.path]
        whole = {source.path for source in sources if source.whole}
        # What is read of the others is there; what is missing in them is not gone. A conflict copy states nothing.
        partial = {source.path for source in sources if not source.whole and not original_of(source.path)}
        keys = {path: [item.key for item in chunk.items[path] if not item.rolling] for path in whole | partial}
        known = table.seqs_by_key(connection, (key for own in keys.values() for key in own))
        seen = {path: {known[key] for key in own if key in known} for path, own in keys.items()}
        table.see(connection, {path: seqs for path, seqs in seen.items() if path in whole})
        connection.executemany(
            "INSERT OR IGNORE INTO sightings VALUES (?, ?)", [(path, seq) for path in partial for seq in seen[path]]
        )
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

    def change_rest(self) -> None:
        """Give what the sources do not state the type and the tags that are asked for everything in scope."""
        if self._wishes.change_all:
            for items in unstated_items(self._run, self._planned):
                self.take([SourceItems("", items)])

    def force_rest(self) -> None:
        """Deliver and embed again what the sources do not state: rolled out of their file, or retired."""
        kinds = table.in_json(sorted(KINDS[self._run.request.scope]))
        with self._store.transaction() as connection:
            self._run.note_change(connection)
            rest = [
                Known(*row)
                for row in connection.execute(
                    f"{table.SELECT_KNOWN} duplicate_of IS NULL AND run <> ?"
                    " AND kind IN (SELECT value FROM json_each(?))",
                    (self._run.number, kinds),
                )
            ]
            excluded = self._excluded_rows(connection, rest)
            rest = [row for row in rest if row.seq not in excluded]
            connection.executemany("UPDATE entries SET embedded = '' WHERE seq = ?", [(row.seq,) for row in rest])
            writing = Writing(self._run, connection)
            writing.want([(row, row.state, Action.FORCED) for row in rest], again=True)
        self._run.outcomes.counts.forced += len(rest)
        self._run.outcomes.counts.stored += 0 if self._run.request.dry_run else len(rest)

    def _excluded_rows(self, connection: sqlite3.Connection, rows: Sequence[Known]) -> set[int]:
        """Return those of some entries that the caller's patterns exclude."""
        if not self._run.excluder:
            return set()
        seqs = [row.seq for row in rows]
        tags = table.tags_of(connection, seqs)
        found = set()
        for row in (EntryRow(*values) for values in connection.execute(table.SELECT_ROWS, (table.in_json(seqs),))):
            item = Item(
                row.key,
                row.content,
                Kind(row.kind),
                ContentType(row.content_type),
                facts=orjson.loads(row.facts),
                source=Source(row.source),
            )
            if self._run.excluder.match(item, row.content_type, effective(tags.get(row.seq, ()))):
                found.add(row.seq)
        return found


def _only_in_copies(chunk: _Chunk) -> list[Finding]:
    """Say which conflict copies added entries that the files beside them do not have."""
    copies = {source.path for source in chunk.sources if source.conflict_copy}
    new = [entry.prepared.item.origin for entry in chunk.planned if entry.action is Action.NEW] if copies else []
    remedy = "Take over into the original what is right, delete the copy, and forget what is wrong."
    return [
        Finding(
            "conflict-copy",
            Severity.WARNING,
            f"The conflict copy {path} has {count_of_entries(count)} that {original_of(path)} has not: added as well.",
            remedy,
            path=path,
        )
        for path, count in Counter(new).items()
        if path in copies
    ]


def _comes_before(item: Item, moment: str, origin: str) -> bool:
    """Return whether an item counts before what another file states: the newer one, and a conflict copy last."""
    mine, others = not original_of(item.origin), not original_of(origin)
    return (item.source_updated_at, mine, origin) > (moment, others, item.origin)


def _is_decided(entry: Planned) -> bool:
    """Return whether what is written of an entry has, or no longer has, a type or tags that a user decided on."""
    if entry.action not in _DECIDED:
        return False
    was_decided = entry.known is not None and entry.known.type_origin == "user"
    return was_decided or entry.type_origin == "user" or any(tag.origin == "user" for tag in entry.tags)


def _record_of_decision(entry: Planned, at: str) -> dict[str, Any]:
    """Return an entry as the journal keeps it, with what a user decided about it: no file can give that back."""
    record = record_of(entry.prepared, _effective_origins(entry), at)
    record |= {"content_type": entry.content_type, "type_origin": entry.type_origin}
    if removed := [tag.tag for tag in entry.tags if tag.removed]:
        record["untagged"] = removed
    if (known := entry.known) is not None:
        kept = {"priority": known.priority, "expires_at": known.expires_at, "author": known.author}
        record |= {"created_at": known.created_at, **{name: value for name, value in kept.items() if value}}
    return record


def _effective_origins(entry: Planned) -> list[list[str]]:
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
