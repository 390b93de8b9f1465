"""campaigns/{campaign_id}.json -> items, one per lesson: plan, results, retrospective points, decisions, learnings.

A campaign file is whatever the assistant put into it: any key can be missing, any value a text, list or object. So a
section is walked by the shape it has, not by a schema, and keys nobody foresaw become items too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dm_memory.brand.files import Limits, broken, parse_json
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.text import NestedTooDeeplyError, block, capitalised, inline, is_empty, label, labels, stamp, words
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_campaign"]

_PLAN = (
    "status",
    "channels",
    "budget",
    "goals",
    "kpis",
    "timeline",
    "segments",
    "strategy_summary",
    "notes",
)
_LISTS_OF_POINTS = frozenset({"retrospective", "strategy_decisions", "learnings", "results"})
# What identifies or versions the file itself; the name stands in every text, the tags on every item.
_NOT_REMEMBERED = frozenset(
    {"campaign_id", "id", "name", "created_at", "updated_at", "brand", "brand_slug", "schema_version", "tags"}
)
_LEADS = ("learning", "lesson", "insight", "decision", "text", "point", "finding", "title", "description", "summary")
_DATES = ("date", "recorded_at", "decided_at", "created_at")
_NAMES = {"kpis": "KPIs", "roi": "ROI"}
_SINGULAR = {"strategy_decisions": "strategy decision", "learnings": "learning"}


@dataclass(frozen=True, slots=True)
class _Campaign:
    """What every item of one campaign carries."""

    collector: Collector
    campaign_id: str
    name: str
    created_at: str
    facts: dict[str, Value]
    tags: tuple[str, ...]


def parse_campaign(file: SourceFile, data: bytes, limits: Limits) -> ParsedFile:
    """Return the items of one campaign file.

    Raises:
        BrandFileError: The file is not JSON, or no object.
    """
    document = parse_json(data, file.path)
    if not isinstance(document, dict):
        raise broken(file.path, "is not a campaign: an object is expected")
    campaign = _campaign(Collector(file.path, Kind.CAMPAIGN, limits), document, file.stem)
    _add_plan(campaign, document)
    for section, value in document.items():
        if section in _NOT_REMEMBERED or section in _PLAN or isinstance(value, int | float) or is_empty(value):
            continue
        _add_section(campaign, section, value)
    return campaign.collector.result(len(document))


def _campaign(collector: Collector, document: dict[str, object], stem: str) -> _Campaign:
    campaign_id = label(document.get("campaign_id")) or stem
    name = label(document.get("name")) or campaign_id
    facts: dict[str, Value] = {"campaign_id": campaign_id, "campaign_name": name}
    if status := label(document.get("status")):
        facts["campaign_status"] = status
    if channels := labels(document.get("channels")):
        facts["channels"] = channels
    tags = tuple(labels(document.get("tags")))
    # Not updated_at: it moves with every save and would make each item of the campaign look changed.
    return _Campaign(collector, campaign_id, name, stamp(document.get("created_at")), facts, tags)


def _add_plan(campaign: _Campaign, document: dict[str, object]) -> None:
    """One item for what was planned, with every bare number of the file (it says nothing on its own)."""
    lines = []
    for name, value in document.items():
        bare = isinstance(value, int | float) and name not in _NOT_REMEMBERED
        if not (name in _PLAN or bare) or is_empty(value):
            continue
        try:
            text = inline(value)
        except NestedTooDeeplyError:
            campaign.collector.malformed(name, "is nested too deeply")
            continue
        if text:
            lines.append(f"{_NAMES.get(name) or capitalised(name)}: {text}")
    if lines:
        facts = {**campaign.facts, "section": "plan"}
        _add(campaign, "plan", _content(campaign, "plan", "\n".join(lines)), campaign.created_at, facts)


def _add_section(campaign: _Campaign, section: str, value: object) -> None:
    facts = {**campaign.facts, "section": label(section)}
    for path, name, point in _points(section, value):
        try:
            text, recorded_at = _point_text(point)
        except NestedTooDeeplyError:
            campaign.collector.malformed(path, "is nested too deeply")
            continue
        if text:
            _add(campaign, path, _content(campaign, name, text), recorded_at or campaign.created_at, facts)


def _content(campaign: _Campaign, name: str, text: str) -> str:
    """Name campaign and section before the text: an item must be understood alone."""
    separator = "\n" if "\n" in text else " "
    return f"{campaign.name}, {name}:{separator}{text}"


def _add(campaign: _Campaign, path: str, content: str, recorded_at: str, facts: dict[str, Value]) -> None:
    key = f"campaign/{campaign.campaign_id}#{path}"
    content_type = ContentType.PERFORMANCE_INSIGHT if path.startswith("results") else ContentType.CAMPAIGN_LEARNING
    campaign.collector.add(key, content, content_type, recorded_at, facts, campaign.tags)


def _points(section: str, value: object) -> Iterator[tuple[str, str, object]]:
    """Yield (path in the file, name in words, value) for each lesson in a section."""
    name = _SINGULAR.get(section) or words(section)
    if isinstance(value, list) and (section in _LISTS_OF_POINTS or any(isinstance(entry, dict) for entry in value)):
        for position, entry in enumerate(value):
            yield f"{section}/{position}", name, entry
    elif isinstance(value, dict) and section in _LISTS_OF_POINTS and not _is_one_point(value):
        yield from _members(section, name, value)
    else:
        yield section, name, value


def _is_one_point(value: dict[str, object]) -> bool:
    return any(isinstance(value.get(lead), str) for lead in ("decision", "learning", "lesson"))


def _members(section: str, name: str, value: dict[str, object]) -> Iterator[tuple[str, str, object]]:
    """Yield the parts of an object: nested sets and points alone, the bare figures of results together."""
    figures = {}
    for member, entry in value.items():
        if section == "results" and not isinstance(entry, dict | list):
            figures[member] = entry
            continue
        path, title = f"{section}/{member}", words(member)
        title = f"results, {title}" if section == "results" else title
        if isinstance(entry, list) and section != "results":
            for position, point in enumerate(entry):
                yield f"{path}/{position}", title, point
        else:
            yield path, title, entry
    if figures:
        yield section, name, figures


def _point_text(point: object) -> tuple[str, str]:
    """Return a point's text and its own date, or ""; an object leads with its statement, its date becomes a date."""
    if isinstance(point, str):
        return point.strip(), ""
    if not isinstance(point, dict):
        return block(point), ""
    lead = next((name for name in _LEADS if name in point and isinstance(point[name], str) and point[name].strip()), "")
    date = next((name for name in _DATES if name in point and stamp(point[name])), "")
    rest = block({name: value for name, value in point.items() if name not in (lead, date)})
    text = "\n".join(part for part in (inline(point[lead]) if lead else "", rest) if part)
    return text, stamp(point.get(date)) if date else ""
