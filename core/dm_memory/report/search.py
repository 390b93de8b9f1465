"""The report of a search: what was found, best first, how well it fits in words, and the facts behind it."""

from __future__ import annotations

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.knowledge import pattern_lines
from dm_memory.report.model import Reader, Report, call
from dm_memory.report.parts import (
    QUOTED_NOTE,
    TEXT_BYTES,
    bullets,
    document,
    fact_text,
    finding_text,
    fitting,
    key_code,
    version_text,
)
from dm_memory.report.words import capital, counted, entries, listed, sentence_end, short_id, when
from dm_memory.search.results import (
    PASSAGE_CHARS,
    EntityFacts,
    Explanation,
    FactLine,
    Hit,
    Mode,
    RevisionLine,
    SearchResult,
)

__all__ = ["search_report"]

_TEXT_CHARS = PASSAGE_CHARS + 4
_SHOWN_TAGS = 12
_SHOWN_FINDINGS = 10
_FILTERS = {
    "content_type": "type",
    "tags": "tags",
    "from_date": "from",
    "to_date": "until",
    "as_of": "as it was on",
    "min_priority": "priority at least",
    "author": "stored by",
}


def search_report(result: SearchResult, *, reader: Reader = Reader.TERMINAL) -> Report:
    """Render the answer to a search. Nothing found is an answer too: the exit code is 0."""
    lines = max(1, len(result.hits), len(result.history))
    text = fitting(lambda limit: _text(result, limit, reader), lines, TEXT_BYTES)
    rest = "Search again with a smaller limit or more filters, and each entry is shown whole."
    return Report(text, {"kind": "search", **data_of(result)}, 0, rest)


def _text(result: SearchResult, limit: int, reader: Reader) -> str:
    lead = [_lead(result, reader) if result.query else f"Brand {code(result.brand)}."]
    if result.filters:
        filters = ", ".join(f"{_FILTERS.get(name, name)} {code(value, 80)}" for name, value in result.filters.items())
        lead.append(f"Only entries with: {filters}")
    lead.append(QUOTED_NOTE)
    lead += [f"- {finding_text(finding)}" for finding in result.findings[:_SHOWN_FINDINGS]]
    is_explained = any(finding.code in {"words-alone", "without-vectors"} for finding in result.findings)
    if not result.model and result.hits and result.mode is Mode.HYBRID and not is_explained:
        lead.append("The search was by words alone: there are no vectors of an embedding model.")
    smaller = "search again with a smaller limit"
    hits = [f"{place}. {_hit_text(hit)}" for place, hit in enumerate(result.hits[:limit], 1)]
    if len(result.hits) > limit:
        hits.append(f"\n… and {counted(len(result.hits) - limit, 'more', 'more')}. To see them: {smaller}")
    sections = [
        ("Patterns", [pattern_lines(result.patterns, limit)] if result.patterns else []),
        ("What is known about it", [_entity_text(entity) for entity in result.entities]),
        ("What it said", ["\n".join(map(_revision_text, result.history[-limit:]))] if result.history else []),
        (
            "Only in connected services",
            [bullets(map(_hit_text, result.elsewhere), total=len(result.elsewhere), limit=limit, rest=smaller)]
            if result.elsewhere
            else [],
        ),
    ]
    body = ["\n".join(hits)] if hits else []
    return document("# Memory search", [*lead, *body], [section for section in sections if section[1]])


def _lead(result: SearchResult, reader: Reader) -> str:
    asked = f"for {quote(result.query, 200)} among {entries(result.entries)} of {code(result.brand)}"
    sync = call(reader, "sync_memory", result.brand)
    if result.hits and result.known:
        return f"{counted(len(result.hits), 'match', 'matches')} {asked}, best first."
    if result.hits:
        return f"**Memory has no answer** {asked}. The nearest entries, which may be about something else:"
    gone = any(finding.code == "memory-gone" for finding in result.findings)
    if not result.entries and (gone or not result.filters):
        return f"Nothing found {asked}: {'memory is gone' if gone else 'memory is empty'}. What to do: {sync}"
    hint = "Ask in other words or with fewer filters." if result.filters else "Ask in other words."
    if not result.entries:
        hint = "No entry fits the filters. Ask with fewer filters."
    return f"Nothing found {asked}. {hint} If files have changed since the last sync: {sync}"


