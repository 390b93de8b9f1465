"""Payloads for the tests of services."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

from dm_memory.items import Payload, storage_id

BRAND = "acme"


def payload(number: int, text: str = "", **changes: Any) -> Payload:
    """Return payload ``number``; with the same arguments always the same one."""
    content = text or f"Learning {number}: shorter subject lines open {number} percent more newsletters."
    key = f"insight/{number}"
    made = Payload(
        id=storage_id(BRAND, key),
        brand=BRAND,
        key=key,
        content=content,
        content_hash=sha256(content.encode("utf-8", "surrogatepass")).hexdigest(),
        metadata_hash="",
        content_type="performance-insight",
        kind="insight",
        source="sync",
        tags=("email", "q1"),
        facts={"insight_type": "learning", "actionable": True, "lift": 1.5, "channels": ["email"]},
        recorded_at="2026-03-05T10:00:00",
        created_at="2026-03-06T00:00:00",
    )
    changed = replace(made, **changes)
    return replace(changed, metadata_hash=sha256(repr((changed.tags, changed.facts)).encode()).hexdigest())
