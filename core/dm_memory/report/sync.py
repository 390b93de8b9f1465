"""The report of a sync: always the same eight sections, in plain words for a marketer, with ids for an agent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from dm_memory.findings import Finding
from dm_memory.report.data import capacity_alert, data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.headline import attention, headline, place_of_finding
from dm_memory.report.model import Reader, Report, all_failures, call, enough_items
from dm_memory.report.parts import (
    NO_SERVICE,
    QUOTED_NOTE,
    REMINDER,
    TEXT_BYTES,
    attempts_text,
    bulleted,
    bullets,
    capacity_text,
    document,
    failure_text,
    finding_text,
    fitting,
    guard_text,
    item_text,
    memory_capacity,
    memory_text,
    one_or_bulleted,
    restore_remedy,
    title,
    words_alone,
)
from dm_memory.report.words import (
    amount,
    counted,
    duration,
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
from dm_memory.results import Action, Counts, Failure, ItemOutcome, ServiceResult, SyncResult

__all__ = ["SYNC_SECTIONS", "sync_report"]

SYNC_SECTIONS = (
    "Summary",
    "Synced",
    "Skipped",
    "Failed",
    "Sync state",
    "Memory and services",
    "Storage capacity",
    "Next sync",
)

_SKIPPED_ACTIONS = frozenset({Action.DUPLICATE, Action.EXCLUDED, Action.FORGOTTEN, Action.REFUSED, Action.UNCHANGED})
_HELD_BACK = "retire-held-back"
_LARGE = 100
"""Entries from which a sync takes long enough to say so."""

_SYNCED_WORDS = {
    Action.NEW: "New",
    Action.MODIFIED: "Changed",
    Action.METADATA: "New tags or details, same text",
    Action.RESTORED: "Current again, because a file states it again",
    Action.RETIRED: "Retired, because no file states it any more (kept, found after every current entry)",
    Action.FORCED: "Stored again",
    Action.LEARNED: "From another computer",
    Action.ADDED: "In memory already, now in a service that is new",
    Action.MISSING: "Stored again in a service that no longer had it",
    Action.RESUMED: "Left over from an interrupted sync",
    Action.RETRY: "Tried again after an earlier failure",
}
_SKIPPED_WORDS = {
    Action.REFUSED: "Refused, never stored",
    Action.DUPLICATE: "The same text is in memory already",
    Action.EXCLUDED: "Excluded as you asked",
    Action.FORGOTTEN: "Forgotten on request, so not stored again",
    Action.UNCHANGED: "Unchanged",
}
_STATUS_WORDS = {"complete": "complete", "partial": "not complete", "cancelled": "stopped"}


def sync_report(
    result: SyncResult, *, list_limit: int = 20, reader: Reader = Reader.TERMINAL, max_bytes: int | None = TEXT_BYTES
) -> Report:
    """Render a sync.

    Args:
        result: What the run did.
        list_limit: Most lines per list in the Markdown; the data always has every item of the result.
        reader: Whom remedies speak to.
        max_bytes: Most bytes of the Markdown; lists are cut further to keep it. None: whatever ``list_limit`` asks for.

    Returns:
        The report; its data is the schema's ``sync`` and its exit code the result's.
    """
    text = fitting(lambda limit: _Rendering(result, limit, reader).text(), list_limit, max_bytes)
    total = len(result.items) + result.items_omitted
    rest = f"For every item: {_listing(result, reader, total)}"
    return Report(text, {"kind": "sync", **data_of(result)}, result.exit_code, rest)


def _listing(result: SyncResult, reader: Reader, total: int) -> str:
    """Return the call that lists everything; it writes nothing. After a real run only ``force`` lists it again."""
    return call(
        reader,
        "sync_memory",
        result.brand,
        dry_run=True,
        force=result.force or not result.dry_run,
        scope="" if result.scope == "all" else result.scope,
        report_items=enough_items(total),
    )


class _Rendering:
    """One rendering of a result, at most ``limit`` lines a list."""

    def __init__(self, result: SyncResult, limit: int, reader: Reader) -> None:
        self._result = result
        self._limit = limit
        self._reader = reader

    def text(self) -> str:
        result = self._result
        bodies = (
            self._summary(),
            self._synced(),
            self._skipped(),
            self._failed(),
            _state(result),
            self._memory(),
            _capacity(result),
            _next_sync(result),
        )
        lead = ["**Dry run: nothing was written.** This is what a sync would do."] if result.dry_run else []
        heading = title("Memory sync for", result.brand_name, result.brand)
        return document(heading, lead, zip(SYNC_SECTIONS, bodies, strict=True))

    def _rest(self, total: int) -> str:
        return _listing(self._result, self._reader, total)

    def _list(self, heading: str, lines: Iterable[str], total: int, rest: str) -> list[str]:
        return [f"**{heading}**", bullets(lines, total=total, limit=self._limit, rest=rest)] if total else []

    # Summary ---------------------------------------------------------------------------------------------------------

    def _summary(self) -> list[str]:
        result = self._result
        facts = f"Brand {code(result.brand)} · scope {result.scope} · "
        status = "plan only" if result.dry_run else _STATUS_WORDS.get(result.status, inline(result.status, 40))
        facts += f"{status} · {duration(result.seconds)}"
        if result.waited >= 1:
            facts += f", after waiting {duration(result.waited)} for another sync"
        notes = [f"Compliance: {sentence_end(inline(result.compliance_note))}"] if result.compliance_note else []
        notes += attention(result)
        notes += [self._finding(finding) for finding in self._findings("summary")]
        notes += [words_alone(result.store)] if words_alone(result.store) else []
        listing = bullets(notes, total=len(notes), limit=self._limit + 4, rest=code("dm-memory doctor"))
        return [headline(result), listing, facts, QUOTED_NOTE]

    def _finding(self, finding: Finding) -> str:
        if finding.code == Action.FORGOTTEN:
            return finding_text(finding, remedy=restore_remedy(self._reader, self._result.brand, finding))
        if finding.code != _HELD_BACK:
            return finding_text(finding)
        confirm = call(self._reader, "sync_memory", self._result.brand, retire=True)
        remedy = f"restore the files if that was a mistake; to retire the entries: {confirm}"
        return finding_text(finding, remedy=remedy)

    def _findings(self, place: str) -> list[Finding]:
        return [finding for finding in self._result.findings if place_of_finding(finding, self._result) == place]

    # Synced ----------------------------------------------------------------------------------------------------------

    def _synced(self) -> list[str]:
        result = self._result
        items = [
            item
            for item in result.items
            if (item.stored or item.planned) and item.failure is None and item.action not in _SKIPPED_ACTIONS
        ]
        hits = [hit for hit in result.guard_hits if not hit.refused]
        masked = [hit for hit in hits if not hit.removed]
        removed = [hit for hit in hits if hit.removed]
        flags = self._findings("synced")
        rest = self._rest(_due(result.counts))
        return [
            _synced_head(result),
            bulleted(line for service in result.services for line in _caught_up(service)),
            *self._grouped(items, _SYNCED_WORDS, max(_due(result.counts), len(items)), rest),
            *self._list("Masked before storing", map(guard_text, masked), len(masked), rest),
            *self._list("Lines with credentials, left out", map(guard_text, removed), len(removed), rest),
            f"What may stand all the same: {code(f'dm-memory allow TEXT --brand {result.brand}')}" if hits else "",
            *self._list("Stored, but check before you reuse it", map(finding_text, flags), len(flags), rest),
        ]

    def _grouped(self, items: Sequence[ItemOutcome], words: dict[Action, str], total: int, rest: str) -> list[str]:
        """Return a headed list per action, ``limit`` lines in all; what is cut is stated once, at the end."""
        blocks, left = [], self._limit
        for action, heading in words.items():
            group = [item for item in items if item.action is action][:left]
            if group:
                blocks.append("\n\n".join([f"**{heading}**", "\n".join(map(_item_lines, group))]))
                left -= len(group)
        hidden = total - (self._limit - left)
        return [*blocks, f"… and {counted(hidden, 'more', 'more')}. To see them: {rest}"] if hidden > 0 else blocks

    # Skipped ---------------------------------------------------------------------------------------------------------

    def _skipped(self) -> list[str]:
        result, counts = self._result, self._result.counts
        items = [item for item in result.items if item.action in _SKIPPED_ACTIONS]
        findings = self._findings("skipped")
        listed_keys = {item.key for item in items}
        refused = [hit for hit in result.guard_hits if hit.refused and hit.key not in listed_keys]
        reasons = _reasons(counts, items)
        head = "Nothing was skipped." if not reasons else bulleted(reasons)
        if len(reasons) == 1:
            head = f"{reasons[0]}."
        # What was handed in is named elsewhere: forgotten in the summary, refused below its credentials.
        named = sum(finding.code == Action.FORGOTTEN for finding in result.findings) + len({hit.key for hit in refused})
        total = max(counts.duplicate + counts.excluded + counts.refused + counts.forgotten - named, len(items))
        rest = self._rest(total) + (f", with the same {code('exclude')} as in this call" if counts.excluded else "")
        doctor = code("dm-memory doctor")
        return [
            head,
            *self._grouped(items, _SKIPPED_WORDS, total, rest),
            *self._list("Credentials found, so not stored", map(guard_text, refused), len(refused), rest),
            *self._list("Not read", map(finding_text, findings), len(findings), doctor),
        ]

    # Failed ----------------------------------------------------------------------------------------------------------

    def _failed(self) -> list[str]:
        result = self._result
        findings = self._findings("failed")
        down = [service for service in result.services if service.failure]
        items = [item for item in result.items if item.failure is not None]
        waiting = [service for service in result.services if service.queued and not service.failure]
        if not (findings or down or items or waiting or result.counts.failed):
            return ["Nothing failed."]
        files = "In the brand's files and in what was handed in"
        blocks = self._list(files, map(finding_text, findings), len(findings), code("dm-memory doctor"))
        if down:
            blocks += ["**Connected services**", bulleted(_down_text(service) for service in down)]
        blocks += self._failed_items(items)
        blocks += [f"{_waiting(service)} The next sync delivers them." for service in waiting]
        return blocks

    def _failed_items(self, items: Sequence[ItemOutcome]) -> list[str]:
        """Return the entries that a service refused, grouped by cause, so that one cause is explained once."""
        result = self._result
        engines = {service.name: service.engine for service in result.services}
        total = max(result.counts.failed, len(items))
        causes: dict[tuple[str, ...], list[tuple[ItemOutcome, Failure]]] = {}
        for item in items:
            if cause := item.failure:
                key = (cause.service, cause.error_class, cause.code, cause.message, cause.remedy)
                causes.setdefault(key, []).append((item, cause))
        blocks, left = [], self._limit
        for group in causes.values():
            cause = group[0][1]
            where = f" in {inline(engines.get(cause.service, cause.service), 60)}" if cause.service else ""
            more = [
                (item, f"hash {code(short_id(item.content_hash))} · {attempts_text(own)}") for item, own in group[:left]
            ]
            lines = bulleted(item_text(item, more=text) for item, text in more)
            blocks += [f"**{entries(len(group))} failed{where}:** {failure_text(cause)}", lines]
            left -= len(more)
        hidden = total - (self._limit - left)
        if hidden > 0:
            rest = all_failures(self._reader, result.brand, total)
            blocks.append(f"… and {counted(hidden, 'more', 'more')}. To see them: {rest}")
        return blocks

    # Memory and services ---------------------------------------------------------------------------------------------

    def _memory(self) -> list[str]:
        result = self._result
        store = result.store
        kept = f", and {counted(store.retired, 'retired one', 'retired ones')} kept besides" if store.retired else ""
        lines = [f"Memory ({code('memory/memory.db')}): {entries(store.entries)}{kept}."]
        lines += memory_text(store, new=not result.dry_run)
        if not result.dry_run and not any(finding.code == "export-failed" for finding in result.findings):
            lines.append(f"Local index for the marketing plugin: {code('memory/_index.json')} is up to date.")
        return [bulleted(lines), *self._services()]

    def _services(self) -> list[str]:
        services, brand = self._result.services, self._result.brand
        if not services:
            return [NO_SERVICE]
        rows = [
            "| Connected service | What it is | Stored now | Failed | Waiting | Entries there |",
            "|---|---|---:|---:|---:|---|",
        ]
        for service in services:
            place = place_of(service.name, brand)
            name = inline(service.engine, 60) + (f", {place}" if place else "")
            numbers = " | ".join(map(number, (service.stored, service.failed, service.queued)))
            rows.append(f"| {name} | {role_words(service.role)} | {numbers} | {_there(service)} |")
        return ["\n".join(rows), *(block for service in services if service.preview for block in _payloads(service))]


# Sentences of the other sections -------------------------------------------------------------------------------------


def _synced_head(result: SyncResult) -> str:
    counts = result.counts
    total = _due(counts) - counts.retired if result.dry_run else counts.stored
    if result.dry_run:
        return f"{entries(total)} to store." if total else "Nothing to store."
    if not total:
        return "Nothing had to be stored."
    return f"{entries(total)} stored, {counted(counts.embedded, 'text')} embedded."


def _caught_up(service: ServiceResult) -> list[str]:
    """Return what a service got besides what this sync stored in memory."""
    engine = inline(service.engine, 60)
    lines = []
    if service.waited:
        lines.append(f"{entries(service.waited)} that had waited for {engine}: stored there now.")
    if service.added:
        lines.append(f"{entries(service.added)} from memory added to {engine}, which is newly connected.")
    return lines


def _due(counts: Counts) -> int:
    return sum(getattr(counts, name) for name in _DUE)


_DUE = ("new", "modified", "metadata", "restored", "retired", "forced")


def _item_lines(item: ItemOutcome) -> str:
    """Return an item's line, and under it what a changed entry said before."""
    before = item.before
    was = []
    if "text" in before:
        hidden = before["text"] == item.title
        was.append("the same first 100 characters" if hidden else f"text {quote(before['text'], 100)}")
    was += [f"type {inline(before['content_type'], 40)}"] if "content_type" in before else []
    lines = [f"before: {', '.join(was)}"] if was else []
    if "tags" in before:
        old, new = set(filter(None, before["tags"].split(", "))), set(item.tags)
        for verb, tags in (("added", new - old), ("removed", old - new)):
            lines += [f"tags {verb}: {', '.join(code(tag, 60) for tag in sorted(tags))}"] if tags else []
    return "\n  - ".join([f"- {item_text(item)}", *lines])


