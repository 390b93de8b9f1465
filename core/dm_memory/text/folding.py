"""Texts as a reader sees them: invisible characters removed, full-width and styled letters as plain ones.

The guard looks for credentials and personal data in the folded text, and removes them from the original: ``Folded``
maps positions back. What is stored is never the folded text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from html import unescape
from unicodedata import normalize

__all__ = ["Folded", "fold", "is_blank", "is_folded", "readings"]

# Zero-width and filler characters, soft hyphens, direction marks, variation selectors, tags: drawn as nothing.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_VISIBLE = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f{_INVISIBLE}]")
# Full-width ASCII, small forms, circled digits and letters, mathematical alphabets: NFKC gives one character for one.
_STYLED = "\uff01-\uff5e\ufe52\ufe55-\ufe57\ufe5f-\ufe66\ufe68-\ufe6b\u2460-\u2468\u24b6-\u24e9\U0001d400-\U0001d7ff"
_ENTITY = r"&(?:#0{0,4}[0-9]{1,5}|#[xX]0{0,4}[0-9a-fA-F]{1,4}|commat|period|colon|lowbar|shy|zwnj|zwj);"
_FOLDABLE = re.compile(
    rf"(?P<gone>[{_INVISIBLE}]+)|(?P<styled>[{_STYLED}]+)|(?P<entity>{_ENTITY})|%(?:2[0-9A-F]|3[A-F]|40|5[BDF]|7[BD])|\\u0040",
    re.IGNORECASE,
)
_ESCAPES = (b"&#", b"&commat;", b"&period;", b"&colon;", b"&lowbar;", b"&shy;", b"&zw")
_PERCENT = re.compile(rb"%(?:2[0-9a-f]|3[a-f]|40|5[bdf]|7[bd])", re.IGNORECASE)
"""Punctuation in the query of a link. Letters and digits are not written so: "5%30" is two figures."""
_HIDDEN = re.compile(rf"[{_INVISIBLE}{_STYLED}]")


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text, and where its characters stand in the original."""

    text: str
    original: str
    _starts: tuple[int, ...] = (0,)
    _origins: tuple[int, ...] = (0,)

    def position(self, index: int) -> int:
        """Return the position in the original of the folded text's character ``index``."""
        if index >= len(self.text):
            return len(self.original)
        segment = bisect_right(self._starts, index) - 1
        return self._origins[segment] + index - self._starts[segment]


def is_folded(text: str, data: bytes) -> bool:
    """Return whether ``text`` has nothing to fold; ``data`` is the same in UTF-8. Quick: most texts have nothing."""
    if (
        (b"%" in data and _PERCENT.search(data))
        or b"u0040" in data
        or (b"&" in data and any(escape in data for escape in _ESCAPES))
    ):
        return False
    return len(data) == len(text) or _HIDDEN.search(text) is None


def readings(text: str) -> tuple[Folded, ...]:
    """Return ``text`` folded and, if it has invisible characters, a second time with a space in their place.

    What is invisible can stand inside a word, to hide it, and between two words, where an editor left it.
    """
    folded = fold(text)
    parted = fold(text, " ") if len(folded.text) < len(text) else folded
    return (folded,) if parted.text == folded.text else (folded, parted)


def fold(text: str, gone: str = "") -> Folded:
    """Return ``text`` folded; ``gone`` takes the place of invisible characters."""
    parts: list[str] = []
    starts, origins = [], []
    folded = done = 0
    for match in _FOLDABLE.finditer(text):
        before, seen = text[done : match.start()], _seen_as(match, gone)
        starts += [folded, folded + len(before)]
        origins += [done, match.start()]
        parts += [before, seen]
        folded += len(before) + len(seen)
        done = match.end()
    starts.append(folded)
    origins.append(done)
    return Folded("".join((*parts, text[done:])), text, tuple(starts), tuple(origins))


def _seen_as(match: re.Match[str], gone: str) -> str:
    """Return what a reader sees instead of ``match``: as many characters, one for an escape, or none."""
    if match["gone"]:
        return gone
    if match["styled"]:
        plain = normalize("NFKC", match[0])
        return plain if len(plain) == len(match[0]) else match[0]
    if match[0][0] == "%":
        return chr(int(match[0][1:], 16))
    seen = unescape(match[0]) if match["entity"] else "@"
    return seen if _VISIBLE.match(seen) else gone


def is_blank(text: str) -> bool:
    """Return whether ``text`` shows nothing: white space, control and invisible characters only, or nothing at all."""
    return _VISIBLE.search(text) is None
