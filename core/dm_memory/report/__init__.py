"""Results become Markdown for a marketer and plain data for an agent.

Each report is loaded when it is first asked for: a hook needs one of them, and an assistant waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dm_memory.lazy import on_first_use

if TYPE_CHECKING:
    from dm_memory.report.errors import error_report
    from dm_memory.report.files import backup_report, export_report, import_report, restore_report
    from dm_memory.report.forget import forget_report
    from dm_memory.report.knowledge import history_report, patterns_report
    from dm_memory.report.maintenance import doctor_report, migrate_report, verify_report
    from dm_memory.report.model import Reader, Report
    from dm_memory.report.prepare import allow_report, prepare_report
    from dm_memory.report.recall import last_sync_report, recall_report
    from dm_memory.report.search import search_report
    from dm_memory.report.status import status_report
    from dm_memory.report.storage import storage_report
    from dm_memory.report.sync import sync_report

__all__ = [
    "Reader",
    "Report",
    "allow_report",
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

_MODULES = {
    "error_report": "errors",
    "backup_report": "files",
    "export_report": "files",
    "import_report": "files",
    "restore_report": "files",
    "forget_report": "forget",
    "history_report": "knowledge",
    "patterns_report": "knowledge",
    "doctor_report": "maintenance",
    "migrate_report": "maintenance",
    "verify_report": "maintenance",
    "Reader": "model",
    "Report": "model",
    "allow_report": "prepare",
    "prepare_report": "prepare",
    "last_sync_report": "recall",
    "recall_report": "recall",
    "search_report": "search",
    "status_report": "status",
    "storage_report": "storage",
    "sync_report": "sync",
}


if not TYPE_CHECKING:
    __getattr__ = on_first_use(globals(), __name__, _MODULES)
