"""From the core's reports and errors to what a client receives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from dm_memory.errors import BrandNotFoundError, DmMemoryError, limit_of_system
from dm_memory_tools.arguments import ResponseFormat
from dm_memory_tools.bugs import log_bug

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from dm_memory.report.model import Report

__all__ = ["DATA_BYTES", "REPORT_KEY", "RESULT_BYTES", "as_client_shows", "error_text", "to_result", "tool_errors"]

REPORT_KEY = "io.dm-memory/report"
"""The ``_meta`` key that carries a report's data; its JSON Schema is ``docs/report.schema.json``."""

RESULT_BYTES = 60_000
"""Most bytes of a result, text and data together: clients refuse larger ones, or put them into a file."""

DATA_BYTES = 25_000
"""Most bytes of data where it is the text as well: there it comes a second time, with each quote escaped."""


def to_result(report: Report, response_format: ResponseFormat, *, whole: bool = False) -> CallToolResult:
    """Return a report as a tool's result: text alone in ``content``, the same data under ``_meta``.

    Never ``structuredContent``: clients that get it show the model only that, and the report is lost.

    Args:
        report: The report.
        response_format: ``json`` puts the data into the text.
        whole: The caller asked for long lists: nothing is cut.
    """
    import orjson  # noqa: PLC0415  # start-up imports only what tools/list needs

    from dm_memory.report.data import fitted  # noqa: PLC0415  # as above

    as_json = response_format == "json"
    room = DATA_BYTES if as_json else RESULT_BYTES - len(orjson.dumps(report.text)) - 1000
    data = report.data if whole else fitted(report.data, room, report.rest)
    text = orjson.dumps(data).decode() if as_json else report.text
    return CallToolResult(content=[TextContent(type="text", text=text)], _meta={REPORT_KEY: data})


_SHOWS_ALL = frozenset({"@cline/core"})
"""Clients that show the model the whole result as JSON, ``_meta`` first, cut to 8,000 characters."""


def as_client_shows(result: Any, context: Context[Any, Any]) -> Any:  # noqa: ANN401  # whatever the SDK makes of a call
    """Return a result without its data for a client that would show the model that data in place of the report."""
    client = context.session.client_params
    if isinstance(result, CallToolResult) and client is not None and client.client_info.name in _SHOWS_ALL:
        return result.model_copy(update={"meta": None})
    return result


def error_text(error: DmMemoryError, brand: str = "") -> str:
    """Return the report of an error, escaped, with the brand it is about; of an unknown brand, with those there are."""
    from dm_memory.report.errors import error_report  # noqa: PLC0415  # start-up imports only what tools/list needs
    from dm_memory.report.escape import code  # noqa: PLC0415  # as above

    text = error_report(error).text.strip()
    if isinstance(error, BrandNotFoundError):
        return f"{text}\n\nPass one of these slugs as `brand`." if error.brands else text
    return f"{text}\n\nBrand {code(brand)}" if brand else text


@contextmanager
def tool_errors(stage: str, brand: str = "") -> Iterator[None]:
    """Turn what the core raises into text for the model.

    Args:
        stage: What was being done, as the end of "Something went wrong inside dm-memory while ...".
        brand: The brand it is about, if that is known.

    Raises:
        ToolError: In place of every error; of an unexpected one the text gives nothing away.
    """
    try:
        yield
    except (ToolError, MCPError):
        raise
    except DmMemoryError as error:
        raise ToolError(error_text(error, brand)) from None
    except Exception as error:  # noqa: BLE001  # the boundary: whatever it is, the model gets a sentence and the log its type
        if limit := limit_of_system(error):
            raise ToolError(error_text(limit, brand)) from None
        log_bug(error, stage)
        raise ToolError(
            f"Something went wrong inside dm-memory while {stage}; nothing that was stored is lost. "
            "Run `dm-memory doctor` to check this installation, then try again."
        ) from None
