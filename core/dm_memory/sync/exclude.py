"""What a run leaves out: ``type:``, ``status:``, ``source:``, ``tag:``, or a glob over text, key and name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from dm_memory.errors import InputError
from dm_memory.items import Item
from dm_memory.text.tags import normalise_tag

__all__ = ["MAX_PATTERNS", "MAX_PATTERN_CHARS", "Excluder"]

MAX_PATTERNS = 50
MAX_PATTERN_CHARS = 200
_PREFIXES = ("type", "status", "source", "tag")
_GLOB_SIGNS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class _Field:
    """``prefix:value``, matched as a whole; underscores, hyphens and spaces are alike."""

    prefix: str
    value: str

    def matches(self, item: Item, content_type: str, tags: Sequence[str]) -> bool:
        return self.value in map(_slug, self._candidates(item, content_type, tags))

    def _candidates(self, item: Item, content_type: str, tags: Sequence[str]) -> Iterable[object]:
        facts = item.facts
        match self.prefix:
            case "type":
                return content_type, facts.get("insight_type")
            case "status":
                return (facts.get("campaign_status"),)
            case "source":
                return item.source.value, facts.get("insight_source")
            case _:
                return tags


@dataclass(frozen=True, slots=True)
class _Glob:
    hits: Callable[[str], bool]

    def matches(self, item: Item, _content_type: str, _tags: Sequence[str]) -> bool:
        facts = item.facts
        texts = (item.content, item.key, facts.get("name"), facts.get("campaign_name"))
        return any(isinstance(text, str) and self.hits(_folded(text)) for text in texts)


class Excluder:
    """Tells which items a run leaves out.

    Args:
        patterns: ``type:X`` (content type or insight type), ``status:X`` (campaign status), ``source:X`` (source of the
            payload or of the insight), ``tag:X``; anything else is a case-insensitive glob (``*``, ``?``, ``[abc]``)
            that must match the whole text, key or name: ``*draft*``.

    Raises:
        InputError: A pattern is blank, names nothing after its colon, or is longer than 200 characters; or there are
            more than 50.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        given = tuple(patterns)
        if len(given) > MAX_PATTERNS:
            raise InputError(
                f"{len(given)} exclude patterns are too many.",
                f"Give at most {MAX_PATTERNS}; a glob can stand for several.",
            )
        self._rules = tuple((pattern, _compile(pattern)) for pattern in given)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, item: Item, content_type: str, tags: Sequence[str]) -> str | None:
        """Return the first pattern that hits the item, as it was given, or None."""
        for pattern, rule in self._rules:
            if rule.matches(item, content_type, tags):
                return pattern
        return None


def _compile(pattern: str) -> _Field | _Glob:
    text = pattern.strip()
    if not text:
        raise InputError("An exclude pattern is empty.", "Leave it out, or name what to exclude, as in *draft*.")
    if len(text) > MAX_PATTERN_CHARS:
        raise InputError(
            f"The exclude pattern that starts with {text[:20]!r} is too long.",
            f"Use at most {MAX_PATTERN_CHARS} characters.",
        )
    prefix, colon, value = text.partition(":")
    if not colon or prefix.lower() not in _PREFIXES:
        return _Glob(_glob(_folded(text)))
    if not _slug(value):
        raise InputError(
            f"The exclude pattern {text!r} names nothing after the colon.",
            f"Write for example {_EXAMPLES[prefix.lower()]}.",
        )
    return _Field(prefix.lower(), _slug(value))


_EXAMPLES = {
    "type": "type:competitor-insight",
    "status": "status:planned",
    "source": "source:session",
    "tag": "tag:channel:email",
}


def _glob(folded: str) -> Callable[[str], bool]:
    """Return a test for a case-folded glob; the usual ``*word*`` is a plain search.

    Others rely on ``fnmatch.translate``, which since Python 3.9 joins stars and makes each step atomic: no pattern
    takes exponential time.
    """
    inner = folded.strip("*")
    if inner and folded[0] == folded[-1] == "*" and _GLOB_SIGNS.isdisjoint(inner):
        return lambda text: inner in text
    matches = re.compile(fnmatch.translate(folded)).match
    return lambda text: matches(text) is not None


def _slug(value: object) -> str:
    return (normalise_tag(value) or "") if isinstance(value, str) else ""


def _folded(text: str) -> str:
    return text.casefold() if text.isascii() else normalize("NFC", text).casefold()
