"""``dm-memory serve``: MCP over standard input and output, which belong to the protocol from the first instant.

With ``--http`` it is served over HTTP instead, by ``http``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from dm_memory_server.logs import log_to_stderr

if TYPE_CHECKING:
    from dm_memory_tools.runtime import Runtime

__all__ = ["serve", "serve_parser"]


class _Parser(argparse.ArgumentParser):
    """Reports an option that can't be used as the other commands do; typer would double the start-up."""

    def error(self, message: str) -> NoReturn:
        """Print it, and exit with code 2."""
        words = f"Usage: {self.prog} [OPTIONS]\nTry '{self.prog} -h' for help.\n\n"
        self.exit(2, f"{words}Error: {message[:1].upper()}{message[1:]}\n")


def serve_parser() -> argparse.ArgumentParser:
    """Return the parser of the options of ``serve``; its help is typer's, made from it."""
    parser = _Parser(prog="dm-memory serve", allow_abbrev=False)
    parser.add_argument("--transport", choices=["stdio"], default="stdio", help="how the client connects")
    parser.add_argument("--home", metavar="DIR", help="the folder that contains the brands")
    parser.add_argument("--brand", help="the brand to use where a call names none")
    parser.add_argument("--only-brand", metavar="BRAND", help="the one brand to answer for; others do not exist here")
    parser.add_argument("--http", metavar="[HOST:]PORT", help="serve over HTTP instead, to many clients (docs/http.md)")
    parser.add_argument(
        "--require-token", action="store_true", help="with --http: ask for a token on this computer too"
    )
    return parser


def serve(arguments: Sequence[str]) -> int:
    """Serve until the client closes our input or a signal arrives; return the exit code.

    Args:
        arguments: What follows ``serve`` on the command line.
    """
    options = serve_parser().parse_args(arguments)
    log_to_stderr()
    with contextlib.redirect_stdout(sys.stderr):  # whatever an import prints must not reach the client
        from dm_memory_server.signals import leave_at_once, run_until_signalled  # noqa: PLC0415  # after the redirection

        signal.signal(signal.SIGTERM, leave_at_once)
        signal.signal(signal.SIGINT, leave_at_once)
        logging.getLogger("dm_memory").debug("signals end this server from now on")
        from dm_memory_server.app import build_server, serve_stdio  # noqa: PLC0415  # as above

        given = {"home": options.home, "brand": options.brand, "only_brand": options.only_brand}
        runtime = _runtime(**{name: _given(value) for name, value in given.items()})
        if options.http:
            raise SystemExit(
                _serve_http(options.http, runtime, _given(options.home), require_token=options.require_token)
            )
        server = build_server(runtime)
    asyncio.run(run_until_signalled(partial(serve_stdio, server), runtime))
    leave_at_once()


def _given(value: str | None) -> str | None:
    """Return None for what a desktop bundle passes for a setting the user left open: nothing, or its placeholder."""
    return None if not value or value.startswith("${") else value


def _runtime(**given: str | None) -> Runtime:
    from dm_memory_tools.runtime import Runtime, open_memory  # noqa: PLC0415  # as above

    return Runtime(partial(open_memory, **given))


def _serve_http(address: str, runtime: Runtime, home: str | None, *, require_token: bool) -> int:
    from dm_memory.errors import DmMemoryError  # noqa: PLC0415  # only this transport reads the settings at its start
    from dm_memory_server.http.serve import serve_http  # noqa: PLC0415  # standard input and output need none of it
    from dm_memory_tools.runtime import load_settings  # noqa: PLC0415  # as above

    try:
        root = load_settings(home=home).home.expanduser()
    except DmMemoryError as error:
        print(f"{error.problem}\n{error.remedy}", file=sys.stderr)  # noqa: T201  # nobody's protocol here
        return 2
    return serve_http(address, runtime, root, require_token=require_token)
