"""The report of a storage sync: health, what moved, what was removed, validation, counts, lag, the next run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from dm_memory.cache.plan import FULL_EVERY
from dm_memory.cache.results import Mode, Status, StorageSyncResult
from dm_memory.findings import Finding, Severity
from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline
from dm_memory.report.model import Reader, Report, call
from dm_memory.report.parts import bulleted, document, failure_text, finding_text
from dm_memory.report.words import ago, counted, duration, number, size
from dm_memory.services.turso.schema import Table

__all__ = ["STORAGE_SECTIONS", "storage_report"]

STORAGE_SECTIONS = ("Health", "Moved", "Removed", "Validation", "Counts", "Next run")

_FINDINGS = 20

_LEADS = {
    Status.SYNCED: "**The cache was brought up to the durable store** in {took}.",
    Status.UNCHANGED: "**Nothing changed in the durable store**; looking took {took}.",
    Status.PLANNED: "**Dry run: nothing was written.** This is what a run would do at most.",
    Status.CHECKED: "**Check: nothing was changed.** It took {took}.",
    Status.SKIPPED: "**Skipped: the durable store can't be read now.** The cache is as it was and is still read.",
    Status.INTERRUPTED: (
        "**Interrupted: the durable store stopped answering.** What was read before is in the cache; the next run "
        "resumes there."
    ),
}


def storage_report(
    result: StorageSyncResult, interval: float | None = None, *, reader: Reader = Reader.TERMINAL
) -> Report:
    """Render a storage sync.

    Args:
        result: What it did.
        interval: Seconds between the runs of whoever asked, where it runs by itself.
        reader: Whom remedies speak to.
    """
    sections = (
        _health(result, reader),
        _moved(result),
        _removed(result),
        _validation(result, reader),
        _counts(result),
        _next_run(result, interval, reader),
    )
    text = document(
        f"# Storage sync {code(result.brand)}",
        [_LEADS[result.status].format(took=duration(result.duration))],
        [(name, [block]) for name, block in zip(STORAGE_SECTIONS, sections, strict=True)],
    )
    following = interval if result.retry_after is None else result.retry_after
    data = {"kind": "storage-sync", **data_of(result), "next_run_seconds": following}
    rest = f"Check again once the first findings are repaired: {_again(result, reader, validate_only=True)}"
    return Report(text, data, result.exit_code, rest)


def _again(result: StorageSyncResult, reader: Reader, **arguments: bool) -> str:
    return call(reader, "storage_sync", result.brand, **arguments)


_CALL = re.compile(r"\bstorage_sync(?: with (full|repair))?\b")


def _finding(finding: Finding, result: StorageSyncResult, reader: Reader) -> str:
    """Return a finding whose remedy names the tool, or the command, with what it needs."""
    remedy = _CALL.sub(lambda found: _again(result, reader, **{found[1] or "full": bool(found[1])}), finding.remedy)
    return finding_text(finding, remedy="" if remedy == finding.remedy else remedy)


_FOREIGN = (
    ". It was made by do-memory: nothing is written to it. Its edits may leave no time behind, so every "
    f"{FULL_EVERY}th run reads all of it, at the cost of the first one, and any run that meets such an edit"
)


def _health(result: StorageSyncResult, reader: Reader) -> str:
    store, cache = result.store, result.cache
    foreign = _FOREIGN if store.layout == "do-memory" else ""
    answered = failure_text(store.error) if store.error else f"answers{foreign}."
    set_aside = [finding for finding in result.findings if finding.code == "cache-quarantined"]
    damaged = any(finding.code == "cache-damaged" for finding in result.findings)
    absent = "damaged, and left where it is." if damaged else "not made yet."
    state = f"{inline(cache.engine, 20)}, {size(cache.file_bytes)}." if cache.engine else absent
    lines = [f"Durable store, {inline(store.engine, 80)}: {answered}", f"Cache: {state}"]
    return bulleted([*lines, *(_finding(finding, result, reader) for finding in set_aside)])


def _moved(result: StorageSyncResult) -> str:
    moved = _tally(result.moved.written)
    if result.status is Status.PLANNED:
        return f"At most {moved} would be written to the cache." if moved else "Nothing."
    if result.mode is Mode.FULL and result.status is Status.SYNCED:
        differing = f"What was new or differed was written to the cache: {moved}." if moved else "Nothing differed."
        return f"Everything was read again. {differing}"
    return f"New or changed, and written to the cache: {moved}." if moved else "Nothing."


def _removed(result: StorageSyncResult) -> str:
    moved = result.moved
    gone, evicted = _tally(moved.removed), counted(moved.evicted, "episode")
    parts = [f"Removed, because the durable store does not have them: {gone}."] if gone else []
    if moved.evicted:
        verb = "would make room" if result.status is Status.PLANNED else "made room"
        parts.append(f"{evicted} {verb} for newer ones; the durable store keeps them.")
    return " ".join(parts) or "Nothing."


def _validation(result: StorageSyncResult, reader: Reader) -> str:
    found = [finding for finding in result.findings if finding.code != "cache-quarantined"]
    well = "The cache agrees with the durable store."
    if not found:
        return well if result.validated else "Not compared in this run."
    lines = [well, ""] if result.validated and {finding.severity for finding in found} == {Severity.INFO} else []
    lines += [f"- {_finding(finding, result, reader)}" for finding in found[:_FINDINGS]]
    if len(found) > _FINDINGS:
        lines.append(f"- … and {number(len(found) - _FINDINGS)} more, in the data beside this report.")
    return "\n".join(lines)


def _counts(result: StorageSyncResult) -> str:
    rows = ["| Table | Durable store | Cache |", "|---|---:|---:|"]
    for table in Table:
        there = result.store.counts.get(table)
        shown = "unknown" if there is None else number(there)
        rows.append(f"| {table.value} | {shown} | {number(result.cache.counts[table])} |")
    return "\n".join(rows)


def _next_run(result: StorageSyncResult, interval: float | None, reader: Reader) -> str:
    parts = [_lag(result)]
    if result.retry_after is not None:
        parts.append(f"Try again in {duration(result.retry_after)}: {_again(result, reader)}")
    elif interval is not None:
        parts.append(f"The next run is in {duration(interval)}.")
    else:
        parts.append(f"Run it again when the durable store has changed: {_again(result, reader)}")
    hints = bulleted(inline(hint) for hint in result.hints)
    return f"{' '.join(parts)}\n\n{hints}"


def _lag(result: StorageSyncResult) -> str:
    if result.behind is not None:
        return f"{counted(result.behind, 'change')} behind the durable store." if result.behind else "No lag."
    if not result.cache.synced_at:
        return "The cache has never been filled."
    started = datetime.fromisoformat(result.started_at).timestamp()
    return f"The cache was up to date {ago(max(0.0, started - result.cache.synced_at / 1_000_000))}."


def _tally(counts: Mapping[Table, int]) -> str:
    return ", ".join(counted(counts[table], table.value.removesuffix("s")) for table in Table if counts.get(table))
