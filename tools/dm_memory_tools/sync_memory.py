"""``sync_memory``: brand files and session learnings into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dm_memory.requests import Scope, SyncRequest
from dm_memory_tools.arguments import (
    Arguments,
    ContentTypeOrAuto,
    Entries,
    Learnings,
    Option,
    ReportItems,
    ScopeName,
    Tags,
    request_of,
)
from dm_memory_tools.operation import Call, Operation

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["SYNC_MEMORY", "SyncArguments"]


class SyncArguments(Arguments):
    """The arguments of a sync; each is the field of that name in ``SyncRequest``."""

    scope: Annotated[ScopeName, Field(description="What to read")] = Scope.ALL
    force: Annotated[bool, Field(description="Store all again")] = False
    dry_run: Annotated[bool, Field(description="Plan only")] = False
    content_type: Annotated[ContentTypeOrAuto, Field(description="Type of all in scope; auto: detect")] = ""
    tags: Annotated[Tags, Field(description="Tags for what is stored"), Option(("--tag",))] = ()
    retag: Annotated[bool, Field(description="Tag everything in scope")] = False
    untag: Annotated[Tags, Field(description="Tags to take off everything in scope")] = ()
    exclude: Annotated[
        Entries,
        Field(description="Skip: a word, type:X, status:X, source:X, tag:X, or a glob (*draft*)"),
    ] = ()
    retire: Annotated[bool, Field(description="Confirm retiring, if the report asks")] = False
    session_learnings: Annotated[
        Learnings,
        Field(description="What this session taught: a sentence each, with figures; no secrets"),
        Option(("--learning",), from_input="lines"),
    ] = ()
    report_items: ReportItems = 0


async def _run(call: Call, arguments: SyncArguments) -> Report:
    from dm_memory.report import Reader, sync_report  # noqa: PLC0415  # start-up imports only what tools/list needs
    from dm_memory.report.parts import TEXT_BYTES  # noqa: PLC0415  # as above

    learnings = tuple(learning.to_core() for learning in arguments.session_learnings)
    request = request_of(SyncRequest, arguments, call.brand, session_learnings=learnings, author=call.author)
    result = await call.memory.sync(request, progress=call.progress)
    return sync_report(
        result,
        list_limit=arguments.report_items or call.memory.settings.report_items,
        reader=Reader(call.door),
        max_bytes=None if arguments.report_items else TEXT_BYTES,
    )


SYNC_MEMORY = Operation(
    name="sync_memory",
    title="Sync brand memory",
    description=(
        "Save a brand's insights, campaigns, performance, guidelines and this session's learnings to memory. "
        "Stores only what is new or changed. Call it once at the end of a session; show the report."
    ),
    help="Save a brand's files and learnings to memory.",
    doing="syncing the brand",
    arguments=SyncArguments,
    run=_run,
    destructive=True,  # a changed text takes the place of the old one, which becomes a revision
)
