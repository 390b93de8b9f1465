"""The command line: the tools' arguments as options, the same core, the same reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dm_memory import __version__
from dm_memory.items import ContentType, Priority, Source
from dm_memory.requests import Progress, Scope
from dm_memory_server.execute import Options, execute, guarded
from dm_memory_server.logs import log_to_stderr
from dm_memory_server.storage_command import storage_sync
from dm_memory_server.terminal import tolerate_any_text
from dm_memory_server.upkeep_commands import migrate, verify
from dm_memory_tools.arguments import prepare_request, search_request, sync_request
from dm_memory_tools.runtime import resolve_brand

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["app", "run"]

app = typer.Typer(
    name="dm-memory",
    help="Keeps what a marketing team learns. Exit codes: 0 all stored, 1 some failed, 2 nothing could be done.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Home = Annotated[Path | None, typer.Option("--home", metavar="DIR", help="The folder that holds the brands.")]
Brand = Annotated[str | None, typer.Option("--brand", help="The brand's slug; default: the active brand.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print data instead of the report.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Most items listed per section.")]
TagList = Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")]
ContentTypeOption = Annotated[ContentType | None, typer.Option("--content-type")]


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


@app.command()
def sync(
    *,
    home: Home = None,
    brand: Brand = None,
    scope: Annotated[Scope, typer.Option("--scope", help="Which files to read.")] = Scope.ALL,
    force: Annotated[bool, typer.Option("--force", help="Store everything again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan; write nothing.")] = False,
    content_type: ContentTypeOption = None,
    tag: TagList = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="type:X, status:X, source:X, tag:X or a glob; may be repeated."),
    ] = None,
    learning: Annotated[
        list[str] | None, typer.Option("--learning", help="A session learning; - reads one a line; may be repeated.")
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> int:
    """Save a brand's files and learnings to memory."""
    learnings = [text for given in learning or [] for text in (_lines() if given == "-" else [given])]

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import sync_report  # noqa: PLC0415  # each command imports its own

        request = sync_request(
            brand=resolve_brand(memory, brand),
            scope=scope,
            force=force,
            dry_run=dry_run,
            content_type=content_type,
            tags=tag or (),
            exclude=exclude or (),
            session_learnings=learnings,
        )
        result = await memory.sync(request, progress=progress)
        return sync_report(result, list_limit=memory.settings.report_items)

    return execute(work, Options(home, as_json, limit))


def _lines() -> list[str]:
    return [line.strip() for line in sys.stdin if line.strip()]


@app.command()
def status(*, home: Home = None, brand: Brand = None, limit: Limit = None, as_json: AsJson = False) -> int:
    """Show what is in memory and whether it is well."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import status_report  # noqa: PLC0415  # each command imports its own

        result = await memory.status(resolve_brand(memory, brand))
        return status_report(result, list_limit=memory.settings.report_items)

    return execute(work, Options(home, as_json, limit))


@app.command()
def prepare(
    content: Annotated[str, typer.Argument(help="The text to remember; - reads it from standard input.")],
    *,
    content_type: Annotated[ContentType, typer.Option("--content-type")],
    home: Home = None,
    brand: Brand = None,
    tag: TagList = None,
    source: Annotated[Source, typer.Option("--source")] = Source.SESSION,
    priority: Annotated[Priority, typer.Option("--priority")] = Priority.NORMAL,
    expires_at: Annotated[str | None, typer.Option("--expires-at", help="ISO-8601; default: never.")] = None,
    related: Annotated[list[str] | None, typer.Option("--related", help="A key or hash; may be repeated.")] = None,
    as_json: AsJson = False,
) -> int:
    """Keep one text; the next sync stores it."""
    text = sys.stdin.read() if content == "-" else content

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import prepare_report  # noqa: PLC0415  # each command imports its own

        request = prepare_request(
            content=text,
            content_type=content_type,
            tags=tag or (),
            source=source,
            brand=resolve_brand(memory, brand),
            priority=priority,
            expires_at=expires_at,
            related=related or (),
        )
        return prepare_report(await memory.prepare(request))

    return execute(work, Options(home, as_json))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A question or keywords.")],
    *,
    home: Home = None,
    brand: Brand = None,
    content_type: ContentTypeOption = None,
    tag: TagList = None,
    from_date: Annotated[str | None, typer.Option("--from-date", help="YYYY-MM-DD, inclusive.")] = None,
    to_date: Annotated[str | None, typer.Option("--to-date", help="YYYY-MM-DD, inclusive.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Most results.")] = 10,
    as_json: AsJson = False,
) -> int:
    """Find what memory holds on a question."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import search_report  # noqa: PLC0415  # each command imports its own

        request = search_request(
            query=query,
            brand=resolve_brand(memory, brand),
            content_type=content_type,
            tags=tag or (),
            from_date=from_date,
            to_date=to_date,
            limit=limit,
        )
        return search_report(await memory.search(request))

    return execute(work, Options(home, as_json))


app.command("storage-sync")(storage_sync)
app.command("verify")(verify)
app.command("migrate")(migrate)


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
    """Check the home, the files, the engines and the configuration; say what to fix."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import doctor_report  # noqa: PLC0415  # each command imports its own

        return doctor_report(await memory.doctor())

    return execute(work, Options(home, as_json))
