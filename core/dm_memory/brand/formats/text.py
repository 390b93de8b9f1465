"""Readable text out of whatever JSON a brand file contains: the words that are remembered, embedded and searched."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from unicodedata import normalize

from dm_memory.text.dates import read_date

__all__ = [
    "NestedTooDeeplyError",
    "block",
    "bounded_key",
    "canonical",
    "capitalised",
    "fields_of",
    "inline",
    "is_bare",
    "is_empty",
    "is_id",
    "is_placeholder",
    "label",
    "label_of",
    "labels",
    "lines_in",
    "number",
    "says_something",
    "slug_of",
    "stamp",
    "title_of",
    "word_set",
    "words",
]

_MAX_KEY = 512
MAX_DEPTH = 24
_MAX_LABEL = 200
_MAX_LABELS = 50
_MAX_STAMP = 64
_SHORT = 60
_MAX_DECIMALS = 4
_MAX_PLACEHOLDER = 400

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0"
)
"""Characters that show nothing: soft hyphens, zero-width signs, marks of direction, fillers, variation selectors."""

_INVISIBLE = re.compile(rf"[\s{INVISIBLE}]+")
_CAMEL = re.compile(r"[a-z][a-z0-9]+(?:[A-Z]+[a-z0-9]*)+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LINE_END = re.compile(r"\r\n|\n|\r")
_EXPORT_ID = re.compile(r"(?<=[^\s_-])[ _-]+[0-9a-f]{32}(?:_all)?$")
_GAPS = re.compile(r"[\s_\-.]+")
# Scripts without a space between words: one "word" can be a sentence.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_FIELD_WORDS = r"(?:tbd|todo|tba|insert|add|your|enter|fill|describe|e\.g\.|name|date|brand|company|x+)\b"
_PLACEHOLDER = re.compile(
    rf"\s*(?:\[\s*(?i:{_FIELD_WORDS})[^\]]*\]|<\s*(?i:your|insert|add|enter)\b[^<>]*>"
    r"|\[[A-Z][A-Z0-9 _/-]+\]|<[A-Z][A-Z0-9 _-]+>|\[\s*(?:\.{3}|\u2026|_*)\s*\]"
    r"|\{\{[^{}]*\}\}|<%[^%]*%>|\$\{[^{}]*\}"
    r"|(?i:tbd|tba|todo|n/?a|xxx+)|_{2,}|\.{3,}|\u2026|-+|\u2014|\?+)(?:[\s.,;:|*_]+|$)"
)


_BARE = re.compile(
    r"(?i:yes|no|ja|nein|nej|oui|non|s[ií]|n[aã]o|sim|nee|tak|nie|да|нет|true|false|ok|okay|done|none|null|はい|いいえ|是|否|네)\W*"
    r"|(?=.*\d)[\d\s.,:/%\u2030$\u20ac\u00a3\u00a5+()x\u2013-]+|(?:https?://|www\.)\S+|(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})"
)
_ACRONYMS = frozenset(
    {
        "ctr",
        "cpa",
        "cpc",
        "cpm",
        "cpl",
        "cac",
        "cvr",
        "roas",
        "roi",
        "aov",
        "ltv",
        "clv",
        "nps",
        "mrr",
        "arr",
        "usp",
        "url",
    }
    | {"sms", "seo", "sea", "ppc"}
)


class NestedTooDeeplyError(ValueError):
    """A value is nested more than ``MAX_DEPTH`` levels: nobody could read its text."""


def is_empty(value: object) -> bool:
    """Return whether ``value`` says nothing: missing, invisible, or an empty list or object."""
    if isinstance(value, str):
        if not value or value.isspace():
            return True
        return not (value.isascii() or value[0].isalnum() or _INVISIBLE.sub("", value))
    return value is None or (isinstance(value, list | dict) and not value)


def is_id(name: str, value: object) -> bool:
    """Return whether a field only tells programs which record it is: ``id``, ``owner_id``, ``uuid``."""
    return isinstance(value, str | int) and (name in {"id", "uuid", "guid", "_id"} or name.endswith("_id"))


def is_bare(text: str) -> bool:
    """Return whether a text says nothing without what it answers or names: "yes", "42 %", an address, an identifier."""
    return _BARE.fullmatch(text.strip()) is not None


def is_placeholder(text: object) -> bool:
    """Return whether ``text`` is nothing but what a template leaves to be filled in: ``[TBD]``, ``{{TAGLINE}}``."""
    if not isinstance(text, str):
        return False
    if len(text) > _MAX_PLACEHOLDER:
        return False
    position = 0
    while position < len(text):
        match = _PLACEHOLDER.match(text, position)
        if match is None:
            return False
        position = match.end()
    return bool(text.strip())


def says_something(text: str) -> bool:
    """Return whether a list's entry can be a memory: more than one word, or a sentence in a script without spaces."""
    bare = text.strip(".,;:!?-*\u2022 \t\n")
    if bare.isascii() and " " in bare and bare.isprintable():  # nearly all of them
        return True
    pieces = _INVISIBLE.split(bare)
    if len([piece for piece in pieces if piece]) > 1:
        return True
    return len(_UNSPACED.findall(text)) > 3  # noqa: PLR2004  # "抹茶" is a word, four signs begin to be a sentence


