"""Hand-in: what a call brings along is guarded and journaled before a lock is waited for, and planned from the journal.

So a call that is refused, cancelled or killed while it waits loses nothing: the next sync finds the records behind the
place up to which the journal was read. Session learnings handed in while there is no brand wait in the home's
``dm-memory/unassigned.jsonl``, under no brand's lock, until one is made or named. That file has the form of a journal.
What was taken over into a brand's journal leaves it; a process killed in between hands the same texts in twice, which
is once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.errors import StoreError
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Item, Kind, Priority, Source
from dm_memory.requests import SessionLearning
from dm_memory.results import GuardHit
from dm_memory.store.database import Store
from dm_memory.store.entries import known_by_key
from dm_memory.store.files import make_own_folder
from dm_memory.store.forgetting import Forgotten
from dm_memory.store.journal import Journal, Record
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.payloads import Preparer, guard_hits
from dm_memory.sync.storing import record_of
from dm_memory.text.folding import is_blank
from dm_memory.text.guard import Policy
from dm_memory.text.hashing import content_hash

__all__ = [
    "FOLDER",
    "FORGOTTEN",
    "clean_text",
    "forgotten_finding",
    "hand_in",
    "keep_unassigned",
    "learnings_as_items",
    "mark_read",
    "take_unassigned",
    "unassigned",
    "unread",
]

FORGOTTEN = "forgotten"
"""The code of the finding for a text that may not be stored again."""


def clean_text(text: str) -> str:
    """Return a text that every store takes: no NUL, lone surrogates replaced, stripped; "" if nothing is visible."""
    clean = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()
    return "" if is_blank(clean) else clean


def learnings_as_items(
    learnings: Sequence[SessionLearning], now: str, limits: Limits, author: str
) -> tuple[list[Item], list[Finding]]:
    """Turn learnings into items, one per text; empty and oversized ones into findings."""
    items: dict[str, Item] = {}
    findings = []
    for number, learning in enumerate(learnings, 1):
        text = clean_text(learning.content)
        if not text:
            findings.append(_left_out(number, "is empty", Severity.INFO))
        elif len(text) > limits.max_content_chars:
            findings.append(
                _left_out(number, f"is longer than {limits.max_content_chars:,} characters", Severity.ERROR)
            )
        else:
            context = clean_text(learning.context)
            content = f"{text}\n\nContext: {context}" if context else text
            key = f"{Kind.SESSION}/{content_hash(content)}"
            items.setdefault(
                key,
                Item(
                    key=key,
                    content=content,
                    kind=Kind.SESSION,
                    content_type=learning.content_type or ContentType.CAMPAIGN_LEARNING,
                    facts={"insight_type": "session_learning"},
                    tags=learning.tags,
                    source=Source.SESSION,
                    recorded_at=now,
                    created_at=now,
                    author=author,
                ),
            )
    return list(items.values()), findings


def _left_out(number: int, what: str, severity: Severity) -> Finding:
    remedy = "" if severity is Severity.INFO else "Shorten it, or split it into several learnings."
    return Finding("session-learning", severity, f"Session learning {number} {what} and was not saved.", remedy)


def hand_in(
    journal: Journal,
    preparer: Preparer,
    excluder: Excluder,
    items: Sequence[Item],
    now: str,
    forgotten: Forgotten,
) -> tuple[list[Finding], list[GuardHit], int]:
    """Guard items and journal what may be stored, before anything is waited for.

    Returns:
        Findings and what the guard changed or refused, and how many items were excluded, which are not journaled.
    """
    records: list[dict[str, Any]] = []
    findings: list[Finding] = []
    hits: list[GuardHit] = []
    excluded = 0
    for item in items:
        prepared = preparer.prepare(item)
        refused = bool(prepared.refused)
        hits += guard_hits(prepared)
        if refused:
            records.append(
                {"op": "refused", "at": now, "content_hash": prepared.content_hash, "reason": prepared.refused}
            )
        elif excluder and excluder.match(item, item.content_type.value, (*prepared.detected, *prepared.given)):
            excluded += 1
        elif forgotten.has(prepared.content_hash):
            findings.append(forgotten_finding(item.key))
        else:
            tags = [[tag, "source"] for tag in prepared.given]
            tags += [[tag, "detected"] for tag in prepared.detected if tag not in prepared.given]
            records.append(record_of(prepared, tags, now))
            findings += prepared.findings
    if records:
        journal.append(records)
    return findings, hits, excluded


def forgotten_finding(key: str) -> Finding:
    """Return what to say of a text that was handed in again after it had been forgotten."""
    message = "A text that was handed in had been forgotten on request, so it was not stored again."
    return Finding(FORGOTTEN, Severity.WARNING, message, "Restore it by its key if you want it.", key=key)


def unread(store: Store, journal: Journal) -> tuple[list[Item], list[Record], str]:
    """Return what stands in the journal and not in memory as items, corrections, and the place up to which it was read.

    That is what was handed in with this call, and what an earlier call handed in and was killed before it was stored.
    """
    place = store.meta("journal_read")
    tail = journal.after(place)
    goes_on = tail.identity == place.partition(":")[0]
    entries = [record for record in tail.records if record.get("op") == "entry"]
    records = {str(record.get("key", "")): record for record in entries}
    for record in reversed(entries):  # who hands the same text in first is its author
        key = str(record.get("key", ""))
        records[key] = {**records[key], "author": record.get("author", "")}
    known = known_by_key(store.connection, records)
    items = [item for key, record in records.items() if key and key not in known if (item := _item_of_record(record))]
    corrections = [record for record in entries if record.get("replaces")] if goes_on else []
    return items, corrections, f"{tail.identity}:{tail.end}"


def mark_read(store: Store, place: str) -> None:
    """Remember the place up to which the journal was read; what stands before it is in memory."""
    if store.meta("journal_read") != place:
        store.set_meta("journal_read", place)


def _item_of_record(record: Mapping[str, Any]) -> Item | None:
    """Return an entry of the journal as an item; None if it is no entry that this program understands."""
    get = record.get
    try:
        return Item(
            key=str(record["key"]),
            content=str(record["content"]),
            kind=Kind(record["kind"]),
            content_type=ContentType(record["content_type"]),
            recorded_at=str(get("recorded_at", "")),
            facts=dict(get("facts") or {}),
            tags=tuple(_names(get("tags") or ())),
            origin=str(get("origin", "")),
            source=Source(get("source", Source.SYNC)),
            priority=Priority(get("priority", Priority.NORMAL)),
            expires_at=str(get("expires_at", "")),
            related=tuple(map(str, get("related") or ())),
            created_at=str(get("created_at", "")),
            prepared_hash=str(get("prepared", "")),
            list_key=str(get("list", "")),
            author=str(get("author", "")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _names(tags: Iterable[Any]) -> Iterable[str]:
    for tag in tags:
        name, origin = (tag[0], tag[1]) if isinstance(tag, list) and len(tag) > 1 else (tag, "source")
        if origin != "detected":
            yield str(name)


FOLDER = "dm-memory"
_NAME = "unassigned.jsonl"


def _journal(root: Path) -> Journal:
    return Journal(root / FOLDER, _NAME)


def keep_unassigned(
    root: Path, learnings: Sequence[SessionLearning], policy: Policy, limits: Limits, now: str, author: str = ""
) -> tuple[int, list[Finding]]:
    """Guard and keep learnings; return how many were kept, and what was wrong with the others.

    Raises:
        OSError, StoreError: They can't be written.
    """
    preparer = Preparer.of("", BrandContext(slug="", name=""), policy)
    items, findings = learnings_as_items(learnings, now, limits, preparer.clean_author(author))
    records: list[dict[str, Any]] = []
    for item in items:
        prepared = preparer.prepare(item)
        findings += prepared.findings
        if not prepared.refused:
            records.append(record_of(prepared, [[tag, "source"] for tag in prepared.given], now))
    if records:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_own_folder(root / FOLDER)
        _journal(root).append(records)
    return len(records), findings


def unassigned(root: Path) -> int:
    """Return how many learnings wait for a brand. Raises ``StoreError``."""
    if (root / FOLDER).is_symlink():
        message = f"The folder {root / FOLDER} is a link, so what may wait there was not read."
        raise StoreError(message, "Move the real folder there, then sync again.")
    journal = _journal(root)
    return sum(record.get("op") == "entry" for record in journal.read().records) if journal.size() else 0


def take_unassigned(root: Path, brand: Journal) -> int:
    """Move what waits into a brand's journal; return how many learnings that were. Raises ``StoreError``."""
    waiting = _journal(root)
    if not waiting.size():
        return 0
    with waiting.exclusively():
        records = [record for record in waiting.read().records if record.get("op") == "entry"]
        if records:
            brand.append(records)
        waiting.path.unlink(missing_ok=True)
    return len(records)
