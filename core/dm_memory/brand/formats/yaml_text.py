"""YAML as values that JSON has as well: no dates or "no" turned into something else, no objects, no endless aliases."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from dm_memory.brand.formats.lenient import both

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

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, object]:  # noqa: ARG002  # PyYAML's own
        """Return an object; a key that stands twice says both, one that is no scalar is a text."""
        own = {id(key) for key, _value in node.value}
        self.flatten_mapping(node)
        found: dict[Any, object] = {}
        written: set[object] = set()
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            key = key if isinstance(key, Hashable) else str(key)
            value = self.construct_object(value_node, deep=True)
            if key in written:
                self.repeated.append(str(key))
                value = both(found[key], value)
            if id(key_node) in own:
                written.add(key)
            found[key] = value
        return found


# YAML 1.1 reads "12:30" as 750 minutes and a postcode "01234" as an octal number: only what JSON calls a number is one.
_NUMBERS = {
    "int": (r"^[-+]?(?:0|[1-9][0-9_]*)$", "-+0123456789"),
    "float": (
        r"^[-+]?(?:0|[1-9][0-9_]*)?\.[0-9]+(?:[eE][-+]?[0-9]+)?$|^[-+]?[1-9][0-9]*[eE][-+]?[0-9]+$",
        "-+0123456789.",
    ),
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
}
_KEPT = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in _NUMBERS.items():
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), list(_first))


def _plain_of_any_tag(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> object:
    """Return what stands behind a tag that only some program knows (``!Custom x``, ``!!python/name:x``)."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value


_PlainLoader.add_multi_constructor("", _plain_of_any_tag)

_MAX_REPAIRS = 20
_DEEPEST = 200
_MAY_BE_DEEP = re.compile(r"^(?:[ ]|[-?:][ \t]){200}", re.MULTILINE)
_VALUE = re.compile(r"(\s*(?:-\s+)*(?:[^\s#:\"'\[{|>-][^:#]*:\s+)?)(\S.*)$")
_TABS = re.compile(r"^[ ]*\t[ \t]*", re.MULTILINE)


@dataclass(slots=True)
class _Yaml:
    """What was read.

    Attributes:
        value: Of several documents a list.
        repeated: Keys that stand more than once in one object; what they say is joined.
        repaired: The lines that were read as texts in quotes, or whose tabs were read as blanks.
    """

    value: object = None
    repeated: list[str] = field(default_factory=list)
    repaired: list[int] = field(default_factory=list)


def read_yaml(text: str) -> _Yaml:
    """Return the value in ``text``. A line that is YAML but for its missing quotes is read as the text it is.

    Raises:
        YamlTextError: It is no YAML, or one that would fill the memory.
    """
    found = _Yaml()
    while True:
        try:
            documents = [value for value in _documents(text, found) if value is not None]
            break
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            text = _repaired(text, mark.line if mark else -1, found)
            if not text:
                where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
                raise YamlTextError(f"is not valid YAML{where}") from None
        except (yaml.YAMLError, ValueError, RecursionError, TypeError):
            raise YamlTextError("is not valid YAML") from None
    value: object = documents[0] if len(documents) == 1 else documents
    _measure(value, {}, 0)
    found.value = _plain(value)
    return found


def _refuse_depth(text: str) -> None:
    """Raise for what is nested so deeply that the C parser's composer, which recurs, would end the process."""
    if text.count("[") + text.count("{") < _DEEPEST and not _MAY_BE_DEEP.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise YamlTextError("is nested too deeply")


def _documents(text: str, found: _Yaml) -> Iterator[object]:
    _refuse_depth(text)
    loader = _PlainLoader(text)
    found.repeated.clear()
    loader.repeated = found.repeated
    try:
        while loader.check_data():
            yield loader.get_data()
    finally:
        loader.dispose()


def _repaired(text: str, line: int, found: _Yaml) -> str:
    """Return ``text`` with the value of one line in quotes, or "" if that is no repair."""
    if len(found.repaired) >= _MAX_REPAIRS:
        return ""
    if (spaced := _TABS.sub(lambda match: match[0].replace("\t", "  "), text)) != text:
        found.repaired.append(line + 1)
        return spaced
    lines = text.splitlines()
    match = _VALUE.match(lines[line].rstrip()) if 0 <= line < len(lines) and line + 1 not in found.repaired else None
    if match is None or match[2].startswith(("[", "{", "|", ">", "&", "*", '"', "'")):
        return ""
    found.repaired.append(line + 1)
    lines[line] = match[1] + json.dumps(match[2], ensure_ascii=False)
    return "\n".join(lines)


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
