"""What can go wrong, as types: one sentence on what is wrong, one on what to do about it.

Texts of this module reach users, reports and logs. They never contain raw SDK text, which can carry credentials.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "BrandNotFoundError",
    "ConfigurationError",
    "DamagedStoreError",
    "DmMemoryError",
    "ErrorClass",
    "HomeError",
    "InputError",
    "LayerError",
    "LockTimeoutError",
    "ServiceError",
    "StoreError",
]


class ErrorClass(StrEnum):
    """The classes every adapter maps its engine's errors to, in the order in which they are tested for."""

    TIMEOUT = "timeout"
    AUTH = "auth"
    QUOTA = "quota"
    RATE_LIMIT = "rate-limit"
    VALIDATION = "validation"
    MALFORMED_REPLY = "malformed-reply"
    UNAVAILABLE = "unavailable"
    CONFIGURATION = "configuration"
    """A setting can't work: nothing was sent, or it went to the wrong place. Another attempt does not help."""
    UNKNOWN = "unknown"


class DmMemoryError(Exception):
    """The base of every error a user can meet.

    Args:
        problem: One sentence that says what is wrong.
        remedy: One sentence that says what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class HomeError(DmMemoryError):
    """The home folder or a file in it can't be used: missing, unreadable, read-only, full or linked outside."""


class BrandNotFoundError(DmMemoryError):
    """No brand was named or active, or the named one does not exist. ``brands`` are the slugs there are."""

    def __init__(self, problem: str, remedy: str, brands: tuple[str, ...]) -> None:
        super().__init__(problem, remedy)
        self.brands = brands


class InputError(DmMemoryError):
    """An argument of a tool or a command can't be accepted."""


class ConfigurationError(DmMemoryError):
    """A setting, or a combination of settings, can't work."""


class LockTimeoutError(DmMemoryError):
    """Another process held the brand for longer than the deadline. ``holder`` says who, in words."""

    def __init__(self, problem: str, remedy: str, holder: str) -> None:
        super().__init__(problem, remedy)
        self.holder = holder


class StoreError(DmMemoryError):
    """The brand's memory can't be read or written."""


class DamagedStoreError(StoreError):
    """The brand's memory is damaged, or no memory at all; a sync sets it aside and builds it again."""


class ServiceError(DmMemoryError):
    """A connected service refused or failed.

    Args:
        problem: One sentence, in our words, never the SDK's.
        remedy: One sentence that names the setting, command or page to go to.
        error_class: What kind of error it is; decides whether and how the call is retried.
        code: The provider's own short code (an HTTP status, a SQLite name), for searching; never free text.
        retry_after: Seconds the provider asked to wait, if it did.
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        error_class: ErrorClass,
        code: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problem, remedy)
        self.error_class = error_class
        self.code = code
        self.retry_after = retry_after

    @property
    def concerns_whole_service(self) -> bool:
        """Whether the next item would meet the same error: the service is not asked again in this run."""
        return self.error_class in _WHOLE_SERVICE

    @property
    def concerns_whole_layer(self) -> bool:
        """See ``concerns_whole_service``."""
        return self.concerns_whole_service


LayerError = ServiceError

_WHOLE_SERVICE = frozenset(
    {
        ErrorClass.TIMEOUT,
        ErrorClass.AUTH,
        ErrorClass.QUOTA,
        ErrorClass.RATE_LIMIT,
        ErrorClass.UNAVAILABLE,
        ErrorClass.CONFIGURATION,
    }
)
