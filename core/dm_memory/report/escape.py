"""The one place where text from brand files becomes part of a report.

Such text can be anything, so it is shown on one line, without characters nobody sees, cut to a length and inside a
frame that it can't close: ``“...”`` for prose, a code span for identifiers. Curly double quotes and backticks inside
are replaced by straight ones, so every frame in a report is the report's own. The rules escaped are CommonMark 0.31
and GitHub's tables, strikethrough and autolinks.
"""

from __future__ import annotations

import re

__all__ = ["code", "inline", "quote", "scrub", "visible"]

_ELLIPSIS = "…"
_EMPTY = "(nothing readable)"

_JOINER_CONTEXT = "\u0600-\u18ff\u2600-\u27bf\ufe0f\U0001f1e6-\U0001faff"
"""Scripts (Arabic to Mongolian) and emoji in which zero-width joiners change what is seen."""

_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"

_ANSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)")

_INVISIBLE = re.compile(
    "["
    # Controls, without those that separate words.
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    # Format characters (category Cf) but the two joiners: bidi controls, zero-width characters, tags.
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    # Letters and marks that show nothing: fillers, blank Braille, variation selectors that no emoji uses.
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0"
    "]"
    f"|(?<![{_JOINER_CONTEXT}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINER_CONTEXT}])"
    "|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]+"
)
_STACKED_MARKS = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")
_UNSHOWABLE = re.compile("[\ud800-\udfff\ue000-\uf8ff\ufffe\uffff\U000f0000-\U0010ffff]+")
_SURROGATE = re.compile("[\ud800-\udfff]")

_CURLY_QUOTES = str.maketrans(dict.fromkeys("“”„‟❝❞〝〞", '"'))
_CODE_FRAME = _CURLY_QUOTES | str.maketrans({"`": "'", "|": "¦"})  # a pipe would end a table's cell even in code

_MARKDOWN = re.compile(
    r"""[\\`*\[\]<|~@]"""
    r"""|(?<![^\W_])_|_(?![^\W_])"""  # between letters an underscore means nothing
    r"""|&(?=\#?\w+;)"""  # entities
    r"""|(?<=/)/|(?<=\w)\.(?!(?:json|db)\b)(?=[^\W\d_])"""  # many viewers make links of https://, www. and a.com
)
_BLOCK_START = re.compile(r"\A(\d{0,9})(>|[-#+=:.)](?=\s|[-#=>:]|\Z))")


def visible(text: str) -> str:
    """Return ``text`` without control, format and invisible characters; line ends and tabs stay.

    What can't be shown at all (lone surrogates, private use) becomes U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _INVISIBLE.sub("", _ANSI.sub("", text))
    return _UNSHOWABLE.sub("\ufffd", _STACKED_MARKS.sub(r"\1", text))


def scrub(text: str) -> str:
    """Return ``text`` as it is but for lone surrogates, which no JSON can carry: they become U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def quote(text: str, limit: int = 90) -> str:
    """Return brand text as “quoted, escaped Markdown” on one line, at most ``limit`` characters of it."""
    return f"“{_escaped(text, limit)}”"


def inline(text: str, limit: int = 400) -> str:
    """Return ``text`` as escaped Markdown on one line without a frame: for sentences that may contain brand text."""
    return _BLOCK_START.sub(r"\1\\\2", _escaped(text, limit))


def code(text: str, limit: int = 120) -> str:
    """Return an identifier as a code span. Backticks and pipes are replaced; the data of a report has it exactly."""
    return f"`{_one_line(text, limit).translate(_CODE_FRAME) or _EMPTY}`"


def _escaped(text: str, limit: int) -> str:
    return _MARKDOWN.sub(_escape, _one_line(text, limit).translate(_CURLY_QUOTES)) or _EMPTY


def _escape(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _one_line(text: str, limit: int) -> str:
    head = text[: 8 * limit + 64]  # enough for any sane text; a megabyte of blanks costs no more than this
    line = " ".join(visible(head).split())
    if len(line) <= limit:
        return line if len(head) == len(text) else (line + _ELLIPSIS)
    return _cut(line, limit - 1) + _ELLIPSIS


def _cut(line: str, length: int) -> str:
    """Return at most ``length`` characters of ``line``, up to a word's end if one is near, no grapheme broken."""
    space = line.rfind(" ", length * 4 // 5, length + 1)
    if space > 0:
        return line[:space]
    end = length
    while end > 0 and _joined(line, end):
        end -= 1
    return line[:end]


def _joined(line: str, at: int) -> bool:
    """Return whether the characters before and after ``at`` are one for the reader (the common rules of UAX #29)."""
    before, after = line[at - 1], line[at]
    if before == "\u200d" or _EXTENDS.match(after):
        return True
    if _FLAG.match(before) and _FLAG.match(after):
        return len(line[:at]) - len(line[:at].rstrip(_FLAG_LETTERS)) & 1 == 1
    return _HANGUL_BEFORE.match(before) is not None and _HANGUL_AFTER.match(after) is not None


_EXTENDS = re.compile(
    f"[{_MARKS}\u200c\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u0900-\u0903\u093a-\u093c\u093e-\u094f\u0981-\u0983\u09bc-\u09cd\u0a3c-\u0a4d\u0abc-\u0acd\u0b3c-\u0b4d"
    "\u0bbe-\u0bcd\u0c3e-\u0c4d\u0cbc-\u0ccd\u0d3e-\u0d4d\u0dca-\u0ddf\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]"
)
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")
_HANGUL_BEFORE = re.compile("[\u1100-\u11ff\uac00-\ud7a3]")
_HANGUL_AFTER = re.compile("[\u1160-\u11ff]")