def _reasons(counts: Counts, items: Sequence[ItemOutcome]) -> list[str]:
    """Return why items were skipped, each reason with its count."""
    reasons = [f"{entries(counts.unchanged)} unchanged: in memory already"] if counts.unchanged else []
    if counts.duplicate:
        reasons.append(f"{counted(counts.duplicate, 'duplicate')}: the same text is in memory already (equal hash)")
    if counts.excluded:
        found = Counter(item.reason.removeprefix("excluded by ") for item in items if item.action is Action.EXCLUDED)
        patterns = ", ".join(f"{number(count)} by {code(name, 60)}" for name, count in found.most_common(5) if name)
        reasons.append(f"{entries(counts.excluded)} excluded as you asked" + (f": {patterns}" if patterns else ""))
    if counts.forgotten:
        reasons.append(f"{entries(counts.forgotten)} forgotten on request: stored again only if the text changes")
    if counts.refused:
        reasons.append(f"{entries(counts.refused)} refused because of credentials, never stored")
    return reasons


def _down_text(service: ServiceResult) -> str:
    waits = f" {_waiting(service)}" if service.queued else ""
    reason = failure_text(service.failure) if service.failure else ""
    return f"{inline(service.engine, 60)} ({role_words(service.role)}): {reason}{waits}"


