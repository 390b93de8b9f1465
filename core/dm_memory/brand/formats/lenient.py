"""JSON as people and assistants write it: what is unambiguous is repaired and stated, the rest is left out by position.

Read are code fences and prose around the data, comments, trailing and missing commas, typographic and single quotes,
Python's literals and tuples, keys without quotes, and quotes inside a text. Nothing is guessed: a member that has no
one meaning is left out with its line and column, and everything around it is taken. A text that stops in the middle is
never half a text; an entry of a list that stops in the middle is left out whole.

Stands behind ``orjson`` and ``json``: only files that both refuse come here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TypeGuard

__all__ = ["both", "read_leniently"]

_MAX_DEPTH = 100
_MAX_LOST = 50
_MOST_COMPARED = 200
_FENCE = re.compile(
    r"^[ \t]*(?:`{3,}|~{3,})[^\n]*\n(.*?)(?:^[ \t]*(?:`{3,}|~{3,})[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_INK = re.compile(r"[^\n]")
_BLANK = re.compile(r"\s*(?:(?://|#)[^\n]*\s*)*")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?=\s*[,}\n])")
_OPENING = re.compile(r"^[ \t]*[{\[]", re.MULTILINE)
_KEY = re.compile(r"[^\W\d][\w.$-]*|\d+(?=\s*:)")
_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?=\s*(?:[,\]})]|//|/\*|#|\n|\Z))")
_BARE = re.compile(r"[^\W_][^\n,:\"'\[\]{}()]*")
_WORDS = {"true": True, "false": False, "null": None, "none": None, "nan": None, "infinity": None, "undefined": None}
_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": '\u201d\u201c"',
    "\u201d": '\u201d\u201c"',
    "\u201e": '\u201c\u201d"',
    "\u2018": "\u2019\u2018'",
    "\u2019": "\u2019\u2018'",
    "\u00ab": "\u00bb",
}
_TYPOGRAPHIC = frozenset(_QUOTES) - frozenset("\"'`")
# Lone surrogates and NUL are gone before a text comes here, so that two escapes in a row are a pair.
_UNICODE = re.compile(r"u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|[0-9a-fA-F]{4})")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_AFTER = frozenset(",:]})")


class _BadError(Exception):
    """The value at ``at`` has no one meaning."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


class _DeepError(Exception):
    """The value is nested too deeply for anybody's text."""


class _EndError(Exception):
    """The text ends before the value does."""


@dataclass(slots=True)
class _Lenient:
    """What was read.

    Attributes:
        repairs: What was repaired, each kind once, in words.
        lost: "line L, column C" of each member that was left out.
        cut: The text ends in the middle.
    """

    value: object = None
    repairs: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    cut: bool = False

    @property
    def whole(self) -> bool:
        """Whether everything was understood."""
        return not self.lost and not self.cut


def read_leniently(text: str) -> _Lenient | None:
    """Return the value of ``text``, or None if it is no JSON in any spelling (or nested too deeply)."""
    found = _Lenient()
    if text.lstrip()[:1] not in {"{", "["} and (fences := list(_FENCE.finditer(text))):
        found.repairs.append("a code fence")
        text = _alone(text, [fence.span(1) for fence in fences])
    reader = _Reader(text, found)
    start = reader.skip(0)
    if start >= len(text) or text[start] not in "{[(":
        opening = _OPENING.search(text, start)
        if opening is None:
            return None
        found.repairs.append("text around the data")
        start = opening.end() - 1
    try:
        found.value, end = reader.value(start, 0)
        more = reader.rest(end)
    except (_EndError, _BadError, _DeepError):
        return None
    if more:
        found.value = [entry for value in (found.value, *more) for entry in (value if _is_list(value) else [value])]
    return None if (not found.value and not found.whole) else found


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _alone(text: str, spans: list[tuple[int, int]]) -> str:
    """Return what stands in ``spans``, each character at its place: everything around is blank."""
    parts, behind = [], 0
    for start, end in spans:
        parts += [_INK.sub(" ", text[behind:start]), text[start:end]]
        behind = end
    return "".join(parts)


def both(before: object, value: object) -> object:
    """Return what a key says that stands twice: lists and objects joined, sentences as a list, else the last."""
    if isinstance(before, list) and isinstance(value, str) and " " in value.strip():
        value = [value]  # the third sentence of a key
    if isinstance(before, list) and isinstance(value, list):
        # Records need no look at each other: equal texts are one entry.
        known = {entry for entry in before[-_MOST_COMPARED:] if isinstance(entry, str | int | float)}
        return before + [entry for entry in value if not isinstance(entry, str | int | float) or entry not in known]
    if isinstance(before, dict) and isinstance(value, dict):
        return before | {name: both(before[name], entry) if name in before else entry for name, entry in value.items()}
    if before and not value:
        return before
    texts = isinstance(before, str) and isinstance(value, str) and " " in before.strip() and " " in value.strip()
    return [before, value] if texts and before != value else value


