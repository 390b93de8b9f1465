"""The report of a brand's memory: what is in it, whether it is healthy, what to do next."""

from __future__ import annotations

from dm_memory.cache.view import CacheView
from dm_memory.findings import is_file_problem
from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.knowledge import contradiction_lines, pattern_lines
from dm_memory.report.model import Reader, Report, all_failures
from dm_memory.report.parts import (
    NO_SERVICE,
    QUOTED_NOTE,
    TEXT_BYTES,
    attempts_text,
    bulleted,
    bullets,
    capacity_text,
    document,
    failure_text,
    finding_text,
    fitting,
    item_text,
    memory_capacity,
    memory_text,
    one_or_bulleted,
    title,
    words_alone,
)
from dm_memory.report.words import (
    ago,
    counted,
    entries,
    listed,
    number,
    place_of,
    role_words,
    sentence_end,
    short_id,
    tally,
    when,
)
from dm_memory.results import ItemOutcome, PatternsResult, ServiceStatus, StatusResult

__all__ = ["status_report"]

_SHOWN_PATTERNS = 5

_HEADLINES = {
    "never-synced": "**Nothing has been synced yet.**",
    "attention": "**Memory needs attention**, see below.",
    "syncing": "**A sync is running right now**; the figures below are from before it ends.",
}
_RUNS = {
    "complete": "complete",
    "partial": "not complete",
    "interrupted": "interrupted",
    "cancelled": "stopped",
    "maintenance": "a check or repair",
    "running": "running",
}


def status_report(
    result: StatusResult,
    patterns: PatternsResult | None = None,
    *,
    list_limit: int = 20,
    reader: Reader = Reader.TERMINAL,
    max_bytes: int | None = TEXT_BYTES,
) -> Report:
    """Render a brand's state; at most ``list_limit`` lines per list. The exit code is always 0: asking worked."""
    known = patterns or PatternsResult(result.brand, (), 0)
    text = fitting(lambda limit: _text(result, known, limit, reader), list_limit, max_bytes)
    rest = f"For all failed entries: {all_failures(reader, result.brand, result.failed)}"
    found = {"patterns": data_of(known.patterns), "contradictions": data_of(known.contradictions)}
    return Report(text, {"kind": "status", **data_of(result), **found}, 0, rest)


def _text(result: StatusResult, known: PatternsResult, limit: int, reader: Reader) -> str:
    capacities = [memory_capacity(result.store)] if result.store.entries or result.store.bytes else []
    capacities += [
        capacity_text(service.engine, service.role, service.capacity, measured=service.health.ok)
        for service in result.services
    ]
    sections = [
        ("Summary", _summary(result)),
        ("Failed and waiting", _open(result, limit, reader)),
        ("Memory and services", _memory(result)),
        ("Storage capacity", [one_or_bulleted(capacities) or "Nothing is stored yet."]),
        ("What to do next", [one_or_bulleted(sentence_end(inline(advice)) for advice in result.advice) or "Nothing."]),
    ]
    if known.patterns or known.contradictions:
        sections.insert(3, ("What worked and what failed", _known(known, min(limit, _SHOWN_PATTERNS))))
    if result.cache is not None:
        sections.insert(3, ("Local cache", _cache(result, result.cache)))
    others = [finding for finding in result.findings if not is_file_problem(finding)]
    if others:
        rest = code("dm-memory doctor")
        lines = bullets(map(finding_text, others), total=len(others), limit=limit, rest=rest)
        sections.insert(2, ("Please know", [lines]))
    return document(title("Memory of", result.brand_name, result.brand), [], sections)


def _known(known: PatternsResult, limit: int) -> list[str]:
    blocks = [pattern_lines(known.patterns, limit)]
    if known.contradictions:
        more = len(known.contradictions) - limit
        head = "**What contradicts itself** (nothing was overwritten)"
        lines = contradiction_lines(known.contradictions[:limit])
        blocks += [head, lines + (f"\n- … and {counted(more, 'more', 'more')}" if more > 0 else "")]
    if known.total > limit or len(known.contradictions) > limit:
        blocks.append(f"All {counted(known.total, 'pattern')} and contradictions: {code('dm-memory patterns')}")
    return blocks


def _summary(result: StatusResult) -> list[str]:
    kinds = f": {tally(result.counts)}" if any(result.counts.values()) else ""
    kept = ""
    if result.store.retired:
        kept = f", and {counted(result.store.retired, 'retired one', 'retired ones')} kept besides"
    lines = [f"In memory: {entries(result.total_items)}{kinds}{kept}.", f"Last sync: {_last_sync(result)}."]
    if result.prepared:
        lines.append(f"Handed in and waiting for the next sync: {entries(result.prepared)}.")
    if result.active_run:
        lines.append(f"Running: {inline(result.active_run, 100)}.")
    lines += [words_alone(result.store)] if words_alone(result.store) else []
    return [_headline(result), bulleted(lines), f"Brand {code(result.brand)}", QUOTED_NOTE]