@lru_cache(maxsize=8192)
def words(name: str) -> str:
    """Return a JSON key as words: ``open_rate`` and ``openRate`` -> ``open rate``."""
    if _CAMEL.fullmatch(name):
        name = " ".join(part if part.isupper() else part.lower() for part in _HUMP.split(name))
    return " ".join(name.replace("_", " ").split())


@lru_cache(maxsize=8192)
def canonical(name: str) -> str:
    """Return a key in the one spelling by which parsers know it: ``campaignId``, ``Campaign ID`` -> ``campaign_id``."""
    return _GAPS.sub("_", words(name).strip()).casefold()


def fields_of(value: Mapping[str, object]) -> dict[str, object]:
    """Return an object by the canonical spelling of its keys; of two that are one, the second gets a number."""
    found: dict[str, object] = {}
    last: dict[str, int] = {}
    for name, entry in value.items():
        known = own = canonical(name)
        while known in found and not (is_empty(entry) or is_empty(found[known]) or found[known] == entry):
            last[own] = last.get(own, 1) + 1
            known = f"{own}_{last[own]}"
        if known not in found or is_empty(found[known]):
            found[known] = entry
    return found


def lines_in(text: str) -> list[str]:
    """Return the lines of a data file: U+2028 and its like, which ``splitlines`` cuts at as well, are part of texts."""
    return _LINE_END.split(text)


@lru_cache(maxsize=8192)
def capitalised(name: str) -> str:
    """Return a JSON key as words that begin a line: ``open_rate`` -> ``Open rate``."""
    text = words(name)
    first, _, rest = text.partition(" ")
    first = first.upper() if first.casefold() in _ACRONYMS else first[:1].upper() + first[1:]
    return f"{first} {rest}" if rest else first


def title_of(stem: str) -> str:
    """Return a file's name as a title: ``voice-and-tone`` -> ``Voice and tone``; the id that Notion adds goes."""
    return capitalised(_EXPORT_ID.sub("", stem).replace("-", " "))


def number(value: float) -> str:
    """Return a number as people write it: no exponent, no more than four decimals; "" for what is no number."""
    if isinstance(value, int):
        return str(value)
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124  # NaN
        return ""
    exact = Decimal(repr(value))
    if -int(exact.as_tuple().exponent) > _MAX_DECIMALS:
        exact = Decimal(repr(round(value, 2) if abs(value) >= 1 else float(f"{value:.4g}")))
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def inline(value: object, depth: int = 0) -> str:
    """Return ``value`` as text in a line: lists with commas, objects as ``name: value``, nested ones in brackets.

    Raises:
        NestedTooDeeplyError: See there.
    """
    if isinstance(value, str):
        return "" if is_empty(value) else value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if depth >= MAX_DEPTH:
        raise NestedTooDeeplyError
    if isinstance(value, list):
        return _joined([text for entry in value if (text := inline(entry, depth + 1))])
    if isinstance(value, dict):
        return ", ".join(text for name, entry in value.items() if (text := _named(name, entry, depth + 1)))
    return number(value) if isinstance(value, int | float) else str(value)


