"""What Pinecone's SDK can raise, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.remote import Service

if TYPE_CHECKING:
    from pinecone.errors.exceptions import ApiError

__all__ = ["JunkReplyError", "is_missing_namespace", "pinecone_service", "refused", "translated"]

_CODE = re.compile(r"[A-Z][A-Z_]{2,39}")
_QUOTA = re.compile(r"QUOTA_EXCEEDED|quota|storage limit|max(?:imum)? (?:serverless )?indexes|namespaces? limit")
_MONTHLY = re.compile(r"current month|monthly", re.IGNORECASE)
_TOO_MANY = 429
_FORBIDDEN = 403
_NOT_FOUND = 404


class JunkReplyError(Exception):
    """A reply the SDK takes for an acknowledgement, and which can't be one."""


def pinecone_service(host: str) -> Service:
    """Return Pinecone for messages. ``host``: the control plane, where it is not the public one."""
    return Service(
        name="Pinecone",
        where=host,
        key_setting="PINECONE_API_KEY",
        url_setting="PINECONE_CONTROLLER_HOST" if host else "",
        plan_page="the Usage page of the Pinecone console",
    )


def refused(problem: str, remedy: str, code: str = "") -> LayerError:
    """Return the error for one entry, one query or an index that can't be accepted as it is."""
    return LayerError(problem, remedy, error_class=ErrorClass.VALIDATION, code=code)


@contextmanager
def translated(service: Service) -> Iterator[None]:
    """Turn what the SDK raises inside the block into a ``LayerError``; what it does not explain is a bug and passes."""
    import httpx  # noqa: PLC0415  # not needed before the first call
    from pinecone.errors import exceptions as sdk  # noqa: PLC0415  # the SDK is loaded by the first call

    try:
        yield
    except sdk.PineconeTimeoutError as error:
        raise service.timeout() from error
    except sdk.PineconeConnectionError as error:
        raise service.unavailable() from error
    except sdk.ApiError as error:
        raise _of_status(service, error) from error
    except (sdk.ResponseParsingError, JunkReplyError, httpx.DecodingError, UnicodeDecodeError) as error:
        raise service.malformed() from error


def _of_status(service: Service, error: ApiError) -> LayerError:
    """Return what a status means. 404 is the index: a namespace that is not there is asked for before this."""
    status = error.status_code
    code = error.error_code or ""
    code = f"{status} {code}" if _CODE.fullmatch(code) else str(status)
    if status == _NOT_FOUND:
        return service.unavailable(code)
    return service.of_status(status, quota=_is_quota(error), retry_after=_retry_after(error), code=code)


def _is_quota(error: ApiError) -> bool:
    """Tell a plan's limit from a rate limit or a key without rights: the status alone does not."""
    words = f"{error.error_code or ''} {error.message}"
    if error.status_code == _TOO_MANY:
        return "QUOTA_EXCEEDED" in words or bool(_MONTHLY.search(words))
    return error.status_code == _FORBIDDEN and bool(_QUOTA.search(words))


def _retry_after(error: ApiError) -> float | None:
    try:
        seconds = float((error.headers or {}).get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def is_missing_namespace(error: ApiError) -> bool:
    """Tell a namespace that nothing was stored in yet from an index that is gone: both are 404."""
    return error.status_code == _NOT_FOUND and "namespace" in error.message.lower()
