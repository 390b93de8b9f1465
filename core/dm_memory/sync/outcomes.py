"""Collecting what a run did, in bounded memory: exact counts, and the outcomes that matter most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dm_memory.findings import Finding
from dm_memory.items import storage_id
from dm_memory.sync.plan import Planned
from dm_memory.sync.results import Action, Counts, Failure, GuardHit, ItemOutcome
from dm_memory.sync.rows import Due

__all__ = ["Outcomes", "title_of"]

_TITLE_CHARS = 90
_MAX_FINDINGS = 500


def title_of(content: str) -> str:
    """Return the first words of a text on one line, unescaped."""
    line = " ".join(content[: 4 * _TITLE_CHARS].split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1] + "…"


class Outcomes:
    """Everything a report will say about items.

    Args:
        brand: For storage ids.
        limit: Outcomes kept in each of three groups (failed, stored, skipped); the rest is only counted.
        dry_run: Whether due items are merely planned.
    """

    def __init__(self, brand: str, limit: int, *, dry_run: bool) -> None:
        self.counts = Counts()
        self.findings: list[Finding] = []
        self.guard_hits: list[GuardHit] = []
        self._brand = brand
        self._limit = limit
        self._dry_run = dry_run
        self._failed: dict[int, ItemOutcome] = {}
        self._stored: dict[int, ItemOutcome] = {}
        self._skipped: list[ItemOutcome] = []
        self._passed_over = 0

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Keep findings, up to a bound that no healthy brand meets."""
        self.findings.extend(findings)
        del self.findings[_MAX_FINDINGS:]

    def adopt(self, actions: Iterable[str]) -> None:
        """Count items that were planned before the run and never tried."""
        for action in actions:
            setattr(self.counts, action, getattr(self.counts, action) + 1)

    def planned(self, entries: Iterable[Planned], resumed: set[int]) -> None:
        """Count planned items; keep those that no layer will be asked for.

        Args:
            entries: Of one chunk.
            resumed: ``seq`` of items left over from an earlier run; unchanged ones are counted when they are stored.
        """
        counts = self.counts
        for entry in entries:
            action = entry.action
            if action is Action.UNCHANGED:
                counts.unchanged += entry.known is None or entry.known.seq not in resumed
                continue
            if entry.known is not None:
                resumed.discard(entry.known.seq)
            name = action.value
            setattr(counts, name, getattr(counts, name) + 1)
            self._note_guard(entry)
            if self._dry_run or action in _SKIPPED:
                self._skip(entry)

    def untouched(self, seqs: Sequence[int], resumed: set[int]) -> None:
        """Count items that read as they did; as in ``planned``, those left over are counted when they are stored."""
        self.counts.unchanged += len(seqs) - (sum(seq in resumed for seq in seqs) if resumed else 0)

    def _note_guard(self, entry: Planned) -> None:
        prepared = entry.prepared
        if prepared.findings:
            self.add_findings(prepared.findings)
        if prepared.guard_hits and len(self.guard_hits) < self._limit:
            refused = bool(prepared.refused)
            hits = (GuardHit(prepared.item.key, what, count, refused) for what, count in prepared.guard_hits)
            self.guard_hits.extend(hits)

    def _skip(self, entry: Planned) -> None:
        self._passed_over += 1
        if len(self._skipped) >= self._limit:
            return
        prepared = entry.prepared
        reason = entry.reason
        if entry.action is Action.DUPLICATE:
            reason = f"same text as {entry.owner_key}"
        self._skipped.append(
            ItemOutcome(
                key=prepared.item.key,
                title=title_of(prepared.content),
                content_hash=prepared.content_hash,
                action=entry.action,
                content_type=prepared.content_type,
                tags=prepared.tags,
                storage_id=storage_id(self._brand, entry.owner_key or prepared.item.key),
                planned=entry.action not in _SKIPPED,
                reason=reason,
            )
        )

    def stored(self, confirmed: Iterable[Due], action_of: Callable[[Due], Action]) -> None:
        """Note that a layer confirmed items."""
        if len(self._stored) >= self._limit:
            return
        for due in confirmed:
            if len(self._stored) < self._limit and due.seq not in self._failed:
                self._stored[due.seq] = self._outcome(due, action_of(due), stored=True)

    def failed(self, due: Due, action: Action, failure: Failure) -> None:
        """Note that a layer refused an item; what another layer said of it no longer counts as stored."""
        self._stored.pop(due.seq, None)
        if len(self._failed) < self._limit:
            self._failed.setdefault(due.seq, self._outcome(due, action, failure=failure))

    def waiting(self, due: Due, action: Action, reason: str) -> None:
        """Note that an item stays queued."""
        self._passed_over += 1
        if len(self._skipped) < self._limit:
            self._skipped.append(self._outcome(due, action, reason=reason))

    def _outcome(
        self, due: Due, action: Action, *, stored: bool = False, reason: str = "", failure: Failure | None = None
    ) -> ItemOutcome:
        payload = due.payload
        return ItemOutcome(
            key=payload.key,
            title=title_of(payload.content),
            content_hash=payload.content_hash,
            action=action,
            content_type=payload.content_type,
            tags=payload.tags,
            storage_id=payload.id,
            stored=stored,
            reason=reason,
            failure=failure,
        )

    def listed(self, tried: int, waiting: Callable[[Sequence[int]], set[int]]) -> tuple[tuple[ItemOutcome, ...], int]:
        """Return the outcomes to list, failures first, and how many were left out.

        Args:
            tried: How many items any layer stored or refused: with several layers, only the registry can tell.
            waiting: Tells which of some items (by ``seq``) another layer has yet to store.
        """
        incomplete = waiting(list(self._stored))
        stored = (
            replace(outcome, stored=False, reason=_INCOMPLETE) if seq in incomplete else outcome
            for seq, outcome in self._stored.items()
        )
        kept = (*self._failed.values(), *stored, *self._skipped)[: self._limit]
        return kept, max(0, tried + self._passed_over - len(kept))


_INCOMPLETE = "not in every layer yet"

_SKIPPED = frozenset({Action.DUPLICATE, Action.EXCLUDED, Action.REFUSED})
