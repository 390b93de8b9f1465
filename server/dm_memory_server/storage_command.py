"""``dm-memory storage-sync``: the durable store to the local cache, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dm_memory.requests import Progress
from dm_memory_server.execute import INTERRUPTED, Options, execute, guarded
from dm_memory_tools.runtime import resolve_brand

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["storage_sync"]


def storage_sync(
    *,
    home: Annotated[
        Path | None, typer.Option("--home", metavar="DIR", help="The folder that holds the brands.")
    ] = None,
    brand: Annotated[str | None, typer.Option("--brand", help="The brand's slug; default: the active brand.")] = None,
    max_episodes_cache: Annotated[
        int, typer.Option("--max-episodes-cache", min=1, help="How many of the newest episodes to keep.")
    ] = 1000,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=1000, help="Rows of a page.")] = 100,
    patterns: Annotated[bool, typer.Option("--patterns/--no-patterns", help="Cache patterns.")] = True,
    embeddings: Annotated[bool, typer.Option("--embeddings/--no-embeddings", help="Cache vectors.")] = True,
    full: Annotated[bool, typer.Option("--full", help="Read everything again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan; write nothing.")] = False,
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Only compare cache and store.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Check, and mend what the check finds.")] = False,
    watch: Annotated[
        float | None, typer.Option("--watch", min=1, max=86_400, help="Run again every so many seconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of the report.")] = False,
) -> int:
    """Bring the local cache up to the durable store, which syncs fill, on this machine and others."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.cache.results import StorageSyncRequest  # noqa: PLC0415  # as above
        from dm_memory.report import storage_report  # noqa: PLC0415  # each command imports its own

        request = StorageSyncRequest(
            brand=resolve_brand(memory, brand),
            max_episodes_cache=max_episodes_cache,
            batch_size=batch_size,
            sync_patterns=patterns,
            sync_embeddings=embeddings,
            full=full,
            dry_run=dry_run,
            validate_only=validate_only,
            repair=repair,
        )
        return storage_report(await memory.storage_sync(request, progress), interval=watch)

    options = Options(home, as_json)
    return execute(work, options) if watch is None else _again_and_again(lambda: execute(work, options), watch)


def _again_and_again(run: Callable[[], int], seconds: float) -> int:
    """Run until Ctrl-C; trouble is printed by each run and tried again by the next."""

    def forever() -> int:
        while run() != INTERRUPTED:
            time.sleep(seconds)
        return INTERRUPTED

    return guarded(forever)
