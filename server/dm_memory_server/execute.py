"""Runs one piece of work over the core for the command line and turns its end into an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dm_memory.errors import DmMemoryError, limit_of_system
from dm_memory.requests import Progress
from dm_memory_server.terminal import print_error, print_report, progress_bar
from dm_memory_tools.bugs import log_bug
from dm_memory_tools.runtime import open_memory

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["INTERRUPTED", "Options", "Work", "execute", "guarded"]

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

_NOTHING_DONE = 2

Work = Callable[["Memory", Progress], Awaitable["Report"]]


@dataclass(frozen=True, slots=True)
class Options:
    """What every command takes. ``whole``: print all data, however long."""

    home: Path | None
    as_json: bool
    whole: bool = False


def execute(work: Work, options: Options) -> int:
    """Open the core, run ``work``, print its report; return 0, 1 or 2 as the report says, 130 when interrupted."""

    async def run() -> Report:
        memory = open_memory(home=options.home)
        try:
            async with progress_bar() as progress:
                return await work(memory, progress)
        finally:
            await memory.close()

    def printed() -> int:
        report = asyncio.run(run())
        # Not in there: asyncio makes Ctrl-C a cancellation, which is lost on a task that awaits nothing any more.
        print_report(report, as_json=options.as_json, whole=options.whole)
        return report.exit_code

    return guarded(printed, as_json=options.as_json)


def guarded(run: Callable[[], int], *, as_json: bool = False) -> int:
    """Return the code of ``run``; in place of an exception print two sentences and return the code that fits."""
    try:
        return run()
    except KeyboardInterrupt:
        print_error("Stopped.", "What was stored so far is recorded; the next sync resumes there.")
        return INTERRUPTED
    except DmMemoryError as error:
        return _explain(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001  # the boundary: the user gets sentences, the log gets the type
        if limit := limit_of_system(error):
            return _explain(limit, as_json=as_json)
        log_bug(error, "running the command")
        print_error("Something went wrong inside dm-memory.", "Run `dm-memory doctor` to check this installation.")
        return _NOTHING_DONE


def _explain(error: DmMemoryError, *, as_json: bool) -> int:
    if as_json:
        from dm_memory.report import error_report  # noqa: PLC0415  # only when something went wrong

        print_report(error_report(error), as_json=True)
    print_error(error.problem, error.remedy)
    return _NOTHING_DONE
