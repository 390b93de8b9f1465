"""``dm-memory storage-sync``: the durable store to the local cache, once or again and again."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dm_memory_server.commands import with_options, work_of
from dm_memory_server.execute import INTERRUPTED, Options, execute, guarded
from dm_memory_tools.storage_sync import STORAGE_SYNC

__all__ = ["storage_sync_command"]

_Watch = Annotated[float | None, typer.Option("--watch", min=1, max=86_400, help="Run again every so many seconds.")]


def storage_sync_command() -> Callable[..., int]:
    """Return the command, for typer."""

    def storage_sync(*, home: Path | None, as_json: bool, watch: float | None, **given: Any) -> int:  # noqa: ANN401  # options of many types
        options = Options(home, as_json)
        work, _ = work_of(STORAGE_SYNC, given, every=watch)
        return execute(work, options) if watch is None else _again_and_again(lambda: execute(work, options), watch)

    watching = inspect.Parameter("watch", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Watch)
    return with_options(storage_sync, STORAGE_SYNC, [watching])


def _again_and_again(run: Callable[[], int], seconds: float) -> int:
    """Run until Ctrl-C; problems are printed by each run and tried again by the next."""

    def forever() -> int:
        while run() != INTERRUPTED:
            time.sleep(seconds)
        return INTERRUPTED

    return guarded(forever)