class _Reader:
    """A recursive descent over one text."""

    def __init__(self, text: str, found: _Lenient) -> None:
        self._text = text
        self._found = found
        self._last_comment = text.rfind("*/")

    def value(self, at: int, depth: int) -> tuple[object, int]:
        """Return the value at ``at`` and where it ends."""
        text = self._text
        if depth > _MAX_DEPTH:
            raise _DeepError
        if at >= len(text):
            raise _EndError
        first = text[at]
        if first in _CLOSING:
            return self._members(at, depth) if first == "{" else self._entries(at, depth)
        if first in _QUOTES:
            return self._string(at)
        if match := _NUMBER.match(text, at):
            return _number(match[0]), match.end()
        return self._bare(at)

    def skip(self, at: int) -> int:
        """Return the place behind white space and comments."""
        end = self._behind_blank(at)
        if end > at and not self._text[at:end].isspace():
            self._repaired("comments")
        return end

    def _behind_blank(self, at: int) -> int:
        text = self._text
        while match := _BLANK.match(text, at):
            at = match.end()
            if not text.startswith("/*", at) or self._last_comment < at + 2:
                return at
            at = text.index("*/", at + 2) + 2
        return at

    def rest(self, at: int) -> list[object]:
        """Return the values that stand behind the first one; prose is left alone."""
        values: list[object] = []
        while (at := self.skip(at)) < len(self._text):
            if self._text[at] == ",":
                at += 1
            elif self._text[at] in "{[":
                try:
                    value, at = self.value(at, 0)
                except (_EndError, _BadError):
                    self._lost(at)
                    break
                values.append(value)
                self._repaired("several values")
            else:
                self._repaired("text around the data")
                break
        return values

    def _members(self, at: int, depth: int) -> tuple[object, int]:
        members: dict[str, object] = {}
        at = self._next(at + 1, "}")
        while self._text[at] != "}":
            try:
                key, at = self._key(at)
                at = self.skip(at)
                thousands = _THOUSANDS.match(self._text, at)
                value, at = (thousands[0], thousands.end()) if thousands else self.value(at, depth + 1)
                if key in members:
                    self._repaired("keys that stand twice")
                    value = both(members[key], value)
                members[key] = value
                at = self._separated(at, "}")
            except _BadError as error:
                self._lost(error.at)
                at = self._recovered(error.at, "}")
            except _EndError:
                self._found.cut = True
                return (members if depth == 0 else _Cut(members)), len(self._text)
            if at >= len(self._text):
                self._found.cut = True
                return (members if depth == 0 else _Cut(members)), at
        return members, at + 1

    def _entries(self, at: int, depth: int) -> tuple[object, int]:
        closing = _CLOSING[self._text[at]]
        if closing == ")":
            self._repaired("Python's spelling")
        entries: list[object] = []
        at = self._next(at + 1, closing)
        while self._text[at] != closing:
            try:
                value, at = self.value(at, depth + 1)
                if not isinstance(value, _Cut):
                    entries.append(value)
                at = self._separated(at, closing)
            except _BadError as error:
                self._lost(error.at)
                at = self._recovered(error.at, closing)
            except _EndError:
                at = len(self._text)
            if at >= len(self._text):
                self._found.cut = True
                return entries, at
        return entries, at + 1

    def _next(self, at: int, closing: str) -> int:
        """Return the place of the next entry or of ``closing``; commas that separate nothing are passed over."""
        at = self.skip(at)
        while at < len(self._text) and self._text[at] == ",":
            self._repaired("commas that separate nothing")
            at = self.skip(at + 1)
        if at >= len(self._text):
            raise _EndError
        if self._text[at] in "]})" and self._text[at] != closing:
            raise _BadError(at)
        return at

    def _separated(self, at: int, closing: str) -> int:
        """Return the place behind the comma after an entry; a line end is as good if the comma is missing."""
        after = self.skip(at)
        if after >= len(self._text):
            raise _EndError
        mark = self._text[after]
        if mark == closing:
            return after
        if mark == ",":
            return self._after_comma(after + 1, closing)
        if "\n" in self._text[at:after] and (mark in _QUOTES or mark in "{["):
            self._repaired("missing commas")
            return after
        raise _BadError(after)

    def _after_comma(self, at: int, closing: str) -> int:
        after = self.skip(at)
        if after >= len(self._text):
            raise _EndError
        if self._text[after] == closing:
            self._repaired("commas that separate nothing")
            return after
        return self._next(after, closing)

    def _key(self, at: int) -> tuple[str, int]:
        if self._text[at] in _QUOTES:
            key, at = self._string(at, is_key=True)
        elif match := _KEY.match(self._text, at):
            self._repaired("names without quotes")
            key, at = match[0], match.end()
        else:
            raise _BadError(at)
        at = self.skip(at)
        if at >= len(self._text):
            raise _EndError
        if self._text[at] != ":":
            raise _BadError(at)
        return str(key), at + 1

    def _string(self, at: int, *, is_key: bool = False) -> tuple[str, int]:
        text, opening = self._text, self._text[at]
        closers = _QUOTES[opening]
        if opening in _TYPOGRAPHIC:
            self._repaired("typographic quotes")
        elif opening != '"':
            self._repaired("Python's spelling" if opening == "'" else "other quotes")
        parts: list[str] = []
        position = start = at + 1
        inside = 0
        while position < len(text):
            character = text[position]
            if character == "\\":
                parts.append(text[start:position])
                piece, position = _escape(text, position + 1)
                parts.append(piece)
                start = position
            elif is_key and character == "\n":
                raise _BadError(at)
            elif character in closers and (is_key or self._closes(position + 1)):
                if inside % 2 and opening == '"':
                    raise _BadError(at)  # quotes come in pairs: which of them ends the text can't be known
                parts.append(text[start:position])
                return "".join(parts), position + 1
            else:
                if character in closers:
                    self._repaired("quotes inside a text")
                    inside += 1
                position += 1
        raise _EndError

    def _closes(self, at: int) -> bool:
        """Return whether a quote before ``at`` ends its text: a separator, a new line's entry or the end follows."""
        text = self._text
        after = self._behind_blank(at)
        if after >= len(text) or text[after] in _AFTER:
            return True
        return "\n" in text[at:after] and text[after] in _QUOTES

    def _bare(self, at: int) -> tuple[object, int]:
        """Return a literal, or a few words without quotes up to the next separator."""
        match = _BARE.match(self._text, at)
        if match is None:
            raise _BadError(at)
        words = re.split(r"\s+(?://|#)", match[0], maxsplit=1)[0].strip()
        end = at + len(words)
        after = self._behind_blank(end)
        if after >= len(self._text):
            raise _EndError
        if self._text[after] not in ",]})" and "\n" not in self._text[end:after]:
            raise _BadError(after)
        if words.lower() in _WORDS:
            if words not in _WORDS:
                self._repaired("Python's spelling")
            return _WORDS[words.lower()], end
        self._repaired("texts without quotes")
        return words, end

    def _recovered(self, at: int, closing: str) -> int:
        """Return where the entry after what is wrong at ``at`` begins, or the place of ``closing``."""
        text, depth, quote = self._text, 0, ""
        position = at
        while position < len(text):
            character = text[position]
            if quote:
                if character == "\\":
                    position += 1
                elif character in _QUOTES[quote] and self._closes(position + 1):
                    quote = ""
            elif character == '"' or character in _TYPOGRAPHIC - {"\u2019"}:
                quote = character
            elif character in _CLOSING:
                depth += 1
            elif character in "]})":
                if depth == 0:
                    return position if character == closing else len(text)
                depth -= 1
            elif character == "," and depth == 0:
                return self.skip(position + 1)
            position += 1
        return position

    def _lost(self, at: int) -> None:
        if len(self._found.lost) < _MAX_LOST:
            line = self._text.count("\n", 0, at) + 1
            self._found.lost.append(f"line {line}, column {at - self._text.rfind(chr(10), 0, at)}")

    def _repaired(self, what: str) -> None:
        if what not in self._found.repairs:
            self._found.repairs.append(what)


class _Cut(dict[str, object]):
    """An object that the end of the text cut off; as an entry of a list it is left out whole."""


def _number(text: str) -> object:
    text = text.replace("_", "").removeprefix("+")
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:  # more digits than Python converts
        return text


def _escape(text: str, at: int) -> tuple[str, int]:
    if at >= len(text):
        raise _EndError
    if match := _UNICODE.match(text, at):
        return str(json.loads(f'"\\{match[0]}"')), match.end()
    return _ESCAPES.get(text[at], text[at]), at + 1
