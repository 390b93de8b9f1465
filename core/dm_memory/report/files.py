"""The reports of ``dm-memory export``, ``import``, ``backup`` and ``restore``."""

from __future__ import annotations

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline
from dm_memory.report.model import Report
from dm_memory.report.parts import QUOTED_NOTE, bulleted, bullets, document, failure_text, finding_text, key_code
from dm_memory.report.words import counted, duration, entries, number, size, when
from dm_memory.results import BackupResult, ExportResult, ImportResult, RestoreResult, ServiceResult

__all__ = ["backup_report", "export_report", "import_report", "restore_report"]

_SHOWN = 20
_FORMATS = {"jsonl": "JSON Lines", "markdown": "Markdown"}


def export_report(result: ExportResult) -> Report:
    """Render what an export wrote, or would write."""
    total = entries(sum(result.entries.values()))
    kind = _FORMATS.get(result.format, inline(result.format, 20))
    if result.dry_run:
        lead = f"**Dry run: nothing was written.** The export would have {total}, {size(result.bytes)} of {kind}."
    else:
        took = f"({duration(result.seconds)})"
        lead = f"**Exported: {total}**, {size(result.bytes)} of {kind}, to {code(result.path, 300)} {took}."
    lines = [f"{code(brand)}: {entries(count)}" for brand, count in result.entries.items()]
    lines.append(
        f"Among them {counted(result.retired, 'retired one')}; {counted(result.revisions, 'earlier text')} besides."
    )
    lines.append(
        "The file contains everything memory knows, unencrypted. Forgetting does not reach it: delete it yourself."
    )
    text = document("# Export", [lead, bulleted(lines)], [])
    return Report(text, {"kind": "export", **data_of(result)})


def import_report(result: ImportResult) -> Report:
    """Render what an import stored, or would store; exit code 1 if something was left out."""
    new, changed = entries(result.new), entries(result.changed)
    if result.dry_run:
        lead = f"**Dry run: nothing was written.** The import would store {new} and change {changed}."
    else:
        lead = f"**Imported: {new} stored, {changed} changed** ({duration(result.seconds)})."
    lines = [f"From {code(result.path, 300)}"]
    lines += [f"{code(brand)}: {entries(count)} in the file" for brand, count in result.brands.items()]
    lines += [f"In memory already, unchanged: {entries(result.unchanged)}"] if result.unchanged else []
    lines += [f"Left out because they were forgotten here: {entries(result.forgotten)}"] if result.forgotten else []
    lines += [finding_text(finding) for finding in result.findings]
    sections = []
    if result.duplicates:
        same = (f"{key_code(key)}: the same text as {key_code(other)}" for key, other in result.duplicates.items())
        rest = "see the data (--json)"
        sections.append(("Duplicates", [bullets(same, total=len(result.duplicates), limit=_SHOWN, rest=rest)]))
    if result.refused:
        left_out = (inline(line, 300) for line in result.refused)
        rest = "see the data (--json)"
        sections.append(("Left out", [bullets(left_out, total=len(result.refused), limit=_SHOWN, rest=rest)]))
    if result.new + result.changed and not result.dry_run:
        sections.append(("What to do next", ["Sync: connected services get what is new."]))
    text = document("# Import", [lead, bulleted(lines), QUOTED_NOTE], sections)
    return Report(text, {"kind": "import", **data_of(result)}, result.exit_code)


def backup_report(result: BackupResult) -> Report:
    """Render a backup that was made."""
    lead = f"**Backed up and checked: {entries(result.entries)}**, {size(result.bytes)} ({duration(result.seconds)})."
    restore = f"dm-memory restore {result.path} --brand {result.brand}"
    lines = [f"Made {when(result.made_at)} in {code(result.path, 300)}", f"To put it back: {code(restore, 400)}"]
    text = document(f"# Backup of {code(result.brand)}", [lead, bulleted(lines)], [])
    return Report(text, {"kind": "backup", **data_of(result)})


def restore_report(result: RestoreResult) -> Report:
    """Render a backup that was put back; exit code 1 if a service has yet to follow."""
    lead = f"**Put back: {entries(result.entries)}** from {code(result.path, 300)} ({duration(result.seconds)})."
    lines = [f"What was there before is in {code(result.aside, 300)}"] if result.aside else []
    if result.kept_out:
        lines.append(f"Stayed out, because it was forgotten since: {counted(result.kept_out, 'text')}")
    lines += [finding_text(finding) for finding in result.findings]
    lines += [] if result.services else ["No service is connected."]
    sections = []
    if result.services:
        sections.append(("Connected services", [bulleted(_service_text(each) for each in result.services)]))
    after = "Sync: what files state since the backup comes back." if not result.exit_code else _UNFINISHED
    sections.append(("What to do next", [after]))
    text = document(f"# Restore of {code(result.brand)}", [lead, bulleted(lines)], sections)
    return Report(text, {"kind": "restore", **data_of(result)}, result.exit_code)


_UNFINISHED = "Repair what keeps a service from answering (see above), then sync: it follows then."


def _service_text(service: ServiceResult) -> str:
    text = f"{inline(service.engine, 60)}: {entries(service.stored)} stored, {number(service.removed)} deleted"
    waits = service.queued + service.failed
    text += f", {number(waits)} still due" if waits else ""
    return f"{text}." + (f" {failure_text(service.failure)}" if service.failure else "")
