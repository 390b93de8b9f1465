"""Results as JSON-ready data, the machine's half of a report; ``docs/report.schema.json`` describes it.

Hashes and keys are whole here. Titles and texts lose the characters nobody can see, as in Markdown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dm_memory.findings import Finding
from dm_memory.report.escape import scrub, visible
from dm_memory.report.parts import capacity_alert
from dm_memory.services.protocol import Capacity
from dm_memory.results import Action, Failure, GuardHit, ItemOutcome

__all__ = ["capacity_data", "counts_data", "failure_data", "finding_data", "guard_data", "item_data", "tags_data"]


def tags_data(tags: Iterable[str]) -> list[str]:
    """Return tags as a list that JSON can carry."""
    return [scrub(tag) for tag in tags]


def counts_data(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts per name as a plain dict."""
    return {scrub(name): count for name, count in counts.items()}


def failure_data(failure: Failure) -> dict[str, Any]:
    """Return a failure; ``next_attempt_at`` is null where the next sync tries again."""
    return {
        "class": failure.error_class,
        "code": scrub(failure.code),
        "message": visible(failure.message),
        "remedy": visible(failure.remedy),
        "layer": failure.layer,
        "attempts": failure.attempts,
        "next_attempt_at": failure.next_attempt_at or None,
    }


def item_data(item: ItemOutcome) -> dict[str, Any]:
    """Return one item; ``reason`` and ``error`` are there only where there is one; a refused text has no title."""
    data: dict[str, Any] = {
        "key": scrub(item.key),
        "title": "" if item.action is Action.REFUSED else visible(item.title),
        "hash": item.content_hash,
        "action": item.action.value,
        "content_type": scrub(item.content_type),
        "tags": tags_data(item.tags),
        "storage_id": item.storage_id,
        "stored": item.stored,
        "planned": item.planned,
    }
    if item.reason:
        data["reason"] = visible(item.reason)
    if item.failure:
        data["error"] = failure_data(item.failure)
    return data


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return one finding, all its fields."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": visible(finding.message),
        "remedy": visible(finding.remedy),
        "path": scrub(finding.path),
        "key": scrub(finding.key),
    }


def guard_data(hit: GuardHit) -> dict[str, Any]:
    """Return what the guard did to one item."""
    return {"key": scrub(hit.key), "what": scrub(hit.what), "count": hit.count, "refused": hit.refused}


def capacity_data(layer: str, capacity: Capacity) -> dict[str, Any]:
    """Return how full a layer is; ``limit`` and ``percent`` are null where there is no limit."""
    value = capacity.percent
    return {
        "layer": layer,
        "used": capacity.used,
        "limit": capacity.limit or None,
        "unit": capacity.unit,
        "percent": None if value is None else round(value, 1),
        "alert": capacity_alert(capacity),
        "entries": capacity.entries,
    }
