"""Pinecone's filter language, as far as it is documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["matches"]


def matches(metadata: Mapping[str, Any], condition: Mapping[str, Any] | None) -> bool:
    """Tell whether a record's metadata meets a filter."""
    return all(_meets(metadata, name, wanted) for name, wanted in (condition or {}).items())


def _meets(metadata: Mapping[str, Any], name: str, wanted: Any) -> bool:
    if name == "$and":
        return all(matches(metadata, part) for part in wanted)
    if name == "$or":
        return any(matches(metadata, part) for part in wanted)
    operators = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    return all(_holds(metadata.get(name), operator, operand) for operator, operand in operators.items())


def _holds(value: Any, operator: str, operand: Any) -> bool:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if operator == "$exists":
        return (value is not None) is operand
    if operator in {"$eq", "$in"}:
        return bool(set(values) & set(operand if operator == "$in" else [operand]))
    if operator in {"$ne", "$nin"}:
        return not set(values) & set(operand if operator == "$nin" else [operand])
    compare = {"$gt": float.__gt__, "$gte": float.__ge__, "$lt": float.__lt__, "$lte": float.__le__}[operator]
    return any(isinstance(part, (int, float)) and compare(float(part), float(operand)) for part in values)
