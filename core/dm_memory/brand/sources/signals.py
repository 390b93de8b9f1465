"""signals/sig_*.json -> a signal from the market each."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import labels
from dm_memory.brand.parsed import ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, id_of, lines_of, open_records, records_in, text_of
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_signals"]


def parse_signals(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the signals of a file, under the plugin's own ids.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.INSIGHT, limits)
    entries = 0
    for name, fields in records_in(collector, value, ("signals",)):
        entries += 1
        said, text = text_of(fields, "signal", "text", "description")
        signal_id = id_of(collector, fields, name, text, "signal_id")
        if not text:
            collector.empty(signal_id)
            continue
        category = first_label(fields, "category")
        lines = lines_of(fields, {said, "category", "acknowledged", "tags"})
        facts: dict[str, Value] = {
            "insight_type": "signal",
            "insight_source": first_label(fields, "source") or "signals",
        }
        if channels := labels(fields.get("affected_channels")):
            facts["channels"] = channels
        for fact in ("impact", "severity"):
            if said := first_label(fields, fact):
                facts[fact] = said
        collector.updated_at = date_of(fields, context.date_order, ("updated_at", "recorded_at"))
        collector.add(
            f"signal/{signal_id}",
            "\n".join([f"Signal{f' ({category})' if category else ''}: {text}", *lines]),
            ContentType.COMPETITIVE_INTEL,
            recorded_at=date_of(fields, context.date_order),
            facts=facts,
            tags=labels(fields.get("tags")),
        )
    return collector.result(entries)
