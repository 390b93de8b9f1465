"""The command ``connect``: what it reads from the command line, and what it says."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dm_memory_server.commands import Home
from dm_memory_server.terminal import print_text

if TYPE_CHECKING:
    from dm_memory_server.connect.clients import Client, Computer
    from dm_memory_server.connect.launch import Launch
    from dm_memory_server.connect.settings_file import Change, SettingsFile

__all__ = ["connect"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
"""What every client takes as the name of a server: some put it into names of tools, which have 64 characters."""


def connect(
    client: Annotated[str, typer.Argument(help="The client; without one, those there are are listed.")] = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the file, the entry and the change.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the entry out.")] = False,
    scope: Annotated[
        Literal["user", "project"], typer.Option("--scope", help="Your own settings, or those of the current folder.")
    ] = "user",
    name: Annotated[str, typer.Option("--name", help="The server's name in the client.")] = "dm-memory",
    home: Home = None,
    brand: Annotated[str | None, typer.Option("--brand", help="The brand to use where a call names none.")] = None,
    only_brand: Annotated[str | None, typer.Option("--only-brand", help="The one brand to answer for.")] = None,
) -> int:
    """Write the entry of this server into a client's settings: Claude Code, Codex, Gemini CLI, VS Code and others."""
    from dm_memory.errors import InputError  # noqa: PLC0415  # each command imports its own
    from dm_memory_server.connect.clients import CLIENTS, Computer, client_named  # noqa: PLC0415  # as above
    from dm_memory_server.connect.settings_file import SettingsFile, UnusableFileError  # noqa: PLC0415  # as above

    computer = Computer.here()
    if not _NAME.fullmatch(name):
        raise InputError("The name can't be used.", "Take up to 32 letters, digits, - and _ (ASCII).")
    if not client:
        print_text(_listed(computer, name))
        return 0
    chosen = client_named(client)
    if chosen is None:
        raise InputError(f"No client is called {client!r}.", f"There are: {', '.join(each.name for each in CLIENTS)}.")
    if scope == "project" and not chosen.project:
        raise InputError(f"{chosen.title} has no settings for a project.", "Leave --scope out.")
    path = computer.project / chosen.project if scope == "project" else chosen.path(computer)
    file = SettingsFile(path, chosen.dialect, (*chosen.table, name))
    if remove:
        return _remove(chosen, file, dry_run=dry_run)
    launch = _launch(home, brand, only_brand)
    try:
        return _connect(chosen, file, launch, dry_run=dry_run, in_project=scope == "project")
    except UnusableFileError:
        print_text(f"The entry for `{file.path}`:\n\n{_block(chosen, file, launch)}")
        raise


def _launch(home: Path | None, brand: str | None, only_brand: str | None) -> Launch:
    """Return the command for a client; what this shell's variables choose is written into it, as no client has them."""
    from dm_memory_server.connect.launch import launch_of_this_installation  # noqa: PLC0415  # as above
    from dm_memory_tools.runtime import load_settings  # noqa: PLC0415  # as above

    settings = load_settings(home=home, brand=brand, only_brand=only_brand)
    options: list[str] = []
    if "home" in settings.model_fields_set:
        options += ["--home", os.path.abspath(settings.home.expanduser())]  # noqa: PTH100  # a link stays one
    if settings.brand:
        options += ["--brand", settings.brand]
    if settings.only_brand:
        options += ["--only-brand", settings.only_brand]
    return launch_of_this_installation(options)


def _connect(client: Client, file: SettingsFile, launch: Launch, *, dry_run: bool, in_project: bool) -> int:
    from dm_memory_server.connect.launch import make_sure_it_starts  # noqa: PLC0415  # as above

    entry = client.entry(launch)
    change = file.with_entry(entry)
    if dry_run:
        print_text(_preview(client, file, launch, change))
        return 0
    if change.is_needed:
        existed = file.path.exists()
        make_sure_it_starts(launch)
        change = file.write(lambda: file.with_entry(entry))
        done = f"{client.title} is connected." if change.was is None else f"{client.title}'s entry is up to date again."
        copy = f" What it was is in `{file.backup}`." if existed else ""
        text = f"{done}\n\n- Written: `{file.path}`.{copy}\n"
    else:
        text = f"{client.title} is already connected; nothing was written.\n\n- File: `{file.path}`\n"
    text += f"- It starts: `{' '.join((launch.command, *launch.arguments))}`\n- {client.after}\n"
    print_text(text + _advice(client, launch, in_project=in_project))
    return 0


