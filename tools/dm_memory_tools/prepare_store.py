"""``prepare_store``: one thing to remember, kept at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dm_memory.items import ContentType, Priority, Source
from dm_memory.requests import PrepareRequest
from dm_memory_tools.arguments import (
    Arguments,
    ContentTypeName,
    Moment,
    Option,
    PriorityName,
    SourceName,
    Tags,
    choices,
    request_of,
)
from dm_memory_tools.operation import Call, Operation

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["PREPARE_STORE", "PrepareArguments"]


class PrepareArguments(Arguments):
    """The arguments of one payload; each is the field of that name in ``PrepareRequest``."""

    content: Annotated[str, Field(min_length=1, description="The text"), Option(positional=True, from_input="text")]
    content_type: Annotated[ContentTypeName | None, choices(ContentType), Field(description="What it is")] = None
    tags: Annotated[Tags, Field(description="Tags to add"), Option(("--tag",))] = ()
    source: Annotated[SourceName, Field(description="Who hands it in")] = Source.SESSION
    priority: Annotated[PriorityName, Field(description="How much it matters")] = Priority.NORMAL
    expires_at: Annotated[Moment, Field(description="ISO-8601")] = ""
    related: Annotated[Tags, Field(description="Keys of related entries")] = ()
    replaces: Annotated[str, Field(description="Key of the entry it corrects")] = ""
    purge: Annotated[bool, Field(description="Forget the corrected text for good")] = False


async def _run(call: Call, arguments: PrepareArguments) -> Report:
    from dm_memory.report import Reader, prepare_report  # noqa: PLC0415  # start-up imports only what tools/list needs

    result = await call.memory.prepare(request_of(PrepareRequest, arguments, call.brand, author=call.author))
    return prepare_report(result, reader=Reader(call.door))


PREPARE_STORE = Operation(
    name="prepare_store",
    title="Keep in memory",
    description="Keep one text in memory at once, or correct an entry.",
    help="Keep one text in memory at once.",
    doing="preparing the text",
    arguments=PrepareArguments,
    run=_run,
    destructive=True,  # purge
)
