"""Changing one member of a JSON text, with or without comments: every other character stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["assign", "discard", "load", "render"]

_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<comment>//[^\r\n]*|/\*.*?\*/) | (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
    | (?P<mark>[{}\[\]:,]) | (?P<literal>[^\s{}\[\]:,"/]+)""",
    re.DOTALL | re.VERBOSE,
)
_REST_OF_LINE = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/)?")
_INDENT = re.compile(r'^([ \t]+)"', re.MULTILINE)


@dataclass(slots=True)
class _Node:
    """A value and where it stands; ``members`` are those of an object, each with the place of the comma behind it."""

    value: object
    start: int
    end: int
    members: dict[str, _Member] = field(default_factory=dict)


@dataclass(slots=True)
class _Member:
    start: int
    node: _Node
    comma: int = -1


def load(text: str, *, comments: bool) -> object:
    """Return the value of a text; an empty one is an empty object.

    Args:
        text: The text.
        comments: Whether comments and a comma after the last member are allowed, as they are in VS Code's dialect.

    Raises:
        ValueError: It is no JSON.
    """
    if not text.strip():
        return {}
    return _Reader(text).document().value if comments else json.loads(text)


def render(value: object, indent: str = "  ") -> str:
    """Return a value as it is written into a file."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


def assign(text: str, path: Sequence[str], value: object) -> str:
    """Return the text with the member at ``path`` set; objects on the way are made.

    Raises:
        ValueError: It is no JSON, or something on the way is no object.
    """
    if not text.strip():
        return render(_nested(path, value)) + "\n"
    node = _Reader(text).document()
    for depth, name in enumerate(path):
        if not isinstance(node.value, Mapping):
            raise ValueError(f"{name} can't be put into what is no object")  # noqa: TRY004  # of the text, as the others
        if name not in node.members:
            return _insert(text, node, name, _nested(path[depth + 1 :], value))
        node = node.members[name].node
    return text[: node.start] + _shifted(text, value, _indent_at(text, node.start)) + text[node.end :]


def discard(text: str, path: Sequence[str]) -> str:
    """Return the text without the member at ``path``; one that is not there changes nothing.

    Raises:
        ValueError: It is no JSON.
    """
    node = parent = _Reader(text).document()
    for name in path:
        if name not in node.members:
            return text
        parent, node = node, node.members[name].node
    names = list(parent.members)
    place = names.index(path[-1])
    gone = parent.members[path[-1]]
    start, end = gone.start, gone.node.end if gone.comma < 0 else gone.comma + 1
    rest = _REST_OF_LINE.match(text, end)
    after = rest.end() if rest else end
    if text[after : after + 1] in {"\r", "\n", ""} and not text[text.rfind("\n", 0, start) + 1 : start].strip():
        start = len(text[:start].rstrip(" \t").removesuffix("\n").removesuffix("\r"))
        end = after
    elif gone.comma >= 0:
        end = len(text) - len(text[end:].lstrip(" \t"))
    if gone.comma < 0 and place:  # the last one: the comma before it goes as well
        comma = parent.members[names[place - 1]].comma
        return text[:comma] + text[comma + 1 : start] + text[end:]
    return text[:start] + text[end:]


def _nested(path: Sequence[str], value: object) -> object:
    for name in reversed(path):
        value = {name: value}
    return value


def _insert(text: str, node: _Node, name: str, value: object) -> str:
    """Return the text with a new last member of an object."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    base = _indent_at(text, node.start)
    last = list(node.members.values())[-1] if node.members else None
    if last is None:
        inner = text[node.start + 1 : node.end - 1]
        member = line_end + base + _unit(text) + _member(text, name, value, base + _unit(text))
        closing = line_end + base if not inner.strip() else inner
        return text[: node.start + 1] + member + closing + text[node.end - 1 :]
    if line_end[-1] not in text[node.start : node.end]:
        end = last.node.end if last.comma < 0 else last.comma
        return f"{text[:end]}, {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}{text[end:]}"
    indent = _indent_at(text, last.start)
    end = last.node.end if last.comma < 0 else last.comma + 1
    rest = _REST_OF_LINE.match(text, end)
    after = rest.end() if rest else end
    head = text[: last.node.end] + "," if last.comma < 0 else text[:end]
    member = line_end + indent + _member(text, name, value, indent) + ("" if last.comma < 0 else ",")
    return head + text[end:after] + member + text[after:]


def _member(text: str, name: str, value: object, indent: str) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}: {_shifted(text, value, indent)}"


def _shifted(text: str, value: object, indent: str) -> str:
    line_end = "\r\n" if "\r\n" in text else "\n"
    return render(value, _unit(text)).replace("\n", line_end + indent)


def _unit(text: str) -> str:
    found = _INDENT.search(text)
    return found[1] if found else "  "


def _indent_at(text: str, place: int) -> str:
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


class _Reader:
    """Reads a text once and remembers where each value stands."""

    def __init__(self, text: str) -> None:
        self._tokens = self._significant(text)
        self._kind, self._text, self._start, self._end = next(self._tokens)

    @staticmethod
    def _significant(text: str) -> Iterator[tuple[str, str, int, int]]:
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"no JSON at character {place}")
            if match.lastgroup not in {"space", "comment"}:
                yield str(match.lastgroup), match[0], match.start(), match.end()
            place = match.end()
        yield "end", "", len(text), len(text)

    def document(self) -> _Node:
        try:
            node = self._value()
        except RecursionError:
            raise ValueError("too deeply nested") from None
        if self._kind != "end":
            raise ValueError(f"no JSON at character {self._start}")
        return node

    def _next(self) -> None:
        self._kind, self._text, self._start, self._end = next(self._tokens)

    def _take(self, mark: str) -> bool:
        if (self._kind, self._text) != ("mark", mark):
            return False
        self._next()
        return True

    def _value(self) -> _Node:
        start = self._start
        if self._take("{"):
            return self._object(start)
        if self._take("["):
            return self._array(start)
        if self._kind not in {"string", "literal"}:
            raise ValueError(f"no value at character {start}")
        node = _Node(json.loads(self._text), start, self._end)
        self._next()
        return node

    def _object(self, start: int) -> _Node:
        members: dict[str, _Member] = {}
        while self._text != "}" or self._kind != "mark":
            if self._kind != "string" or any(member.comma < 0 for member in members.values()):
                raise ValueError(f"no member at character {self._start}")
            name, place = json.loads(self._text), self._start
            if name in members:
                raise ValueError(f"{name} stands twice")
            self._next()
            if not self._take(":"):
                raise ValueError(f"no colon at character {self._start}")
            members[name] = _Member(place, self._value())
            comma = self._start
            members[name].comma = comma if self._take(",") else -1
        node = _Node({name: member.node.value for name, member in members.items()}, start, self._end, members)
        self._next()
        return node

    def _array(self, start: int) -> _Node:
        values: list[object] = []
        separated = True
        while self._text != "]" or self._kind != "mark":
            if not separated:
                raise ValueError(f"no comma at character {self._start}")
            values.append(self._value().value)
            separated = self._take(",")
        node = _Node(values, start, self._end)
        self._next()
        return node
