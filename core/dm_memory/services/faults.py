"""How the errors of connected services are worded and classed.

An adapter knows its SDK's exceptions and the service's status codes; the sentences, and what there is to do, are here.
Never raw SDK text: it can carry credentials, and says nothing to a marketer.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import gaierror

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.http import proxy_for

__all__ = ["NOT_STORED", "Faults", "load", "refused", "retry_after"]

_TIMEOUTS = frozenset({408, 504})
_FORBIDDEN = frozenset({401, 403, 407})
_PAYMENT = 402
_TOO_MANY = 429
_SERVER_ERRORS = 500
_CLIENT_ERRORS = 400
_REDIRECTS = 300


async def load(*modules: str) -> None:
    """Import modules on a thread: an SDK takes some tenths of a second, for which the event loop would stand still.

    Raises:
        ImportError: One is not installed.
    """
    if not sys.modules.keys() >= set(modules):
        await asyncio.to_thread(lambda: [importlib.import_module(module) for module in modules])


def retry_after(header: str | None) -> float | None:
    """Return a Retry-After (RFC 9110: seconds, or an HTTP date) in seconds from now; None if it can't be read."""
    text = (header or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return seconds if 0 <= seconds < float("inf") else None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _wait(seconds: float) -> str:
    """Return how long to wait, in words: a minute if the service does not say anything sensible."""
    whole = round(min(seconds, _DAY))
    if whole <= 0:
        return "a minute"
    size, unit = next((size, unit) for size, unit in _UNITS if whole >= 2 * size or size == 1)
    count = -(-whole // size)
    return f"{count} {unit}{'s' * (count != 1)}"


_DAY = 24 * 60 * 60
_UNITS = ((60 * 60, "hour"), (60, "minute"), (1, "second"))


def refused(problem: str, remedy: str, code: str = "") -> ServiceError:
    """Return the error for one entry, or one query, that can't be accepted as it is."""
    return ServiceError(problem, remedy, error_class=ErrorClass.VALIDATION, code=code)


NOT_STORED = refused("The entry is not in the service.", "It is stored whole with the next sync.")
"""Of an entry whose metadata alone should change."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The errors of one connected service.

    Attributes:
        name: What people call it: ``Pinecone``.
        where: Its host, without secrets; "" if the name says it all.
        key_setting: The variable that contains its key or password.
        url_setting: The variable that states where it is; "" if none is set, for a service at its public address.
        plan_page: Where its plan and usage can be seen, in words: ``the Billing page of the Pinecone console``.
        timeout_setting: The variable that states its deadline.
    """

    name: str
    where: str
    key_setting: str
    url_setting: str
    plan_page: str = ""
    timeout_setting: str = "DM_MEMORY_LAYER_TIMEOUT"

    def of_status(
        self, status: int, *, quota: bool = False, retry_after: float | None = None, code: str = ""
    ) -> ServiceError:
        """Return what an HTTP status means. ``quota``: the adapter read in the reply that a plan's limit is reached."""
        code = code or str(status)
        if quota or status == _PAYMENT:
            return self.quota(code)
        if status == _TOO_MANY:
            return self.rate_limited(retry_after, code)
        if status >= _SERVER_ERRORS and status not in _TIMEOUTS:
            return self.unavailable(code, retry_after)
        if status < _CLIENT_ERRORS:
            return self.redirected(code) if status >= _REDIRECTS else self.malformed(code)
        meaning = self.auth if status in _FORBIDDEN else self.timeout if status in _TIMEOUTS else self.refused
        return meaning(code)

    def of_transport(self, error: BaseException) -> ServiceError:
        """Return what an error of httpx, or an SDK's error with one behind it, means: no answer came."""
        import httpx  # noqa: PLC0415  # loaded: it raised

        reasons = list(_behind(error))
        code = type(next((reason for reason in reasons if isinstance(reason, httpx.HTTPError)), error)).__name__
        if any(isinstance(reason, httpx.TimeoutException) for reason in reasons):
            return self.timeout(code)
        if any(isinstance(reason, httpx.DecodingError) for reason in reasons):
            return self.malformed(code)
        if any(isinstance(reason, httpx.ProxyError) or _is_proxied(reason) for reason in reasons):
            problem, remedy = "can't be reached through the proxy", "Check HTTPS_PROXY, ALL_PROXY and NO_PROXY"
        elif any(isinstance(reason, ssl.SSLCertVerificationError) for reason in reasons):
            problem, code = "has a certificate that is not trusted here", "certificate"
            remedy = "Set SSL_CERT_FILE to a file with the certificate of your network's proxy or of the server"
        elif any(isinstance(reason, ConnectionRefusedError) for reason in reasons):
            problem, remedy = "refused the connection", f"Check that it runs{self._and_address}"
        elif any(isinstance(reason, gaierror) for reason in reasons):
            problem, remedy = "has a host name that was not found", f"Check the network{self._and_address}"
        else:
            problem, remedy = "can't be reached", f"Check the network{self._and_address}"
        return self._error(ErrorClass.UNAVAILABLE, problem, f"{remedy}, then sync again: {_QUEUED}.", code)

    def timeout(self, code: str = "") -> ServiceError:
        """It did not answer in time. What was asked of it may have happened."""
        remedy = f"Sync again later: {_QUEUED}. A slow network needs a larger {self.timeout_setting}."
        return self._error(ErrorClass.TIMEOUT, "did not answer in time", remedy, code)

    def auth(self, code: str = "") -> ServiceError:
        """It does not accept the key."""
        remedy = f"Check {self.key_setting}: it must be valid and allowed to write."
        return self._error(ErrorClass.AUTH, "did not accept the key", remedy, code)

    def quota(self, code: str = "") -> ServiceError:
        """A limit of the plan is reached; another attempt does not help."""
        page = f" See {self.plan_page}." if self.plan_page else ""
        remedy = f"Delete what is no longer needed or change the plan, then sync again: {_QUEUED}.{page}"
        return self._error(ErrorClass.QUOTA, "is full: a limit of the plan is reached", remedy, code)

    def rate_limited(self, retry_after: float | None = None, code: str = "") -> ServiceError:
        """It asks us to slow down."""
        remedy = f"Sync again in {_wait(retry_after or 0)}: {_QUEUED}."
        return self._error(ErrorClass.RATE_LIMIT, "reports that its rate limit is exceeded", remedy, code, retry_after)

    def refused(self, code: str = "") -> ServiceError:
        """It refused what it was sent; the next item may well be accepted."""
        remedy = "Correct the entry in its source and sync again; report the code if the entry is in order."
        return self._error(ErrorClass.VALIDATION, "refused the entry", remedy, code)

    def malformed(self, code: str = "") -> ServiceError:
        """It answered with something that is no answer."""
        right = f"{self.url_setting} points at {self.name} and at no proxy" if self.url_setting else "no proxy answers"
        remedy = f"Sync again; if it happens again, check that {right}."
        return self._error(ErrorClass.MALFORMED_REPLY, "sent a malformed response", remedy, code)

    def redirected(self, code: str) -> ServiceError:
        """It answered that it is elsewhere, where the key is not sent."""
        setting = self.url_setting or "the proxy settings"
        remedy = f"Set {setting} to the final address: dm-memory does not follow redirects with a key."
        return self._error(ErrorClass.CONFIGURATION, "redirects to another address", remedy, code)

    def absent(self, what: str, remedy: str, code: str = "404") -> ServiceError:
        """It answered, but what was asked for is not there any more; no entry is to blame."""
        return self._error(ErrorClass.UNAVAILABLE, f"answered {code}: there is no {what}", remedy, code)

    def misplaced(self, what: str, remedy: str, code: str = "404") -> ServiceError:
        """Something answered that it is not this service: the address is wrong."""
        return self._error(ErrorClass.CONFIGURATION, f"answered {code}: there is no {what}", remedy, code)

    def unavailable(self, code: str = "", retry_after: float | None = None) -> ServiceError:
        """It was reached, and fails."""
        remedy = f"Sync again later: {_QUEUED}."
        return self._error(ErrorClass.UNAVAILABLE, "is not available at present", remedy, code, retry_after)

    def _error(
        self, error_class: ErrorClass, problem: str, remedy: str, code: str, retry_after: float | None = None
    ) -> ServiceError:
        title = f"{self.name} ({self.where})" if self.where else self.name
        return ServiceError(f"{title} {problem}.", remedy, error_class=error_class, code=code, retry_after=retry_after)

    @property
    def _and_address(self) -> str:
        return f" and {self.url_setting}" if self.url_setting else ""


_QUEUED = "what is missing is queued"


def _is_proxied(error: BaseException) -> bool:
    """Return whether no connection came about to a place that is reached through a proxy: then the proxy is meant."""
    import httpx  # noqa: PLC0415  # as above

    if not isinstance(error, httpx.ConnectError):
        return False
    try:
        return proxy_for(str(error.request.url)) is not None
    except (RuntimeError, ConfigurationError):  # it is not known what was asked
        return False


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that led to it: httpx wraps httpcore's, which wraps anyio's group of attempts."""
    waiting, seen = [error], set[int]()
    while waiting:
        reason = waiting.pop(0)
        if id(reason) in seen:
            continue
        seen.add(id(reason))
        yield reason
        waiting += [behind for behind in (reason.__cause__, reason.__context__) if behind is not None]
        if isinstance(reason, BaseExceptionGroup):
            waiting += reason.exceptions
