"""What a run leaves out: ``type:``, ``status:``, ``source:``, ``tag:``, a plain word, or a glob."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from dm_memory.errors import InputError
from dm_memory.findings import Finding, Severity
from dm_memory.items import Item
from dm_memory.text.tags import normalise_tag

__all__ = ["Excluder"]

_MAX_PATTERNS = 50
_MAX_PATTERN_CHARS = 200
_PREFIXES = ("type", "status", "source", "tag")
_GLOB_SIGNS = frozenset("*?[")
_MAX_VALUES = 200
_SHOWN_VALUES = 12


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a pattern is compared with."""

    item: Item
    content_type: str
    tags: Sequence[str]
    status: str

    def values(self, prefix: str) -> tuple[object, ...]:
        facts = self.item.facts
        match prefix:
            case "type":
                return self.content_type, facts.get("insight_type")
            case "status":
                return (self.status,)
            case "source":
                return self.item.source.value, facts.get("insight_source")
            case _:
                return tuple(self.tags)

    def texts(self) -> Iterator[str]:
        facts = self.item.facts
        for text in (self.item.content, self.item.key, facts.get("name"), facts.get("campaign_name")):
            if isinstance(text, str):
                yield text


@dataclass(frozen=True, slots=True)
class _Field:
    """``prefix:value``, matched as a whole; underscores, hyphens and spaces are alike."""

    prefix: str
    value: str

    def matches(self, subject: _Subject) -> bool:
        return self.value in map(_slug, subject.values(self.prefix))


@dataclass(frozen=True, slots=True)
class _Glob:
    hits: Callable[[str], bool]

    def matches(self, subject: _Subject) -> bool:
        return any(self.hits(_folded(text)) for text in subject.texts())


@dataclass(frozen=True, slots=True)
class _Word:
    """A plain word, or several: in the text, the name, the type, the status or a tag."""

    word: str
    pattern: re.Pattern[str]

    def matches(self, subject: _Subject) -> bool:
        if any(self.pattern.search(_folded(text)) for text in subject.texts()):
            return True
        slug = _slug(self.word)
        named = [_slug(value) for prefix in ("type", "status") for value in subject.values(prefix)]
        return bool(slug) and (slug in named or any(slug in {tag, *tag.split(":")} for tag in subject.tags))


class Excluder:
    """Decides which items a run leaves out.

    Args:
        patterns: ``type:X`` (content type or insight type), ``status:X`` (of the campaign an item belongs to, its
            snapshots included), ``source:X`` (source of the payload or of the insight), ``tag:X``; a plain word is
            looked for in text, name, type, status and tags; anything with ``*``, ``?`` or ``[abc]`` is a
            case-insensitive glob that must match the whole text, key or name: ``*draft*``.
        statuses: The status of each campaign, by its id, as far as memory knows it.

    Raises:
        InputError: A pattern is blank, names nothing after its colon, or is longer than 200 characters; or there are
            more than 50.
    """

    def __init__(self, patterns: Iterable[str] = (), statuses: Mapping[str, str] | None = None) -> None:
        given = tuple(patterns)
        if len(given) > _MAX_PATTERNS:
            raise InputError(
                f"{len(given)} exclude patterns are too many.",
                f"Give at most {_MAX_PATTERNS}; a glob can stand for several.",
            )
        self._rules = tuple((pattern, _compile(pattern)) for pattern in given)
        self._statuses = dict(statuses or {})
        self._hit: set[str] = set()
        self._seen: dict[str, dict[str, None]] = {prefix: {} for prefix in _PREFIXES}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, item: Item, content_type: str, tags: Sequence[str]) -> str | None:
        """Return the first pattern that hits the item, as it was given, or None."""
        subject = _Subject(item, content_type, tags, self._status(item))
        for prefix, seen in self._seen.items():
            if len(seen) < _MAX_VALUES:
                seen.update((value, None) for value in subject.values(prefix) if isinstance(value, str) and value)
        for pattern, rule in self._rules:
            if rule.matches(subject):
                self._hit.add(pattern)
                return pattern
        return None

    def note(self, other: Excluder) -> None:
        """Count what another excluder of the same patterns met: what was handed in is looked at before a run begins."""
        self._hit |= other._hit
        for prefix, seen in self._seen.items():
            seen.update(other._seen[prefix])

    def _status(self, item: Item) -> str:
        """Return the status of the item's campaign; a snapshot has that of the campaign it measures."""
        campaign, status = item.facts.get("campaign_id"), item.facts.get("campaign_status")
        if isinstance(campaign, str) and isinstance(status, str) and status:
            self._statuses[campaign] = status
        return status if isinstance(status, str) else self._statuses.get(str(campaign or ""), "")

    def findings(self) -> list[Finding]:
        """Return a finding for each pattern that hit nothing, with the values there are."""
        found = []
        for pattern, rule in self._rules:
            if pattern in self._hit:
                continue
            prefix = rule.prefix if isinstance(rule, _Field) else ""
            values = ", ".join(sorted(self._seen.get(prefix, ()))[:_SHOWN_VALUES])
            remedy = f"Values of {prefix}: there are: {values}." if values else "Check how it is written."
            found.append(
                Finding(
                    "exclude-without-hit", Severity.WARNING, f"The exclude pattern {pattern!r} hit nothing.", remedy
                )
            )
        return found


def _compile(pattern: str) -> _Field | _Glob | _Word:
    text = pattern.strip()
    if not text:
        raise InputError("An exclude pattern is empty.", "Leave it out, or name what to exclude, as in *draft*.")
    if len(text) > _MAX_PATTERN_CHARS:
        raise InputError(
            f"The exclude pattern that starts with {text[:20]!r} is too long.",
            f"Use at most {_MAX_PATTERN_CHARS} characters.",
        )
    prefix, colon, value = text.partition(":")
    if not colon or prefix.lower() not in _PREFIXES:
        folded = _folded(text)
        if _GLOB_SIGNS.isdisjoint(folded):
            return _Word(text, re.compile(rf"(?<!\w){re.escape(folded)}(?!\w)"))
        return _Glob(_glob(folded))
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
