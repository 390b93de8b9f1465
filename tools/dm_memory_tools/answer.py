"""From the core's reports and errors to what a client receives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from dm_memory.errors import DmMemoryError
from dm_memory_tools.arguments import ResponseFormat
from dm_memory_tools.bugs import log_bug

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["REPORT_KEY", "error_text", "to_result", "tool_errors"]

REPORT_KEY = "io.dm-memory/report"
"""The ``_meta`` key that carries a report's data; its JSON Schema is ``docs/report.schema.json``."""


def to_result(report: Report, response_format: ResponseFormat) -> CallToolResult:
    """Return a report as a tool's result: text alone in ``content``, the same data under ``_meta``.

    Never ``structuredContent``: clients that get it show the model only that, and the report is lost.
    """
    text = report.text
    if response_format == "json":
        import orjson  # noqa: PLC0415  # start-up imports only what tools/list needs

        text = orjson.dumps(report.data).decode()
    return CallToolResult(content=[TextContent(type="text", text=text)], _meta={REPORT_KEY: report.data})


def error_text(error: DmMemoryError) -> str:
    """Return the report of an error, escaped, with the brands there are where the error knows them."""
    from dm_memory.report.errors import error_report  # noqa: PLC0415  # start-up imports only what tools/list needs

    return error_report(error).text.strip()


@contextmanager
def tool_errors(stage: str) -> Iterator[None]:
    """Turn what the core raises into text for the model.

    Args:
        stage: What was being done, as the end of "Something went wrong inside dm-memory while ...".

    Raises:
        ToolError: In place of every error; of an unexpected one the text gives nothing away.
    """
    try:
        yield
    except (ToolError, MCPError):
        raise
    except DmMemoryError as error:
        raise ToolError(error_text(error)) from None
    except Exception as error:  # noqa: BLE001  # the boundary: whatever it is, the model gets a sentence and the log its type
        log_bug(error, stage)
        raise ToolError(
            f"Something went wrong inside dm-memory while {stage}; nothing that was stored is lost. "
            "Run `dm-memory doctor` to check this installation, then try again."
        ) from None
