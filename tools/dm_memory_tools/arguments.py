"""The arguments that several tools share, lenient where models err, and the requests the core is given.

A list may arrive as JSON in a string (the SDK reads that) or as one bare string; enumerations arrive as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from dm_memory.errors import InputError
from dm_memory.items import ContentType, Priority, Source
from dm_memory.requests import PrepareRequest, Scope, SearchRequest, SessionLearning, SyncRequest

__all__ = [
    "Brand",
    "ContentTypeName",
    "Exclude",
    "Format",
    "Learning",
    "Learnings",
    "PriorityName",
    "ResponseFormat",
    "ScopeName",
    "SourceName",
    "Tags",
    "prepare_request",
    "search_request",
    "sync_request",
]

ContentTypeName = Literal["guideline", "campaign-learning", "competitive-intel", "performance-insight", "brand-asset"]
ScopeName = Literal["all", "insights-only", "campaigns-only"]
SourceName = Literal["session", "import", "agent", "sync"]
PriorityName = Literal["low", "normal", "high"]
ResponseFormat = Literal["markdown", "json"]


def _as_list(value: object) -> object:
    """Let one bare string stand for a list of one, or of several split at commas; null stands for none."""
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _as_entries(value: object) -> object:
    """Let one learning or one pattern stand for a list of one; commas are part of its text."""
    if value is None:
        return []
    return [value] if isinstance(value, str | dict) else value


class Learning(BaseModel):
    """A session learning with more than its text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: str
    content_type: ContentTypeName | None = None
    tags: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    context: str | None = None


_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_LEARNING = {
    "type": "object",
    "properties": {
        "content": _TEXT,
        "content_type": _TEXT | {"enum": [*get_args(ContentTypeName)]},
        "tags": _TEXTS,
        "context": _TEXT,
    },
    "required": ["content"],
}

Brand = Annotated[str | None, Field(description="Slug; default: active")]
Format = Annotated[ResponseFormat, Field(description="json: data")]
Tags = Annotated[list[str], BeforeValidator(_as_list), WithJsonSchema(_TEXTS)]
Exclude = Annotated[list[str], BeforeValidator(_as_entries), WithJsonSchema(_TEXTS)]
Learnings = Annotated[
    list[str | Learning],
    BeforeValidator(_as_entries),
    WithJsonSchema({"type": "array", "items": {"anyOf": [_TEXT, _LEARNING]}}),
]


def sync_request(
    *,
    brand: str | None,
    scope: str,
    force: bool,
    dry_run: bool,
    content_type: str | None,
    tags: Iterable[str],
    exclude: Iterable[str],
    session_learnings: Iterable[str | Learning],
) -> SyncRequest:
    """Build the core's request. Raises ``InputError`` for an empty learning or an unknown content type in one."""
    return SyncRequest(
        brand=brand,
        scope=Scope(scope),
        force=force,
        dry_run=dry_run,
        content_type=_content_type(content_type),
        tags=tuple(tags),
        exclude=tuple(exclude),
        session_learnings=tuple(_learning(given) for given in session_learnings),
    )


def _learning(given: str | Learning) -> SessionLearning:
    entry = Learning(content=given) if isinstance(given, str) else given
    if not entry.content.strip():
        raise InputError(
            "A session learning has no text.",
            "Pass each one as a sentence, or as an object whose content is the sentence; leave empty ones out.",
        )
    return SessionLearning(
        content=entry.content,
        content_type=_content_type(entry.content_type),
        tags=entry.tags,
        context=entry.context or "",
    )


def _content_type(name: str | None) -> ContentType | None:
    return ContentType(name) if name else None


def prepare_request(
    *,
    content: str,
    content_type: str,
    tags: Iterable[str],
    source: str,
    brand: str | None,
    priority: str,
    expires_at: str | None,
    related: Iterable[str],
) -> PrepareRequest:
    """Build the core's request. Raises ``InputError`` for an ``expires_at`` that is no date or time."""
    if expires_at:
        _check("expires_at", expires_at, datetime.fromisoformat, "2026-12-31 or 2026-12-31T18:00:00")
    return PrepareRequest(
        content=content,
        content_type=ContentType(content_type),
        tags=tuple(tags),
        source=Source(source),
        brand=brand,
        priority=Priority(priority),
        expires_at=expires_at or "",
        related=tuple(related),
    )


def _check(name: str, value: str, parse: Callable[[str], object], example: str) -> None:
    try:
        parse(value)
    except ValueError:
        raise InputError(f"{name} is no date that can be read.", f"Write it as {example}.") from None


def search_request(
    *,
    query: str,
    brand: str | None,
    content_type: str | None,
    tags: Iterable[str],
    from_date: str | None,
    to_date: str | None,
    limit: int,
) -> SearchRequest:
    """Build the core's request. Raises ``InputError`` for a date that is none, or for dates in the wrong order."""
    for name, value in (("from_date", from_date), ("to_date", to_date)):
        if value:
            _check(name, value, date.fromisoformat, "2026-01-31")
    if from_date and to_date and date.fromisoformat(from_date) > date.fromisoformat(to_date):
        raise InputError("from_date is later than to_date.", "Pass the earlier day as from_date.")
    return SearchRequest(
        query=query,
        brand=brand,
        content_type=_content_type(content_type),
        tags=tuple(tags),
        from_date=from_date or "",
        to_date=to_date or "",
        limit=limit,
    )
