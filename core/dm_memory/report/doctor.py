"""The report of ``dm-memory doctor``: what was checked, what is wrong, how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dm_memory.report.escape import inline, visible
from dm_memory.report.model import Report
from dm_memory.report.words import counted, sentence_end

__all__ = ["Check", "doctor_report"]

_MARKS = {"ok": "OK", "warn": "Please check", "fail": "Problem"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was checked, in two or three words.
        detail: What was found, one sentence.
        remedy: What to do, one sentence, or "".
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def doctor_report(checks: Sequence[Check]) -> Report:
    """Report all checks, troubles first; exit code 1 where one failed."""
    order = ["fail", "warn", "ok"]
    ranked = sorted(checks, key=lambda check: order.index(check.status))
    failed = sum(check.status == "fail" for check in checks)
    warned = sum(check.status == "warn" for check in checks)
    text = "\n\n".join(["# Doctor", _lead(len(checks), failed, warned), "\n".join(map(_line, ranked))])
    data = {
        "kind": "doctor",
        "status": "fail" if failed else "warn" if warned else "ok",
        "checks": [_check_data(check) for check in checks],
    }
    return Report(f"{text}\n", data, 1 if failed else 0)


def _lead(total: int, failed: int, warned: int) -> str:
    if not failed and not warned:
        return f"All is well: {counted(total, 'check')} passed."
    found = [f"{counted(failed, 'problem')} to fix"] if failed else []
    found += [f"{counted(warned, 'thing')} to look at"] if warned else []
    return f"{counted(total, 'check')} made: {' and '.join(found)}."


def _line(check: Check) -> str:
    remedy = f" What to do: {sentence_end(inline(check.remedy))}" if check.remedy else ""
    return f"- **{_MARKS[check.status]}** {inline(check.name, 60)}: {sentence_end(inline(check.detail))}{remedy}"


def _check_data(check: Check) -> dict[str, str]:
    return {
        "name": visible(check.name),
        "status": check.status,
        "detail": visible(check.detail),
        "remedy": visible(check.remedy),
    }
