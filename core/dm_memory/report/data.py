"""Results as JSON-ready data, the machine's half of a report: every field of a result under its own name.

``docs/report.schema.json`` describes it and is generated from the same dataclasses (``report.schema``). Hashes and keys
are whole here. Titles and texts lose the characters nobody can see, as in Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from dm_memory.errors import ServiceError
from dm_memory.report.escape import scrub, visible
from dm_memory.results import (
    Action,
    Failure,
    ForgetProof,
    ItemOutcome,
    MigrateResult,
    PrepareResult,
    VerifyResult,
)
from dm_memory.services.protocol import Capacity

__all__ = ["COMPUTED", "NAMES", "capacity_alert", "data_of", "fitted", "remaining"]

_ALERT_PERCENT = 80.0
_URGENT_PERCENT = 95.0

NAMES = {
    "content_hash": "hash",
    "error_class": "class",
    "failure": "error",
    "guard_hits": "guard",
}
"""Fields that have another name in the data."""

_EXACT = frozenset(
    {
        "aside", "asked", "batch_tags", "cleaned", "duplicates", "examples", "existing_key", "first_key", "key", "keys",
        "left", "origin", "path", "query", "returning", "second_key", "tags", "token", "unknown",
    }
)  # fmt: skip
"""Fields whose texts are identifiers: nothing is taken from them but what no JSON can carry."""


def capacity_alert(capacity: Capacity) -> str:
    """Return ``high`` from 80 % of the limit, ``urgent`` from 95 %, else ""."""
    value = capacity.percent or 0.0
    return "urgent" if value >= _URGENT_PERCENT else "high" if value >= _ALERT_PERCENT else ""


def remaining(capacity: Capacity) -> int | None:
    """Return what is left of the limit, in the capacity's unit; None without one."""
    return None if not capacity.limit else max(0, capacity.limit - capacity.used)


def percent(capacity: Capacity) -> float | None:
    """Return how full it is, to a tenth; None without a limit."""
    return None if capacity.percent is None else round(capacity.percent, 1)


def agrees(result: VerifyResult) -> bool:
    """Return whether nothing differed, and everything could be compared."""
    return not any(part.differing or part.failure for part in result.parts)


def is_complete(result: MigrateResult) -> bool:
    """Return whether everything is there."""
    return result.is_complete


def is_proven(proof: ForgetProof) -> bool:
    """Return whether nothing is left anywhere."""
    return proof.is_complete


COMPUTED: dict[type, dict[str, Callable[[Any], Any]]] = {
    Capacity: {"percent": percent, "remaining": remaining, "alert": capacity_alert},
    ForgetProof: {"complete": is_proven},
    VerifyResult: {"agrees": agrees},
    MigrateResult: {"complete": is_complete},
}
"""What the data says beyond a dataclass's fields; the types are those the functions return."""


def data_of(value: Any, name: str = "") -> Any:  # noqa: ANN401, PLR0911  # any result, and a return for each kind of value
    """Return a result, or a part of it, as values that JSON can carry. ``name``: the field it is from."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return scrub(value) if name in _EXACT else visible(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {scrub(str(data_of(key))): data_of(part, name) for key, part in value.items()}
    if isinstance(value, ServiceError):
        return data_of(Failure(value.error_class.value, value.problem, value.remedy, value.code))
    if is_dataclass(value) and not isinstance(value, type):
        return _fields_of(value)
    return [data_of(part, name) for part in value]


def _fields_of(value: Any) -> dict[str, Any]:  # noqa: ANN401  # any dataclass
    refused = (isinstance(value, ItemOutcome) and value.action is Action.REFUSED) or (
        isinstance(value, PrepareResult) and value.status == "refused"
    )
    if refused:
        value = replace(value, title="")  # it can contain the credential that the text was refused for
    names = [field.name for field in fields(value)]
    data = {NAMES.get(name, name): data_of(getattr(value, name), name) for name in names}
    return data | {name: function(value) for name, function in COMPUTED.get(type(value), {}).items()}


# The size of an answer -----------------------------------------------------------------------------------------------

_LONG_TEXT = 600
_FEWEST = 3


def fitted(data: Mapping[str, Any], limit: int, rest: str) -> dict[str, Any]:
    """Return a report's data in at most ``limit`` bytes of JSON: long texts and long lists are cut, and that is said.

    Args:
        data: The whole data.
        limit: Bytes.
        rest: How to get what was cut, one sentence.
    """
    import orjson  # noqa: PLC0415  # start-up imports only what tools/list needs

    def size(value: Any) -> int:  # noqa: ANN401  # any JSON
        return len(orjson.dumps(value))

    if size(data) <= limit:
        return dict(data)
    small = {name: _shortened(part) for name, part in data.items()}
    cut: dict[str, dict[str, int]] = {}
    small |= {"cut": cut, "rest": rest}
    while size(small) > limit:
        lists = {name: part for name, part in small.items() if isinstance(part, list) and len(part) > _FEWEST}
        if not lists:
            break
        name = max(lists, key=lambda key: size(lists[key]))
        share = limit / size(small)
        shown = max(_FEWEST, min(int(len(lists[name]) * share), len(lists[name]) - 1))
        small[name] = lists[name][:shown]
        cut[name] = {"shown": shown, "of": len(data[name])}
    return small


def _shortened(value: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else value[: _LONG_TEXT - 1] + "…"
    if isinstance(value, list):
        return [_shortened(part) for part in value]
    return {name: _shortened(part) for name, part in value.items()} if isinstance(value, dict) else value
