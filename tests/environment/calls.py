"""Commands of the product, one after the other in one process: ``python -m tests.environment.calls < LINES``.

Reads arguments as JSON, a list a line, and answers each with a line: exit code, standard output, standard error. A line
``{"do": "without-posix"}`` takes away what only POSIX has, ``{"do": "become", "user": 65534}`` changes the user.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from dm_memory_server.main import main
from tests.environment import without_posix

__all__: list[str] = []


def call(arguments: Sequence[str]) -> dict[str, Any]:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    sys.argv = ["dm-memory", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def do(order: dict[str, Any]) -> dict[str, Any]:
    """Change this process."""
    if order["do"] == "without-posix":
        without_posix.pretend(order.get("system", "posix"))
    else:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    return {"code": 0, "out": "", "err": ""}


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        answer = do(asked) if isinstance(asked, dict) else call(asked)
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
