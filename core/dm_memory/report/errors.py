"""An error a user can meet, as a report of its own."""

from __future__ import annotations

from typing import Any

from dm_memory.errors import BrandNotFoundError, DmMemoryError, ServiceError
from dm_memory.report.escape import code, inline, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.words import sentence_end

__all__ = ["error_report"]

_SHOWN_BRANDS = 50


def error_report(error: DmMemoryError) -> Report:
    """Report that nothing could be done, why, and what to do; exit code 2."""
    details: dict[str, Any] = {
        "class": error.error_class.value
        if isinstance(error, ServiceError)
        else _NAMES.get(type(error).__name__, "error"),
        "message": visible(error.problem),
        "remedy": visible(error.remedy),
    }
    problem, remedy = sentence_end(inline(error.problem)), sentence_end(inline(error.remedy))
    text = f"**Nothing was done.** {problem}\n\nWhat to do: {remedy}"
    if isinstance(error, BrandNotFoundError):
        details["brands"] = [scrub(brand) for brand in error.brands]
        if error.brands:
            text += f"\n\nBrands there are: {', '.join(map(code, error.brands[:_SHOWN_BRANDS]))}"
    return Report(f"{text}\n", {"kind": "error", "error": details}, 2)


_NAMES = {
    "BrandNotFoundError": "brand-not-found",
    "HomeError": "home",
    "InputError": "input",
    "ConfigurationError": "configuration",
    "LockTimeoutError": "lock-timeout",
    "StoreError": "store",
    "DamagedStoreError": "store-damaged",
}
