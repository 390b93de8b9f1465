"""The plan: what is to be done with each item, as a pure function of the items and of what the registry knows.

Two rules that look alike are kept apart. Whether an item is *known* is decided by its key; only then are hashes
compared. Whether a text is *stored already* is decided by its hash, but an item owns a text only while that is its own
wanted text: when two items swap their texts, both are modified, and neither is a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dm_memory.sync.payloads import Prepared
from dm_memory.sync.results import Action
from dm_memory.sync.rows import Known, Owner

__all__ = ["Planned", "plan"]


@dataclass(slots=True)
class Planned:
    """One item's part of the plan.

    Attributes:
        owner_key: Of a duplicate: the key of the item that stands for its text.
        reason: Why it is skipped, or "".
        merged_tags: Tags it gains from duplicates of its text.
    """

    prepared: Prepared
    known: Known | None
    action: Action
    owner_key: str = ""
    reason: str = ""
    merged_tags: tuple[str, ...] = ()


def plan(
    prepared: Sequence[Prepared],
    known: Mapping[str, Known],
    owners: Mapping[str, Owner],
    excluded: Mapping[str, str],
    *,
    force: bool = False,
) -> list[Planned]:
    """Decide the action for each item, in order.

    Args:
        prepared: Items with unique keys.
        known: Registry rows by key, for those there are.
        owners: By content hash, the registry's owners of the texts in ``prepared``.
        excluded: By key, the pattern that excludes the item.
        force: Store what is unchanged again.
    """
    wanted = {entry.item.key: entry.content_hash for entry in prepared if _takes_part(entry, excluded)}
    claims = _standing_claims(prepared, known, wanted)
    planner = _Planner(known, owners, excluded, force, wanted, claims)
    return [planner.planned(entry) for entry in prepared]


def _takes_part(entry: Prepared, excluded: Mapping[str, str]) -> bool:
    return not entry.refused and entry.item.key not in excluded


def _standing_claims(
    prepared: Sequence[Prepared], known: Mapping[str, Known], wanted: Mapping[str, str]
) -> dict[str, str]:
    """Return who keeps a text it already owns; these come before newcomers with the same text."""
    claims = {}
    if known:
        for entry in prepared:
            key = entry.item.key
            row = known.get(key)
            if row and row.duplicate_of is None and wanted.get(key) == row.content_hash:
                claims[row.content_hash] = key
    return claims


@dataclass(slots=True)
class _Planner:
    """What all items of a plan are held against. ``claims`` grows while it works: who stands for which text."""

    known: Mapping[str, Known]
    owners: Mapping[str, Owner]
    excluded: Mapping[str, str]
    force: bool
    wanted: Mapping[str, str]
    claims: dict[str, str]

    def planned(self, entry: Prepared) -> Planned:
        key = entry.item.key
        row = self.known.get(key)
        if entry.refused:
            return Planned(entry, row, Action.REFUSED, reason=entry.refused)
        if key in self.excluded:
            return Planned(entry, row, Action.EXCLUDED, reason=f"excluded by {self.excluded[key]}")
        owner = self._owner(entry.content_hash, key)
        if owner == key:
            return Planned(entry, row, self._action(entry, row))
        known_already = row is not None and row.content_hash == entry.content_hash and row.duplicate_of is not None
        action = Action.UNCHANGED if known_already else Action.DUPLICATE
        return Planned(entry, row, action, owner_key=owner)

    def _owner(self, text: str, key: str) -> str:
        """Return who stands for a text: who claimed it in this plan, else its owner on record, else ``key``."""
        claimed = self.claims.get(text)
        if claimed is not None:
            return claimed
        recorded = self.owners.get(text)
        stands = recorded is not None and self.wanted.get(recorded.key, text) == text
        owner = self.claims[text] = recorded.key if recorded is not None and stands else key
        return owner

    def _action(self, entry: Prepared, row: Known | None) -> Action:
        if row is None:
            return Action.NEW
        if row.content_hash != entry.content_hash:
            return Action.MODIFIED
        if row.duplicate_of is not None:  # its owner is gone or changed: this item stands for the text from now on
            return Action.NEW
        if self.force:
            return Action.FORCED
        return Action.METADATA if row.metadata_hash != entry.metadata_hash else Action.UNCHANGED
