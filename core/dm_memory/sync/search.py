"""Searching a brand's memory in its vector layer."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from dm_memory.errors import ConfigurationError, InputError
from dm_memory.services.protocol import SearchableLayer, SearchQuery
from dm_memory.sync.registry import read_registry
from dm_memory.sync.requests import SearchRequest
from dm_memory.sync.results import SearchResult
from dm_memory.sync.rows import entries_in
from dm_memory.sync.runs import generation_name
from dm_memory.sync.session import clean_text
from dm_memory.sync.state import Environment
from dm_memory.sync.worker import worker_thread
from dm_memory.text.tags import normalise_tags

__all__ = ["search_brand"]

_MAX_LIMIT = 100
_MAX_QUERY_CHARS = 10_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


async def search_brand(environment: Environment, request: SearchRequest, brand: str) -> SearchResult:
    """Ask the vector layer by meaning and by words.

    Raises:
        InputError: The query is empty, a date is none, or the limit is out of range.
        LayerError: The layer can't answer.
    """
    query = _query(request)
    layer = environment.layers[0]
    if not isinstance(layer, SearchableLayer):
        raise ConfigurationError(f"{layer.engine} can't be searched.", "Configure a vector database.")
    hits = await layer.search(query)
    memory_dir = environment.home.memory_dir(brand)
    async with worker_thread("dm-memory-search") as worker:
        entries, model = await worker.run(_known, memory_dir, layer.name)
    filters = {
        "content_type": query.content_type or "",
        "tags": ", ".join(query.tags),
        "from_date": query.from_date or "",
        "to_date": query.to_date or "",
    }
    return SearchResult(
        brand=brand,
        query=query.text,
        filters={name: value for name, value in filters.items() if value},
        hits=tuple(hits),
        entries=entries,
        engine=layer.engine,
        model=model,
    )


def _known(memory_dir: Path, layer: str) -> tuple[int, str]:
    return read_registry(memory_dir, lambda known: (entries_in(known, layer), known.meta(generation_name(layer))))


def _query(request: SearchRequest) -> SearchQuery:
    text = clean_text(request.query)
    if not text:
        raise InputError("The query is empty.", "Pass what you want to find, in your own words.")
    if len(text) > _MAX_QUERY_CHARS:
        raise InputError(f"The query is longer than {_MAX_QUERY_CHARS:,} characters.", "Ask for one thing at a time.")
    if not 1 <= request.limit <= _MAX_LIMIT:
        raise InputError(f"limit is {request.limit}.", f"Pass a number from 1 to {_MAX_LIMIT}.")
    first, last = _day(request.from_date, "from_date"), _day(request.to_date, "to_date")
    if first and last and first > last:
        raise InputError(f"from_date {first} is after to_date {last}.", "Swap the two.")
    tags = normalise_tags(request.tags)
    return SearchQuery(text, request.content_type, tags, first, last, request.limit)


def _day(value: str, name: str) -> str | None:
    """Return a day as ISO-8601; a full moment counts as its day."""
    if not value:
        return None
    match = _DAY.match(value.strip())
    try:
        return date.fromisoformat(match[0]).isoformat() if match else _refuse(value, name)
    except ValueError:
        return _refuse(value, name)


def _refuse(value: str, name: str) -> str:
    raise InputError(f"{name} is {value[:40]!r}, which is not a date.", "Pass a day like 2026-03-31.") from None
