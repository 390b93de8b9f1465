"""What can go wrong, as types: one sentence on what is wrong, one on what to do about it.

Texts of this module reach users, reports and logs. They never contain raw SDK text, which can carry credentials.
"""

from __future__ import annotations

import errno
import os
from enum import StrEnum

__all__ = [
    "BrandNotFoundError",
    "ConfigurationError",
    "DamagedStoreError",
    "DmMemoryError",
    "ErrorClass",
    "HomeError",
    "InputError",
    "LockTimeoutError",
    "ServiceError",
    "SpecialFileError",
    "StoreError",
    "limit_of_system",
    "system_reason",
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
    """Another process locked the brand for longer than the deadline. ``holder`` says who, in words."""

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
        problem: One sentence, never the SDK's own text.
        remedy: One sentence that names the setting, command or page to go to.
        error_class: What kind of error it is; decides whether and how the call is retried.
        code: The provider's own short code (an HTTP status, a SQLite name), for searching; never free text.
        retry_after: Seconds the provider asked to wait, if it did; taken as no less than 0 and no more than a day.
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
        self.retry_after = None if retry_after is None else min(max(retry_after, 0.0), _DAY)

    @property
    def concerns_whole_service(self) -> bool:
        """Whether the next item would meet the same error: the service is not asked again in this run."""
        return self.error_class in _WHOLE_SERVICE


_DAY = 24 * 60 * 60.0
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


# What the operating system refuses -----------------------------------------------------------------------------------


class SpecialFileError(OSError):
    """A name of ours belongs to something that is never opened: a link, a folder, a pipe, a device, or too much."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)


def system_reason(error: OSError) -> tuple[str, str]:
    """Return why the operating system refused something, to stand in brackets, and a sentence that says what to do.

    A limit of the system is called that: nothing is wrong with the file.
    """
    if getattr(error, "winerror", None) in _SHARING:
        return "another program has it open", "Close that program, or wait for it to end, and try again."
    for numbers, reason, remedy in _REFUSALS:
        if error.errno in numbers:
            return reason, remedy
    if isinstance(error, SpecialFileError | FileExistsError | IsADirectoryError | NotADirectoryError):
        return error.strerror or "something else has its name", "Move it out of the way, then try again."
    text = error.strerror or (os.strerror(error.errno) if error.errno else type(error).__name__)
    return text, "Check the disk's space and the folder's permissions, then try again."


def limit_of_system(error: BaseException) -> HomeError | None:
    """Return what a person should know of an error that nobody expected, if a limit of the system is behind it."""
    if isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error):  # a module written in C
        error = OSError(errno.EMFILE, "")
    if not isinstance(error, OSError) or error.errno not in _LIMITS:
        return None
    reason, remedy = system_reason(error)
    return HomeError(f"The system refused what dm-memory needs ({reason}).", remedy)


_LIMITS = frozenset({errno.ENOSPC, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.EROFS})

_SHARING = frozenset({32, 33})
"""Windows' codes for a file that another program has open, or locks."""

_REFUSALS = (
    ({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}, "the disk is full", "Free some space, then try again."),
    (
        {errno.EFBIG},
        "the system's limit on the size of a file is reached",
        "Raise that limit (ulimit -f; some disks allow no file above 4 GB), then try again.",
    ),
    (
        {errno.EMFILE, errno.ENFILE},
        "the system's limit on open files is reached",
        "Close other programs or raise that limit (ulimit -n), then try again.",
    ),
    (
        {errno.ENAMETOOLONG},
        "its path is too long for this system",
        "Use a home folder with a shorter path: set CLAUDE_MARKETING_HOME.",
    ),
    (
        {errno.EROFS},
        "the file system is read-only",
        "Make it writable, or set CLAUDE_MARKETING_HOME to a folder that is.",
    ),
    (
        {errno.EACCES, errno.EPERM},
        "permission denied",
        "Make the folder and its files readable and writable for the user who runs dm-memory.",
    ),
)
