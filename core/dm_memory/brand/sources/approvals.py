"""approvals/*.json -> what was rejected and why. What was only approved teaches nothing."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import canonical, inline, is_empty, word_set
from dm_memory.brand.parsed import ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, id_of, lines_of, open_records, records_in
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_approvals"]

_REASONS = ("rejected_reason", "rejection_reason", "reason", "feedback", "comments", "comment", "notes")
_REJECTED = word_set("""
    rejected declined denied changes_requested needs_changes needs_revision not_approved abgelehnt refusé rechazado
    rifiutato rejeitado recusado afgewezen odrzucone отклонено 却下 拒绝 반려
""")
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
        reason, status = next(filter(None, map(inline, map(fields.get, _REASONS))), ""), first_label(fields, "status")
        rejected = canonical(status) in _REJECTED
        if not rejected:
            reason = reason if any(not is_empty(fields.get(name)) for name in _REASONS[:2]) else ""
        content = inline(fields.get("content_summary") or fields.get("content") or fields.get("title"))
        approval_id = id_of(collector, fields, name, content or reason, "approval_id")
        if not reason and not rejected:
            continue
        summary = content or (reason if collector.listed else approval_id)
        kind = ", ".join(part for part in (first_label(fields, "type"), first_label(fields, "platform")) if part)
        lines = [f"Rejected{f' ({kind})' if kind else ''}: {summary}"]
        lines += [f"Reason: {reason}"] if reason and reason != summary else []
        lines += [f"Later {status}"] if status and not rejected else []
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
