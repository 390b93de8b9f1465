"""Build the documentation site: the pages of docs/, and the reference pages that are made from the code itself.

Commands, tools and settings change with the code, so their pages are never written by hand and never committed. All of
it is put together in build/docs-source; the site is in build/site. A broken link or anchor is an error.

    uv run --group docs python .ci/build_docs.py
"""

# ruff: noqa: INP001  # a script
from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from dm_memory.settings import Settings
from dm_memory_server.cli import app
from dm_memory_server.http.settings import HttpSettings
from dm_memory_tools.catalog import OPERATIONS
from dm_memory_tools.tool import tool_of

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "docs-source"
SITE = ROOT / "build" / "site"

_NOTE = "\nThis page is made from the code, by `just docs`.\n"


def commands_page() -> str:
    """Return the reference of the command line."""
    group: Any = typer.main.get_command(app)
    return "".join(
        [
            "# Commands\n\n",
            "`--home` and `--brand` say what to work on, `--json` prints the data instead of the report.\n\n",
            "Exit codes: 0 all stored, 1 some failed and the next run tries them again, 2 nothing could be done, ",
            "130 interrupted.\n",
            *(
                section
                for name in sorted(group.commands)
                for section in _sections(f"dm-memory {name}", group.commands[name])
            ),
            _NOTE,
        ]
    )


def _sections(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401  # typer has its own copy of click
    """Yield a heading, what the command does, and its options; of a group the same for each of its commands."""
    yield f"\n## `{name}`\n\n{_plain(command.help or command.short_help or '')}\n"
    rows = []
    for option in command.params:
        is_argument = option.param_type_name == "argument"
        names = option.name.upper() if is_argument else ", ".join([*option.opts, *option.secondary_opts])
        if "--help" not in option.opts:
            rows.append((f"`{names}`", _plain(getattr(option, "help", "") or "")))
    yield from _table(("option", "meaning"), rows)
    for child in sorted(getattr(command, "commands", {})):
        yield from _sections(f"{name} {child}", command.commands[child])


def tools_page() -> str:
    """Return the reference of the MCP tools."""
    parts = [
        '# Tools\n\nEvery result is Markdown. The same data is under `_meta["io.dm-memory/report"]`, as ',
        '[report.schema.json](../report.schema.json) describes it; `response_format="json"` puts it into the text.\n',
    ]
    for tool in map(tool_of, OPERATIONS):
        schema = tool.parameters
        rows = [
            (
                f"`{name}`{' (required)' if name in schema.get('required', ()) else ''}",
                _plain(part.get("description", "")),
            )
            for name, part in schema["properties"].items()
        ]
        parts += [f"\n## `{tool.name}`\n\n{_plain(tool.description or '')}\n", *_table(("argument", "meaning"), rows)]
    return "".join([*parts, _NOTE])


def settings_page() -> str:
    """Return the reference of the environment variables."""
    rows = []
    for name, field in (Settings.model_fields | HttpSettings.model_fields).items():
        choices = [choice for choice in getattr(field.validation_alias, "choices", ()) if str(choice).isupper()]
        variables = " or ".join(f"`{variable}`" for variable in choices or [f"DM_MEMORY_{name.upper()}"])
        default = f"{field.default:g}" if isinstance(field.default, float) else field.default
        is_set = field.default_factory is None and default is not None
        rows.append((variables, f"`{default}`" if is_set else "", _plain(field.description or "")))
    head = "# Settings\n\nEnvironment variables; the options of the command line win.\n"
    return "".join([head, *_table(("variable", "default", "meaning"), rows), _NOTE])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    if lines:
        yield f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
        yield from lines


def _plain(text: str) -> str:
    """Return a text as Markdown shows it literally, on one line."""
    words = " ".join(text.split())
    for sign in "\\<>|*_[]":
        words = words.replace(sign, f"\\{sign}")
    return words


def build() -> int:
    """Put the sources together and run the site generator; return its exit code."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE / "docs")
    shutil.copy(ROOT / "zensical.toml", SOURCE)
    reference = SOURCE / "docs" / "reference"
    reference.mkdir(exist_ok=True)
    pages = {"commands": commands_page(), "tools": tools_page(), "settings": settings_page()}
    for name, text in pages.items():
        (reference / f"{name}.md").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(SOURCE / "zensical.toml")]
    done = subprocess.run(command, check=False)  # noqa: S603  # our own command
    if not done.returncode:
        shutil.move(SOURCE / "site", SITE)
    return done.returncode


if __name__ == "__main__":
    sys.exit(build())
