"""insights.json -> items, one per entry."""

from __future__ import annotations

import hashlib

from dm_memory.brand.files import Limits, broken, parse_json
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.text import NestedTooDeeplyError, block, is_empty, label, stamp
from dm_memory.items import ContentType, Kind, Value

__all__ = ["content_type_of", "parse_insights"]

_LEARNING = ContentType.CAMPAIGN_LEARNING
_CONTENT_TYPES = {
    "competitor_insight": ContentType.COMPETITIVE_INTEL,
    "competitive_alert": ContentType.COMPETITIVE_INTEL,
    "performance_discovery": ContentType.PERFORMANCE_INSIGHT,
    "benchmark": ContentType.PERFORMANCE_INSIGHT,
    "anomaly": ContentType.PERFORMANCE_INSIGHT,
}


def content_type_of(insight_type: str) -> ContentType:
    """Return the content type of an insight type; unknown ones are learnings."""
    return _CONTENT_TYPES.get(insight_type.strip().lower(), _LEARNING)


def parse_insights(file: SourceFile, data: bytes, limits: Limits) -> ParsedFile:
    """Return the items of insights.json. Entries recorded at the same instant share a key; ordinals come later.

    Raises:
        BrandFileError: The file is not JSON, or no array.
    """
    document = parse_json(data, file.path)
    if not isinstance(document, list):
        raise broken(file.path, "is not a list of insights")
    collector = Collector(file.path, Kind.INSIGHT, limits)
    for position, entry in enumerate(document):
        if not isinstance(entry, dict):
            collector.malformed(f"position {position}", "is not an object")
            continue
        try:
            _add_insight(collector, entry, position)
        except NestedTooDeeplyError:
            collector.malformed(f"position {position}", "is nested too deeply")
    return collector.result(len(document))


def _add_insight(collector: Collector, entry: dict[str, object], position: int) -> None:
    text = entry.get("insight")
    if isinstance(text, bool):
        collector.malformed(f"position {position}", "has a yes or no where its text belongs")
        return
    text = block(text)
    if not text:
        collector.empty(f"position {position}")
        return
    recorded_at = stamp(entry.get("recorded_at"))
    facts = _facts(entry)
    content_type = content_type_of(str(facts.get("insight_type", "")))
    content = text + _context(entry)
    if recorded_at:
        collector.add(f"insight/{recorded_at}", content, content_type, recorded_at, facts, shared_key=True)
    else:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        collector.add(f"insight/undated-{digest}", content, content_type, "", facts)


def _facts(entry: dict[str, object]) -> dict[str, Value]:
    facts: dict[str, Value] = {}
    if insight_type := label(entry.get("type")):
        facts["insight_type"] = insight_type
    if source := label(entry.get("source")):
        facts["insight_source"] = source
    actionable = entry.get("actionable")
    if isinstance(actionable, bool):
        facts["actionable"] = actionable
    return facts


def _context(entry: dict[str, object]) -> str:
    context, action = entry.get("context"), entry.get("actionable")
    text = ""
    if not is_empty(context) and (words := block(context)):
        text = f"\n\nContext: {words}" if "\n" not in words else f"\n\nContext:\n{words}"
    if not isinstance(action, bool | int | float) and not is_empty(action) and (words := block(action)):
        text += f"\nAction: {words}" if text else f"\n\nAction: {words}"
    return text
