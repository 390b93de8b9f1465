"""Commands that programs start rather than people (``serve``, ``hook``), and the logs of what ran unseen.

The entry point recognises the first two before typer is imported; here they have their help and their options.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dm_memory.errors import HomeError, system_reason
from dm_memory_server.commands import AsJson, Home
from dm_memory_server.execute import guarded
from dm_memory_server.serve import serve, serve_parser
from dm_memory_server.terminal import print_report
from dm_memory_tools.runtime import load_settings

__all__ = ["hook_command", "logs_command", "serve_command"]


def serve_command() -> Callable[..., int]:
    """Return the command ``serve`` with the options of its own parser, for typer."""

    def command(**given: Any) -> int:  # noqa: ANN401  # options of several types
        return serve([part for name, value in given.items() for part in _spelled(f"--{name.replace('_', '-')}", value)])

    parameters = [_option(action) for action in serve_parser()._actions if action.dest != "help"]  # noqa: SLF001  # argparse has no public list
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]  # typer reads it
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = "Serve the tools over MCP; an assistant starts this."
    return command


def _spelled(option: str, value: Any) -> list[str]:  # noqa: ANN401  # as above
    return [option] if value is True else [option, str(value)] if value else []


def _option(action: argparse.Action) -> inspect.Parameter:
    """Return an option of ``serve`` as typer takes it: a flag, one of some choices, or a text."""
    kind: Any = bool if action.nargs == 0 else Literal[tuple(action.choices)] if action.choices else str
    default = bool(action.default) if kind is bool else None if action.default is None else str(action.default)
    if kind is not bool:
        kind = kind | None
    words = action.help or ""
    more: dict[str, Any] = {"metavar": action.metavar} if isinstance(action.metavar, str) else {}
    details: Any = typer.Option(*action.option_strings, help=f"{words[:1].upper()}{words[1:]}.", **more)
    annotation: Any = Annotated[kind, details]
    return inspect.Parameter(action.dest, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def hook_command(
    event: Annotated[
        Literal["session-start", "pre-compact", "session-end"], typer.Argument(help="What happened in the session.")
    ],
) -> int:
    """Run the plugin's hook of an event: print what matters now, or hand a sync over; an assistant starts this."""
    from dm_memory_server.hooks.events import hook  # noqa: PLC0415  # only this command needs it

    hook([event])


def logs_command(
    *,
    lines: Annotated[int, typer.Option("--lines", min=1, max=10_000, help="Most lines of each log.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Show the logs of what ran without a terminal, the plugin's hooks, and where they are."""
    return guarded(lambda: _show_logs(home, lines, as_json=as_json), as_json=as_json)


def _show_logs(home: Path | None, lines: int, *, as_json: bool) -> int:
    from dm_memory.report import Report  # noqa: PLC0415  # only this command needs them
    from dm_memory.report.escape import code, visible  # noqa: PLC0415  # as above
    from dm_memory_server.hooks.log_files import files_of, hook_log, last_lines  # noqa: PLC0415  # as above

    settings = load_settings(home=home)
    root = settings.home.expanduser()
    try:
        found = {str(path): _own(last_lines(path, lines), settings.only_brand) for path in files_of(root)}
    except OSError as error:
        raise HomeError(
            f"The logs below {root} can't be read ({system_reason(error)[0]}).", "See who owns them."
        ) from error
    texts = [
        "\n".join([f"{code(path, 400)}", "", *(f"    {visible(line)}" for line in own)]) for path, own in found.items()
    ]
    nothing = f"Nothing has been logged yet. The hooks' log will be {code(str(hook_log(root)), 400)}; "
    text = "\n\n".join(texts) or f"{nothing}the server logs to standard error, which its client keeps."
    print_report(Report(f"{text}\n", {"kind": "logs", "files": found}), as_json=as_json, whole=True)
    return 0


def _own(lines: list[str], only: str) -> list[str]:
    """Return the lines that concern the one brand that is answered for; all if there is no such one."""
    return [line for line in lines if line.partition(" ")[2].startswith(f"{only} ")] if only else lines