def _remove(client: Client, file: SettingsFile, *, dry_run: bool) -> int:
    change = file.without_entry()
    if not change.is_needed:
        print_text(f"{client.title} is not connected: `{file.path}` has no entry `{file.place[-1]}`.")
    elif dry_run:
        print_text(f"Nothing was written. `{file.path}` would change so:\n\n{_difference(change, '')}")
    else:
        file.write(file.without_entry)
        print_text(f"{client.title} is no longer connected.\n\n- `{file.path}`; what it was is in `{file.backup}`.")
    return 0


# What it says --------------------------------------------------------------------------------------------------------


def _listed(computer: Computer, name: str) -> str:
    from dm_memory_server.connect.clients import CLIENTS  # noqa: PLC0415  # each command imports its own

    rows = "".join(_row(client, computer, name) for client in CLIENTS)
    return (
        "# Clients\n\n| client | found here | connected | its settings |\n|---|---|---|---|\n"
        f"{rows}\nConnect one: `dm-memory connect CLIENT`. Look first: `--dry-run`. Undo: `--remove`.\n"
    )


def _row(client: Client, computer: Computer, name: str) -> str:
    from dm_memory_server.connect.settings_file import SettingsFile, UnusableFileError  # noqa: PLC0415  # as above

    path = client.path(computer)
    try:
        entry = SettingsFile(path, client.dialect, (*client.table, name)).entry()
        connected = "no" if entry is None else "off" if _is_off(entry) else "yes"
    except UnusableFileError:
        connected = "the file can't be read"
    found = "yes" if client.is_found(computer) else "no"
    return f"| `{client.name}` | {found} | {connected} | `{path}` |\n"


def _is_off(entry: object) -> bool:
    return isinstance(entry, dict) and (entry.get("disabled") is True or entry.get("enabled") is False)


def _preview(client: Client, file: SettingsFile, launch: Launch, change: Change) -> str:
    block = _block(client, file, launch)
    if not change.is_needed:
        return f"{client.title} is already connected.\n\n- File: `{file.path}`\n\nThe entry:\n\n{block}"
    text = f"Nothing was written.\n\n- File: `{file.path}`\n\nThe entry:\n\n{block}"
    return f"{text}\nThe change:\n\n{_difference(change, block)}{_advice(client, launch)}"


def _block(client: Client, file: SettingsFile, launch: Launch) -> str:
    from dm_memory_server.connect import jsonc, toml_table  # noqa: PLC0415  # as above

    entry = client.entry(launch)
    if client.dialect == "toml":
        return f"```toml\n{toml_table.render(file.place, entry)}```\n"
    return f"```json\n{jsonc.assign('', file.place, entry)}```\n"


def _difference(change: Change, block: str) -> str:
    """Return the changed lines; values on lines that are not ours are hidden: settings contain keys."""
    ours = {_bare(line) for line in block.splitlines()}
    before, after = change.before.splitlines(), change.after.splitlines()
    lines = list(difflib.unified_diff(before, after, "before", "after", n=1, lineterm=""))
    shown = [line if number < 2 or _bare(line[1:]) in ours else _hidden(line) for number, line in enumerate(lines)]  # noqa: PLR2004  # the two lines of its head
    return "```diff\n" + "\n".join(shown) + "\n```\n"


def _bare(line: str) -> str:
    return line.strip().removesuffix(",")


def _hidden(line: str) -> str:
    if line.startswith("@@"):
        return line
    line = re.sub(r"""([:=\[,]\s*)("(?:[^"\\]|\\.)*"|'[^']*')(?!\s*[:=])""", r'\1"…"', line)
    return re.sub(r"(//|#|/\*).*", r"\1 …", line)


def _advice(client: Client, launch: Launch, *, in_project: bool = False) -> str:
    lines = [*launch.notes, f"Environment variables: {client.variables} Keys are never written by this command."]
    if names := _variables_here():
        lines.append(f"Set in this shell, and perhaps needed there: {', '.join(names)}.")
    if in_project:
        lines.append("The file contains paths of this computer: it is of no use to others who share the project.")
    return "".join(f"- {line}\n" for line in lines)


def _variables_here() -> Sequence[str]:
    """Return the names of what is set here and concerns the server: its settings, proxies, certificates."""
    ours = re.compile(
        r"DM_MEMORY_\w+|QDRANT_\w+|PINECONE_\w+|TURSO_\w+|SUPERMEMORY_\w+|NEO4J_\w+|FALKORDB_\w+|COLLECTION_NAME"
        r"|(?:HTTPS?|ALL|NO)_PROXY|SSL_CERT_(?:FILE|DIR)",
        re.IGNORECASE,
    )
    written = {"DM_MEMORY_HOME", "DM_MEMORY_BRAND", "DM_MEMORY_ONLY_BRAND"}
    return sorted(name for name in os.environ if ours.fullmatch(name) and name.upper() not in written)
