"""The report of ``dm-memory doctor``: what was checked, what is wrong, how to repair it."""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.report.data import data_of
from dm_memory.report.escape import inline
from dm_memory.report.model import Report
from dm_memory.report.words import counted, sentence_end
from dm_memory.results import Check

__all__ = ["doctor_report"]

_MARKS = {"ok": "OK", "warn": "Please check", "fail": "Problem"}


def doctor_report(checks: Sequence[Check]) -> Report:
    """Report all checks, problems first; exit code 1 if one failed."""
    order = ["fail", "warn", "ok"]
    ranked = sorted(checks, key=lambda check: order.index(check.status))
    failed = sum(check.status == "fail" for check in checks)
    warned = sum(check.status == "warn" for check in checks)
    text = "\n\n".join(["# Doctor", _lead(len(checks), failed, warned), "\n".join(map(_line, ranked))])
    status = "fail" if failed else "warn" if warned else "ok"
    data = {"kind": "doctor", "status": status, "checks": data_of(checks)}
    return Report(f"{text}\n", data, 1 if failed else 0, "The Markdown report lists every check.")


def _lead(total: int, failed: int, warned: int) -> str:
    if not failed and not warned:
        return f"Healthy: {counted(total, 'check')} passed."
    found = [f"{counted(failed, 'problem')} to fix"] if failed else []
    found += [f"{counted(warned, 'thing')} to look at"] if warned else []
    return f"{counted(total, 'check')} made: {' and '.join(found)}."


def _line(check: Check) -> str:
    remedy = f" What to do: {sentence_end(inline(check.remedy))}" if check.remedy else ""
    return f"- **{_MARKS[check.status]}** {inline(check.name, 60)}: {sentence_end(inline(check.detail))}{remedy}"
