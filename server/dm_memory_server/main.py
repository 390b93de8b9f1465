"""The entry point. ``serve`` is recognised before anything is imported: a client starts it for every session."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and not {"--help", "-h"} & set(arguments):
        from dm_memory_server.serve import serve  # noqa: PLC0415  # the other commands' imports would double the start-up

        sys.exit(serve(arguments[1:]))
    if arguments[:1] == ["hook"] and not {"--help", "-h"} & set(arguments):
        from dm_memory_server.hooks.events import hook  # noqa: PLC0415  # an assistant waits for it

        hook(arguments[1:])
    # A command lives for seconds and makes few cycles: looking for them while modules load costs 6 % of a sync.
    gc.set_threshold(100_000, 50, 50)
    from dm_memory_server.cli import run  # noqa: PLC0415  # as above

    sys.exit(run(arguments))


def _open_standard_streams() -> None:
    """Give a process that was started without some of the three streams (``2>&-``, some schedulers) empty ones.

    Else the next file that is opened, memory.db for one, gets the number of a stream, and whatever a library writes
    to that stream lands in it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for the process' life


if __name__ == "__main__":
    main()
