"""A rendered report, text for people and models and data for programs, and who reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dm_memory.report.escape import code

__all__ = ["Reader", "Report", "all_failures", "call", "enough_items"]


@dataclass(frozen=True, slots=True)
class Report:
    """``text`` is Markdown, ``data`` is JSON-ready and fits ``docs/report.schema.json``; shells get ``exit_code``.

    Attributes:
        rest: How the reader gets what is left out if the data has to be cut, one sentence.
    """

    text: str
    data: dict[str, Any]
    exit_code: int = 0
    rest: str = ""


class Reader(StrEnum):
    """Through which door the report goes out."""

    TOOL = "tool"
    TERMINAL = "terminal"


_COMMANDS = {
    "sync_memory": "sync",
    "get_memory_status": "status",
    "search_memory": "search",
    "storage_sync": "storage-sync",
    "prepare_store": "prepare",
    "forget_memory": "forget",
}


def call(reader: Reader, tool: str, brand: str = "", **arguments: bool | int | str) -> str:
    """Return how a reader starts something, as a code span; arguments that are false, 0 or "" are left out.

    ``sync_memory(brand="acme", dry_run=true)`` for a model, ``dm-memory sync --brand acme --dry-run`` in a terminal.
    """
    given = {name: value for name, value in ({"brand": brand} | arguments).items() if value}
    if reader is Reader.TOOL:
        return code(f"{tool}({', '.join(f'{name}={_literal(value)}' for name, value in given.items())})", 200)
    options = (f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in given.items())
    return code(" ".join(["dm-memory", _COMMANDS.get(tool, tool), *options]), 200)


def enough_items(total: int) -> int:
    """Return a round number of items that lists ``total`` of them, and a few that come meanwhile."""
    return max(100, -(-total // 100) * 100)


def all_failures(reader: Reader, brand: str, failed: int) -> str:
    """Return how a reader gets every entry that failed."""
    return call(reader, "get_memory_status", brand, report_items=enough_items(failed))


def _literal(value: bool | int | str) -> str:
    if value is True:
        return "true"
    return f'"{value}"' if isinstance(value, str) else str(value)
