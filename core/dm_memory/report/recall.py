"""What matters now, in at most 1,200 tokens: what a session begins with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.model import Reader, Report, call
from dm_memory.report.parts import QUOTED_NOTE, bulleted, document, fitting, title
from dm_memory.report.words import counted, entries, number, sentence_end, short_id, tally, when
from dm_memory.results import Contradiction, LastSyncResult, PatternLine, RecallResult, Remembered

__all__ = ["RECALL_TOKENS", "estimated_tokens", "last_sync_report", "recall_report"]

RECALL_TOKENS = 1200
"""Most tokens of a recall: it stands in the context of every session."""

_ESTIMATED = 1100
"""What it is filled up to: a tenth is left for words that no vocabulary has."""

_WORD_CHARS = 60
_CHARS = (260, 160, 100, 60, 40, 24)
"""How much of a text is shown: the most that keeps its line below ``_LINE_TOKENS``."""
_LINE_TOKENS = 90
_LIST_TOKENS = 70

_PIECES = re.compile(r"[a-z]+|[A-Z][a-z]*|\s+|[^\x00-\x7f]+|.", re.DOTALL)
_CHARS_A_TOKEN = 3
_LONG_WORD = 8
_WIDE = (0, 1, 1, 2, 3)
"""Tokens of a character that has so many bytes in UTF-8."""


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few.

    A word counts a token for every three letters begun, and what is longer than most words twice; anything else in
    ASCII one a character; a character of another script counts by its bytes: vocabularies have the common ones whole.
    """
    return sum(map(_tokens, _PIECES.findall(text)))


def _tokens(piece: str) -> int:
    if piece.isspace():
        return piece.count("\n")  # a blank belongs to the word after it
    if not piece.isascii():
        return sum(_WIDE[len(character.encode("utf-8", "replace"))] for character in piece)
    return 1 + (len(piece) - 1) // _CHARS_A_TOKEN + max(0, len(piece) - _LONG_WORD) // _CHARS_A_TOKEN


def recall_report(result: RecallResult, *, reader: Reader = Reader.TERMINAL, tokens: int = _ESTIMATED) -> Report:
    """Render what matters now; the exit code is 0 even if memory can't be read.

    Args:
        result: The recall.
        reader: Whom the report speaks to.
        tokens: Most tokens of the text, estimated.
    """
    lead = [_lead(result), QUOTED_NOTE, _rest(result, reader)]
    heading = title("What memory knows about", result.brand_name, result.brand)
    sections = _sections(result, reader)
    left = tokens - estimated_tokens(document(heading, lead, []))
    shown = _fitting([(name, lines) for name, lines in sections if lines], left)
    text = document(heading, lead, [(name, [bulleted(lines)]) for name, lines in shown if lines])
    return Report(text, {"kind": "recall", **data_of(result)}, 0, f"For more: {call(reader, 'search_memory')}")


def _fitting(sections: Sequence[tuple[str, list[str]]], left: int) -> list[tuple[str, list[str]]]:
    """Return as much of each section as fits: the first ones whole, the others line by line in turns."""
    shown: list[tuple[str, list[str]]] = [(name, []) for name, _ in sections]
    order = [
        (turn * (sections[place][0] not in _WHOLE), place, turn)
        for place, (_, lines) in enumerate(sections)
        for turn in range(len(lines))
    ]
    for _, place, turn in sorted(order):
        name, lines = sections[place]
        kept = shown[place][1]
        cost = estimated_tokens(f"- {lines[turn]}\n") + (0 if kept else estimated_tokens(f"\n## {name}\n\n"))
        if cost <= left:
            left -= cost
            kept.append(lines[turn])
    return shown


def _shortened(line: Callable[[int], str]) -> str:
    """Return a line with as much of its text as keeps it short; ``line`` takes the characters to show."""
    lines = map(line, _CHARS)
    return next((each for each in lines if estimated_tokens(each) <= _LINE_TOKENS), line(_CHARS[-1]))


def _lead(result: RecallResult) -> str:
    if result.problem:
        return f"{sentence_end(inline(result.problem))} What follows is from the brand's files alone."
    if not result.last_sync_at and not result.entries:
        return f"Brand {code(result.brand)}. Nothing has been synced yet."
    synced = f", last sync {when(result.last_sync_at)} ({inline(result.last_run_status, 20)})"
    return f"Brand {code(result.brand)}: {entries(result.entries)}{synced if result.last_sync_at else ''}."


def _rest(result: RecallResult, reader: Reader) -> str:
    if reader is Reader.TERMINAL:
        return f"For anything else: {code(f'dm-memory search --brand {result.brand} QUESTION')}."
    return f"For anything else: {call(reader, 'search_memory', result.brand, query='QUESTION')}."


