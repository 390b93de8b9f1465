"""The first lines of a sync's report: what became of it in one sentence, and where each finding is shown."""

from __future__ import annotations

from dm_memory.findings import Finding, Severity, is_file_problem
from dm_memory.report.words import counted, entries, listed
from dm_memory.results import Counts, SyncResult

__all__ = ["attention", "headline", "place_of_finding"]

_FLAG_CODES = frozenset({"banned-word", "restricted-claim"})
_SKIP_CODES = frozenset({"empty-text", "not-read", "other-brand", "session-learning", "unfilled-template"})


def headline(result: SyncResult) -> str:
    """Return what became of a run, in one or two sentences."""
    counts = result.counts
    changes = _changes(counts)
    retired = f"{_were(counts.retired)} retired" if counts.retired else ""
    if result.dry_run:
        would = [f"store {changes}"] if changes else []
        would += [f"retire {entries(counts.retired)}"] if counts.retired else []
        return f"A sync would {listed(would)}." if would else "A sync would have nothing to store."
    if result.status == "cancelled":
        stored = _were(counts.stored) if counts.stored else "Nothing was"
        return f"**The sync was stopped.** {stored} stored before that. {_KEPT}"
    done = f"Memory now has {changes}." if changes else ""
    done += f"{' ' * bool(done)}{retired}." if retired else ""
    verb = "was" if counts.buried == 1 else "were"
    buried = f"{entries(counts.buried)} forgotten on another computer {verb} removed here as well."
    done += f"{' ' * bool(done)}{buried}" if counts.buried else ""
    words = [f"{entries(counts.failed)} failed"] if counts.failed else []
    words += [f"{counted(counts.queued, 'entry waits', 'entries wait')}"] if counts.queued else []
    if words:
        return f"**{done or 'Nothing changed in memory.'} In connected services {listed(words)}.** {_KEPT}"
    return done or _unchanged(result)


_KEPT = "Nothing is lost: the next sync goes on with the rest."


def _unchanged(result: SyncResult) -> str:
    """Return the headline of a run that stored nothing: up to date is only what could be read and kept."""
    if result.status != "complete":
        return "**Nothing new was stored, and this sync is not complete**: see the notes below and Failed."
    there = result.checkpoint.total_items
    if any(service.stored or service.removed for service in result.services):
        return f"Memory is up to date: {entries(there)} there already. Connected services got what they lacked."
    return f"Memory is up to date: {entries(there)} there already, nothing to store." if there else _UP_TO_DATE


_UP_TO_DATE = "Memory is up to date: the brand's files state nothing to remember yet."


def _changes(counts: Counts) -> str:
    parts = [
        (counts.new, "new entry", "new entries"),
        (counts.modified, "changed entry", "changed entries"),
        (counts.metadata, "entry with new tags or details", "entries with new tags or details"),
        (counts.restored, "entry that is current again", "entries that are current again"),
        (counts.forced, "entry stored again", "entries stored again"),
        (counts.learned, "entry from other computers", "entries from other computers"),
    ]
    words = [counted(*part) for part in parts if part[0]]
    return listed(words) if words else ""


def _were(count: int) -> str:
    return f"{entries(count)} {'was' if count == 1 else 'were'}"


def attention(result: SyncResult) -> list[str]:
    """Return one line for each kind of thing that a later section explains."""
    counts = result.counts
    masked = [hit for hit in result.guard_hits if not hit.refused and not hit.removed]
    removed = [hit for hit in result.guard_hits if hit.removed and not hit.refused]
    lines = []
    if masked:
        verb = "to mask" if result.dry_run else "masked before storing"
        total = counted(sum(hit.count for hit in masked), "piece")
        places = entries(len({hit.key for hit in masked}))
        lines.append(f"Privacy: {total} of personal data in {places} {verb}, see Synced.")
    if removed:
        places = entries(len({hit.key for hit in removed}))
        lines.append(f"Credentials: the lines with them were left out of {places}, see Synced.")
    failed = sum(place_of_finding(finding, result) == "failed" for finding in result.findings)
    if failed:
        lines.append(f"{counted(failed, 'problem')} in the brand's files or in what was handed in, see Failed.")
    if counts.refused:
        lines.append(f"{_were(counts.refused)} refused, see Skipped.")
    flags = sum(finding.code in _FLAG_CODES for finding in result.findings)
    if flags:
        lines.append(f"{counted(flags, 'use')} of banned words or restricted claims, see Synced.")
    return lines


def place_of_finding(finding: Finding, result: SyncResult) -> str:
    """Return the section that shows a finding; what the compliance note states already is shown once."""
    if finding.code in _FLAG_CODES:
        return "synced"
    if finding.code == "privacy-law" and result.compliance_note:
        return ""
    if is_file_problem(finding) or (finding.severity is Severity.ERROR and finding.code == "session-learning"):
        return "failed"
    return "skipped" if finding.code in _SKIP_CODES else "summary"
