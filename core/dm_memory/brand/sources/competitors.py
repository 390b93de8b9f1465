"""competitors.json and competitors/ -> what is known of each competitor, and what changed about it."""

from __future__ import annotations

from collections.abc import Callable

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import NestedTooDeeplyError, fields_of, inline, is_empty, slug_of, title_of, words
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, lines_of, open_records, records_in, text_of
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_competitors"]

_INTEL = ContentType.COMPETITIVE_INTEL
_NAMES = ("competitor", "name", "brand_name", "company")


def parse_competitors(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the entries of a file about competitors: one a competitor, change, price list, mention, ad, deal.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.INSIGHT, limits)
    add = _reader_of(file)
    entries = 0
    for name, fields in records_in(collector, value, ("competitors", "scans", "mentions", "ads")):
        entries += 1
        collector.updated_at = date_of(
            fields, context.date_order, ("updated_at", "recorded_at", "scanned_at", "created_at")
        )
        before = len(collector.items)
        try:
            add(collector, fields, name, date_of(fields, context.date_order))
        except NestedTooDeeplyError:
            collector.malformed(name or f"position {entries - 1}", "is nested too deeply")
        else:
            # A scan that found no change says so by saying nothing.
            if len(collector.items) == before and add is not _scan:
                collector.empty(_name_of(collector, fields, name))
    return collector.result(entries)


_Reader = Callable[[Collector, dict[str, object], str, str], None]


def _reader_of(file: SourceFile) -> _Reader:
    parts = file.path.split("/")
    if len(parts) == 1:
        return _competitor
    folder, name = parts[-2], file.stem
    by_folder = {"win-loss": _deal, "sov": _share_of_voice, "mentions": _mention, "ads": _ad}
    by_name = {"baseline": _baseline, "scans": _scan, "pricing": _pricing}
    return by_folder.get(folder) or by_name.get(name) or _competitor


def _facts(kind: str, name: str) -> dict[str, Value]:
    return {"insight_type": kind, "insight_source": "competitors", **({"name": name} if name else {})}


def _name_of(collector: Collector, fields: dict[str, object], name: str = "") -> str:
    """Return the competitor's name; its folder has it if the file does not say."""
    parts = collector.file.path.split("/")
    folder = title_of(parts[1]) if len(parts) > 2 and parts[1] not in {"win-loss", "sov"} else ""  # noqa: PLR2004
    return first_label(fields, *_NAMES) or name or folder or "A competitor"


