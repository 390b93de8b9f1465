"""The report of a brand's memory: what is in it, whether it is well, what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dm_memory.cache.view import CachedPattern, CacheView
from dm_memory.report.data import capacity_data, counts_data, finding_data, item_data
from dm_memory.report.escape import code, inline, quote, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.parts import (
    QUOTED_NOTE,
    attempts_text,
    bullets,
    capacity_text,
    command,
    document,
    error_words,
    failure_text,
    finding_text,
    item_text,
    title,
)
from dm_memory.report.words import ago, counted, entries, listed, number, role_of, sentence_end, tally, when
from dm_memory.services.protocol import Health
from dm_memory.results import ItemOutcome, LayerStatus, StatusResult

__all__ = ["status_report"]

_HEADLINES = {
    "ready": "Memory is well.",
    "never-synced": "**Nothing has been synced yet.**",
    "attention": "**Memory needs attention**, see below.",
    "syncing": "**A sync is running right now**; the figures below are from before it ends.",
}


def status_report(result: StatusResult, *, list_limit: int = 20) -> Report:
    """Render a brand's state; at most ``list_limit`` lines per list. The exit code is always 0: asking worked."""
    capacities = (capacity_text(layer.name, layer.capacity) for layer in result.layers)
    sections = [
        ("Summary", _summary(result)),
        ("Failed and waiting", _open(result, list_limit)),
        ("Memory layers", _layers(result.layers)),
        ("Storage capacity", [_lines(capacities) or "Nothing to measure."]),
        ("What to do next", [_lines(sentence_end(inline(advice)) for advice in result.advice) or "Nothing."]),
    ]
    if result.cache is not None:
        sections.insert(3, ("Local cache", _cache(result, result.cache)))
    if result.findings:
        rest = code("dm-memory doctor")
        lines = bullets(map(finding_text, result.findings), total=len(result.findings), limit=list_limit, rest=rest)
        sections.insert(2, ("Please know", [lines]))
    heading = title("Memory of", result.brand_name, result.brand)
    return Report(document(heading, [], sections), _data(result))


def _lines(lines: Iterable[str]) -> str:
    shown = list(lines)
    return shown[0] if len(shown) == 1 else "\n".join(f"- {line}" for line in shown)


def _summary(result: StatusResult) -> list[str]:
    kinds = f": {tally(result.counts)}" if any(result.counts.values()) else ""
    lines = [f"In memory: {entries(result.total_items)}{kinds}.", f"Last sync: {_last_sync(result)}."]
    if result.prepared:
        lines.append(f"Prepared and waiting for the next sync: {entries(result.prepared)}.")
    if result.active_run:
        lines.append(f"Running: {code(result.active_run)}.")
    headline = _HEADLINES.get(result.status, sentence_end(inline(result.status)))
    if result.status == "ready" and result.pending:
        headline = f"Nothing is wrong now; {counted(result.pending, 'entry waits', 'entries wait')} for the next sync."
    return [
        headline,
        "\n".join(f"- {line}" for line in lines),
        f"Brand {code(result.brand)} · {inline(result.status, 40)}",
        QUOTED_NOTE,
    ]


def _last_sync(result: StatusResult) -> str:
    if not result.last_sync_at:
        return "never"
    outcome = f" ({inline(result.last_run_status, 40)})" if result.last_run_status else ""
    if not result.last_complete_sync_at:
        return f"{when(result.last_sync_at)}{outcome}, none was complete so far"
    age = "" if result.sync_age_seconds is None else f", {ago(result.sync_age_seconds)}"
    return f"{when(result.last_sync_at)}{outcome}; everything stored as of {when(result.last_complete_sync_at)}{age}"


def _open(result: StatusResult, limit: int) -> list[str]:
    if not result.failed and not result.pending:
        return ["Nothing failed, nothing is waiting."]
    head = f"{entries(result.failed)} failed so far, {number(result.pending)} still to store in all."
    rest = command("status", result.brand, f"--limit {max(100, result.failed)}")
    return [head, bullets(map(_failed_text, result.failures), total=result.failed, limit=limit, rest=rest)]


def _failed_text(item: ItemOutcome) -> str:
    if item.failure is None:
        return item_text(item)
    return f"{item_text(item)} · {attempts_text(item.failure)}. {failure_text(item.failure)}"


