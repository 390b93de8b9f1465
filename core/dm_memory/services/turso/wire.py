"""Hrana on the wire: SQLite's values, statements and results as JSON, and what is answered instead of rows.

Hrana 2 and 3 over HTTP, as libsql-server documents them: integers travel as strings, because JSON readers round large
ones; blobs as base64 without padding. A server's own words decide an error's class at most; they go no further, because
they can quote what was sent.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults, retry_after
from dm_memory.services.turso.schema import ReplyTooLargeError, Row, SchemaMismatchError, SqlValue, Statement

__all__ = [
    "MalformedReply",
    "encode_statement",
    "faults_of",
    "http_error",
    "read_rows",
    "statement_error",
]


class MalformedReply(Exception):  # noqa: N818  # never leaves the client: it becomes a ServiceError there
    """A reply is JSON, but not Hrana's."""


def encode_statement(statement: Statement, *, want_rows: bool = True) -> dict[str, Any]:
    """Return a statement in Hrana's JSON.

    Raises:
        ServiceError: Class validation: a number SQLite can't store.
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


def _unfit(what: str) -> ServiceError:
    return ServiceError(
        f"An entry contains {what}, which the durable store can't keep.",
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
    if not all(len(row) == width for row in rows):
        raise MalformedReply
    return rows


def _decode(cell: Any) -> SqlValue:  # noqa: ANN401  # as above
    kind = cell["type"]
    if kind == "text":
        return _text(cell["value"])
    if kind == "integer":
        # int() alone would take underscores, blanks and thousands of digits, slowly.
        digits = _text(cell["value"])
        if len(digits) > len("-9223372036854775808") or not digits.removeprefix("-").isdecimal():
            raise MalformedReply
        return int(digits)
    if kind == "null":
        return None
    if kind == "float":
        return _float(cell["value"])
    if kind == "blob":
        text = _text(cell["base64"])
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    raise MalformedReply


def _text(value: Any) -> str:  # noqa: ANN401  # as above
    if type(value) is not str:
        raise MalformedReply
    return value


def _float(value: Any) -> float | None:  # noqa: ANN401  # as above
    """Read a float. JSON has no infinity, so servers send null for it; as a value of ours it counts as none."""
    if value is None:
        return None
    if type(value) not in {float, int}:
        raise MalformedReply
    return float(value)


_STATEMENTS_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 422})
_LONGEST_WAIT = 24 * 3600.0
_KNOWN = _STATEMENTS_REFUSED | {401, 402, 403, 407, 408, 429}
_CLIENT_ERRORS = range(400, 500)


def faults_of(place: str) -> Faults:
    """Return the errors of the database at ``place``, in words."""
    limits = "the plan's limits on the provider's page"
    deadline = "DM_MEMORY_STORAGE_TIMEOUT"
    return Faults("Turso", place, "TURSO_AUTH_TOKEN", "TURSO_DATABASE_URL", limits, timeout_setting=deadline)


def http_error(faults: Faults, status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """Return what an HTTP status other than 200 means."""
    if status == HTTPStatus.NOT_FOUND:
        return faults.misplaced("database at this address", "Correct TURSO_DATABASE_URL.")
    if status in _CLIENT_ERRORS and status not in _KNOWN:
        return faults.malformed(str(status))
    # 403 with this word is how Turso reports that the plan's limit is reached.
    blocked = status == HTTPStatus.FORBIDDEN and b"blocked" in body.lower()
    wait = retry_after(headers.get("retry-after"))
    return faults.of_status(status, quota=blocked, retry_after=None if wait is None else min(wait, _LONGEST_WAIT))


_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_NO_SUCH = re.compile(r"no such (?:table|column)|has no column named", re.IGNORECASE)


def statement_error(faults: Faults, error: Any) -> ServiceError:  # noqa: ANN401  # whatever a server sent
    """Return what the error of a statement means."""
    if not isinstance(error, Mapping):
        return faults.malformed("error")
    message, code = str(error.get("message") or ""), str(error.get("code") or "")
    code = code if _CODE.fullmatch(code) else ""
    if code == "RESPONSE_TOO_LARGE" or message == "Response is too large":
        return ReplyTooLargeError()
    if _NO_SUCH.search(message):
        return SchemaMismatchError()
    for pattern, meaning in _CODES:
        if pattern.match(code):
            return meaning(faults, code)
    return ServiceError(
        "Turso answered with an error that dm-memory does not know.",
        "Sync again; report the code if it happens again.",
        error_class=ErrorClass.UNKNOWN,
        code=code,
    )


# Codes of statements: SQLite's names, and the server's own.
_CODES: list[tuple[re.Pattern[str], Callable[[Faults, str], ServiceError]]] = [
    (re.compile(r".*TIMEOUT"), Faults.timeout),
    (re.compile(r"AUTH_|SQLITE_(?:AUTH|PERM|READONLY)"), Faults.auth),
    (re.compile(r"BLOCKED|SQLITE_FULL"), Faults.quota),
    (re.compile(r"SQLITE_(?:CONSTRAINT|TOOBIG|MISMATCH|RANGE)|ARGS_INVALID"), Faults.refused),
    (re.compile(r"SQLITE_(?:BUSY|LOCKED|CORRUPT|NOTADB|IOERR|CANTOPEN)|(?:TRANSACTION|TXN)_BUSY"), Faults.unavailable),
]
