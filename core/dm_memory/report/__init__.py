"""Results become Markdown for a marketer and plain data for an agent."""

from __future__ import annotations

from dm_memory.report.errors import error_report
from dm_memory.report.files import backup_report, export_report, import_report, restore_report
from dm_memory.report.forget import forget_report
from dm_memory.report.knowledge import history_report, patterns_report
from dm_memory.report.maintenance import doctor_report, migrate_report, verify_report
from dm_memory.report.model import Reader, Report
from dm_memory.report.prepare import prepare_report
from dm_memory.report.recall import last_sync_report, recall_report
from dm_memory.report.search import search_report
from dm_memory.report.status import status_report
from dm_memory.report.storage import storage_report
from dm_memory.report.sync import sync_report

__all__ = [
    "Reader",
    "Report",
    "backup_report",
    "doctor_report",
    "error_report",
    "export_report",
    "forget_report",
    "history_report",
    "import_report",
    "last_sync_report",
    "migrate_report",
    "patterns_report",
    "prepare_report",
    "recall_report",
    "restore_report",
    "search_report",
    "status_report",
    "storage_report",
    "sync_report",
    "verify_report",
]
