"""What all connected services share: how their troubles are worded and classed.

An adapter knows its SDK's exceptions and the service's status codes; the sentences, and what there is to do, are here.
Never raw SDK text: it can carry credentials, and says nothing to a marketer.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass

from dm_memory.errors import ErrorClass, LayerError

__all__ = ["Service", "limit_setting", "load"]

_TIMEOUTS = frozenset({408, 504})
_FORBIDDEN = frozenset({401, 403, 407})
_PAYMENT = 402
_TOO_MANY = 429
_SERVER_ERRORS = 500
_CLIENT_ERRORS = 400


async def load(*modules: str) -> None:
    """Import an SDK on a thread: they take some tenths of a second, for which the event loop would stand still.

    Raises:
        ImportError: It is not installed.
    """
    if not sys.modules.keys() >= set(modules):
        await asyncio.to_thread(lambda: [importlib.import_module(module) for module in modules])


_LIMIT_SETTINGS = {
    "vector@qdrant:": "DM_MEMORY_QDRANT_LIMIT",
    "vector@pinecone:": "DM_MEMORY_PINECONE_LIMIT",
    "cross-session@supermemory:": "DM_MEMORY_SUPERMEMORY_LIMIT",
}


def limit_setting(layer: str) -> str:
    """Return the variable that says how much fits into a layer, by the layer's name; "" where there is none."""
    return next((setting for place, setting in _LIMIT_SETTINGS.items() if layer.startswith(place)), "")


@dataclass(frozen=True, slots=True)
class Service:
    """A connected service, for messages.

    Attributes:
        name: What people call it: ``Pinecone``.
        where: Its host, without secrets; "" where the name says it all.
        key_setting: The variable that holds its key or password.
        url_setting: The variable that says where it is; "" where none is set, for a service at its public address.
        plan_page: Where its plan and usage can be seen, in words: ``the Billing page of the Pinecone console``.
    """

    name: str
    where: str
    key_setting: str
    url_setting: str
    plan_page: str = ""

    def of_status(
        self, status: int, *, quota: bool = False, retry_after: float | None = None, code: str = ""
    ) -> LayerError:
        """Return what an HTTP status means. ``quota``: the adapter read in the reply that a plan's limit is reached."""
        code = code or str(status)
        if quota or status == _PAYMENT:
            return self.quota(code)
        if status == _TOO_MANY:
            return self.rate_limited(retry_after, code)
        if status in _FORBIDDEN:
            return self.auth(code)
        return self.timeout(code) if status in _TIMEOUTS else self._of_other_status(status, retry_after, code)

    def _of_other_status(self, status: int, retry_after: float | None, code: str) -> LayerError:
        if status >= _SERVER_ERRORS:
            return self.unavailable(code, retry_after)
        return self.refused(code) if status >= _CLIENT_ERRORS else self.malformed(code)

    def timeout(self, code: str = "") -> LayerError:
        """It did not answer in time. What was asked of it may have happened."""
        return LayerError(
            f"{self._title} did not answer in time.",
            "Sync again later: what it did not confirm is queued. A slow line needs a larger DM_MEMORY_LAYER_TIMEOUT.",
            error_class=ErrorClass.TIMEOUT,
            code=code,
        )

    def auth(self, code: str = "") -> LayerError:
        """It does not accept the key."""
        return LayerError(
            f"{self._title} did not accept the key.",
            f"Check {self.key_setting}: it must be valid and allowed to write.",
            error_class=ErrorClass.AUTH,
            code=code,
        )

    def quota(self, code: str = "") -> LayerError:
        """A limit of the plan is reached; asking again does not help."""
        page = f" See {self.plan_page}." if self.plan_page else ""
        return LayerError(
            f"{self._title} is full: a limit of the plan is reached.",
            f"Make room or change the plan, then sync again: what did not fit is queued.{page}",
            error_class=ErrorClass.QUOTA,
            code=code,
        )

    def rate_limited(self, retry_after: float | None = None, code: str = "") -> LayerError:
        """It asks us to slow down."""
        seconds = round(retry_after or 0)
        when = f"in {seconds} second{'s' * (seconds != 1)}" if seconds else "in a minute"
        return LayerError(
            f"{self._title} is being asked too often.",
            f"Sync again {when}: what is missing is queued.",
            error_class=ErrorClass.RATE_LIMIT,
            code=code,
            retry_after=retry_after,
        )

    def refused(self, code: str = "") -> LayerError:
        """It refused what it was sent; the next item may well be accepted."""
        return LayerError(
            f"{self._title} refused the entry.",
            "Correct the entry in its source and sync again; report the code if the entry is in order.",
            error_class=ErrorClass.VALIDATION,
            code=code,
        )

    def malformed(self, code: str = "") -> LayerError:
        """It answered with something that is no answer."""
        right = f"{self.url_setting} points at {self.name} and at no proxy" if self.url_setting else "no proxy answers"
        return LayerError(
            f"{self._title} sent a reply that can't be understood.",
            f"Sync again; if it happens again, check that {right}.",
            error_class=ErrorClass.MALFORMED_REPLY,
            code=code,
        )

    def unavailable(self, code: str = "", retry_after: float | None = None) -> LayerError:
        """It can't be reached, or is in trouble itself."""
        where = f"{self.url_setting} and the network" if self.url_setting else "the network"
        return LayerError(
            f"{self._title} can't be reached or is in trouble.",
            f"Check {where}, then sync again: what is missing is queued.",
            error_class=ErrorClass.UNAVAILABLE,
            code=code,
            retry_after=retry_after,
        )

    @property
    def _title(self) -> str:
        return f"{self.name} ({self.where})" if self.where else self.name
