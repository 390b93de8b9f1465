"""The plan: what is to be done with each item, as a pure function of the items and of what is in memory.

Two rules that look alike are kept apart. Whether an item is *known* is decided by its key; only then are hashes
compared. Whether a text is *stored already* is decided by its hash, but an entry owns a text only while that is its own
wanted text: when two items swap their texts, both are modified, and neither is a duplicate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dm_memory.requests import AUTO
from dm_memory.results import Action
from dm_memory.store.entries import Known, Tag, effective
from dm_memory.sync.payloads import Prepared
from dm_memory.text.hashing import metadata_hash
from dm_memory.text.tags import MAX_TAGS

__all__ = ["WRITTEN", "Planned", "Surroundings", "Wishes", "merged_tags", "plan"]

WRITTEN = frozenset({Action.NEW, Action.MODIFIED, Action.METADATA, Action.FORCED, Action.RESTORED})
"""What is written to memory as an entry that stands for its text."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller of a run asks of every item.

    Attributes:
        force: Store what is unchanged again.
        tags: The batch's tags, normalised: they go on what this run stores.
        retag: Put them on everything in scope instead.
        untag: Tags to take off everything in scope, for good.
        content_type: A content type for everything in scope; ``auto`` lets the source and the text decide again.
    """

    force: bool = False
    tags: tuple[str, ...] = ()
    retag: bool = False
    untag: tuple[str, ...] = ()
    content_type: str = ""

    @property
    def change_entries(self) -> bool:
        """Whether tags or types are asked for."""
        return bool(self.tags or self.untag or self.content_type)

    @property
    def concern_all(self) -> bool:
        """Whether unchanged items have to be looked at as well."""
        return self.force or self.change_all

    @property
    def change_all(self) -> bool:
        """Whether every entry in scope is to get another type or other tags."""
        return bool(self.content_type or self.untag or (self.tags and self.retag))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is in memory around the items of a plan.

    Attributes:
        known: By key, the entries with the items' keys.
        owners: By content hash, the current entries that stand for the items' texts.
        tags: By ``seq``, the tags of known entries.
        excluded: By key, the pattern that excludes an item.
        forgotten: Keys of items whose texts a user had forgotten.
    """

    known: Mapping[str, Known]
    owners: Mapping[str, Known]
    tags: Mapping[int, Sequence[Tag]]
    excluded: Mapping[str, str] = field(default_factory=dict)
    forgotten: Collection[str] = ()


@dataclass(slots=True)
class Planned:
    """One item's part of the plan.

    Attributes:
        content_type: As it will be stored, with its origin (``source`` or ``user``).
        tags: All tags the entry will have, with their origins, removed ones too.
        owner_key: Of a duplicate: the key of the entry that stands for its text.
        reason: Why it is skipped, or "".
    """

    prepared: Prepared
    known: Known | None
    action: Action
    content_type: str
    type_origin: str
    tags: tuple[Tag, ...]
    metadata_hash: str
    owner_key: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """The item's key."""
        return self.prepared.item.key

    def priority_and_expiry(self) -> tuple[str, str]:
        """Return the item's own, or those that the entry has already."""
        item, row = self.prepared.item, self.known
        if row is not None and item.priority == "normal" and not item.expires_at:
            return row.priority, row.expires_at
        return item.priority, item.expires_at

    def hashed(self) -> str:
        """Return the hash of the metadata as it will be stored."""
        item = self.prepared.item
        priority, expires_at = self.priority_and_expiry()
        return metadata_hash(
            content_type=self.content_type,
            kind=item.kind,
            source=item.source,
            tags=effective(self.tags),
            facts=self.prepared.facts,
            recorded_at=item.recorded_at,
            priority=priority,
            expires_at=expires_at,
            related=item.related,
        )


def merged_tags(before: Sequence[Tag], gained: Iterable[str], origin: str = "merged") -> tuple[Tag, ...]:
    """Return tags with more of them, up to the limit; what was removed for good stays so unless a user gives it."""
    rows = {tag.tag: tag for tag in before}
    count = sum(not tag.removed for tag in before)
    for name in sorted(gained):
        present = rows.get(name)
        if present is not None and (not present.removed or origin != "user"):
            if origin == "user" and present.origin != "user":
                rows[name] = Tag(name, "user")
            continue
        if count < MAX_TAGS:
            rows[name] = Tag(name, origin)
            count += 1
    return tuple(rows[name] for name in sorted(rows))


