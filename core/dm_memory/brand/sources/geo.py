"""geo/audits, geo/narratives and narrative/ -> what AI answers say of the brand, and where its story has gaps."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import fields_of, inline, title_of, words
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, id_of, lines_of, open_records, records_in
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_geo"]


def parse_geo(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the results of a file.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.INSIGHT, limits)
    folder = file.path.split("/")[-2]
    if folder == "narrative" and isinstance(value, dict):
        fields = fields_of(value)
        date = date_of(fields, context.date_order, ("updated_at", "recorded_at", "created_at"))
        collector.updated_at = date
        _add(collector, f"narrative/{file.id}", _landscape(file.stem, fields), "narrative_landscape", date)
        return collector.result(1)
    entries = 0
    for name, fields in records_in(collector, value, ("audits", "narratives", "results")):
        entries += 1
        date = date_of(fields, context.date_order)
        collector.updated_at = date_of(fields, context.date_order, ("updated_at", "recorded_at"))
        audit = folder == "audits" or "audit_id" in fields
        text = _audit(fields) if audit else _narrative(fields)
        own = id_of(collector, fields, name, _asked(fields), "audit_id", "narrative_id")
        key = f"geo-audit/{own}" if audit else f"geo-narrative/{own}"
        _add(collector, key, text, "geo_audit" if audit else "geo_narrative", date)
    return collector.result(entries)


def _add(collector: Collector, key: str, text: str, kind: str, date: str) -> None:
    if not text:
        collector.empty(key)
    facts: dict[str, Value] = {"insight_type": kind, "insight_source": "geo"}
    collector.add(key, text, ContentType.PERFORMANCE_INSIGHT, recorded_at=date, facts=facts)


def _asked(fields: dict[str, object]) -> str:
    platform, query = first_label(fields, "platform"), inline(fields.get("query"))
    return f"{platform or 'An AI'}{f' asked “{query}”' if query else ''}"


def _audit(fields: dict[str, object]) -> str:
    result = inline(fields.get("result"))
    lines = lines_of(fields, {"platform", "query", "result"})
    return "\n".join([f"AI answer of {_asked(fields)}: {result or 'see below'}", *lines]) if result or lines else ""


def _narrative(fields: dict[str, object]) -> str:
    said = inline(fields.get("narrative"))
    lines = lines_of(fields, {"platform", "query", "narrative"})
    return "\n".join([f"What {_asked(fields)} says of the brand: {said}", *lines]) if said or lines else ""


def _landscape(stem: str, fields: dict[str, object]) -> str:
    """Return a landscape: gaps and strengths first, then who stands where; a matrix keeps both of its names."""
    lines: list[str] = []
    gaps = fields.get("gaps")
    for gap in gaps if isinstance(gaps, list) else []:
        known = fields_of(gap) if isinstance(gap, dict) else {}
        name = first_label(known, "dimension", "name", "gap") or inline(gap)
        rest = inline({key: value for key, value in known.items() if key not in {"dimension", "name", "gap"}})
        lines.append(f"Gap in {name}{f': {rest}' if rest else ''}")
    raw = fields.get("landscape_map")
    places = fields_of(raw) if isinstance(raw, dict) else {}
    competitors = places.get("competitors")
    rivals = (
        [fields_of(entry) for entry in competitors if isinstance(entry, dict)] if isinstance(competitors, list) else []
    )
    lines += [
        f"{name}: {inline(rival.get('positions') or {})}" for rival in rivals if (name := first_label(rival, "name"))
    ]
    own = inline(places.get("your_positions") or {})
    lines += [f"Our positions: {own}"] if own else []
    if dimensions := inline(places.get("dimensions") or []):
        lines.append(f"Dimensions: {dimensions}")
    lines += [
        line.replace("Your ", "Our ", 1) for line in lines_of(fields, {"gaps", "landscape_map", "opportunity_scores"})
    ]
    return "\n".join([f"Narrative {words(title_of(stem)).lower()} of the market", *lines]) if lines else ""
