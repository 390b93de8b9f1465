"""What the command line reads and writes: reports to standard output, progress and errors to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dm_memory.requests import Progress, no_progress

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["print_error", "print_report", "print_text", "progress_bar", "read_input", "tolerate_any_text"]

_JSON_BYTES = 60_000
"""Most bytes of ``--json`` unless more is asked for: what reads it is often a model."""


def tolerate_any_text() -> None:
    """Let a stream show what it can't encode as escapes: brand files contain characters that terminals lack."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def read_input() -> str:
    """Return the text on standard input, whatever its encoding: UTF-8, UTF-16 with a mark, or Windows-1252."""
    from dm_memory.brand.files import decode_text  # noqa: PLC0415  # not every command reads input

    return decode_text(sys.stdin.buffer.read())


def print_report(report: Report, *, as_json: bool, whole: bool = False) -> None:
    """Write a report: its data with ``as_json``, else its Markdown, rendered where a person looks at it.

    Long data is cut, and says so, unless it is wanted ``whole``.
    """
    if as_json:
        import orjson  # noqa: PLC0415  # not every command needs it

        from dm_memory.report.data import fitted  # noqa: PLC0415  # as above

        data = report.data if whole else fitted(report.data, _JSON_BYTES * 3 // 4, report.rest)
        print_text(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
    else:
        print_text(report.text)


def print_text(text: str) -> None:
    """Write Markdown, rendered on a terminal and as it is elsewhere. A reader that has gone away is no error."""
    try:
        if sys.stdout.isatty():
            _render(text)
        else:
            sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more at exit; there it would complain.
        _silence_stdout()
    except OSError as error:
        _silence_stdout()
        print_error(
            f"The report could not be written to standard output ({error.strerror}); memory itself is not concerned.",
            "Free some space or write it elsewhere, then run `dm-memory status`.",
        )


def _silence_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _render(text: str) -> None:
    from rich.console import Console  # noqa: PLC0415  # 0.2 s that only a terminal needs
    from rich.json import JSON  # noqa: PLC0415  # as above
    from rich.markdown import Markdown  # noqa: PLC0415  # as above

    Console().print(JSON(text, indent=2) if text.startswith("{") else Markdown(text))


def print_error(problem: str, remedy: str) -> None:
    """Write an error's two sentences."""
    sys.stderr.write(f"{problem}\n{remedy}\n")
    sys.stderr.flush()


@asynccontextmanager
async def progress_bar() -> AsyncIterator[Progress]:
    """Yield where to report progress: a bar where standard error is a terminal, nowhere else."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console  # noqa: PLC0415  # 0.2 s that only a terminal needs
    from rich.progress import Progress as Bar  # noqa: PLC0415  # as above

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=None)

        async def show(message: str, done: int, total: int) -> None:
            bar.update(task, description=message, completed=done, total=total or None)

        yield show
