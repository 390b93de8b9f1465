"""The reports of ``dm-memory verify``, ``migrate`` and ``doctor``: what differs, what moved, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline
from dm_memory.report.model import Reader, Report, call
from dm_memory.report.parts import bulleted, document, failure_text, finding_text, key_code
from dm_memory.report.words import (
    capital,
    counted,
    duration,
    entries,
    listed,
    number,
    role_of,
    role_words,
    sentence_end,
)
from dm_memory.results import Check, Drift, MigrateResult, VerifyResult

__all__ = ["doctor_report", "migrate_report", "verify_report"]

_MEMORY = "memory"


def verify_report(result: VerifyResult) -> Report:
    """Render a comparison of memory with itself and with the connected services."""
    rows = [
        "| Part | What it is | Compared | Missing | Differing | Unknown | Repaired |",
        "|---|---|---:|---:|---:|---:|---:|",
        *map(_row, result.parts),
    ]
    notes = [f"- {note}" for part in result.parts for note in _notes(part)]
    notes += [f"- {finding_text(finding)}" for finding in result.findings]
    sections = [
        ("Parts", ["\n".join(rows)]),
        ("Please know", ["\n".join(notes) or "Nothing besides."]),
        ("What to do next", [_next(result)]),
    ]
    text = document(f"# Verification of {code(result.brand)}", [_verdict(result)], sections)
    return Report(text, {"kind": "verify", **data_of(result)}, result.exit_code)


def _verdict(result: VerifyResult) -> str:
    took = f"({duration(result.seconds)})"
    differing = sum(part.differing for part in result.parts)
    if any(part.failure for part in result.parts):
        differ = counted(differing, "entry differs", "entries differ")
        return f"**Not every part could be compared**, see below. {differ} in the others. {took}"
    if not differing:
        services = len(result.parts) > 1
        return f"**{'Memory and services agree' if services else 'Memory is consistent'}.** {took}"
    repaired = sum(part.repaired for part in result.parts)
    if not result.repair:
        return f"**{counted(differing, 'entry differs', 'entries differ')}.** Nothing was changed. {took}"
    return f"**{entries(differing)} differed, {number(repaired)} of them repaired.** {took}"


def _name(part: Drift) -> str:
    return "Memory" if part.name == _MEMORY else inline(part.engine, 60)


def _row(part: Drift) -> str:
    what = "all entries on this computer" if part.name == _MEMORY else role_words(role_of(part.name))
    unknown = "not listed" if part.unknown is None else number(part.unknown)
    counts = " | ".join(map(number, (part.checked, part.missing, part.stale)))
    return f"| {_name(part)} | {what} | {counts} | {unknown} | {number(part.repaired)} |"


def _notes(part: Drift) -> list[str]:
    notes = [f"{_name(part)}: {failure_text(part.failure)}"] if part.failure else []
    if part.examples:
        notes.append(f"{_name(part)}: for example {listed(key_code(key, 80) for key in part.examples)}.")
    return notes


def _next(result: VerifyResult) -> str:
    if not result.exit_code:
        return "Nothing to do."
    if any(part.failure for part in result.parts):
        return "Repair what keeps a service from answering (see above), then verify again."
    if not result.repair:
        again = call(Reader.TERMINAL, "verify", result.brand, repair=True)
        return f"{again} stores again what is missing or differs, and imports what memory does not know."
    return f"Sync with {code('--force')}: it stores and delivers every entry again. Then verify again."


def migrate_report(result: MigrateResult) -> Report:
    """Render a migration."""
    target = inline(result.target, 60)
    there = "does not count its entries" if result.counted is None else f"counts {entries(result.counted)}"
    stored, refused = number(result.stored), number(result.failed)
    lines = [
        f"Due when it began: {entries(result.due)}; confirmed in this run: {stored}; refused: {refused}.",
        f"Expected there: {entries(result.expected)}; {target} {there}.",
        f"Read back: {entries(result.sampled)}, {number(result.differing)} of them not as expected.",
    ]
    notes = [f"- {failure_text(result.failure)}"] if result.failure else []
    notes += [f"- {finding_text(finding)}" for finding in result.findings]
    sections = [
        ("Moved", [bulleted(lines)]),
        ("Please know", ["\n".join(notes) or "Nothing besides."]),
        ("What to do next", [_next_step(result)]),
    ]
    done = "**Everything is there**" if result.expected else "**There is nothing to move, memory is empty**"
    done = done if result.is_complete else "**Not everything is there yet**"
    way = f"from {inline(result.source, 60)} to {target}"
    lead = f"{capital(done)}: {way}, {duration(result.seconds)}."
    text = document(f"# Migration of {code(result.brand)}", [lead], sections)
    return Report(text, {"kind": "migrate", **data_of(result)}, result.exit_code)


def _next_step(result: MigrateResult) -> str:
    if not result.is_complete:
        return "Migrate again: it resumes where it stopped, and stores nothing twice."
    if not result.expected:
        return "Sync first: that fills memory."
    return "Set DM_MEMORY_VECTOR_DB to the new database, or remove the settings of the other one; then sync."


_MARKS = {"ok": "OK", "warn": "Please check", "fail": "Problem"}


def doctor_report(checks: Sequence[Check]) -> Report:
    """Report all checks, problems first; exit code 1 if one failed."""
    order = ["fail", "warn", "ok"]
    ranked = sorted(checks, key=lambda check: order.index(check.status))
    failed = sum(check.status == "fail" for check in checks)
    warned = sum(check.status == "warn" for check in checks)
    found = [f"{counted(failed, 'problem')} to fix"] if failed else []
    found += [f"{counted(warned, 'thing')} to look at"] if warned else []
    total = counted(len(checks), "check")
    lead = f"{total} made: {' and '.join(found)}." if found else f"Healthy: {total} passed."
    text = "\n\n".join(["# Doctor", lead, "\n".join(map(_line, ranked))])
    status = "fail" if failed else "warn" if warned else "ok"
    data = {"kind": "doctor", "status": status, "checks": data_of(checks)}
    return Report(f"{text}\n", data, 1 if failed else 0, "The Markdown report lists every check.")


def _line(check: Check) -> str:
    remedy = f" What to do: {sentence_end(inline(check.remedy))}" if check.remedy else ""
    return f"- **{_MARKS[check.status]}** {inline(check.name, 60)}: {sentence_end(inline(check.detail))}{remedy}"
