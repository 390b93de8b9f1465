"""Findings: what a person should know about the brand's files or the environment, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity", "count_of_entries", "is_file_problem"]

_FILE_CODES = frozenset({"malformed-entry", "text-too-long", "empty-source", "empty-text", "profile-value"})
"""What a file got wrong, or a part of it: nothing of that part could be stored."""


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the brand's files or the environment a person should know.

    Attributes:
        code: Stable short name: ``broken-file``, ``malformed-entry``, ``empty-source``, ``file-too-large``,
            ``link-refused``, ``profile-defaults``, ``privacy-law``, ``banned-word``, ``restricted-claim``,
            ``clock-went-back``, ``index-rebuilt``, ``empty-text``, ...
        message: One sentence. May quote brand files; the report escapes it.
        remedy: One sentence, or "".
        path: The file concerned, relative to the brand's folder, or "".
        key: The item concerned, or "".
    """

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    path: str = ""
    key: str = ""


def is_file_problem(finding: Finding) -> bool:
    """Return whether a finding is something that a file got wrong, and that somebody has to correct there."""
    if finding.severity is not Severity.INFO and finding.code in _FILE_CODES:
        return True
    return finding.severity is Severity.ERROR and finding.path != ""


def count_of_entries(count: int) -> str:
    """Return ``1 entry``, ``2,000 entries``."""
    return f"{count:,} {'entry' if count == 1 else 'entries'}"
