"""YAML as values that JSON has as well: no dates or "no" turned into something else, no objects, no endless aliases."""

from __future__ import annotations

import math
from typing import Any

import yaml

__all__ = ["YamlTextError", "read_yaml"]

_MAX_NODES = 1_000_000
_MAX_DEPTH = 100
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlTextError(Exception):
    """``what`` completes "the file ..."."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class _PlainLoader(_Loader):  # type: ignore[misc]  # the C loader, if it is built
    """Knows the types of JSON alone: "2026-06-14", "no" and "12:30" stay the texts that people wrote."""


_KEPT = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", __import__("re").compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str) -> object:
    """Return the value in ``text``; of several documents a list.

    Raises:
        YamlTextError: It is no YAML, or one that would fill the memory.
    """
    try:
        documents = [value for value in yaml.load_all(text, Loader=_PlainLoader) if value is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise YamlTextError(f"is not valid YAML{where}") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        raise YamlTextError("is not valid YAML") from None
    value: object = documents[0] if len(documents) == 1 else documents
    _measure(value, {}, 0)
    return _plain(value)


def _measure(value: object, known: dict[int, int], depth: int) -> int:
    """Return how many values ``value`` is with its aliases written out."""
    if not isinstance(value, list | dict):
        return 1
    if depth > _MAX_DEPTH:
        raise YamlTextError("is nested too deeply")
    if id(value) in known:
        if not known[id(value)]:
            raise YamlTextError("contains itself")
        return known[id(value)]
    known[id(value)] = 0
    entries = value.values() if isinstance(value, dict) else value
    size = 1 + sum(_measure(entry, known, depth + 1) for entry in entries)
    if size > _MAX_NODES:
        raise YamlTextError("is too large with its aliases written out")
    known[id(value)] = size
    return size


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return ""
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
