"""``dm-memory serve``: MCP over standard input and output, which belong to the protocol from the first instant."""

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

        runtime = _runtime(
            home=_given(options.home), brand=_given(options.brand), only_brand=_given(options.only_brand)
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
