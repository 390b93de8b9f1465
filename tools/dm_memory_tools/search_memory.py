"""``search_memory``: ask a brand's memory by meaning and by words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dm_memory.items import ContentType, Priority
from dm_memory.search.results import Mode, SearchRequest
from dm_memory_tools.arguments import (
    Arguments,
    ContentTypeName,
    Option,
    Period,
    PriorityName,
    Tags,
    choices,
    request_of,
    spelled,
)
from dm_memory_tools.operation import Call, Operation

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["SEARCH_MEMORY", "SearchArguments"]


class SearchArguments(Arguments):
    """The arguments of a search; each is the field of that name in ``SearchRequest``."""

    query: Annotated[str, Field(description='Question or keywords; "quoted": exact'), Option(positional=True)] = ""
    content_type: Annotated[ContentTypeName | None, choices(ContentType), Field(description="Only this type")] = None
    tags: Annotated[Tags, Field(description="All must match"), Option(("--tag",))] = ()
    from_date: Annotated[Period, Field(description="A day or words: 2026-03-31, last 90 days, Q4 2025")] = ""
    to_date: Annotated[Period, Field(description="As from_date, inclusive")] = ""
    limit: Annotated[int, Field(ge=1, le=100, description="Most results")] = 10
    mode: Annotated[
        Mode, spelled(Mode), choices(Mode), Field(description="Meaning and words, meaning, or exact words")
    ] = Mode.HYBRID
    as_of: Annotated[Period, Field(description="A day: what was in force then")] = ""
    min_priority: Annotated[PriorityName, Field(description="Leave lower ones out")] = Priority.LOW
    include_expired: Annotated[bool, Field(description="Expired ones too")] = False
    include_retired: Annotated[
        bool | None,
        Field(description="true: guidelines too; false: none"),
        Option(("--include-retired/--no-retired",)),
    ] = None
    history_of: Annotated[str, Field(description="A key: what that entry said when")] = ""
    explain: Annotated[bool, Field(description="Why each hit is there")] = False
    author: Annotated[str, Field(description="Author")] = ""


async def _run(call: Call, arguments: SearchArguments) -> Report:
    from dm_memory.report import Reader, search_report  # noqa: PLC0415  # start-up imports only what tools/list needs

    result = await call.memory.search(request_of(SearchRequest, arguments, call.brand))
    return search_report(result, reader=Reader(call.door))


SEARCH_MEMORY = Operation(
    name="search_memory",
    title="Search brand memory",
    description="Find what a brand's memory knows, before planning or writing.",
    help="Find what memory knows about a question.",
    doing="searching the memory",
    arguments=SearchArguments,
    run=_run,
    read_only=True,
)
