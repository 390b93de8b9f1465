"""Taking items in: from what the sources say to planned rows in the registry, one transaction a chunk.

Nothing is stored anywhere else before the rows are committed. Once they are, an item can no longer be lost.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import NamedTuple

import orjson

from dm_memory.findings import Finding, Severity
from dm_memory.items import Item
from dm_memory.sync import rows
from dm_memory.sync.duplicates import merge_tags, promote
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.ordinals import tie_of, tied_bases, with_ordinals
from dm_memory.sync.payloads import Prepared, Preparer
from dm_memory.sync.plan import Planned, plan
from dm_memory.sync.registry import Registry
from dm_memory.sync.results import Action
from dm_memory.sync.rows import ItemRow, Known
from dm_memory.text.tags import normalise_tags

__all__ = ["Intake", "IntakeOptions", "SourceItems", "Taken"]

_STORING = frozenset({Action.NEW, Action.MODIFIED, Action.METADATA, Action.FORCED})


@dataclass(frozen=True, slots=True)
class SourceItems:
    """The items of one source file (or of the call's arguments: path "").

    Attributes:
        digest: SHA-256 of the bytes; None where the file has to be read again the next time whatever it holds.
        may_have_rolled: True where older entries may have left the file.
    """

    path: str
    items: Sequence[Item]
    digest: bytes | None = None
    may_have_rolled: bool = False


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """What a run asks of every item."""

    run: int
    now: str
    layers: tuple[str, ...]
    force: bool = False
    tags: tuple[str, ...] = ()
    content_type: str = ""


class Taken(NamedTuple):
    """What became of some sources: the plan for what may have changed, and ``seq`` of what reads as it did."""

    planned: list[Planned]
    untouched: list[int]


class Intake:
    """Plans items and writes the plan ahead.

    Args:
        registry: Open for writing (or a private copy, in a dry run).
        preparer: Turns items into what may be stored.
        excluder: The run's patterns.
        options: The run's wishes.
        paths: All source files there are now.

    Attributes:
        findings: What taking items in brought to light.
    """

    def __init__(
        self,
        registry: Registry,
        preparer: Preparer,
        excluder: Excluder,
        options: IntakeOptions,
        paths: Collection[str] = (),
    ) -> None:
        self.findings: list[Finding] = []
        self._paths = frozenset(paths)
        self._colliding: set[str] = set()
        self._registry = registry
        self._preparer = preparer
        self._excluder = excluder
        self._options = options
        self._salt = preparer.fingerprint.encode()
        self._next_seq = registry.value("SELECT max(seq) FROM items") + 1

    @property
    def fingerprint(self) -> str:
        """What, besides the files, decides how items are prepared."""
        return self._preparer.fingerprint

    def take(self, sources: Sequence[SourceItems]) -> Taken:
        """Plan the items of some sources and commit the plan, together with the digests of the files."""
        items = [item for source in sources for item in self._keyed(source)]
        known = rows.known_by_key(self._registry, [item.key for item in items])
        items = self._distinct(items, known)
        items, untouched = self._touched(items, known)
        prepared = [self._prepare(item, known.get(item.key)) for item in items]
        planned = self._plan(prepared, known)
        with self._registry.transaction() as connection:
            planned += self._write(connection, planned)
            self._record_files(connection, sources, planned)
        return Taken(planned, untouched)

    def _touched(self, items: list[Item], known: dict[str, Known]) -> tuple[list[Item], list[int]]:
        """Part the items that may have changed from those (by ``seq``) that read as they did when they were planned.

        In a file of two hundred insights one is new: the others need no guard, no tags and no hashes.
        """
        if not known or self._asks_something_of_all:
            return items, []
        touched, untouched = [], []
        for item in items:
            row = known.get(item.key)
            if row is not None and row.source_digest and row.source_digest == self._digest(item):
                untouched.append(row.seq)
            else:
                touched.append(item)
        return touched, untouched

    @property
    def _asks_something_of_all(self) -> bool:
        options = self._options
        return bool(options.force or options.tags or options.content_type or self._excluder)

    def _digest(self, item: Item) -> str:
        """Return what tells an item, and the way items are prepared, from what it was."""
        try:
            return md5(orjson.dumps(item) + self._salt, usedforsecurity=False).hexdigest()
        except orjson.JSONEncodeError:
            return ""  # a number beyond 64 bits, or the like: such an item is always looked at

    def _distinct(self, items: list[Item], known: dict[str, Known]) -> list[Item]:
        """Leave out items whose key another file of the brand uses: two campaigns with one id, a copied file."""
        origins: dict[str, str] = {}
        distinct = []
        collisions: Counter[tuple[str, str]] = Counter()
        for item in items:
            row = known.get(item.key)
            other = origins.get(item.key) or (row.origin if row and row.origin in self._paths else item.origin)
            if other == item.origin:
                origins[item.key] = other
                distinct.append(item)
            else:
                collisions[item.origin, other] += 1
        self.findings += [_same_id(path, other, count) for (path, other), count in collisions.items()]
        self._colliding |= {path for path, _ in collisions}
        return distinct

    def _keyed(self, source: SourceItems) -> Sequence[Item]:
        """Return the items with distinct keys."""
        bases = tied_bases(source.items)
        keys = {item.key for item in source.items}
        ties = rows.known_ties(self._registry, keys)
        bases |= ties.keys()
        if not bases:
            return source.items
        first = rows.known_by_key(self._registry, sorted(bases))
        known = {base: ([first[base]] if base in first else []) + ties.get(base, []) for base in bases}
        return with_ordinals(
            source.items,
            known,
            lambda item: self._preparer.prepare(item).content_hash,
            may_have_rolled=source.may_have_rolled,
        )

    def _prepare(self, item: Item, row: Known | None, extra: Iterable[str] = ()) -> Prepared:
        """Prepare an item with the tags and the type that earlier runs were asked to give it."""
        options = self._options
        if row is None:
            return self._preparer.prepare(item, (*options.tags, *extra), options.content_type or None)
        tags = (*row.sticky_tags, *options.tags, *extra)
        return self._preparer.prepare(item, tags, options.content_type or row.sticky_type or None)

    def _plan(self, prepared: list[Prepared], known: dict[str, Known]) -> list[Planned]:
        excluded = self._excluded(prepared)
        fresh = [p.content_hash for p in prepared if not _owns(known.get(p.item.key), p.content_hash)]
        owners = rows.owners_by_hash(self._registry, fresh)
        return plan(prepared, known, owners, excluded, force=self._options.force)

    def _excluded(self, prepared: list[Prepared]) -> dict[str, str]:
        if not self._excluder:
            return {}
        found = {}
        for entry in prepared:
            pattern = self._excluder.match(entry.item, entry.content_type, entry.tags)
            if pattern is not None:
                found[entry.item.key] = pattern
        return found

    # Writing -----------------------------------------------------------------------------------------------------

    def _write(self, connection: sqlite3.Connection, planned: list[Planned]) -> list[Planned]:
        """Write the plan's rows; return what else became due because of it (duplicates whose twin changed)."""
        seqs = self._assign_seqs(planned)
        self._merge_tags(connection, planned)
        due: list[tuple[int, str]] = []
        forced: list[tuple[int, str]] = []
        inserted: list[ItemRow] = []
        replaced: list[ItemRow] = []
        withdrawn: list[int] = []
        for entry in planned:
            key = entry.prepared.item.key
            if entry.action in _STORING:
                (forced if entry.action is Action.FORCED else due).append((seqs[key], entry.action))
            elif entry.action is Action.DUPLICATE and entry.known is not None:
                withdrawn.append(seqs[key])
            elif entry.action is not Action.DUPLICATE and not self._moved(entry, seqs):
                continue
            (inserted if entry.known is None else replaced).append(self._row(entry, seqs))
        rows.insert_items(connection, inserted)
        rows.replace_items(connection, replaced)
        rows.mark_due(connection, self._options.layers, due, self._options.run, rewrite=False)
        rows.mark_due(connection, self._options.layers, forced, self._options.run, rewrite=True)
        rows.withdraw(connection, withdrawn, self._options.run)
        changed = [seqs[p.prepared.item.key] for p in planned if p.known and p.action in _TEXT_CHANGED]
        return [heir for seq in changed for heir in promote(connection, self._options.layers, seq, self._options.run)]

    def _assign_seqs(self, planned: list[Planned]) -> dict[str, int]:
        seqs = {}
        for entry in planned:
            if entry.known is not None:
                seqs[entry.prepared.item.key] = entry.known.seq
            elif entry.action in _STORING or entry.action is Action.DUPLICATE:
                seqs[entry.prepared.item.key] = self._next_seq
                self._next_seq += 1
        return seqs

    def _moved(self, entry: Planned, seqs: dict[str, int]) -> bool:
        """Tell whether an unchanged item has to be written all the same: it has a new file or a new owner."""
        known = entry.known
        if entry.action is not Action.UNCHANGED or known is None:
            return False
        if known.origin != entry.prepared.item.origin:
            return True
        return bool(entry.owner_key) and known.duplicate_of != self._owner_seq(entry, seqs)

    def _row(self, entry: Planned, seqs: dict[str, int]) -> ItemRow:
        prepared, known, item = entry.prepared, entry.known, entry.prepared.item
        changed = known is not None and known.content_hash != prepared.content_hash
        owner = self._owner_seq(entry, seqs)
        return ItemRow(
            seq=seqs[item.key],
            key=item.key,
            kind=item.kind,
            content_type=prepared.content_type,
            source=item.source,
            content=prepared.content,
            content_hash=prepared.content_hash,
            metadata_hash=prepared.metadata_hash,
            details=rows.pack_details(prepared.tags, prepared.facts, item.priority, item.expires_at, item.related),
            recorded_at=item.recorded_at,
            origin=item.origin,
            created_at=(known.created_at if known else item.created_at) or self._options.now,
            version=(known.version + 1 if changed else known.version) if known else 1,
            updated_from=known.content_hash if known and changed else "",
            duplicate_of=owner,
            sticky_tags=self._sticky_tags(entry),
            sticky_type=self._options.content_type or (known.sticky_type if known else ""),
            prepared_hash=item.prepared_hash,
            tie_of=tie_of(item),
            source_digest=self._digest(item),
            run=self._options.run,
        )

    def _owner_seq(self, entry: Planned, seqs: dict[str, int]) -> int | None:
        if not entry.owner_key:
            return None
        if entry.owner_key in seqs:
            return seqs[entry.owner_key]
        return rows.known_by_key(self._registry, [entry.owner_key])[entry.owner_key].seq

    def _sticky_tags(self, entry: Planned) -> str:
        known = entry.known.sticky_tags if entry.known else ()
        if not known and not entry.merged_tags and not self._options.tags:
            return ""
        return rows.join_tags((*known, *normalise_tags((*self._options.tags, *entry.merged_tags))))

    # Duplicates --------------------------------------------------------------------------------------------------

    def _merge_tags(self, connection: sqlite3.Connection, planned: list[Planned]) -> None:
        """Give the tags of duplicates to the items that stand for their texts."""
        by_key = {entry.prepared.item.key: entry for entry in planned}
        for entry in planned:
            if not entry.owner_key:
                continue
            owner = by_key.get(entry.owner_key)
            if owner is not None:
                self._merge_into_planned(owner, entry.prepared.tags)
            else:
                merge_tags(connection, entry.owner_key, entry.prepared.tags, self._options.run)

    def _merge_into_planned(self, owner: Planned, tags: tuple[str, ...]) -> None:
        missing = set(tags) - set(owner.prepared.tags)
        if not missing:
            return
        owner.merged_tags = tuple(sorted({*owner.merged_tags, *missing}))
        owner.prepared = self._prepare(owner.prepared.item, owner.known, owner.merged_tags)
        known = owner.known
        if owner.action is Action.UNCHANGED and known and known.metadata_hash != owner.prepared.metadata_hash:
            owner.action = Action.METADATA

    def _record_files(
        self, connection: sqlite3.Connection, sources: Sequence[SourceItems], planned: Sequence[Planned]
    ) -> None:
        unsettled = self._colliding | {p.prepared.item.origin for p in planned if p.action in _UNSETTLED}
        record = [
            (s.path, None if s.path in unsettled else s.digest, self._preparer.fingerprint, len(s.items))
            for s in sources
            if s.path
        ]
        connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", record)


_TEXT_CHANGED = frozenset({Action.MODIFIED, Action.DUPLICATE})
_UNSETTLED = frozenset({Action.EXCLUDED, Action.REFUSED})
"""A file with such items is looked at again the next time: the patterns may differ, the credential may be gone."""


def _owns(known: Known | None, text: str) -> bool:
    return known is not None and known.duplicate_of is None and known.content_hash == text


def _same_id(path: str, other: str, count: int) -> Finding:
    message = f"{path} uses the same id as {other}, so {count} of its entries were left out."
    return Finding("same-id", Severity.ERROR, message, "Give one of the two files its own id.", path=path)
