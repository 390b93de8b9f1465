"""Translates what qdrant-client can raise.

The status codes are the server's own (``src/actix/helpers.rs``): 408 it ran out of time itself, 403 a key without
rights or locked storage, 409 a name that is taken, 429 the rate limits of strict mode, 507 no space. Limits of strict
mode and a full disk come as 400 and 500, so there its words decide the class; they go no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults, retry_after

__all__ = ["TAKEN", "translated"]

TAKEN = frozenset({"400", "409"})
"""The codes of an error about a name that is taken: 409, and 400 from older servers."""

_NOT_FOUND = 404
_NO_ROOM = 507
_TOO_MANY = 429
_FULL = re.compile(
    rb"limit of [^\"]{0,80}reached|no space left|out of disk|not enough (?:disk|space|memory)", re.IGNORECASE
)
_LOCKED = re.compile(rb"storage locked", re.IGNORECASE)
_MISSING = re.compile(rb"(?:collection|alias)[^\"]{0,600} do(?:es)?(?:n't| not) exist", re.IGNORECASE)


@contextmanager
def translated(faults: Faults) -> Iterator[None]:
    """Turn what qdrant-client raises inside the block into a ``ServiceError``; anything else goes through: a bug."""
    try:
        yield
    except ResponseHandlingException as error:
        if isinstance(error.source, ValidationError | httpx.TooManyRedirects):
            raise faults.malformed(type(error.source).__name__) from error
        if not isinstance(error.source, httpx.HTTPError):
            raise
        raise faults.of_transport(error.source) from error
    except UnexpectedResponse as error:
        raise _of_status(faults, error) from error
    except ResourceExhaustedResponse as error:
        raise faults.rate_limited(float(error.retry_after_s), str(_TOO_MANY)) from error
    except QdrantException as error:  # a 429 whose Retry-After is no whole number of seconds: a date, which it hides
        raise faults.rate_limited(None, str(_TOO_MANY)) from error
    except (JSONDecodeError, UnicodeDecodeError, AssertionError) as error:
        # A reply that is no JSON, or JSON without a result, meets the client's own parser and assertions.
        raise faults.malformed(type(error).__name__) from error


def _of_status(faults: Faults, error: UnexpectedResponse) -> ServiceError:
    status, content = error.status_code or 0, error.content or b""
    if status == _NO_ROOM or _FULL.search(content):
        return faults.quota(str(status))
    if _LOCKED.search(content):
        return ServiceError(
            f"{faults.name} ({faults.where}) accepts no writes at present: its storage is locked.",
            "Unlock it, or ask whoever runs it, then sync again: what is missing is queued.",
            error_class=ErrorClass.UNAVAILABLE,
            code=str(status),
        )
    if status == _NOT_FOUND and _MISSING.search(content):  # no entry's fault: filters miss nothing
        return faults.absent("such collection", "Sync again: the collection is made and filled again.")
    if status == _NOT_FOUND:
        return faults.misplaced(
            "Qdrant at this path", "Check the path in QDRANT_URL; it is not the dashboard's address."
        )
    wait = retry_after(error.headers.get("Retry-After")) if error.headers else None
    return faults.of_status(status, retry_after=wait)
