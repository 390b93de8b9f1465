"""Session learnings, handed over by the assistant, as items. They exist nowhere else: they are written ahead first."""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.brand.files import Limits
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Item, Kind, Source
from dm_memory.sync.requests import SessionLearning
from dm_memory.text.hashing import content_hash

__all__ = ["clean_text", "items_of"]


def clean_text(text: str) -> str:
    """Return a text that every layer can hold: no NUL, lone surrogates replaced, no white space around it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()


def items_of(learnings: Sequence[SessionLearning], now: str, limits: Limits) -> tuple[list[Item], list[Finding]]:
    """Turn learnings into items, one per text; empty and oversized ones into findings."""
    items: dict[str, Item] = {}
    findings = []
    for number, learning in enumerate(learnings, 1):
        text = clean_text(learning.content)
        if not text:
            findings.append(_left_out(number, "is empty", Severity.INFO))
            continue
        if len(text) > limits.max_content_chars:
            findings.append(
                _left_out(number, f"is longer than {limits.max_content_chars:,} characters", Severity.ERROR)
            )
            continue
        item = _item(learning, text, now)
        items.setdefault(item.key, item)
    return list(items.values()), findings


def _item(learning: SessionLearning, text: str, now: str) -> Item:
    context = clean_text(learning.context)
    content = f"{text}\n\nContext: {context}" if context else text
    return Item(
        key=f"{Kind.SESSION}/{content_hash(content)}",
        content=content,
        kind=Kind.SESSION,
        content_type=learning.content_type or ContentType.CAMPAIGN_LEARNING,
        facts={"insight_type": "session_learning"},
        tags=learning.tags,
        source=Source.SESSION,
        recorded_at="",
        created_at=now,
    )


def _left_out(number: int, what: str, severity: Severity) -> Finding:
    remedy = "" if severity is Severity.INFO else "Shorten it, or split it into several learnings."
    return Finding("session-learning", severity, f"Session learning {number} {what} and was not saved.", remedy)