def _waiting(service: ServiceResult) -> str:
    return f"{counted(service.queued, 'entry waits', 'entries wait')} for {inline(service.engine, 60)}, safe in memory."


def _there(service: ServiceResult) -> str:
    """Return how many entries a service has, and how that is known."""
    if not service.asked:
        return f"{number(service.entries)} stored there so far (not looked at)"
    if service.counted is None:
        return f"{number(service.entries)} stored there (not counted)"
    lacks = f", {number(service.missing)} missing" if service.missing else ""
    return f"{number(service.counted)} counted there{lacks}"


def _payloads(service: ServiceResult) -> list[str]:
    """Return, for a dry run, the first payloads as a service would get them."""
    shown = (code(json.dumps(data_of(payload), ensure_ascii=False), 400) for payload in service.preview)
    count = len(service.preview)
    first = "The first payload" if count == 1 else f"The first {count} payloads"
    heading = f"**{first}, as {inline(service.engine, 60)} would get {'it' if count == 1 else 'them'}**"
    return [heading, bulleted(shown)]


def _state(result: SyncResult) -> list[str]:
    state = result.checkpoint
    kinds = f": {tally(state.by_content_type)}" if any(state.by_content_type.values()) else ""
    lines = [
        f"Checkpoint {code(state.path)}: {_checkpoint(result)}",
        f"In memory: {entries(state.total_items)} ({_delta(result)}){kinds}.",
    ]
    if state.pending:
        failed = f", {number(state.failed)} of them failed so far" if state.failed else ""
        lines.append(f"Waiting for connected services: {entries(state.pending)}{failed}.")
    lines.append(f"Estimated size of the next sync: {entries(result.next_sync.estimated_items)}.")
    return [bulleted(lines)]


