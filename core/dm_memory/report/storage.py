"""The report of a storage sync: health, what moved, what was removed, validation, counts, lag, the next run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dm_memory.cache.plan import FULL_EVERY
from dm_memory.cache.results import Mode, Status, StorageSyncResult
from dm_memory.errors import LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.report.data import finding_data
from dm_memory.report.escape import code, inline, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.parts import command, document, error_words, finding_text
from dm_memory.report.words import ago, counted, duration, number, sentence_end, size
from dm_memory.services.turso.schema import Table

__all__ = ["STORAGE_SECTIONS", "storage_report"]

STORAGE_SECTIONS = ("Health", "Moved", "Removed", "Validation", "Counts", "Next run")

_FINDINGS = 20
_DATA_FINDINGS = 1000

_LEADS = {
    Status.SYNCED: "**The cache was brought up to the durable store** in {took}.",
    Status.UNCHANGED: "**Nothing changed in the durable store**; looking took {took}.",
    Status.PLANNED: "**Dry run: nothing was written.** This is what a run would do at most.",
    Status.CHECKED: "**Check: nothing was changed.** It took {took}.",
    Status.SKIPPED: "**Skipped: the durable store can't be read now.** The cache is as it was and goes on serving.",
    Status.INTERRUPTED: (
        "**Interrupted: the durable store stopped answering.** What was read before is in the cache; the next run goes "
        "on from there."
    ),
}


def storage_report(result: StorageSyncResult, interval: float | None = None) -> Report:
    """Render a storage sync.

    Args:
        result: What it did.
        interval: Seconds between the runs of whoever asked, where it runs by itself.
    """
    sections = (
        _health(result),
        _moved(result),
        _removed(result),
        _validation(result),
        _counts(result),
        _next_run(result, interval),
    )
    text = document(
        f"# Storage sync {code(result.brand)}",
        [_LEADS[result.status].format(took=duration(result.duration))],
        [(name, [block]) for name, block in zip(STORAGE_SECTIONS, sections, strict=True)],
    )
    return Report(text, _data(result, interval), result.exit_code)


_FOREIGN = (
    ". It was made by do-memory: nothing is written to it. Its edits may leave no time behind, so every "
    f"{FULL_EVERY}th run reads all of it, at the cost of the first one, and any run that meets such an edit"
)


def _health(result: StorageSyncResult) -> str:
    store, cache = result.store, result.cache
    answered = (
        f"answers{_FOREIGN if store.layout == 'do-memory' else ''}." if store.error is None else _failure(store.error)
    )
    set_aside = [finding for finding in result.findings if finding.code == "cache-quarantined"]
    damaged = any(finding.code == "cache-damaged" for finding in result.findings)
    absent = "damaged, and left where it is." if damaged else "not made yet."
    state = f"{inline(cache.engine, 20)}, {size(cache.file_bytes)}." if cache.engine else absent
    lines = [f"Durable store, {inline(store.engine, 80)}: {answered}", f"Cache: {state}"]
    return "\n".join(f"- {line}" for line in [*lines, *map(finding_text, set_aside)])


def _failure(error: LayerError) -> str:
    short = f" [{code(error.code, 40)}]" if error.code else ""
    remedy = sentence_end(inline(error.remedy))
    return f"{error_words(error.error_class)}{short}. {sentence_end(inline(error.problem))} What to do: {remedy}"


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
    parts = [f"{gone} were removed: the durable store does not hold them."] if gone else []
    if moved.evicted:
        verb = "would make room" if result.status is Status.PLANNED else "made room"
        parts.append(f"{evicted} {verb} for newer ones; the durable store keeps them.")
    return " ".join(parts) or "Nothing."


def _validation(result: StorageSyncResult) -> str:
    found = [finding for finding in result.findings if finding.code != "cache-quarantined"]
    well = "The cache is what the durable store says it should be."
    if not found:
        return well if result.validated else "Not compared in this run."
    lines = [well, ""] if result.validated and {finding.severity for finding in found} == {Severity.INFO} else []
    lines += [f"- {finding_text(finding)}" for finding in found[:_FINDINGS]]
    if len(found) > _FINDINGS:
        lines.append(f"- … and {number(len(found) - _FINDINGS)} more, in the data beside this report.")
    return "\n".join(lines)


def _counts(result: StorageSyncResult) -> str:
    rows = ["| Table | Durable store | Cache |", "|---|---:|---:|"]
    for table in Table:
        held = result.store.counts.get(table)
        shown = "unknown" if held is None else number(held)
        rows.append(f"| {table.value} | {shown} | {number(result.cache.counts[table])} |")
    return "\n".join(rows)


def _next_run(result: StorageSyncResult, interval: float | None) -> str:
    parts = [_lag(result)]
    if result.retry_after is not None:
        parts.append(f"Try again in {duration(result.retry_after)}: {command('storage-sync', result.brand)}")
    elif interval is not None:
        parts.append(f"The next run is in {duration(interval)}.")
    else:
        parts.append(f"Run it again when the durable store has changed: {command('storage-sync', result.brand)}")
    return " ".join(parts)


def _lag(result: StorageSyncResult) -> str:
    age = _age(result)
    known = "The cache has never been filled." if age is None else f"The cache was up to date {ago(age)}."
    if result.behind is None:
        return known
    return f"{counted(result.behind, 'change')} behind the durable store." if result.behind else "No lag."


def _age(result: StorageSyncResult) -> float | None:
    """Return the seconds since the cache was last up to date, or None where it never was."""
    if not result.cache.synced_at:
        return None
    started = datetime.fromisoformat(result.started_at).timestamp()
    return max(0.0, started - result.cache.synced_at / 1_000_000)


def _tally(counts: Any) -> str:  # noqa: ANN401  # a mapping of tables
    return ", ".join(counted(counts[table], table.value.removesuffix("s")) for table in Table if counts.get(table))


def _data(result: StorageSyncResult, interval: float | None) -> dict[str, Any]:
    synced = result.cache.synced_at
    return {
        "kind": "storage-sync",
        "brand": result.brand,
        "status": result.status.value,
        "mode": result.mode.value,
        "started_at": result.started_at,
        "duration_seconds": round(result.duration, 3),
        "durable": {
            "engine": scrub(result.store.engine),
            "layout": result.store.layout,
            "counts": {table.value: result.store.counts.get(table) for table in Table},
            "error": _error_data(result.store.error),
        },
        "cache": {
            "engine": result.cache.engine,
            "file_bytes": result.cache.file_bytes,
            "counts": _counts_data(result.cache.counts),
            "synced_at": datetime.fromtimestamp(synced / 1_000_000, UTC).isoformat() if synced else None,
        },
        "written": _counts_data(result.moved.written),
        "removed": _counts_data(result.moved.removed),
        "evicted": result.moved.evicted,
        "behind": result.behind,
        "validated": result.validated,
        "findings": [finding_data(finding) for finding in _listed(result)],
        "next_run_seconds": interval if result.retry_after is None else result.retry_after,
    }


def _listed(result: StorageSyncResult) -> tuple[Finding, ...]:
    return result.findings[:_DATA_FINDINGS]


def _counts_data(counts: Any) -> dict[str, int]:  # noqa: ANN401  # a mapping of tables
    return {table.value: counts.get(table, 0) for table in Table}


def _error_data(error: LayerError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {
        "class": error.error_class.value,
        "code": scrub(error.code),
        "message": visible(error.problem),
        "remedy": visible(error.remedy),
    }
