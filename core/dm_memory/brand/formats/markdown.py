"""Markdown cut into its heading sections: ATX and setext headings, never those inside a code fence.

Follows CommonMark 0.31 as far as headings and fences go; ``tests/brand`` compares it with markdown-it-py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Section", "bullets", "front_matter", "points", "sections"]

# The title is cut out by hand: an expression for its optional closing marks is quadratic on a long line of blanks.
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_MAX_BULLET = 500
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
# What a setext underline can't turn into a heading: lists, quotes, tables, indented code, rules.
_NO_PARAGRAPH = re.compile(r"(?: {4}|\t| {0,3}(?:[-+*>|]|\d+[.)]\s|`{3}|~{3}|_{3}))")
_FIELD = re.compile(r"([^\s:#-][^:\n]{0,80}):(?:\s+(.*))?$")
_SETTING = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*=\s*(.+)$")
_NUMBERED = re.compile(r"( *)\d{1,3}[.)][ \t]+(.+)$")
# What word processors and chats paste for a bullet is one; the middle dots of Japanese and Chinese need no blank.
_BULLET = re.compile(
    r"( *)(?:[-*+\u2022\u2023\u25aa\u25cf\u25e6\u2013\u2014][ \t]+|[\u30fb\u00b7\u25cf\u2022][ \t]*)(.+)$"
)
_DONE = re.compile(r"\[[xX]\][ \t]+")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it up to the next heading; ``path`` is () for the text before the first."""

    path: tuple[str, ...]
    body: str


def sections(text: str) -> Iterator[Section]:
    """Yield every section of ``text`` in order, empty ones too."""
    lines = text.splitlines()
    open_headings: list[tuple[int, str]] = []
    body: list[str] = []
    for level, line in _classified(lines):
        if level == 0:
            body.append(line)
            continue
        yield _section(open_headings, body)
        body = []
        while open_headings and open_headings[-1][0] >= level:
            open_headings.pop()
        open_headings.append((level, line))
    yield _section(open_headings, body)


def bullets(body: str) -> Iterator[str]:
    """Yield the text of each bullet or numbered line; those below another comment on it and are left out."""
    indent: int | None = None
    for line in body.splitlines():
        plain = line.replace("\t", "    ")
        if match := _BULLET.match(plain) or _NUMBERED.match(plain):
            indent = len(match[1]) if indent is None else min(indent, len(match[1]))
            if len(match[1]) <= indent + 1:
                yield match[2].strip()[:_MAX_BULLET]


def points(body: str) -> tuple[list[str], str]:
    """Return the outermost list entries of a text, each with all that stands below it, and the text around them."""
    entries: list[list[str]] = []
    rest: list[str] = []
    indent = 0
    inside = below_blank = False
    for line in body.splitlines():
        plain = line.expandtabs(4)
        depth = len(plain) - len(plain.lstrip())
        match = _BULLET.match(plain) or _NUMBERED.match(plain)
        if match and (not inside or depth <= indent + 1):
            indent = min(indent, depth) if inside else depth
            entries.append([_DONE.sub("", match[2].strip(), count=1)])
            inside = True
        elif inside and plain.strip() and (depth > indent or not (below_blank or plain[0] in "|>`~")):
            entries[-1].append(plain.strip())
        elif plain.strip() or not inside:
            inside = False
            rest.append(line)
        below_blank = not plain.strip()
    return ["\n".join(lines) for lines in entries], "\n".join(rest).strip()


def _section(headings: list[tuple[int, str]], body: list[str]) -> Section:
    return Section(tuple(title for _level, title in headings), "\n".join(body).strip())


def _classified(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (heading level or 0, heading title or line). A paragraph line waits: an underline may follow it."""
    fence = ""
    waiting: str | None = None
    after_blank = True
    for line in lines:
        if waiting is not None:
            underline = _SETEXT.match(line)
            yield ((1 if "=" in line else 2), waiting.strip()) if underline else (0, waiting)
            waiting = None
            if underline:
                after_blank = True
                continue
        if fence:
            fence = "" if _closes(line, fence) else fence
            after_blank = not fence
            yield 0, line
            continue
        if heading := _ATX.match(line):
            after_blank = True
            yield len(heading[1]), _title(line[heading.end() :])
            continue
        if opening := _FENCE.match(line):
            fence = opening[1]
        elif after_blank and line.strip() and not _NO_PARAGRAPH.match(line):
            waiting, after_blank = line, False
            continue
        # Indented code, which can't interrupt a paragraph, does not begin one either.
        after_blank = not line.strip() or (after_blank and line.startswith(("    ", "\t")))
        yield 0, line
    if waiting is not None:
        yield 0, waiting


def _title(text: str) -> str:
    text = text.strip()
    opened = text.rstrip("#")
    return opened.rstrip() if not opened or opened[-1].isspace() else text


def _closes(line: str, fence: str) -> bool:
    text = line.strip()
    return len(text) >= len(fence) and set(text) == {fence[0]} and len(line) - len(line.lstrip(" ")) <= 3  # noqa: PLR2004  # CommonMark 4.5


def front_matter(text: str) -> tuple[dict[str, object], str]:
    """Return a page's front matter (YAML, or TOML between ``+++``) and the text behind it.

    One that is no YAML counts line by line.
    """
    lines = text.splitlines()
    mark = lines[0].rstrip() if lines else ""
    if mark not in {"---", "+++"}:
        return {}, text
    ends = {"+++"} if mark == "+++" else {"---", "..."}
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() in ends), 0)
    block = lines[1:end]
    if not end or not any((_SETTING if mark == "+++" else _FIELD).match(line) for line in block):
        return {}, text
    value = _toml(block) if mark == "+++" else _yaml(block)
    return (value if isinstance(value, dict) else {}), "\n".join(lines[end + 1 :])


def _yaml(block: list[str]) -> object:
    from dm_memory.brand.formats.yaml_text import YamlTextError, read_yaml  # noqa: PLC0415  # 50 ms, only for such a page

    try:
        return read_yaml("\n".join(block)).value
    except YamlTextError:
        return {match[1]: (match[2] or "").strip() for line in block if (match := _FIELD.match(line))}


def _toml(block: list[str]) -> object:
    import tomllib  # noqa: PLC0415  # only for such a page

    try:
        return json.loads(json.dumps(tomllib.loads("\n".join(block)), default=str))
    except (ValueError, RecursionError):  # no TOML, or a number of thousands of digits
        return {match[1]: match[2].strip(" \"'") for line in block if (match := _SETTING.match(line))}