def _competitor(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    title = _name_of(collector, fields, name)
    if lines := lines_of(fields, {"name", "competitor"}):
        text = "\n".join([f"Competitor {title}", *lines])
        collector.add(f"competitor/{slug_of(title)}", text, _INTEL, recorded_at=date, facts=_facts("competitor", title))


def _baseline(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    title = _name_of(collector, fields, name)
    raw = fields.get("data")
    lines = lines_of(fields_of(raw)) if isinstance(raw, dict) else []
    lines = [*lines_of(fields, {"competitor", "name", "data"}), *lines]
    text = "\n".join([f"Competitor {title}, as first described", *lines])
    key = f"competitor/{slug_of(title)}/baseline"
    collector.add(key, text, _INTEL, recorded_at=date, facts=_facts("competitor_baseline", title))


def _scan(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    """One entry a change: old -> new."""
    title = _name_of(collector, fields, name)
    moment = first_label(fields, "scanned_at", "recorded_at", "date") or "undated"
    changes: list[tuple[str, str]] = []
    changed = fields.get("changed_fields")
    for entry in changed if isinstance(changed, list) else []:
        change = fields_of(entry) if isinstance(entry, dict) else {}
        field = first_label(change, "field", "name")
        if field:
            old, new = inline(change.get("old")) or "nothing", inline(change.get("new")) or "nothing"
            changes.append((field, f"{title} changed its {words(field)}: {old} -> {new}"))
    for kind, verb in (("new_fields", "now states its"), ("removed_fields", "no longer states its")):
        entries = fields.get(kind)
        for entry in entries if isinstance(entries, list) else []:
            change = fields_of(entry) if isinstance(entry, dict) else {}
            field = first_label(change, "field", "name") if change else inline(entry)
            value = inline(change.get("value") or change.get("new") or change.get("old"))
            if field:
                changes.append((field, f"{title} {verb} {words(field)}{f': {value}' if value else ''}"))
    for field, text in changes:
        key = f"competitor/{slug_of(title)}/scan/{moment}/{field}"
        collector.add(key, text, _INTEL, recorded_at=date, facts=_facts("competitor_change", title))


def _pricing(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    title = _name_of(collector, fields, name)
    lines: list[str] = []
    plans = fields.get("plans")
    for plan in plans if isinstance(plans, list) else []:
        if isinstance(plan, dict):
            known = fields_of(plan)
            rest = inline({key: value for key, value in known.items() if key != "name"})
            lines.append(f"{first_label(known, 'name') or 'Plan'}: {rest}")
        elif inline(plan):
            lines.append(inline(plan))
    lines += lines_of(fields, {"competitor", "name", "plans"})
    if lines:
        key = f"competitor/{slug_of(title)}/pricing"
        text = "\n".join([f"Prices of {title}", *lines])
        collector.add(key, text, _INTEL, recorded_at=date, facts=_facts("competitor_pricing", title))


def _mention(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    title, (said, text) = _name_of(collector, fields, name), text_of(fields, "content", "text")
    if not is_empty(text):
        where, sentiment = first_label(fields, "platform"), first_label(fields, "sentiment")
        heading = f"Mention of {title}{f' on {where}' if where else ''}{f' ({sentiment})' if sentiment else ''}: {text}"
        lines = lines_of(fields, {"competitor", "name", said, "platform", "sentiment"})
        key = f"mention/{first_label(fields, 'mention_id', 'id') or collector.file.id}"
        content = "\n".join([heading, *lines])
        collector.add(key, content, _INTEL, recorded_at=date, facts=_facts("competitor_mention", title))


def _ad(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    title, (said, text) = _name_of(collector, fields, name), text_of(fields, "content", "text")
    if not is_empty(text):
        kind = " ".join(part for part in (first_label(fields, "platform"), first_label(fields, "ad_type")) if part)
        lines = lines_of(fields, {"competitor", "name", said, "platform", "ad_type"})
        key = f"competitor-ad/{first_label(fields, 'ad_id', 'id') or collector.file.id}"
        content = "\n".join([f"Ad of {title}{f' ({kind})' if kind else ''}: {text}", *lines])
        collector.add(key, content, _INTEL, recorded_at=date, facts=_facts("competitor_ad", title))


def _deal(collector: Collector, fields: dict[str, object], name: str, date: str) -> None:
    title, outcome = _name_of(collector, fields, name), first_label(fields, "outcome", "result") or "decided"
    reason = inline(fields.get("reason"))
    lines = lines_of(fields, {"competitor", "name", "outcome", "result", "reason"})
    text = "\n".join([f"Deal {outcome} against {title}{f': {reason}' if reason else ''}", *lines])
    key = f"win-loss/{first_label(fields, 'event_id', 'id') or collector.file.id}"
    collector.add(key, text, _INTEL, recorded_at=date, facts=_facts("win_loss", title))


def _share_of_voice(collector: Collector, fields: dict[str, object], _name: str, date: str) -> None:
    shares = fields.get("share_of_voice", fields.get("share_of_voice_pct"))
    parts = [f"{name} {inline(value)}" for name, value in shares.items()] if isinstance(shares, dict) else []
    lines = [f"Share of voice in percent: {', '.join(parts)}"] if parts else ["Share of voice"]
    lines += lines_of(fields, {"share_of_voice", "share_of_voice_pct"})
    key = f"share-of-voice/{first_label(fields, 'sov_id', 'id') or collector.file.id}"
    collector.add(key, "\n".join(lines), _INTEL, recorded_at=date, facts=_facts("share_of_voice", ""))
