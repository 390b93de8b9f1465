"""What Supermemory and the way to it can answer instead of an answer, in our words.

The SDK is not asked what a status means: it parses the body of an error first and raises whatever the body makes it
raise (``UnicodeDecodeError`` on a proxy's page in Latin-1). So replies are looked at before it sees them, and what is
no good ends there, as one of the two exceptions below.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.remote import Service

__all__ = ["NOT_FOUND", "JunkReplyError", "RefusedError", "refused", "seconds_to_wait", "translated"]

NOT_FOUND = 404
_NOT_ALLOWED = 405
_CONFLICT = 409


class RefusedError(Exception):
    """A reply with another status than success. ``retry_after`` is the header as it came, or None."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


class JunkReplyError(Exception):
    """A reply that says success and is not what was asked for."""


def refused(problem: str, remedy: str, code: str = "") -> LayerError:
    """Return the error for one entry that can't be stored as it is."""
    return LayerError(problem, remedy, error_class=ErrorClass.VALIDATION, code=code)


@contextmanager
def translated(service: Service) -> Iterator[None]:
    """Turn what a call raises inside the block into a ``LayerError``; what is not known here is a bug, and passes."""
    import httpx  # noqa: PLC0415  # loaded by the first call
    import supermemory as sdk  # noqa: PLC0415  # an extra, loaded by the first call

    try:
        yield
    except RefusedError as error:
        raise _of_status(service, error) from error
    except sdk.APITimeoutError as error:  # before APIConnectionError, which it derives from
        raise service.timeout() from error
    except sdk.APIConnectionError as error:
        raise service.unavailable() from error
    except (JunkReplyError, httpx.DecodingError) as error:
        raise service.malformed() from error


def _of_status(service: Service, error: RefusedError) -> LayerError:
    """Return what a status means here.

    404 and 405 come from an address that is not Supermemory's (a document that is not there is asked for before this);
    409 while a namespace is being merged.
    """
    wait = seconds_to_wait(error.retry_after)
    if error.status in {NOT_FOUND, _NOT_ALLOWED, _CONFLICT}:
        return service.unavailable(str(error.status), wait)
    return service.of_status(error.status, retry_after=wait)


def seconds_to_wait(header: str | None) -> float | None:
    """Return a Retry-After (RFC 9110: seconds, or an HTTP date) in seconds from now; None where it can't be read."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
