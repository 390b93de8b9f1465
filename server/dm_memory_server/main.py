"""The entry point. ``serve`` is told apart before anything is imported: a client starts it for every session."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and not {"--help", "-h"} & set(arguments):
        from dm_memory_server.serve import serve  # noqa: PLC0415  # the other commands' imports would double the start-up

        sys.exit(serve(arguments[1:]))
    from dm_memory_server.cli import run  # noqa: PLC0415  # as above

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
