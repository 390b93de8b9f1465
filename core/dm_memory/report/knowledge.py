"""The reports of ``dm-memory history`` and ``dm-memory patterns``."""

from __future__ import annotations

from collections.abc import Iterable

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.model import Report
from dm_memory.report.parts import (
    QUOTED_NOTE,
    TEXT_BYTES,
    bulleted,
    document,
    fact_text,
    fitting,
    key_code,
    version_text,
)
from dm_memory.report.words import counted, listed, number, when
from dm_memory.results import Contradiction, HistoryResult, PatternLine, PatternsResult

__all__ = ["contradiction_lines", "history_report", "pattern_lines", "patterns_report"]

_TEXT_CHARS = 600
_SHOWN = 5

_REASONS = {
    "changed": "its source changed it",
    "corrected": "it was corrected",
    "retired": "no file states it any more",
}


def history_report(result: HistoryResult, *, chars: int = _TEXT_CHARS) -> Report:
    """Render what an entry said when, and what changed it; ``chars`` of each text."""
    text = fitting(lambda limit: _history(result, limit, chars), len(result.versions), TEXT_BYTES)
    rest = "Every text is in the data of `dm-memory export`."
    return Report(text, {"kind": "history", **data_of(result)}, 0, rest)


def _history(result: HistoryResult, limit: int, chars: int) -> str:
    about = [f"Type {inline(result.content_type, 40)} · {inline(result.state, 20)} · key {key_code(result.key)}"]
    if result.asked not in {result.key, ""}:
        about.append(f"{key_code(result.asked)} has the same text, and this entry stands for it.")
    about += [f"From {code(result.origin)}"] if result.origin else []
    about += [f"Stored by {inline(result.author, 100)}"] if result.author else []
    about += [f"Tags: {', '.join(code(tag, 60) for tag in result.tags)}"] if result.tags else []
    hidden = len(result.versions) - limit
    lines = [
        version_text(each.number, each.since, each.until, _reason(each.reason), each.content, chars)
        for each in result.versions[-limit:]
    ]
    head = [f"{counted(hidden, 'older text', 'older texts')} not shown."] if hidden > 0 else []
    sections = [("What it said", [*head, "\n".join(lines)])]
    if result.facts:
        facts = bulleted(fact_text(*fact) for fact in result.facts)
        sections.append(("What followed from it", [facts]))
    changes = len(result.versions) - 1
    lead = f"It was changed {counted(changes, 'time')}." if changes > 0 else "It was never changed."
    blocks = [lead, bulleted(about), QUOTED_NOTE]
    return document(f"# History in {code(result.brand)}", blocks, sections)


def _reason(reason: str) -> str:
    """Return why a text ended in words, with who corrected it; "" for the present one."""
    if not reason:
        return ""
    why, by, author = reason.partition(" by ")
    return _REASONS.get(why, inline(why, 60)) + (f" by {inline(author, 100)}" if by else "")


def patterns_report(result: PatternsResult) -> Report:
    """Render what worked and what failed over campaigns, and what contradicts itself."""
    lines = max(1, len(result.patterns), len(result.contradictions))
    text = fitting(lambda limit: _patterns(result, limit), lines, TEXT_BYTES)
    rest = "For more patterns: `dm-memory patterns --limit N`."
    return Report(text, {"kind": "patterns", **data_of(result)}, 0, rest)


def _patterns(result: PatternsResult, limit: int) -> str:
    sections = []
    for name, outcome in (("Worked", "worked"), ("Failed", "failed"), ("Worked here, failed there", "mixed")):
        lines = pattern_lines((each for each in result.patterns if each.outcome == outcome), limit)
        if lines:
            sections.append((name, [lines]))
    if result.contradictions:
        hidden = len(result.contradictions) - limit
        more = [f"… and {number(hidden)} more."] if hidden > 0 else []
        lines = contradiction_lines(result.contradictions[:limit])
        note = (
            "Nothing was overwritten. Correct the one that is wrong in its file, or with `dm-memory correct KEY TEXT`."
        )
        sections.append(("What contradicts itself", [lines, *more, note]))
    if not result.total:
        lead = "No campaign states what worked or what failed yet: write it into its retrospective, then sync."
    elif (shown := min(result.total, len(result.patterns))) < result.total:
        lead = f"{number(shown)} of {counted(result.total, 'pattern')}, the most frequent first."
    else:
        lead = f"{counted(result.total, 'pattern')}, the most frequent first."
    return document(f"# What worked and what failed for {code(result.brand)}", [lead, QUOTED_NOTE], sections)


def pattern_lines(patterns: Iterable[PatternLine], limit: int) -> str:
    """Return a list of patterns: the point, how often it worked or failed, where, and when."""
    return bulleted(_pattern_text(pattern) for pattern in [*patterns][:limit])


def _pattern_text(pattern: PatternLine) -> str:
    times = [f"worked in {counted(pattern.worked, 'campaign')}"] if pattern.worked else []
    times += [f"failed in {counted(pattern.failed, 'campaign')}"] if pattern.failed else []
    if pattern.worked and pattern.failed:
        times.append(f"success rate {pattern.success_rate:.0%}")
    parts = [quote(pattern.text, 200), ", ".join(times)]
    parts += [f"campaigns {_names(pattern.campaigns)}"] if pattern.campaigns else []
    parts += [f"channels {_names(pattern.channels)}"] if pattern.channels else []
    if pattern.last_seen:
        first, last = pattern.first_seen[:10], pattern.last_seen[:10]
        parts.append(when(last) if first in {last, ""} else f"{when(first)} to {when(last)}")
    return " · ".join(part for part in parts if part)


def _names(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    shown = [code(name, 60) for name in names[:_SHOWN]]
    return listed(shown) if more <= 0 else f"{', '.join(shown)} and {number(more)} more"


def contradiction_lines(contradictions: Iterable[Contradiction]) -> str:
    """Return a list of what does not agree, with both sources."""
    return "\n".join(
        f"- {quote(each.what, 160)}: {quote(each.first, 100)} ({key_code(each.first_key)})"
        f" against {quote(each.second, 100)} ({key_code(each.second_key)})"
        for each in contradictions
    )
