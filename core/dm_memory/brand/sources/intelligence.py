"""intelligence/ -> a learning each: what /dm:learn keeps of the plugin's agents, archived ones as well."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import fields_of, inline, is_empty, is_placeholder, label, labels, stamp
from dm_memory.brand.parsed import ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, id_of, lines_of, open_records, records_in, text_of
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_intelligence"]

_SHOWN = frozenset({"insight", "conditions", "tags", "source_agent", "last_validated", "status", "learning_id"})


def parse_intelligence(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the learnings of a file, under the plugin's own ids.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.INSIGHT, limits)
    entries = 0
    for name, fields in records_in(collector, value, ("learnings",)):
        entries += 1
        said, text = text_of(fields, "insight", "learning", "finding", "text")
        learning_id = id_of(collector, fields, name, text, "learning_id")
        if is_empty(text) or is_placeholder(text):
            collector.empty(learning_id)
            continue
        raw = fields.get("conditions")
        conditions = fields_of(raw) if isinstance(raw, dict) else {}
        facts: dict[str, Value] = {
            "insight_type": "learning",
            "insight_source": first_label(fields, "source_agent") or "agent",
        }
        if channels := labels(conditions.get("channel") or conditions.get("channels")):
            facts["channels"] = channels
        if confidence := label(fields.get("confidence")):
            facts["confidence"] = confidence
        if validated := stamp(fields.get("last_validated"), context.date_order):
            facts["last_validated"] = validated
        tags = [f"{kind}:{text}" for kind in ("audience", "objective") for text in labels(conditions.get(kind))]
        archived = "archived" in file.path.split("/")
        lines = [f"Applies to: {inline(conditions)}"] if conditions else []
        lines += lines_of(fields, _SHOWN | {said})
        lines += ["Archived: no longer relied upon"] if archived else []
        collector.updated_at = date_of(fields, context.date_order, ("last_validated", "updated_at", "created_at"))
        collector.add(
            f"intelligence/{learning_id}",
            "\n".join([text, *(["", *lines] if lines else [])]),
            ContentType.CAMPAIGN_LEARNING,
            recorded_at=date_of(fields, context.date_order, ("created_at", "recorded_at", "date")),
            facts=facts,
            tags=[*labels(fields.get("tags")), *tags, *(["archived"] if archived else [])],
        )
    return collector.result(entries)
