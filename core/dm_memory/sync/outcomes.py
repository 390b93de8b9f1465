"""Collecting what a run did, in bounded memory: exact counts, and the outcomes that matter most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dm_memory.findings import Finding
from dm_memory.items import Payload, storage_id
from dm_memory.results import Action, Counts, Failure, GuardHit, ItemOutcome
from dm_memory.store.entries import Known, effective
from dm_memory.sync.payloads import guard_hits
from dm_memory.sync.plan import WRITTEN, Planned

__all__ = ["TITLE_CHARS", "Outcomes", "title_of"]

TITLE_CHARS = 100
_MAX_FINDINGS = 500


def title_of(content: str) -> str:
    """Return the first words of a text on one line, unescaped."""
    line = " ".join(content[: 4 * TITLE_CHARS].split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"


class Outcomes:
    """Everything a report will state about items.

    Args:
        brand: For storage ids.
        limit: Outcomes kept in each of three groups (failed, stored, skipped); the rest is only counted.
        dry_run: Whether items are merely planned.
    """

    def __init__(self, brand: str, limit: int, *, dry_run: bool) -> None:
        self.counts = Counts()
        self.findings: list[Finding] = []
        self.guard_hits: list[GuardHit] = []
        self._brand = brand
        self._limit = limit
        self._dry_run = dry_run
        self._failed: dict[str, ItemOutcome] = {}
        self._stored: list[ItemOutcome] = []
        self._skipped: list[ItemOutcome] = []
        self._omitted = 0

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Keep findings, up to a bound that no healthy brand meets."""
        self.findings.extend(findings)
        del self.findings[_MAX_FINDINGS:]

    def planned(
        self, entries: Iterable[Planned], before: Mapping[str, Mapping[str, str]], batch: frozenset[str]
    ) -> None:
        """Count planned items and keep those that are not simply unchanged.

        Args:
            entries: Of one chunk, after it was committed.
            before: By key, what changed entries were before.
            batch: The tags that the caller gave.
        """
        counts = self.counts
        for entry in entries:
            action = entry.action
            setattr(counts, action.value, getattr(counts, action.value) + 1)
            if entry.prepared.findings and action is not Action.UNCHANGED:
                self.add_findings(entry.prepared.findings)
            if entry.prepared.guard_hits:
                self._note_guard(entry)
            if action is Action.UNCHANGED:
                continue
            if action in WRITTEN:
                counts.stored += not self._dry_run
                self._keep(self._stored, entry, before, batch)
            else:
                self._keep(self._skipped, entry, before, batch)

    def _note_guard(self, entry: Planned) -> None:
        prepared = entry.prepared
        if len(self.guard_hits) < self._limit:
            self.guard_hits += guard_hits(prepared)

    def _keep(
        self, group: list[ItemOutcome], entry: Planned, before: Mapping[str, Mapping[str, str]], batch: frozenset[str]
    ) -> None:
        if len(group) >= self._limit:
            self._omitted += 1
            return
        prepared = entry.prepared
        tags = effective(entry.tags)
        skipped = entry.action not in WRITTEN
        group.append(
            ItemOutcome(
                key=entry.key,
                title=title_of(prepared.content),
                content_hash=prepared.content_hash,
                action=entry.action,
                content_type=entry.content_type,
                tags=tags,
                batch_tags=tuple(tag for tag in tags if tag in batch),
                storage_id=storage_id(self._brand, entry.owner_key or entry.key),
                stored=not skipped and not self._dry_run,
                planned=not skipped and self._dry_run,
                reason=f"same text as {entry.owner_key}" if entry.action is Action.DUPLICATE else entry.reason,
                before=before.get(entry.key, {}),
                author=entry.known.author if entry.known else prepared.item.author,
            )
        )

    def retired(self, rows: Iterable[Known], texts: Mapping[int, str]) -> None:
        """Count and keep entries that were retired."""
        for row in rows:
            self.counts.retired += 1
            if len(self._stored) >= self._limit:
                self._omitted += 1
                continue
            self._stored.append(
                ItemOutcome(
                    key=row.key,
                    title=title_of(texts.get(row.seq, "")),
                    content_hash=row.content_hash,
                    action=Action.RETIRED,
                    content_type=row.content_type,
                    storage_id=row.id,
                    stored=not self._dry_run,
                    planned=self._dry_run,
                    reason="no file states it any more",
                )
            )

    def promoted(self) -> None:
        """Count a duplicate that stands for its text from now on, because the entry it pointed at changed."""
        self.counts.new += 1
        self.counts.stored += not self._dry_run

    def failed(self, payload: Payload, action: Action, failure: Failure) -> None:
        """Note that a connected service refused an entry."""
        if len(self._failed) < self._limit:
            outcome = ItemOutcome(
                key=payload.key,
                title=title_of(payload.content),
                content_hash=payload.content_hash,
                action=action,
                content_type=payload.content_type,
                tags=payload.tags,
                storage_id=payload.id,
                failure=failure,
                author=payload.author,
            )
            self._failed.setdefault(payload.id, outcome)

    def listed(self) -> tuple[tuple[ItemOutcome, ...], int]:
        """Return the outcomes to list, failures first, and how many were left out."""
        every = (*self._failed.values(), *self._stored, *self._skipped)
        return every[: self._limit], self._omitted + max(0, len(every) - self._limit)
