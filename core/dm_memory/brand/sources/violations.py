"""guideline-violations.json -> a rule that was broken each. Entries roll out of the file; what left it stays."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import inline, raw_stamp
from dm_memory.brand.parsed import ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, lines_of, open_records, records_in, text_of
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.hashing import content_hash

__all__ = ["parse_violations"]

_SHOWN = frozenset(
    {"rule", "category", "severity", "content", "text", "suggestion", "source", "module"}
    | {"rule_violated", "violated_rule", "violation", "guideline", "excerpt", "message"}
)


def parse_violations(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the violations of a file; several of one moment are distinguished by their texts.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.GUIDELINE, limits, rolling=True)
    entries = 0
    for _name, fields in records_in(collector, value, ("violations",)):
        entries += 1
        rule = first_label(fields, "rule", "rule_violated", "violated_rule", "violation", "guideline")
        text = inline(fields.get("content") or fields.get("text") or fields.get("excerpt")) or text_of(fields)[1]
        text = "" if text == rule else text
        if not rule and not text:
            collector.empty(f"position {entries - 1}")
            continue
        category, severity = first_label(fields, "category"), first_label(fields, "severity")
        about = ", ".join(part for part in (category, f"severity {severity}" if severity else "") if part)
        lines = [f"Guideline violated{f' ({about})' if about else ''}: {rule or text}"]
        lines += [f"Text: {text}"] if rule and text else []
        lines += [f"Suggestion: {suggestion}"] if (suggestion := inline(fields.get("suggestion"))) else []
        lines += lines_of(fields, _SHOWN)
        content = "\n".join(lines)
        facts: dict[str, Value] = {"insight_type": "guideline_violation", "section": category or "violations"}
        facts["insight_source"] = first_label(fields, "source") or "guideline-violations"
        if severity:
            facts["severity"] = severity
        moment = raw_stamp(fields.get("recorded_at")) or "undated"
        key = f"violation/{moment}/{content_hash(content)[:12]}"
        date = date_of(fields, context.date_order)
        collector.add(key, content, ContentType.GUIDELINE, recorded_at=date, facts=facts)
    return collector.result(entries)
