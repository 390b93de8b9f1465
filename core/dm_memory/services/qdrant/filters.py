"""Which points a request is about. Every filter of this module is one brand's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dm_memory.services.protocol import SearchQuery

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["INDEXES", "BrandFilters"]

INDEXES = {
    "brand": "tenant",
    "entry": "keyword",
    "content_type": "keyword",
    "tags": "keyword",
    "chunk": "integer",
    "recorded_day": "integer",
    "expires_ts": "integer",
}
"""The fields that are filtered on. The tenant's index keeps a brand's points together on the server's disk."""


class BrandFilters:
    """Filters over one brand's points."""

    def __init__(self, brand: str) -> None:
        self._brand = brand

    def every(self) -> models.Filter:
        """All points."""
        return self._filter()

    def firsts(self) -> models.Filter:
        """The first point of each entry."""
        return self._filter(_equals("chunk", 0))

    def entries(self, ids: Sequence[str]) -> models.Filter:
        """All points of some entries."""
        return self._filter(_any("entry", ids))

    def surplus(self, chunks: Mapping[str, int]) -> models.Filter:
        """Points beyond the number of chunks given, by entry."""
        from qdrant_client import models  # noqa: PLC0415  # 1 s of CPU: on first use only

        by_count: dict[int, list[str]] = {}
        for entry, count in chunks.items():
            by_count.setdefault(count, []).append(entry)
        groups: list[Any] = [
            models.Filter(must=[_any("entry", ids), _range("chunk", gte=count)]) for count, ids in by_count.items()
        ]
        return self._filter(groups[0]) if len(groups) == 1 else self._filter(models.Filter(should=groups))

    def found(self, query: SearchQuery, first: int | None, last: int | None) -> models.Filter:
        """What a search may find; ``first`` and ``last`` are days as yyyymmdd, or None."""
        must = [_equals("tags", tag) for tag in query.tags]
        if query.content_type:
            must.append(_equals("content_type", query.content_type))
        if first is not None or last is not None:
            must.append(_range("recorded_day", gte=first, lte=last))
        return self._filter(*must, must_not=[_range("expires_ts", lt=time.time())])

    def _filter(self, *must: Any, must_not: list[Any] | None = None) -> models.Filter:  # noqa: ANN401  # any condition
        from qdrant_client import models  # noqa: PLC0415  # as above

        return models.Filter(must=[_equals("brand", self._brand), *must], must_not=must_not)


def _equals(field: str, value: str | int) -> models.FieldCondition:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _any(field: str, values: Sequence[str]) -> models.FieldCondition:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))


def _range(field: str, **bounds: float | None) -> models.FieldCondition:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return models.FieldCondition(key=field, range=models.Range(**bounds))
