"""The report of a sync: always the same eight sections, in plain words for a marketer, with ids for an agent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

from dm_memory.findings import Finding, Severity
from dm_memory.report.data import (
    capacity_data,
    counts_data,
    failure_data,
    finding_data,
    guard_data,
    item_data,
)
from dm_memory.report.escape import code, inline, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.parts import (
    QUOTED_NOTE,
    attempts_text,
    bullets,
    capacity_text,
    command,
    document,
    failure_text,
    finding_text,
    guard_text,
    item_text,
    title,
)
from dm_memory.report.words import counted, duration, entries, listed, number, role_of, sentence_end, tally, when
from dm_memory.results import Action, Counts, Failure, ItemOutcome, LayerResult, SyncResult

__all__ = ["SYNC_SECTIONS", "sync_report"]

SYNC_SECTIONS = (
    "Summary",
    "Synced",
    "Skipped",
    "Failed",
    "Sync state",
    "Memory layers",
    "Storage capacity",
    "Next sync",
)

_SKIPPED_ACTIONS = frozenset({Action.DUPLICATE, Action.EXCLUDED, Action.REFUSED, Action.UNCHANGED})
_FLAG_CODES = frozenset({"banned-word", "restricted-claim"})
_SKIP_CODES = frozenset(
    {
        "broken-file",
        "empty-source",
        "empty-text",
        "file-too-large",
        "link-refused",
        "malformed-entry",
        "same-id",
        "session-learning",
        "text-too-long",
    }
)
_SYNCED_WORDS = {
    Action.NEW: "New",
    Action.MODIFIED: "Changed",
    Action.METADATA: "New tags or details, same text",
    Action.RESUMED: "Left over from an interrupted sync",
    Action.RETRY: "Tried again after an earlier failure",
    Action.FORCED: "Stored again",
    Action.LEARNED: "Known to the durable store, stored on this machine as well",
    Action.ADDED: "In memory already, stored in a layer that is new",
}
_SKIPPED_WORDS = {
    Action.REFUSED: "Refused, never stored",
    Action.DUPLICATE: "The same text is in memory already",
    Action.EXCLUDED: "Excluded as you asked",
    Action.UNCHANGED: "Unchanged",
}


def sync_report(result: SyncResult, *, list_limit: int = 20) -> Report:
    """Render a sync.

    Args:
        result: What the run did.
        list_limit: Most lines per list in the Markdown; the data always has every item of the result.

    Returns:
        The report; its data is the schema's ``sync`` and its exit code the result's.
    """
    bodies = (
        _summary(result, list_limit),
        _synced(result, list_limit),
        _skipped(result, list_limit),
        _failed(result, list_limit),
        _state(result),
        _layers(result.layers),
        _capacity(result.layers),
        _next_sync(result),
    )
    lead = ["**Dry run: nothing was written.** This is what a sync would do."] if result.dry_run else []
    heading = title("Memory sync for", result.brand_name, result.brand)
    text = document(heading, lead, zip(SYNC_SECTIONS, bodies, strict=True))
    return Report(text, _data(result), result.exit_code)


def _summary(result: SyncResult, limit: int) -> list[str]:
    facts = f"Brand {code(result.brand)} · scope {result.scope} · run {code(result.run_id)} · "
    facts += f"{result.status} · {duration(result.seconds)}"
    if result.waited >= 1:
        facts += f", after waiting {duration(result.waited)} for another sync"
    findings = [finding for finding in result.findings if _place(finding, result) == "summary"]
    notes = [f"Compliance: {sentence_end(inline(result.compliance_note))}"] if result.compliance_note else []
    notes += [*_attention(result), *map(finding_text, findings)]
    return [_headline(result), bullets(notes, total=len(notes), limit=limit + 4, rest=_doctor()), facts, QUOTED_NOTE]


def _headline(result: SyncResult) -> str:
    counts = result.counts
    changes = _changes(counts)
    if result.dry_run:
        return f"A sync would store {changes}." if changes else "A sync would have nothing to store."
    if result.status == "nothing":
        return "**Nothing could be done.** What is in memory stays as it was; see below for the reason."
    if result.status == "cancelled":
        return f"**The sync was stopped.** {entries(counts.stored)} stored before that stayed in memory. {_KEPT}"
    if counts.failed or counts.queued:
        return f"**{entries(counts.stored)} stored, {_not_stored(counts)}.** {_KEPT}"
    if not changes:
        return _unchanged(result)
    return f"Memory now has {changes}."


def _unchanged(result: SyncResult) -> str:
    """Return the headline of a run that stored nothing: up to date is only what could be read and kept."""
    if result.status != "complete":
        return "**Nothing new was stored, and not everything could be read and kept**, see Skipped."
    held = result.checkpoint.total_items
    return f"Memory is up to date: {entries(held)} there already, nothing to store." if held else _UP_TO_DATE


_UP_TO_DATE = "Memory is up to date."
_KEPT = "Nothing is lost: the next sync goes on with the rest."


def _changes(counts: Counts) -> str:
    parts = [
        (counts.new, "new entry", "new entries"),
        (counts.modified, "changed entry", "changed entries"),
        (counts.metadata, "entry with new tags or details", "entries with new tags or details"),
        (counts.resumed, "entry from an interrupted sync", "entries from an interrupted sync"),
        (counts.retried, "entry that failed before", "entries that failed before"),
        (counts.forced, "entry stored again", "entries stored again"),
        (counts.learned, "entry from the durable store", "entries from the durable store"),
        (counts.added, "known entry in a new layer", "known entries in a new layer"),
    ]
    words = [counted(*part) for part in parts if part[0]]
    return listed(words) if words else ""


def _not_stored(counts: Counts) -> str:
    words = [f"{number(counts.failed)} failed"] if counts.failed else []
    words += [f"{number(counts.queued)} waiting"] if counts.queued else []
    return listed(words)


def _attention(result: SyncResult) -> list[str]:
    """Return one line for each kind of thing that a later section explains."""
    masked = [hit for hit in result.guard_hits if not hit.refused]
    lines = []
    if masked:
        verb = "to mask" if result.dry_run else "masked before storing"
        total = counted(sum(hit.count for hit in masked), "piece")
        places = entries(len({hit.key for hit in masked}))
        lines.append(f"Privacy: {total} of personal data in {places} {verb}, see Synced.")
    skipped = sum(_place(finding, result) == "skipped" for finding in result.findings)
    if skipped:
        lines.append(f"{counted(skipped, 'problem')} in the brand's files or the input, see Skipped.")
    if result.counts.refused:
        lines.append(f"{entries(result.counts.refused)} refused, see Skipped.")
    flags = sum(finding.code in _FLAG_CODES for finding in result.findings)
    if flags:
        lines.append(f"{counted(flags, 'use')} of banned words or restricted claims, see Synced.")
    return lines


def _place(finding: Finding, result: SyncResult) -> str:
    """Return the section that shows a finding; one that the compliance note already tells is shown once."""
    if finding.code in _FLAG_CODES:
        return "synced"
    if finding.code == "privacy-law" and result.compliance_note:
        return ""
    broken_file = finding.severity is Severity.ERROR and finding.path != ""
    return "skipped" if finding.code in _SKIP_CODES or broken_file else "summary"


def _synced(result: SyncResult, limit: int) -> list[str]:
    items = [item for item in result.items if _counts_as_synced(item)]
    masked = [hit for hit in result.guard_hits if not hit.refused]
    flags = [finding for finding in result.findings if finding.code in _FLAG_CODES]
    total = _due(result.counts) if result.dry_run else result.counts.stored
    total = max(total, len(items))
    verb = "to store" if result.dry_run else "stored"
    head = _NOTHING_SYNCED
    if total:
        head = f"{entries(total)} {verb}, {counted(result.counts.embedded, 'text')} embedded."
    if result.dry_run and total:
        head = f"{entries(total)} {verb}."
    rest = _plan_command(result, total)
    return [
        head,
        *_grouped(items, _SYNCED_WORDS, total, limit, rest),
        *_titled("Masked before storing", map(guard_text, masked), len(masked), limit, rest),
        *_titled("Stored, but check before you reuse it", map(finding_text, flags), len(flags), limit, rest),
    ]


_NOTHING_SYNCED = "Nothing had to be stored."


def _counts_as_synced(item: ItemOutcome) -> bool:
    return (item.stored or item.planned) and item.failure is None and item.action not in _SKIPPED_ACTIONS


def _due(counts: Counts) -> int:
    return sum(getattr(counts, name) for name in _DUE)


_DUE = ("new", "modified", "metadata", "resumed", "retried", "forced", "learned", "added")


def _plan_command(result: SyncResult, total: int) -> str:
    """Return the command that lists everything; it writes nothing. After a real run only ``--force`` lists it again."""
    scope = "" if result.scope == "all" else f" --scope {result.scope}"
    force = "" if result.dry_run and not result.force else " --force"
    return command("sync", result.brand, f"--dry-run{force}{scope} --limit {_round_up(total)}")


def _round_up(total: int) -> int:
    return max(100, -(-total // 100) * 100)


def _grouped(items: Sequence[ItemOutcome], words: dict[Action, str], total: int, limit: int, rest: str) -> list[str]:
    """Return a headed list per action, ``limit`` lines in all; the cut is told once, at the end."""
    blocks, left = [], limit
    for action, heading in words.items():
        group = [item for item in items if item.action is action]
        if group and left:
            lines = "\n".join(f"- {item_text(item)}" for item in group[:left])
            blocks.append(f"**{heading}**\n\n{lines}")
            left -= len(group[:left])
    hidden = total - (limit - left)
    if hidden > 0:
        blocks.append(f"… and {counted(hidden, 'more', 'more')}. To see them: {rest}")
    return blocks


def _titled(heading: str, lines: Iterable[str], total: int, limit: int, rest: str) -> list[str]:
    return [f"**{heading}**", bullets(lines, total=total, limit=limit, rest=rest)] if total else []


def _skipped(result: SyncResult, limit: int) -> list[str]:
    counts = result.counts
    items = [item for item in result.items if item.action in _SKIPPED_ACTIONS]
    findings = [finding for finding in result.findings if _place(finding, result) == "skipped"]
    told = {item.key for item in items}
    refused = [hit for hit in result.guard_hits if hit.refused and hit.key not in told]
    names = ((counts.unchanged, "unchanged"), (counts.duplicate, "duplicate"), (counts.excluded, "excluded"))
    parts = [f"{number(count)} {name}" for count, name in (*names, (counts.refused, "refused")) if count]
    head = f"{_sentence(listed(parts))}; nothing of it was stored." if parts else "Nothing was skipped."
    if parts == [f"{number(counts.unchanged)} unchanged"]:
        head = f"{entries(counts.unchanged)} unchanged: in memory already."
    total = counts.duplicate + counts.excluded + counts.refused
    rest = f"{_plan_command(result, total)} (with the same {code('--exclude')} as in this run)"
    return [
        head,
        *_titled("Not read or not stored", map(finding_text, findings), len(findings), limit, _doctor()),
        *_titled("Credentials found, so not stored", map(guard_text, refused), len(refused), limit, rest),
        *_grouped(items, _SKIPPED_WORDS, max(total, len(items)), limit, rest),
    ]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _doctor() -> str:
    return code("dm-memory doctor")


def _failed(result: SyncResult, limit: int) -> list[str]:
    counts = result.counts
    failed = [item for item in result.items if item.failure is not None]
    waiting = [item for item in result.items if _waits(item, result)]
    rest = command("status", result.brand, f"--limit {_round_up(counts.failed)}")
    none_failed = _none_failed(result.layers)
    if not counts.failed and not failed and not counts.queued:
        return [none_failed]
    blocks = [f"{entries(max(counts.failed, len(failed)))} failed." if counts.failed or failed else none_failed]
    left = limit
    for failure, group in _by_cause(failed):
        lines = "\n".join(f"- {item_text(item)} · {_attempts(item)}" for item in group[:left])
        blocks += [f"**{entries(len(group))}:** {failure_text(failure)}", lines]
        left -= len(group[:left])
    shown = limit - left
    if counts.failed > shown:
        blocks.append(f"… and {counted(counts.failed - shown, 'more', 'more')}. To see them: {rest}")
    return blocks + _waiting(waiting, counts.queued, limit, rest)


def _none_failed(layers: Sequence[LayerResult]) -> str:
    """Say that no entry failed, and where a layer could not be used, that this is told with the layers."""
    down = [role_of(layer.name) for layer in layers if layer.failure]
    if not down:
        return "Nothing failed."
    noun = "layer was" if len(down) == 1 else "layers were"
    return f"No entry was refused, but the {listed(down)} {noun} in trouble: see Memory layers for why and what to do."


def _waits(item: ItemOutcome, result: SyncResult) -> bool:
    done = item.stored or item.planned or item.failure is not None
    return not done and not result.dry_run and item.action not in _SKIPPED_ACTIONS


def _by_cause(items: Sequence[ItemOutcome]) -> list[tuple[Failure, list[ItemOutcome]]]:
    """Group failed items by what they failed of, so that an outage is explained once."""
    groups: dict[tuple[str, ...], tuple[Failure, list[ItemOutcome]]] = {}
    for item in items:
        if item.failure:
            cause = item.failure
            key = (cause.layer, cause.error_class, cause.code, cause.message, cause.remedy)
            groups.setdefault(key, (cause, []))[1].append(item)
    return list(groups.values())


def _attempts(item: ItemOutcome) -> str:
    return attempts_text(item.failure) if item.failure else ""


def _waiting(items: Sequence[ItemOutcome], total: int, limit: int, rest: str) -> list[str]:
    if not total and not items:
        return []
    total = max(total, len(items))
    head = f"**{entries(total)} waiting:** safely recorded; the next sync stores what this one could not reach."
    return [head, bullets(map(item_text, items), total=total, limit=limit, rest=rest)]


def _state(result: SyncResult) -> list[str]:
    state = result.checkpoint
    delta = f"{state.delta:+,} by this sync" if state.delta else "as before"
    kinds = f": {tally(state.by_content_type)}" if any(state.by_content_type.values()) else ""
    total = f"In memory: {entries(state.total_items)} ({delta}){kinds}."
    estimate = f"Estimated size of the next sync: {entries(result.next_sync.estimated_items)}."
    if result.status == "complete" and not result.dry_run and not _due(result.counts) and not state.pending:
        return [f"{total} Checkpoint {code(state.path)}: {_checkpoint(result)} {estimate}"]
    open_items = f"Still to store: {entries(state.pending)}" + (
        f", {number(state.failed)} failed so far" * bool(state.failed)
    )
    lines = [f"Checkpoint {code(state.path)}: {_checkpoint(result)}", total, f"{open_items}.", estimate]
    return ["\n".join(f"- {line}" for line in lines)]


def _checkpoint(result: SyncResult) -> str:
    state = result.checkpoint
    last = when(state.last_complete_sync_at) if state.last_complete_sync_at else ""
    if result.dry_run:
        return f"untouched by a dry run, last complete sync {last or 'never'}."
    if state.moved:
        return f"everything was stored as of {last or when(result.started_at)}."
    return f"not moved, because not everything could be read and stored; last complete sync {last or 'never'}."


def _layers(layers: Sequence[LayerResult]) -> list[str]:
    if not layers:
        return ["No memory layer took part."]
    if not any(layer.opened or layer.failure for layer in layers):
        held = listed(
            f"{role_of(layer.name)} ({inline(layer.engine, 60)}) holds {number(layer.entries)}" for layer in layers
        )
        return [f"No layer had to be opened: {held}."]
    rows = ["| Layer | Engine | Stored now | Failed | Waiting | In memory |", "|---|---|---:|---:|---:|---:|"]
    rows += map(_layer_row, layers)
    troubles = [f"- {failure_text(replace(layer.failure, layer=layer.name))}" for layer in layers if layer.failure]
    return ["\n".join(rows), "\n".join(troubles)]


def _layer_row(layer: LayerResult) -> str:
    model = f", model {inline(layer.model, 120)}" if layer.model else ""
    numbers = " | ".join(map(number, (layer.stored, layer.failed, layer.queued, layer.entries)))
    return f"| {role_of(layer.name)} | {inline(layer.engine, 60)}{model} | {numbers} |"


def _capacity(layers: Sequence[LayerResult]) -> list[str]:
    measured = [layer for layer in layers if layer.capacity is not None]
    if not measured:
        return ["Not measured, because no layer was opened."]
    lines = [capacity_text(layer.name, layer.capacity) for layer in layers]
    return [lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)]


def _next_sync(result: SyncResult) -> list[str]:
    upcoming = result.next_sync
    due = f" {entries(upcoming.due)} due then." if upcoming.due else ""
    return [f"{sentence_end(inline(upcoming.advice))}{due}"]


def _data(result: SyncResult) -> dict[str, object]:
    state = asdict(result.checkpoint)
    return {
        "kind": "sync",
        "brand": result.brand,
        "brand_name": visible(result.brand_name),
        "run_id": result.run_id,
        "dry_run": result.dry_run,
        "scope": result.scope,
        "force": result.force,
        "status": result.status,
        "started_at": result.started_at,
        "seconds": round(result.seconds, 4),
        "waited": round(result.waited, 4),
        "compliance_note": visible(result.compliance_note),
        "counts": asdict(result.counts),
        "items": [item_data(item) for item in result.items],
        "items_omitted": result.items_omitted,
        "findings": [finding_data(finding) for finding in result.findings],
        "guard": [guard_data(hit) for hit in result.guard_hits],
        "layers": [_layer_data(layer) for layer in result.layers],
        "capacity": [capacity_data(layer.name, layer.capacity) for layer in result.layers if layer.capacity],
        "checkpoint": {**state, "by_content_type": counts_data(result.checkpoint.by_content_type)},
        "next_sync": asdict(result.next_sync),
    }


def _layer_data(layer: LayerResult) -> dict[str, object]:
    return {
        "name": layer.name,
        "role": role_of(layer.name),
        "engine": scrub(layer.engine),
        "model": scrub(layer.model),
        "stored": layer.stored,
        "failed": layer.failed,
        "queued": layer.queued,
        "entries": layer.entries,
        "opened": layer.opened,
        "error": failure_data(layer.failure) if layer.failure else None,
    }
