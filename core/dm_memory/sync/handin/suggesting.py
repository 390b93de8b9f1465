"""What a payload is, where its caller left that out: the type and the tags, each with what speaks for it.

The type follows from what the text names: one of the brand's competitors, or a metric; else it is a campaign learning.
"""

from __future__ import annotations

from dm_memory.facts.campaigns import metrics_named
from dm_memory.items import ContentType
from dm_memory.requests import PrepareRequest
from dm_memory.results import Suggestion
from dm_memory.sync.payloads import Prepared, Preparer

__all__ = ["suggestions"]

_COMPETITOR = "competitor:"


def suggestions(preparer: Preparer, prepared: Prepared, request: PrepareRequest) -> tuple[Suggestion, ...]:
    """Return the type first, then the tags: of each only if the caller gave none. None for what is refused."""
    if prepared.refused or request.replaces:
        return ()
    reasons = preparer.reasons(prepared)
    rivals = tuple(word for tag in prepared.detected if tag.startswith(_COMPETITOR) for word in reasons[tag][1])
    found = [] if request.content_type else [_type(rivals, tuple(metrics_named(prepared.content.casefold())))]
    if not request.tags:
        found += [Suggestion("tag", tag, *reasons[tag]) for tag in prepared.detected if tag in reasons]
    return tuple(found)


def _type(rivals: tuple[str, ...], metrics: tuple[str, ...]) -> Suggestion:
    name = "content type"
    if rivals:
        return Suggestion(name, ContentType.COMPETITIVE_INTEL.value, "the text names a competitor", rivals)
    if metrics:
        return Suggestion(name, ContentType.PERFORMANCE_INSIGHT.value, "the text names a metric", metrics)
    return Suggestion(name, ContentType.CAMPAIGN_LEARNING.value, "the text names no competitor and no metric")
