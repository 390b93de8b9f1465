"""``get_memory_status``: what is in memory and whether it is healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dm_memory_tools.arguments import Arguments, ReportItems
from dm_memory_tools.operation import Call, Operation

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["GET_MEMORY_STATUS", "StatusArguments"]


_PATTERNS = 5


class StatusArguments(Arguments):
    """The arguments of a status."""

    report_items: ReportItems = 0


async def _run(call: Call, arguments: StatusArguments) -> Report:
    from dm_memory.report import Reader, status_report  # noqa: PLC0415  # start-up imports only what tools/list needs
    from dm_memory.report.parts import TEXT_BYTES  # noqa: PLC0415  # as above

    wanted = arguments.report_items or call.memory.settings.report_items
    result = await call.memory.status(call.brand or None, wanted)
    if result.cache_is_stale:
        call.notice_stale_cache()
    patterns = await call.memory.patterns(result.brand, _PATTERNS)
    limit = None if arguments.report_items else TEXT_BYTES
    return status_report(result, patterns, list_limit=wanted, reader=Reader(call.door), max_bytes=limit)


GET_MEMORY_STATUS = Operation(
    name="get_memory_status",
    title="Memory status",
    description=("Show what is in a brand's memory, what is pending or failed, its health, and what to do next."),
    help="Show what is in memory and whether it is healthy.",
    doing="reading the memory's status",
    arguments=StatusArguments,
    run=_run,
    read_only=True,
)
