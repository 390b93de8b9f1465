"""What qdrant-client can raise, in our words.

The status codes are the server's own (``src/actix/helpers.rs``): 408 it ran out of time itself, 403 a key without
rights or locked storage, 409 a name that is taken, 429 the rate limits of strict mode, 507 no room. Limits of strict
mode and a full disk come as 400 and 500, so there its words decide the class; they go no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.remote import Service

__all__ = ["GONE", "TAKEN", "translated"]

GONE = "404"
"""The code of an error about a collection that is not there."""

TAKEN = frozenset({"400", "409"})
"""The codes of an error about a name that is taken: 409, and 400 from older servers."""

_NO_ROOM = 507
_TOO_MANY = 429
_FULL = re.compile(
    rb"limit of [^\"]{0,80}reached|no space left|out of disk|not enough (?:disk|space|memory)", re.IGNORECASE
)
_LOCKED = re.compile(rb"storage locked", re.IGNORECASE)


@contextmanager
def translated(service: Service) -> Iterator[None]:
    """Turn what qdrant-client raises inside the block into a ``LayerError``; anything else goes through: a bug."""
    try:
        yield
    except LayerError:
        raise
    except Exception as error:
        meaning = _meaning(service, error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(service: Service, error: Exception) -> LayerError | None:
    from qdrant_client.common.client_exceptions import (  # noqa: PLC0415  # 1 s of CPU: loaded by the call that failed
        QdrantException,
        ResourceExhaustedResponse,
    )
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse  # noqa: PLC0415  # as above

    if isinstance(error, ResponseHandlingException):
        return _of_transport(service, error.source)
    if isinstance(error, UnexpectedResponse):
        after = _seconds(error.headers.get("Retry-After")) if error.headers else None
        return _of_status(service, error.status_code or 0, error.content or b"", after)
    if isinstance(error, ResourceExhaustedResponse):
        return service.rate_limited(float(error.retry_after_s), str(_TOO_MANY))
    if isinstance(error, QdrantException):  # a 429 whose Retry-After is no whole number of seconds
        return service.rate_limited(None, str(_TOO_MANY))
    # A reply that is no JSON, or JSON without a result, meets the client's own parser and assertions.
    if isinstance(error, JSONDecodeError | UnicodeDecodeError | AssertionError):
        return service.malformed(type(error).__name__)
    return None


def _of_transport(service: Service, source: Exception) -> LayerError | None:
    import httpx  # noqa: PLC0415  # qdrant-client has loaded it
    from pydantic import ValidationError  # noqa: PLC0415  # as above

    code = type(source).__name__
    if isinstance(source, httpx.TimeoutException):
        return service.timeout(code)
    if isinstance(source, ValidationError | httpx.DecodingError | httpx.TooManyRedirects):
        return service.malformed(code)
    if isinstance(source, httpx.TransportError):
        return service.unavailable(code)
    return None


def _of_status(service: Service, status: int, content: bytes, retry_after: float | None) -> LayerError:
    if status == _NO_ROOM or _FULL.search(content):
        return service.quota(str(status))
    if _LOCKED.search(content):
        return LayerError(
            f"{service.name} ({service.where}) takes no writes at present: its storage is locked.",
            "Unlock it, or ask whoever runs it, then sync again: what is missing is queued.",
            error_class=ErrorClass.UNAVAILABLE,
            code=str(status),
        )
    if str(status) == GONE:  # no entry's fault: we ask for entries by filters, which miss nothing
        return service.unavailable(GONE)
    return service.of_status(status, retry_after=retry_after)


def _seconds(header: str | None) -> float | None:
    """Return a Retry-After in seconds; a date, which Qdrant does not send, is not read."""
    return float(header) if header and header.isascii() and header.isdigit() else None