def _named(name: str, value: object, depth: int) -> str:
    text = inline(value, depth)
    if not text:
        return ""
    return f"{words(name)} ({text})" if isinstance(value, dict) else f"{words(name)}: {text}"


def _joined(texts: list[str]) -> str:
    return ("; " if any("," in text for text in texts) else ", ").join(texts)


def block(value: object) -> str:
    """Return ``value`` as text of its own: objects as lines ``Name: value``, lists of longer texts as bullets.

    Raises:
        NestedTooDeeplyError: See there.
    """
    if isinstance(value, dict):
        lines = ((capitalised(name), inline(entry, 1)) for name, entry in value.items())
        return "\n".join(f"{name}: {text}" for name, text in lines if text)
    if isinstance(value, list):
        texts = [text for entry in value if (text := inline(entry, 1))]
        if any(len(text) > _SHORT for text in texts):
            return "\n".join(f"- {text}" for text in texts)
        return _joined(texts)
    return inline(value)


def label(value: object) -> str:
    """Return a text, number or flag as one short line for metadata; anything else as ""."""
    if isinstance(value, str):
        if is_empty(value):
            return ""
        return value.strip() if len(value) <= _MAX_LABEL else value.strip()[:_MAX_LABEL].rstrip()
    if isinstance(value, int | float):
        return inline(value)[:_MAX_LABEL]
    return ""


def labels(value: object, limit: int = _MAX_LABELS) -> list[str]:
    """Return a list of labels out of a list, a comma-separated text, a single value, or an object's names."""
    if isinstance(value, str):
        value = value.replace(";", ",").split(",")
    elif isinstance(value, dict):
        value = list(value)
    elif not isinstance(value, list):
        value = [value]
    found = (label_of(entry) for entry in value)
    return list(dict.fromkeys(text for text in found if text))[:limit]


def label_of(entry: object) -> str:
    """Return a list entry's label: its own, or the name inside an object."""
    if isinstance(entry, dict):
        names = (label(entry.get(name)) for name in ("name", "title", "label", "market", "region", "code", "id"))
        return next((text for text in names if text), "")
    return label(entry)


def stamp(value: object, order: str = "") -> str:
    """Return a date as ISO-8601 (as its source wrote it, if that is such), or "" for what is none."""
    written = read_date(value if isinstance(value, str | int | float) else None, order)
    return written.iso if written else ""


def raw_stamp(value: object) -> str:
    """Return a moment as its source wrote it, for keys: "" for what is too long or no scalar."""
    if isinstance(value, str):
        text = value.strip()
        return text if len(text) <= _MAX_STAMP and not is_empty(text) else ""
    return label(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def word_set(text: str) -> frozenset[str]:
    """Return the words in ``text``: a set of many names stays readable."""
    return frozenset(text.split())


def slug_of(name: str) -> str:
    """Return a name as the last part of a key: lower case, hyphens, every script."""
    slug = re.sub(r"[^\w]+", "-", name.casefold().replace("_", "-")).strip("-")[:80]
    return slug or hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def bounded_key(key: str) -> str:
    """Return ``key`` in NFC, shortened to 512 characters with a hash of the whole if it is longer.

    Names of files and campaigns come in NFD from some computers and in NFC from others; they are one entry.
    """
    key = key if key.isascii() else normalize("NFC", key)
    if len(key) <= _MAX_KEY:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{key[: _MAX_KEY - len(digest) - 1]}~{digest}"