def _hit_text(hit: Hit) -> str:
    states = [f"retired {when(hit.retired_at)}" if hit.retired_at else "retired"] if hit.state == "retired" else []
    states += [f"expired {when(hit.expires_at)}"] if hit.is_expired else []
    states += ["waiting for the next sync"] if hit.is_waiting else []
    states += ["an earlier text"] if hit.revision is not None else []
    states += [f"{hit.priority} priority"] if hit.priority != "normal" else []
    states = [inline(state, 60) for state in states]
    facts = [f"**{hit.relevance.value}**" if not hit.service else f"from {inline(hit.service, 60)}"]
    facts += [f"**{listed(states)}**"] if states else []
    facts += [inline(hit.content_type, 40)]
    facts += [when(hit.recorded_at)] if hit.recorded_at else []
    facts += [f"source {inline(hit.source, 40)}"] if hit.source else []
    facts += [f"stored by {inline(hit.author, 100)}"] if hit.author else []
    facts += [f"tags {', '.join(code(tag, 60) for tag in hit.tags[:_SHOWN_TAGS])}"] if hit.tags else []
    facts += [key_code(hit.key), f"id {code(short_id(hit.id))}"]
    why = [f"\n   - {line}" for line in _explained(hit, hit.explanation)] if hit.explanation else []
    return "".join([f"{quote(_shown(hit), _TEXT_CHARS)} · {' · '.join(facts)}", *why])


def _shown(hit: Hit) -> str:
    """Return the text of a hit, or its passage with a mark where the text goes on."""
    passage = hit.passage or hit.content
    before = "" if hit.content.startswith(passage) else "… "
    return f"{before}{passage}{'' if hit.content.endswith(passage) else ' …'}"


def _explained(hit: Hit, why: Explanation) -> list[str]:
    """Return why a hit is where it is: in words, by the question's words with their weights, and as the sum it is."""
    words = [f"{code(word.word, 40)} {word.weight:.2f}{'' if word.found else ' (not found)'}" for word in why.words]
    more = [(why.by_single_words, "by words of similar meaning"), (why.by_neighbours, "by its neighbours")]
    parts = [
        f"{1 - why.weight:.2f} x {why.by_words:.3f} by words",
        f"{why.weight:.2f} x {why.by_meaning:.3f} by meaning",
        *(f"{value:.3f} {what}" for value, what in more if value),
    ]
    raw = f"BM25 {why.bm25:.2f}" + ("" if why.similarity is None else f", similarity {why.similarity:.2f}")
    lines = [f"Why: {'; '.join(inline(reason, 200) for reason in why.reasons)}"] if why.reasons else []
    lines += [f"Words and how rare they are: {', '.join(words)}"] if words else []
    return [*lines, f"Score {hit.score:.3f} = {' + '.join(parts)} ({raw})"]


def _entity_text(entity: EntityFacts) -> str:
    lines = [f"- {_fact_text(fact)}" for fact in entity.facts]
    lines += [f"- Changed: {' → '.join(map(_fact_text, change))}" for change in entity.changes]
    return f"**{capital(inline(entity.type, 30))} {quote(entity.name, 80)}**\n\n" + "\n".join(lines)


def _fact_text(fact: FactLine) -> str:
    return fact_text(fact.text, fact.valid_at, fact.invalid_at, is_retired=fact.is_retired)


def _revision_text(each: RevisionLine) -> str:
    reason = inline(each.reason, 120) if each.reason else ""
    said = version_text(each.number, each.recorded_at, each.replaced_at, reason, each.content, _TEXT_CHARS)
    return sentence_end(said)
