"""The command line: the operations' arguments as options, the same core, the same reports."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dm_memory import __version__
from dm_memory.requests import Progress
from dm_memory_server.commands import AsJson, Brand, Home, command_of
from dm_memory_server.execute import Options, execute, guarded
from dm_memory_server.logs import log_to_stderr
from dm_memory_server.terminal import tolerate_any_text
from dm_memory_server.watch import storage_sync_command
from dm_memory_tools.get_memory_status import GET_MEMORY_STATUS
from dm_memory_tools.prepare_store import PREPARE_STORE
from dm_memory_tools.runtime import resolve_brand
from dm_memory_tools.search_memory import SEARCH_MEMORY
from dm_memory_tools.sync_memory import SYNC_MEMORY

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report
    from dm_memory.services.connect import VectorChoice

__all__ = ["app", "run"]

app = typer.Typer(
    name="dm-memory",
    help="Keeps what a marketing team learns. Exit codes: 0 all stored, 1 some failed, 2 nothing could be done.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def run(arguments: Sequence[str]) -> int:
    """Run a command; return its exit code. Never raises."""
    tolerate_any_text()
    log_to_stderr()
    return guarded(lambda: _dispatch(arguments))


def _dispatch(arguments: Sequence[str]) -> int:
    try:
        app(args=list(arguments), prog_name="dm-memory")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _exit_with(code: int | None, **_: object) -> None:
    """Make what a command returns the exit code."""
    raise typer.Exit(code or 0)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dm-memory {__version__}")
        raise typer.Exit


@app.callback(result_callback=_exit_with)
def main_options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Keeps what a marketing team learns.

    Exit codes: 0 all stored, 1 some failed, 2 nothing could be done.
    """


app.command("sync")(command_of(SYNC_MEMORY))
app.command("status")(command_of(GET_MEMORY_STATUS))
app.command("prepare")(command_of(PREPARE_STORE))
app.command("search")(command_of(SEARCH_MEMORY))
app.command("storage-sync")(storage_sync_command())


# Rare work that a person starts, so it is no tool of the server -------------------------------------------------------


@app.command()
def init(name: Annotated[str, typer.Argument(help="The brand's name.")], *, home: Home = None) -> int:
    """Make a minimal brand and make it active, for people without the marketing plugin."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import Report  # noqa: PLC0415  # each command imports its own

        slug = await memory.init(name)
        text = f'The brand `{slug}` is ready and active. Next: `dm-memory sync --learning "What you learned."`\n'
        return Report(text, {"kind": "init", "brand": slug})

    return execute(work, Options(home, as_json=False))


@app.command()
def verify(
    *,
    home: Home = None,
    brand: Brand = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what differs.")] = False,
    as_json: AsJson = False,
) -> int:
    """Compare memory with itself and with every connected service; report what is missing, differs or is unknown."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import verify_report  # noqa: PLC0415  # each command imports its own

        return verify_report(await memory.verify(resolve_brand(memory, brand), repair=repair, progress=progress))

    return execute(work, Options(home, as_json))


class Target(StrEnum):
    """The vector databases there are."""

    EMBEDDED = "embedded"
    QDRANT = "qdrant"
    PINECONE = "pinecone"


_CHOICES: dict[Target, VectorChoice] = {Target.QDRANT: "qdrant", Target.PINECONE: "pinecone"}


@app.command()
def migrate(
    *,
    to: Annotated[Target, typer.Option("--to", help="The vector database to fill.")],
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Fill another vector database from memory alone; stopped, it resumes where it was."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import Report, migrate_report  # noqa: PLC0415  # each command imports its own

        slug = resolve_brand(memory, brand)
        if to is Target.EMBEDDED:
            text = "Nothing has to be moved: everything is in memory already. Unset the other database, then sync.\n"
            return Report(text, {"kind": "migrate", "brand": slug, "target": to.value, "complete": True})
        return migrate_report(await memory.migrate(_CHOICES[to], slug, progress=progress))

    return execute(work, Options(home, as_json))


@app.command()
def serve(
    *,
    transport: Annotated[str, typer.Option("--transport", help="stdio")] = "stdio",
    home: Home = None,
    brand: Annotated[str | None, typer.Option("--brand", help="The brand to use where a call names none.")] = None,
) -> int:
    """Serve the tools over MCP; an assistant starts this."""
    from dm_memory_server.serve import serve as serve_stdio  # noqa: PLC0415  # the other commands need no MCP

    options = ["--transport", transport, "--home", str(home or ""), "--brand", brand or ""]
    return serve_stdio(options)


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary home and print where it is.")] = False,
) -> int:
    """Show the main job on a sample brand, in a temporary folder."""
    from dm_memory_server.demo import run_demo  # noqa: PLC0415  # the other commands do not need it

    return run_demo(keep=keep)


@app.command()
def doctor(*, home: Home = None, as_json: AsJson = False) -> int:
    """Check the home, the files, the services and the configuration; say what to fix."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import doctor_report  # noqa: PLC0415  # each command imports its own

        return doctor_report(await memory.doctor())

    return execute(work, Options(home, as_json))
