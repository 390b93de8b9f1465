"""What a libsql-server, and the network before it, can answer instead of rows: in our words.

A server's own words decide the class at most; they go no further, because they can quote what was sent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.turso.statement import ReplyTooLargeError, SchemaMismatchError

__all__ = ["http_error", "malformed", "refused_connection", "statement_error", "timed_out"]

_ADDRESS = "Check TURSO_DATABASE_URL and the network, then sync again; what was not stored is queued."
_TOKEN = "Make a new token for this database and put it into TURSO_AUTH_TOKEN."  # noqa: S105  # advice, not a token
_PLAN = "Look at the plan's limits on the provider's page, or point TURSO_DATABASE_URL at another database."
_LATER = "Sync again later; what was not stored is queued."
_MAX_WAIT = 24 * 3600.0
_SERVER_ERRORS = 500


def timed_out(code: str = "timeout") -> LayerError:
    """Return the error for a server that does not answer in time."""
    return LayerError("The Turso database did not answer in time.", _ADDRESS, error_class=ErrorClass.TIMEOUT, code=code)


def refused_connection(code: str) -> LayerError:
    """Return the error for a connection that can't be made, or broke. ``code`` is the class of what was caught."""
    return LayerError("The Turso database can't be reached.", _ADDRESS, error_class=ErrorClass.UNAVAILABLE, code=code)


def malformed(code: str = "") -> LayerError:
    """Return the error for an answer that is not Hrana's."""
    return LayerError(
        "The address of the Turso database answered with something that is no database's answer.",
        "Check that TURSO_DATABASE_URL points at a Turso database or a libsql-server, without a path of a web page.",
        error_class=ErrorClass.MALFORMED_REPLY,
        code=code,
    )


def http_error(status: int, headers: Mapping[str, str], body: bytes) -> LayerError:
    """Return what an HTTP status other than 200 means."""
    code = str(status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _rate_limit(headers.get("retry-after", ""))
    if status == HTTPStatus.FORBIDDEN and b"blocked" in body.lower():  # how Turso says that the plan's limit is reached
        return _quota(code)
    if (meaning := _STATUSES.get(status)) is not None:
        return meaning(code)
    return _unavailable(code) if status >= _SERVER_ERRORS else malformed(code)


_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_NO_SUCH = re.compile(r"no such (?:table|column)|has no column named", re.IGNORECASE)


def statement_error(error: Any) -> LayerError:  # noqa: ANN401  # whatever a server sent
    """Return what the error of a statement means."""
    if not isinstance(error, Mapping):
        return malformed("error")
    message, code = str(error.get("message") or ""), str(error.get("code") or "")
    code = code if _CODE.fullmatch(code) else ""
    if code == "RESPONSE_TOO_LARGE" or message == "Response is too large":
        return ReplyTooLargeError()
    if _NO_SUCH.search(message):
        return SchemaMismatchError()
    for pattern, meaning in _CODES:
        if pattern.match(code):
            return meaning(code)
    return _unknown(code)


def _auth(code: str) -> LayerError:
    return LayerError(
        "The Turso database refused the token, or the token does not allow this.",
        _TOKEN,
        error_class=ErrorClass.AUTH,
        code=code,
    )


def _quota(code: str) -> LayerError:
    return LayerError(
        "The Turso database has reached a limit of its plan or its disk.",
        _PLAN,
        error_class=ErrorClass.QUOTA,
        code=code,
    )


def _rate_limit(header: str) -> LayerError:
    wait = _seconds(header)
    return LayerError(
        "The Turso database asks for fewer requests.",
        _LATER,
        error_class=ErrorClass.RATE_LIMIT,
        code="429",
        retry_after=wait,
    )


def _seconds(header: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110: a number or a date), or None where it has none."""
    if header.isascii() and header.isdigit():
        return min(float(header[:9]), _MAX_WAIT)
    try:
        moment = parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, moment - time.time()), _MAX_WAIT)


def _refused(code: str) -> LayerError:
    return LayerError(
        "The Turso database refused what was sent.",
        "Update dm-memory and the server; if it stays, report it with the code.",
        error_class=ErrorClass.VALIDATION,
        code=code,
    )


def _no_database(code: str) -> LayerError:
    return LayerError(
        "There is no database at the address of the Turso database.",
        "Correct TURSO_DATABASE_URL.",
        error_class=ErrorClass.UNAVAILABLE,
        code=code,
    )


def _unavailable(code: str) -> LayerError:
    return LayerError(
        "The Turso database is not able to work right now.", _LATER, error_class=ErrorClass.UNAVAILABLE, code=code
    )


def _unknown(code: str) -> LayerError:
    return LayerError(
        "The Turso database answered with an error that dm-memory does not know.",
        "Report it with the code.",
        error_class=ErrorClass.UNKNOWN,
        code=code,
    )


_STATUSES: dict[int, Callable[[str], LayerError]] = {
    HTTPStatus.BAD_REQUEST: _refused,
    HTTPStatus.UNAUTHORIZED: _auth,
    HTTPStatus.PAYMENT_REQUIRED: _quota,
    HTTPStatus.FORBIDDEN: _auth,
    HTTPStatus.NOT_FOUND: _no_database,
    HTTPStatus.REQUEST_TIMEOUT: timed_out,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _refused,
    HTTPStatus.UNPROCESSABLE_ENTITY: _refused,
    HTTPStatus.GATEWAY_TIMEOUT: timed_out,
}
# Codes of statements: SQLite's names, and the server's own.
_CODES = [
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r".*TIMEOUT", timed_out),
        (r"AUTH_|SQLITE_(?:AUTH|PERM|READONLY)", _auth),
        (r"BLOCKED|SQLITE_FULL", _quota),
        (r"SQLITE_(?:CONSTRAINT|TOOBIG|MISMATCH|RANGE)|ARGS_INVALID", _refused),
        (r"SQLITE_(?:BUSY|LOCKED|CORRUPT|NOTADB|IOERR|CANTOPEN)|(?:TRANSACTION|TXN)_BUSY", _unavailable),
    )
]
