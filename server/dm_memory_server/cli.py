"""The command line: the operations' arguments as options, the same core, the same reports."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dm_memory import __version__
from dm_memory.requests import Progress
from dm_memory_server.background_commands import hook_command, logs_command, serve_command
from dm_memory_server.commands import AsJson, Brand, Home, command_of, work_of
from dm_memory_server.connect.command import connect
from dm_memory_server.execute import Options, execute, guarded
from dm_memory_server.http.commands import tokens
from dm_memory_server.logs import log_to_stderr
from dm_memory_server.terminal import read_input, tolerate_any_text
from dm_memory_server.watch import storage_sync_command
from dm_memory_tools.forget_memory import FORGET_MEMORY
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
    context_settings={"help_option_names": ["-h", "--help"]},
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
app.command("forget")(command_of(FORGET_MEMORY))
app.add_typer(tokens, name="token")


# What memory knows, and setting it right -----------------------------------------------------------------------------


@app.command()
def correct(
    key: Annotated[str, typer.Argument(help="The entry's key.")],
    text: Annotated[str, typer.Argument(help="What it should say; - reads it from standard input.")],
    *,
    purge: Annotated[bool, typer.Option("--purge", help="Forget the old text instead of keeping it.")] = False,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Correct an entry; its old text is kept as a revision."""
    options = {"content": text, "replaces": key, "purge": purge, "brand": brand}
    return execute(work_of(PREPARE_STORE, options)[0], Options(home, as_json))


@app.command()
def allow(
    value: Annotated[str, typer.Argument(help="What the guard changes, as it is written; - reads standard input.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let the guard change it again.")] = False,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Let something stand that is masked or left out, such as the brand's public address."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import allow_report  # noqa: PLC0415  # each command imports its own

        text = read_input() if value == "-" else value
        return allow_report(await memory.allow(text, resolve_brand(memory, brand), undo=undo))

    return execute(work, Options(home, as_json))


@app.command()
def history(
    key: Annotated[str, typer.Argument(help="The entry's key.")],
    *,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Show what an entry said when, and what changed it."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import history_report  # noqa: PLC0415  # each command imports its own

        return history_report(await memory.history(key, resolve_brand(memory, brand)))

    return execute(work, Options(home, as_json))


@app.command()
def patterns(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most patterns.")] = 20,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Show what worked and what failed over campaigns, how often and where, and what contradicts itself."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import patterns_report  # noqa: PLC0415  # each command imports its own

        return patterns_report(await memory.patterns(resolve_brand(memory, brand), limit))

    return execute(work, Options(home, as_json))


@app.command()
def recall(*, home: Home = None, brand: Brand = None, as_json: AsJson = False) -> int:
    """Show what matters now: restrictions, the latest learnings, what worked and failed, what waits."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import recall_report  # noqa: PLC0415  # each command imports its own

        return recall_report(await memory.recall(resolve_brand(memory, brand)))

    return execute(work, Options(home, as_json))


# Files ---------------------------------------------------------------------------------------------------------------


@app.command("export")
def export_file(
    path: Annotated[Path, typer.Argument(help="The file to write; .md for Markdown.")],
    *,
    all_brands: Annotated[bool, typer.Option("--all", help="All brands.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown instead of JSON Lines.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; write nothing.")] = False,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Write a brand's memory, or that of all brands, to a file that people and dm-memory can read."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import export_report  # noqa: PLC0415  # each command imports its own

        slug = None if all_brands else resolve_brand(memory, brand)
        as_markdown = markdown or path.suffix.casefold() == ".md"
        result = await memory.export(
            path, slug, all_brands=all_brands, markdown=as_markdown, dry_run=dry_run, progress=progress
        )
        return export_report(result)

    return execute(work, Options(home, as_json))


@app.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(help="A file that dm-memory export wrote.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be stored.")] = False,
    home: Home = None,
    brand: Annotated[str | None, typer.Option("--brand", help="Into this brand; default: as the file says.")] = None,
    as_json: AsJson = False,
) -> int:
    """Store what an export contains; what is in memory already is not stored twice."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import import_report  # noqa: PLC0415  # each command imports its own

        return import_report(await memory.import_(path, brand, dry_run=dry_run, progress=progress))

    return execute(work, Options(home, as_json))


@app.command()
def backup(
    folder: Annotated[Path | None, typer.Argument(help="A new folder; default: one in memory/backups.")] = None,
    *,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Back a brand's memory up, while others write."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import backup_report  # noqa: PLC0415  # each command imports its own

        return backup_report(await memory.backup(folder, resolve_brand(memory, brand)))

    return execute(work, Options(home, as_json))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="The folder that dm-memory backup made.")],
    *,
    home: Home = None,
    brand: Brand = None,
    as_json: AsJson = False,
) -> int:
    """Put a backup back; what was there is backed up first, and connected services follow."""

    async def work(memory: Memory, progress: Progress) -> Report:
        from dm_memory.report import restore_report  # noqa: PLC0415  # each command imports its own

        return restore_report(await memory.restore(folder, resolve_brand(memory, brand), progress))

    return execute(work, Options(home, as_json))


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


app.command("serve")(serve_command())
app.command("hook")(hook_command)
app.command("logs")(logs_command)


app.command()(connect)


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