def _delta(result: SyncResult) -> str:
    """Return by how many entries memory grew, and what that consists of."""
    counts, delta = result.counts, result.checkpoint.delta
    parts = [(counts.new, "new"), (counts.restored, "current again"), (-counts.retired, "retired")]
    parts.append((-counts.buried, "forgotten on another computer"))
    known = sum(count for count, _ in parts)
    others = "from other computers" if counts.learned else "by texts that are equal now, or no longer"
    parts.append((delta - known, others))
    if result.dry_run or not delta:
        return "as before" if not delta else f"{delta:+,}"
    return f"{delta:+,} by this sync: {listed(f'{count:+,} {what}' for count, what in parts if count)}"


def _checkpoint(result: SyncResult) -> str:
    state = result.checkpoint
    last = when(state.last_complete_sync_at) if state.last_complete_sync_at else "none yet"
    if state.moved:
        return f"everything was stored as of {last}."
    why = f"not moved, because this sync read only a part ({result.scope})"
    if result.dry_run:
        why = "untouched by a dry run"
    elif result.status != "complete":
        why = "not moved, because this sync is not complete"
    return f"{why}; last complete sync of everything: {last}."


def _capacity(result: SyncResult) -> list[str]:
    lines = [memory_capacity(result.store)]
    for service in result.services:
        line = capacity_text(service.engine, service.role, service.capacity, measured=service.asked)
        if service.needed is not None:
            unit = service.capacity.unit if service.capacity else "entries"
            line += f" This sync would need about {amount(service.needed, unit)} of it."
        lines.append(line)
    return [one_or_bulleted(lines)]


def _next_sync(result: SyncResult) -> list[str]:
    upcoming = result.next_sync
    parts = [sentence_end(inline(upcoming.advice))]
    if upcoming.due and not result.dry_run:
        parts.append(f"{counted(upcoming.due, 'entry is', 'entries are')} due then.")
    full = [inline(each.engine, 60) for each in result.services if each.capacity and capacity_alert(each.capacity)]
    if full:
        parts.append(f"Make room in {listed(full)} first: see Storage capacity.")
    if upcoming.estimated_items >= _LARGE and not result.dry_run:
        size = entries(upcoming.estimated_items)
        parts.append(f"About {size} a sync is a lot: sync more often, for example after each campaign.")
    return [" ".join([*parts, REMINDER])]
