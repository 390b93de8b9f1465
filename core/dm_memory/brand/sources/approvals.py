"""approvals/*.json -> what was rejected and why. What was only approved teaches nothing."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import inline
from dm_memory.brand.parsed import ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, lines_of, open_records, records_in
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_approvals"]

_TOLD = frozenset({"compliance_check", "brand_voice_score"})


def parse_approvals(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the rejections of a file; one that was approved later keeps its entry, which then says so.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.GUIDELINE, limits)
    entries = 0
    for name, fields in records_in(collector, value, ("approvals",)):
        entries += 1
        approval_id = first_label(fields, "approval_id", "id") or name or file.id
        reason, status = (
            inline(fields.get("rejected_reason") or fields.get("rejection_reason")),
            first_label(fields, "status"),
        )
        if not reason and status != "rejected":
            continue
        summary = inline(fields.get("content_summary") or fields.get("content")) or approval_id
        kind = ", ".join(part for part in (first_label(fields, "type"), first_label(fields, "platform")) if part)
        lines = [f"Rejected{f' ({kind})' if kind else ''}: {summary}"]
        lines += [f"Reason: {reason}"] if reason else []
        lines += [f"Later {status}"] if status and status != "rejected" else []
        lines += lines_of({name: fields.get(name) for name in _TOLD})
        facts: dict[str, Value] = {"insight_type": "rejection", "insight_source": "approvals", "section": "rejected"}
        if campaign_id := first_label(fields, "campaign_id"):
            facts["campaign_id"] = campaign_id
        collector.updated_at = date_of(
            fields, context.date_order, ("updated_at", "approved_at", "rejected_at", "created_at")
        )
        collector.add(
            f"approval/{approval_id}",
            "\n".join(lines),
            ContentType.GUIDELINE,
            recorded_at=date_of(fields, context.date_order),
            facts=facts,
        )
    return collector.result(entries)
