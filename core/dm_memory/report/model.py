"""A rendered report: text for people and models, data for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """``text`` is Markdown, ``data`` is JSON-ready and fits ``docs/report.schema.json``; shells get ``exit_code``.

    Attributes:
        rest: How the reader gets what is left out if the data has to be cut, one sentence.
    """

    text: str
    data: dict[str, Any]
    exit_code: int = 0
    rest: str = ""
