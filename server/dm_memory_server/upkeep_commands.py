"""``dm-memory verify`` and ``dm-memory migrate``: rare work that a person starts, so it is no tool of the server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dm_memory.requests import Progress
from dm_memory_server.execute import Options, execute
from dm_memory_tools.runtime import resolve_brand

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["migrate", "verify"]

_Home = Annotated[Path | None, typer.Option("--home", metavar="DIR", help="The folder that holds the brands.")]
_Brand = Annotated[str | None, typer.Option("--brand", help="The brand's slug; default: the active brand.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print data instead of the report.")]


class Target(StrEnum):
    """The vector databases there are."""

    EMBEDDED = "embedded"
    QDRANT = "qdrant"
    PINECONE = "pinecone"


def verify(
    *,
    home: _Home = None,
    brand: _Brand = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    as_json: _AsJson = False,
) -> int:
    """Compare what should be in every layer with what is; say what is missing, stale or unknown."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import verify_report  # noqa: PLC0415  # each command imports its own

        return verify_report(await memory.verify(resolve_brand(memory, brand), repair=repair, progress=progress))

    return execute(work, Options(home, as_json))


def migrate(
    *,
    to: Annotated[Target, typer.Option("--to", help="The vector database to fill.")],
    home: _Home = None,
    brand: _Brand = None,
    as_json: _AsJson = False,
) -> int:
    """Fill another vector database from the durable store alone; stopped, it goes on where it was."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import migrate_report  # noqa: PLC0415  # each command imports its own

        return migrate_report(await memory.migrate(to.value, resolve_brand(memory, brand), progress=progress))

    return execute(work, Options(home, as_json))
