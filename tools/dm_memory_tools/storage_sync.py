"""``storage_sync``: bring the local cache up to date with the durable store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dm_memory_tools.arguments import Arguments, Option, request_of
from dm_memory_tools.operation import Call, Operation

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["STORAGE_SYNC", "StorageArguments"]


class StorageArguments(Arguments):
    """The arguments of a storage sync; each is the field of that name in ``StorageSyncRequest``."""

    max_episodes_cache: Annotated[int, Field(ge=1, description="Newest kept")] = 1000
    batch_size: Annotated[int, Field(ge=1, le=1000, description="Rows a page")] = 100
    sync_patterns: Annotated[bool, Field(description="Cache patterns"), Option(("--patterns/--no-patterns",))] = True
    sync_embeddings: Annotated[bool, Field(description="Cache vectors"), Option(("--embeddings/--no-embeddings",))] = (
        True
    )
    full: Annotated[bool, Field(description="Reread all")] = False
    dry_run: Annotated[bool, Field(description="Plan only")] = False
    validate_only: Annotated[bool, Field(description="Check only")] = False
    repair: Annotated[bool, Field(description="Repair too")] = False


async def _run(call: Call, arguments: StorageArguments) -> Report:
    from dm_memory.cache.results import StorageSyncRequest  # noqa: PLC0415  # start-up imports only what it needs
    from dm_memory.report import Reader, storage_report  # noqa: PLC0415  # as above

    result = await call.memory.storage_sync(request_of(StorageSyncRequest, arguments, call.brand), call.progress)
    return storage_report(result, call.interval_of(result.brand), reader=Reader(call.door))


STORAGE_SYNC = Operation(
    name="storage_sync",
    title="Sync cache",
    description="Refresh the local cache of the durable store.",
    help="Bring the local cache up to date with the durable store, which syncs fill.",
    doing="bringing the cache up to date with the durable store",
    arguments=StorageArguments,
    run=_run,
    destructive=True,  # rows of the cache are replaced and evicted
)
