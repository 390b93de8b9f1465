"""Changing one table of a TOML text: every line that does not belong to it stays as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["assign", "discard", "load", "render"]

_HEADER = re.compile(r"^\s*\[(?!\[)([^\[\]]+)\]\s*(?:#.*)?$")
_ANY_HEADER = re.compile(r"^\s*\[")
_NOTHING = re.compile(r"^\s*(?:#.*)?$")


def load(text: str) -> dict[str, object]:
    """Return the tables of a text.

    Raises:
        ValueError: It is no TOML.
    """
    return tomllib.loads(text)


def render(path: Sequence[str], table: Mapping[str, object]) -> str:
    """Return a table with its header."""
    return "\n".join([f"[{'.'.join(path)}]", *(f"{name} = {_value(value)}" for name, value in table.items())]) + "\n"


def assign(text: str, path: Sequence[str], table: Mapping[str, object]) -> str:
    """Return the text with a table added at its end, or with those lines of it that differ replaced."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    own = [span for span in _spans(lines) if span[0] == tuple(path)]
    if not own:
        gap = "" if not text.strip() else line_end if text.endswith("\n") else line_end * 2
        return text + gap + render(path, table).replace("\n", line_end)
    _, start, end = own[0]
    body = lines[start + 1 : end]
    for name, value in table.items():
        first, last = _assignment(body, name)
        body[first:last] = [f"{name} = {_value(value)}{line_end}"]
    return "".join([*lines[: start + 1], *body, *lines[end:]])


def discard(text: str, path: Sequence[str]) -> str:
    """Return the text without a table and the tables in it."""
    lines = text.splitlines(keepends=True)
    for names, start, end in reversed(list(_spans(lines))):
        if names[: len(path)] == tuple(path):
            before = start - 1 if start and not lines[start - 1].strip() else start
            del lines[before:end]
    return "".join(lines)


def _spans(lines: Sequence[str]) -> list[tuple[tuple[str, ...], int, int]]:
    """Return each table's names and its lines, without what stands before the next header: that belongs to it."""
    heads: list[int] = []
    for number, line in enumerate(lines):  # each table is read on its own: Codex writes one for every folder
        if _ANY_HEADER.match(line) and _is_whole(lines[heads[-1] if heads else 0 : number]):
            heads.append(number)
    heads.append(len(lines))
    spans = []
    for start, following in pairwise(heads):
        end = following
        while end > start + 1 and _NOTHING.match(lines[end - 1]):
            end -= 1
        spans.append((_names(lines[start]), start, end))
    return spans


def _is_whole(lines: Sequence[str]) -> bool:
    """Return whether no text and no array is open after these lines: what follows may be a header."""
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _names(line: str) -> tuple[str, ...]:
    found = _HEADER.match(line.rstrip("\r\n"))
    table: object = tomllib.loads(f"[{found[1]}]") if found else {}
    names = []
    while isinstance(table, Mapping) and table:
        name, table = next(iter(table.items()))
        names.append(name)
    return tuple(names)


def _assignment(body: Sequence[str], name: str) -> tuple[int, int]:
    """Return the lines that set a name, or the empty place in front where they go."""
    for first, line in enumerate(body):
        if re.match(rf"\s*{re.escape(name)}\s*=", line):
            for last in range(first + 1, len(body) + 1):
                try:
                    tomllib.loads("".join(body[first:last]))
                except tomllib.TOMLDecodeError:
                    continue  # an array over several lines
                return first, last
    return 0, 0


def _value(value: object) -> str:
    """Return a value as TOML writes it: for these types as JSON does, but for DEL."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