def plan(prepared: Sequence[Prepared], around: Surroundings, wishes: Wishes) -> list[Planned]:
    """Decide the action for each item, in order. Items have unique keys."""
    wanted = {
        entry.item.key: entry.content_hash
        for entry in prepared
        if not entry.refused and entry.item.key not in around.excluded and entry.item.key not in around.forgotten
    }
    claims = {}
    for entry in prepared:  # who keeps a text it owns comes before newcomers with the same text
        row = around.known.get(entry.item.key)
        if row and row.duplicate_of is None and wanted.get(row.key) == row.content_hash and row.state == "current":
            claims[row.content_hash] = row.key
    planner = _Planner(around, wishes, wanted, claims)
    return [planner.planned(entry) for entry in prepared]


@dataclass(slots=True)
class _Planner:
    """What all items of a plan are compared with. ``claims`` grows while it works: who stands for which text."""

    around: Surroundings
    wishes: Wishes
    wanted: Mapping[str, str]
    claims: dict[str, str]

    def planned(self, entry: Prepared) -> Planned:
        key = entry.item.key
        row = self.around.known.get(key)
        if entry.refused:
            return self._skipped(entry, row, Action.REFUSED, entry.refused)
        if key in self.around.forgotten:
            return self._skipped(
                entry, row, Action.FORGOTTEN, "forgotten; it stays out until it changes or is restored"
            )
        if key in self.around.excluded:
            return self._skipped(entry, row, Action.EXCLUDED, f"excluded by {self.around.excluded[key]}")
        made = self._described(entry, row)
        owner = self._owner(entry.content_hash, key)
        if owner != key:
            same = row is not None and row.content_hash == entry.content_hash and row.duplicate_of is not None
            made.action = Action.UNCHANGED if same else Action.DUPLICATE
            made.owner_key = owner
            return made
        made.action = self._action(made, row)
        if self.wishes.tags and not self.wishes.retag and made.action in _STORING:
            made.tags = merged_tags(made.tags, self.wishes.tags, "user")
            made.metadata_hash = made.hashed()
        return made

    def _described(self, entry: Prepared, row: Known | None) -> Planned:
        """Return the item with its type and tags, those of the batch left out unless they go on everything."""
        asked = self.wishes.content_type
        content_type, origin = entry.item.content_type.value, "source"
        if asked and asked != AUTO:
            content_type, origin = asked, "user"
        elif row is not None and row.type_origin == "user" and not asked:
            content_type, origin = row.content_type, "user"
        before = self.around.tags.get(row.seq, ()) if row is not None else ()
        tags = merged_tags(tuple(_source_tags(entry, before)), (), "detected")
        made = Planned(entry, row, Action.UNCHANGED, content_type, origin, tags, "")
        if self.wishes.retag:
            made.tags = merged_tags(made.tags, self.wishes.tags, "user")
        if self.wishes.untag:
            removed = {name: Tag(name, "user", removed=True) for name in self.wishes.untag}
            made.tags = tuple(removed.get(tag.tag, tag) for tag in made.tags)
        made.metadata_hash = made.hashed()
        return made

    def _skipped(self, entry: Prepared, row: Known | None, action: Action, reason: str) -> Planned:
        return Planned(entry, row, action, entry.item.content_type.value, "source", (), "", reason=reason)

    def _owner(self, text: str, key: str) -> str:
        """Return who stands for a text: who claimed it in this plan, else its owner in memory, else ``key``."""
        claimed = self.claims.get(text)
        if claimed is not None:
            return claimed
        recorded = self.around.owners.get(text)
        stands = recorded is not None and self.wanted.get(recorded.key, text) == text
        owner = self.claims[text] = recorded.key if recorded is not None and stands else key
        return owner

    def _action(self, made: Planned, row: Known | None) -> Action:
        if row is None:
            return Action.NEW
        if row.state == "retired":
            return Action.RESTORED
        if row.content_hash != made.prepared.content_hash:
            return Action.MODIFIED
        if row.duplicate_of is not None:  # its owner is gone or changed: this item stands for the text from now on
            return Action.NEW
        if self.wishes.force:
            return Action.FORCED
        return Action.METADATA if row.metadata_hash != made.metadata_hash else Action.UNCHANGED


_STORING = frozenset({Action.NEW, Action.MODIFIED, Action.RESTORED})
_KEPT = frozenset({"user", "merged"})


def _source_tags(entry: Prepared, before: Sequence[Tag]) -> Iterable[Tag]:
    """Return the tags of a text and its source together with what a user, or a duplicate, gave or took."""
    kept = {tag.tag: tag for tag in before if tag.removed or tag.origin in _KEPT}
    names = dict.fromkeys((*kept, *entry.given, *entry.detected))
    given = set(entry.given)
    count = 0
    for name in names:
        tag = kept.get(name) or Tag(name, "source" if name in given else "detected")
        count += not tag.removed
        if tag.removed or count <= MAX_TAGS:
            yield tag
