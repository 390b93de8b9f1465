"""Hrana's JSON encoding of SQLite's values, and of statements and their results.

Hrana 2 and 3 over HTTP, as libsql-server documents them: integers travel as strings, because JSON readers round large
ones; blobs as base64 without padding.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.turso.statement import Row, SqlValue, Statement

__all__ = ["MalformedReply", "encode_statement", "read_rows"]


class MalformedReply(Exception):  # noqa: N818  # never leaves the client: it becomes a LayerError there
    """A reply is JSON, but not Hrana's."""


def encode_statement(statement: Statement, *, want_rows: bool = True) -> dict[str, Any]:
    """Return a statement in Hrana's JSON.

    Raises:
        LayerError: Class validation: a number SQLite can't hold.
    """
    return {"sql": statement.sql, "args": [_encode(value) for value in statement.arguments], "want_rows": want_rows}


def _encode(value: SqlValue) -> dict[str, Any]:
    if isinstance(value, str):
        return {"type": "text", "value": value}
    if value is None:
        return {"type": "null"}
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise _unfit("an integer of more than 64 bits")
        return {"type": "integer", "value": str(int(value))}
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unfit("a number that is not finite")
        return {"type": "float", "value": value}
    return {"type": "blob", "base64": b64encode(value).rstrip(b"=").decode("ascii")}


def _unfit(what: str) -> LayerError:
    return LayerError(
        f"An entry holds {what}, which the durable store can't keep.",
        "Correct the number in its source, then sync again.",
        error_class=ErrorClass.VALIDATION,
        code="number-out-of-range",
    )


def read_rows(result: Any) -> list[Row]:  # noqa: ANN401  # whatever a server sent
    """Return the rows of a statement's result.

    Raises:
        MalformedReply: It is none.
    """
    try:
        width = len(result["cols"])
        rows = [tuple([_decode(cell) for cell in row]) for row in result["rows"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedReply from error
    if not _all_have(rows, width):
        raise MalformedReply
    return rows


def _all_have(rows: Sequence[Row], width: int) -> bool:
    return all(len(row) == width for row in rows)


def _decode(cell: Any) -> SqlValue:  # noqa: ANN401  # as above
    kind = cell["type"]
    if kind == "text":
        return _text(cell["value"])
    if kind == "integer":
        return _integer(cell["value"])
    if kind == "null":
        return None
    if kind == "float":
        return _float(cell["value"])
    if kind == "blob":
        return _blob(cell["base64"])
    raise MalformedReply


def _text(value: Any) -> str:  # noqa: ANN401  # as above
    if type(value) is not str:
        raise MalformedReply
    return value


def _integer(value: Any) -> int:  # noqa: ANN401  # as above
    """Read an integer; int() alone would take underscores, blanks and thousands of digits, slowly."""
    digits = _text(value)
    if len(digits) > len("-9223372036854775808") or not digits.removeprefix("-").isdecimal():
        raise MalformedReply
    return int(digits)


def _float(value: Any) -> float | None:  # noqa: ANN401  # as above
    """Read a float. JSON has no infinity, so servers send null for it; as a value of ours it counts as none."""
    if value is None:
        return None
    if type(value) not in {float, int}:
        raise MalformedReply
    return float(value)


def _blob(value: Any) -> bytes:  # noqa: ANN401  # as above
    text = _text(value)
    return b64decode(text + "=" * (-len(text) % 4), validate=True)
