"""The report of a search: what was found, best first, with its relevance in words."""

from __future__ import annotations

from dm_memory.report.data import finding_data, tags_data
from dm_memory.report.escape import code, inline, quote, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.parts import QUOTED_NOTE, command, document, finding_text
from dm_memory.report.words import counted, when
from dm_memory.services.protocol import SearchHit
from dm_memory.results import SearchResult

__all__ = ["relevance", "search_report"]

STRONG = 0.5
"""Cosine from which a match is strong. wordllama, 256 d, 19 questions on 8 texts: questions that share the text's words
score 0.56-1.00, paraphrased ones 0.09-0.37, the best wrong text at most 0.24."""
GOOD = 0.25
"""Cosine from which a match is good: above every wrong text of that measurement."""

_TEXT_CHARS = 600
_DATA_CHARS = 20_000


def relevance(hit: SearchHit) -> str:
    """Return how well a hit fits: ``strong``, ``good``, ``weak`` or, where only words matched, ``words``."""
    if hit.similarity is None:
        return "words"
    return "strong" if hit.similarity >= STRONG else "good" if hit.similarity >= GOOD else "weak"


def search_report(result: SearchResult) -> Report:
    """Render the answer to a search. Nothing found is an answer too: the exit code is 0."""
    lead = [_lead(result)]
    if result.filters:
        filters = ", ".join(f"{inline(name, 30)} {code(value, 80)}" for name, value in result.filters.items())
        lead.append(f"Only entries with: {filters}")
    body = "\n".join(f"{place}. {_hit_text(hit)}" for place, hit in enumerate(result.hits, 1))
    findings = "\n".join(f"- {finding_text(finding)}" for finding in result.findings)
    text = document("# Memory search", [*lead, QUOTED_NOTE, *filter(None, [findings, body])], [])
    return Report(text, _data(result))


def _lead(result: SearchResult) -> str:
    asked = (
        f"for {quote(result.query, 200)} among {counted(result.entries, 'entry', 'entries')} of {code(result.brand)}"
    )
    if result.hits:
        return f"{counted(len(result.hits), 'match', 'matches')} {asked}, best first."
    if not result.entries:
        return f"Nothing found {asked}: memory is empty. What to do: {command('sync', result.brand)}"
    hint = "Ask in other words or with fewer filters." if result.filters else "Ask in other words."
    return f"Nothing found {asked}. {hint} If files have changed since the last sync: {command('sync', result.brand)}"


def _hit_text(hit: SearchHit) -> str:
    facts = [_relevance_text(hit), inline(hit.content_type, 40)]
    facts += [when(hit.recorded_at)] if hit.recorded_at else []
    facts += [f"source {inline(hit.source, 40)}"] if hit.source else []
    facts += [f"tags {', '.join(code(tag, 60) for tag in hit.tags[:12])}"] if hit.tags else []
    return f"{quote(hit.content, _TEXT_CHARS)} · {' · '.join([*facts, code(hit.key)])}"


def _relevance_text(hit: SearchHit) -> str:
    level = relevance(hit)
    if level == "words":
        return "**word match**"
    return f"**{level} match**" + (", same words" if hit.lexical else "")


def _data(result: SearchResult) -> dict[str, object]:
    return {
        "kind": "search",
        "brand": result.brand,
        "query": visible(result.query),
        "filters": {scrub(name): scrub(value) for name, value in result.filters.items()},
        "entries": result.entries,
        "engine": scrub(result.engine),
        "model": scrub(result.model),
        "hits": [_hit_data(hit) for hit in result.hits],
        "findings": [finding_data(finding) for finding in result.findings],
    }


def _hit_data(hit: SearchHit) -> dict[str, object]:
    return {
        "id": hit.id,
        "key": scrub(hit.key),
        "content": visible(hit.content[:_DATA_CHARS]),
        "content_truncated": len(hit.content) > _DATA_CHARS,
        "content_type": scrub(hit.content_type),
        "source": scrub(hit.source),
        "tags": tags_data(hit.tags),
        "recorded_at": scrub(hit.recorded_at),
        "relevance": relevance(hit),
        "score": round(hit.score, 6),
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "lexical": hit.lexical,
    }