def _sections(result: RecallResult, reader: Reader) -> Iterator[tuple[str, list[str]]]:
    yield "Waiting", list(_waiting(result, reader))
    yield "Restrictions", list(_restrictions(result))
    yield "Latest learnings", [_shortened(partial(_learning, each)) for each in result.learnings]
    for name, outcome in (("Worked", "worked"), ("Failed", "failed"), ("Worked here, failed there", "mixed")):
        yield name, [_shortened(partial(_pattern, each)) for each in result.patterns if each.outcome == outcome]
    yield "No longer true", [_shortened(partial(_retired, each)) for each in result.retired]
    yield "What contradicts itself", [_shortened(partial(_contradiction, each)) for each in result.contradictions]


_WHOLE = frozenset({"Waiting", "Restrictions"})
"""Sections that are shown whole before the others get their turns."""


def _restrictions(result: RecallResult) -> Iterator[str]:
    pairs = [f"{quote(better, _WORD_CHARS)} for {quote(word, _WORD_CHARS)}" for word, better in result.preferred]
    for name, parts in (
        ("Never write", _quoted(result.banned_words)),
        ("Claims that need approval", _quoted(result.restricted_claims)),
        ("Write instead", pairs),
        ("Avoid", _quoted(result.avoid_words)),
    ):
        if parts:
            yield f"{name}: {_cut(parts)}"
    if result.compliance:
        yield _shortened(lambda chars: f"Compliance: {inline(result.compliance, chars)}")


def _quoted(words: Iterable[str]) -> list[str]:
    return [quote(word, _WORD_CHARS) for word in words]


def _cut(parts: Sequence[str]) -> str:
    """Return a list in a line of bounded length, and how many parts are not in it."""
    left = _LIST_TOKENS
    shown = 0
    for part in parts:
        left -= estimated_tokens(part) + 1
        if shown and left < 0:
            break
        shown += 1
    more = f" and {number(len(parts) - shown)} more" if shown < len(parts) else ""
    return ", ".join(parts[:shown]) + more


def _learning(each: Remembered, chars: int) -> str:
    important = "**high priority** · " if each.priority == "high" else ""
    day = f" · {when(each.moment[:10])}" if each.moment else ""
    return f"{important}{quote(each.content, chars)}{day} · id {code(short_id(each.id))}"


def _pattern(each: PatternLine, chars: int) -> str:
    times = [f"worked in {counted(each.worked, 'campaign')}"] if each.worked else []
    times += [f"failed in {counted(each.failed, 'campaign')}"] if each.failed else []
    seen = f" · {when(each.last_seen[:10])}" if each.last_seen else ""
    return f"{quote(each.text, chars)} · {', '.join(times)}{seen}"


def _retired(each: Remembered, chars: int) -> str:
    return f"{quote(each.content, chars)} · retired {when(each.moment[:10])}"


def _contradiction(each: Contradiction, chars: int) -> str:
    return f"{quote(each.what, chars)}: {quote(each.first, chars // 2)} against {quote(each.second, chars // 2)}"


def _waiting(result: RecallResult, reader: Reader) -> Iterator[str]:
    sync = call(reader, "sync_memory", result.brand)
    if result.problem or result.last_run_status in {"interrupted", "cancelled", "partial"}:
        yield f"The last sync did not complete, or memory is damaged: {sync} sets it right."
    if result.prepared:
        yield f"{counted(result.prepared, 'text')} handed in, not yet in memory: {sync}"
    if result.pending:
        failed = f", {number(result.failed)} of them failed at the last attempt" if result.failed else ""
        yield f"{entries(result.pending)} due in connected services{failed}: {sync}"


def last_sync_report(result: LastSyncResult) -> Report:
    """Render the last sync as memory has it on record."""
    text = fitting(lambda limit: _last_sync(result, limit), max(1, len(result.entries)))
    return Report(text, {"kind": "last-sync", **data_of(result)})


def _last_sync(result: LastSyncResult, limit: int) -> str:
    heading = f"# The last sync of {code(result.brand)}"
    if not result.started_at:
        return document(heading, ["Nothing has been synced yet."], [])
    ended = f", ended {when(result.finished_at)}" if result.finished_at else ""
    lead = f"Started {when(result.started_at)}{ended} · scope {inline(result.scope, 40)} · {inline(result.status, 20)}"
    counts = tally(result.counts)
    lines = [
        f"{quote(each.content, 100)} · {inline(each.content_type, 40)} · id {code(short_id(each.id))}"
        for each in result.entries[:limit]
    ]
    hidden = len(result.entries) - limit
    more = [f"… and {number(hidden)} more."] if hidden > 0 else []
    sections = [("What it wrote", [bulleted(lines), *more])] if lines else []
    return document(heading, [lead, *([f"Counts: {counts}"] if counts else []), QUOTED_NOTE], sections)
