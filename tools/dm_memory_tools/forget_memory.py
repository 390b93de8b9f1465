"""``forget_memory``: a preview of what would be deleted for good, the deletion with its proof, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dm_memory.requests import ForgetRequest
from dm_memory_tools.arguments import Arguments, Entries, Option, Period, request_of
from dm_memory_tools.operation import Call, Operation

if TYPE_CHECKING:
    from dm_memory.report.model import Report

__all__ = ["FORGET_MEMORY", "ForgetArguments"]


class ForgetArguments(Arguments):
    """What to forget; each is the field of that name in ``ForgetRequest``."""

    query: Annotated[str, Field(description='All these words, or a "phrase"'), Option(positional=True)] = ""
    keys: Annotated[Entries, Field(description="Their keys"), Option(("--key",))] = ()
    campaign: Annotated[str, Field(description="A campaign's id or name")] = ""
    tag: Annotated[str, Field(description="Their tag")] = ""
    author: Annotated[str, Field(description="Author")] = ""
    before: Annotated[Period, Field(description="Only older than this day")] = ""
    retired: Annotated[bool, Field(description="Only retired ones")] = False
    dry_run: Annotated[bool, Field(description="false: delete; needs the token"), Option(("--dry-run/--delete",))] = (
        True
    )
    token: Annotated[str, Field(description="Of the preview")] = ""
    restore: Annotated[Entries, Field(description="Keys or texts to allow again"), Option(("--restore",))] = ()


async def _run(call: Call, arguments: ForgetArguments) -> Report:
    from dm_memory.report import Reader, forget_report  # noqa: PLC0415  # start-up imports only what tools/list needs

    result = await call.memory.forget(request_of(ForgetRequest, arguments, call.brand), call.progress)
    return forget_report(result, reader=Reader(call.door))


FORGET_MEMORY = Operation(
    name="forget_memory",
    title="Forget",
    description=(
        "Delete texts for good, everywhere. First a preview: show it and ask. Then dry_run=false with its token."
    ),
    help="Delete texts for good: first a preview, then with --delete and its --token.",
    doing="forgetting",
    arguments=ForgetArguments,
    run=_run,
    destructive=True,
)