def _headline(result: StatusResult) -> str:
    """Return the verdict: healthy is only what was looked at and found right."""
    if result.status != "ready":
        return _HEADLINES.get(result.status, sentence_end(inline(result.status)))
    open_ends = [f"{counted(result.pending, 'entry waits', 'entries wait')} for a service"] if result.pending else []
    if result.prepared:
        open_ends.append(f"{counted(result.prepared, 'entry waits', 'entries wait')} for the next sync")
    if result.store.model and result.store.without_vectors:
        open_ends.append(f"{counted(result.store.without_vectors, 'entry has', 'entries have')} no vectors yet")
    if open_ends:
        return f"Nothing failed; {listed(open_ends)}."
    uncounted = [inline(service.engine, 60) for service in result.services if service.counted is None]
    if uncounted:
        verb = "answers, but does not count its entries" if len(uncounted) == 1 else "answer, but do not count entries"
        return f"Healthy as far as it was looked at: {listed(uncounted)} {verb}."
    return "Healthy."


def _last_sync(result: StatusResult) -> str:
    if not result.last_sync_at:
        return "never"
    outcome = _RUNS.get(result.last_run_status, inline(result.last_run_status, 40))
    last = f"{when(result.last_sync_at)} ({outcome})" if outcome else when(result.last_sync_at)
    if result.last_complete_sync_at:
        age = "" if result.sync_age_seconds is None else f", {ago(result.sync_age_seconds)}"
        return f"{last}; everything was stored as of {when(result.last_complete_sync_at)}{age}"
    if result.last_run_status == "complete":
        return f"{last}, of a part of the brand's files; a sync of everything is still to come"
    return f"{last}; no sync of everything was complete so far"


def _open(result: StatusResult, limit: int, reader: Reader) -> list[str]:
    problems = [finding for finding in result.findings if is_file_problem(finding)]
    wrong = bullets(map(finding_text, problems), total=len(problems), limit=limit, rest=code("dm-memory doctor"))
    files = ["**In the brand's files**", wrong] if problems else []
    if not result.failed and not result.pending:
        return files or ["Nothing failed, nothing is waiting for a service."]
    waiting = counted(result.pending, "entry is", "entries are")
    failed = f"{entries(result.failed)} failed so far" if result.failed else "Nothing failed so far"
    head = f"{failed}, {waiting} waiting for a service."
    engines = {service.name: service.engine for service in result.services}
    lines = (_failed_text(item, engines) for item in result.failures)
    rest = all_failures(reader, result.brand, result.failed)
    return [head, bullets(lines, total=max(result.failed, len(result.failures)), limit=limit, rest=rest), *files]


def _failed_text(item: ItemOutcome, engines: dict[str, str]) -> str:
    if item.failure is None:
        return item_text(item)
    where = f"{inline(engines.get(item.failure.service, item.failure.service), 60)}: " if item.failure.service else ""
    more = f"hash {code(short_id(item.content_hash))} · {attempts_text(item.failure)}"
    return f"{item_text(item, more=more)}. {where}{failure_text(item.failure)}"


# Memory and services -------------------------------------------------------------------------------------------------


def _memory(result: StatusResult) -> list[str]:
    lines = memory_text(result.store) if result.store.entries else ["Memory is empty."]
    parts = [bulleted(lines)]
    if not result.services:
        return [*parts, NO_SERVICE]
    rows = [
        "| Connected service | What it is | Answers | Stored there | Counted there | Waiting | Failed |",
        "|---|---|---|---:|---:|---:|---:|",
        *(_service_row(service, result.brand) for service in result.services),
    ]
    down = [service for service in result.services if not service.health.ok]
    notes = []
    for service in down:
        health = service.health
        what = failure_text(health.error) if health.error else sentence_end(inline(health.detail))
        notes.append(f"- {inline(service.engine, 60)}: {what}")
    return [*parts, "\n".join(rows), "\n".join(notes)]


def _service_row(service: ServiceStatus, brand: str) -> str:
    place = place_of(service.name, brand)
    name = inline(service.engine, 60) + (f", {place}" if place else "")
    there = "not counted" if service.counted is None else number(service.counted)
    figures = f"{number(service.entries)} | {there} | {number(service.pending)} | {number(service.failed)}"
    return f"| {name} | {role_words(service.role)} | {'yes' if service.health.ok else 'no'} | {figures} |"


def _cache(result: StatusResult, cache: CacheView) -> list[str]:
    """Return what is cached of the durable store, and what the cache knows to work."""
    if cache.problem or cache.counts is None:
        return [f"The local cache could not be read: {sentence_end(inline(cache.problem))}"]
    there = listed([counted(count, table.value.removesuffix("s")) for table, count in cache.counts.items()])
    filled = f"last up to date {when(cache.synced_at)}" if cache.synced_at else "never filled completely"
    stale = "; it may be behind the durable store" * result.cache_is_stale
    lines = [
        f"- {quote(pattern.text, 160)} · {pattern.outcome} in {counted(pattern.occurrence_count, 'campaign')},"
        f" success rate {pattern.success_rate:.0%}"
        for pattern in cache.patterns
    ]
    head = f"{there} of the durable store ({cache.engine}), {filled}{stale}."
    return [head, "\n".join(["**Met most often across campaigns**", "", *lines])] if lines else [head]