def _layers(layers: Sequence[LayerStatus]) -> list[str]:
    if not layers:
        return ["No memory layer is configured."]
    rows = [
        "| Layer | Engine | Answers | Should hold | Holds | Waiting | Failed |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    rows += map(_layer_row, layers)
    notes = [f"- {role_of(layer.name)}: {note}" for layer in layers for note in _layer_notes(layer)]
    return ["\n".join(rows), "\n".join(notes)]


def _cache(result: StatusResult, cache: CacheView) -> list[str]:
    """Return what is cached of the durable store, and what the cache knows to work."""
    if cache.trouble or cache.counts is None:
        return [f"The local cache could not be read: {sentence_end(inline(cache.trouble))}"]
    held = listed([counted(count, table.value.removesuffix("s")) for table, count in cache.counts.items()])
    filled = f"filled {when(cache.synced_at)}" if cache.synced_at else "never filled to the end"
    stale = "; it may be behind the durable store" * result.cache_is_stale
    lines = [f"- {_pattern_text(pattern)}" for pattern in cache.patterns]
    head = f"{held} of the durable store ({cache.engine}), {filled}{stale}."
    return [head, "\n".join(["**Met most often across campaigns**", "", *lines])] if lines else [head]


def _pattern_text(pattern: CachedPattern) -> str:
    times = counted(pattern.occurrence_count, "campaign")
    return f"{quote(pattern.text, 160)} · {pattern.outcome} in {times}, success rate {pattern.success_rate:.0%}"


def _layer_row(layer: LayerStatus) -> str:
    model = f", model {inline(layer.model, 120)}" if layer.model else ""
    held = "unknown" if layer.held is None else number(layer.held)
    figures = f"{number(layer.entries)} | {held} | {number(layer.pending)} | {number(layer.failed)}"
    answers = "yes" if layer.health.ok else "no"
    return f"| {role_of(layer.name)} | {inline(layer.engine, 60)}{model} | {answers} | {figures} |"


def _layer_notes(layer: LayerStatus) -> list[str]:
    notes = [] if layer.health.ok else [_health_text(layer.health)]
    if layer.held is not None and layer.held < layer.entries:
        lost = counted(layer.entries - layer.held, "entry is", "entries are")
        notes.append(
            f"**{lost} missing in the engine.** What to do: sync with {code('--force')} to restore everything."
        )
    elif layer.held is not None and layer.held > layer.entries:
        notes.append(
            f"{counted(layer.held - layer.entries, 'entry', 'entries')} more than this machine's registry knows of."
        )
    extra = ", ".join(f"{inline(name, 40)} {inline(value, 80)}" for name, value in layer.extra.items())
    return [*notes, f"{extra}."] if extra else notes


def _health_text(health: Health) -> str:
    if health.error is None:
        return sentence_end(inline(health.detail))
    problem, remedy = sentence_end(inline(health.error.problem)), sentence_end(inline(health.error.remedy))
    return f"{error_words(health.error.error_class)}. {problem} What to do: {remedy}"


def _data(result: StatusResult) -> dict[str, object]:
    return {
        "kind": "status",
        "brand": result.brand,
        "brand_name": visible(result.brand_name),
        "status": result.status,
        "total_items": result.total_items,
        "counts": counts_data(result.counts),
        "pending": result.pending,
        "failed": result.failed,
        "prepared": result.prepared,
        "last_sync_at": result.last_sync_at or None,
        "last_complete_sync_at": result.last_complete_sync_at or None,
        "sync_age_seconds": result.sync_age_seconds,
        "last_run_status": result.last_run_status,
        "active_run": result.active_run,
        "cache": _cache_data(result),
        "layers": [_layer_data(layer) for layer in result.layers],
        "capacity": [capacity_data(layer.name, layer.capacity) for layer in result.layers if layer.capacity],
        "failures": [item_data(item) for item in result.failures],
        "findings": [finding_data(finding) for finding in result.findings],
        "advice": [visible(advice) for advice in result.advice],
    }


def _cache_data(result: StatusResult) -> dict[str, object] | None:
    cache = result.cache
    if cache is None:
        return None
    return {
        "engine": cache.engine,
        "counts": {table.value: count for table, count in (cache.counts or {}).items()},
        "synced_at": cache.synced_at,
        "stale": result.cache_is_stale,
        "trouble": scrub(cache.trouble),
        "patterns": [
            {
                "text": visible(pattern.text),
                "outcome": pattern.outcome,
                "occurrence_count": pattern.occurrence_count,
                "success_rate": pattern.success_rate,
            }
            for pattern in cache.patterns
        ],
    }


def _layer_data(layer: LayerStatus) -> dict[str, object]:
    return {
        "name": layer.name,
        "role": role_of(layer.name),
        "engine": scrub(layer.engine),
        "model": scrub(layer.model),
        "entries": layer.entries,
        "held": layer.held,
        "pending": layer.pending,
        "failed": layer.failed,
        "health": _health_data(layer.health),
        "extra": {scrub(name): visible(value) for name, value in layer.extra.items()},
    }


def _health_data(health: Health) -> dict[str, object]:
    error = health.error
    return {
        "ok": health.ok,
        "engine": scrub(health.engine),
        "detail": visible(health.detail),
        "error": error
        and {
            "class": error.error_class.value,
            "code": error.code,
            "message": visible(error.problem),
            "remedy": visible(error.remedy),
        },
    }
