"""Translates what Pinecone's SDK can raise. Importing this module imports the SDK."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from pinecone.errors.exceptions import (
    ApiError,
    PineconeConnectionError,
    PineconeTimeoutError,
    ResponseParsingError,
)

from dm_memory.errors import ServiceError
from dm_memory.services.faults import Faults, retry_after

__all__ = ["JunkReplyError", "is_missing_namespace", "translated"]

_CODE = re.compile(r"[A-Z][A-Z_]{2,39}")
_QUOTA = re.compile(r"QUOTA_EXCEEDED|quota|storage limit|max(?:imum)? (?:serverless )?indexes|namespaces? limit")
_MONTHLY = re.compile(r"current month|monthly", re.IGNORECASE)
_TOO_MANY = 429
_FORBIDDEN = 403
_NOT_FOUND = 404


class JunkReplyError(Exception):
    """A reply the SDK takes for an acknowledgement, and which can't be one."""


@contextmanager
def translated(faults: Faults) -> Iterator[None]:
    """Turn what the SDK raises inside the block into a ``ServiceError``; what it does not explain passes: a bug."""
    try:
        yield
    except (PineconeTimeoutError, PineconeConnectionError) as error:
        raise faults.of_transport(error) from error
    except ApiError as error:
        raise _of_status(faults, error) from error
    except (ResponseParsingError, JunkReplyError, httpx.DecodingError, UnicodeDecodeError) as error:
        raise faults.malformed() from error


def _of_status(faults: Faults, error: ApiError) -> ServiceError:
    """Return what a status means. 404 is the index: a namespace that is not there is asked for before this."""
    status = error.status_code
    code = error.error_code or ""
    code = f"{status} {code}" if _CODE.fullmatch(code) else str(status)
    if status == _NOT_FOUND:
        return faults.absent("such index", "Sync again: an index that is missing is made again.", code)
    wait = retry_after((error.headers or {}).get("retry-after"))
    return faults.of_status(status, quota=_is_quota(error), retry_after=wait, code=code)


def _is_quota(error: ApiError) -> bool:
    """Return whether it is a plan's limit, not a rate limit or a key without rights: the status alone does not say."""
    words = f"{error.error_code or ''} {error.message}"
    if error.status_code == _TOO_MANY:
        return "QUOTA_EXCEEDED" in words or bool(_MONTHLY.search(words))
    return error.status_code == _FORBIDDEN and bool(_QUOTA.search(words))


def is_missing_namespace(error: ApiError) -> bool:
    """Return whether nothing was stored in a namespace yet, while the index is there: both are 404."""
    return error.status_code == _NOT_FOUND and "namespace" in error.message.lower()
