"""Readable text out of whatever JSON a brand file holds: the words that are remembered, embedded and searched."""

from __future__ import annotations

import hashlib

__all__ = [
    "NestedTooDeeplyError",
    "block",
    "bounded_key",
    "capitalised",
    "inline",
    "is_empty",
    "label",
    "label_of",
    "labels",
    "stamp",
]

MAX_KEY = 512
MAX_DEPTH = 24
_MAX_LABEL = 200
_MAX_LABELS = 50
_MAX_STAMP = 64
_SHORT = 60


class NestedTooDeeplyError(ValueError):
    """A value is nested more than ``MAX_DEPTH`` levels: nobody could read its text."""


def is_empty(value: object) -> bool:
    """Return whether ``value`` says nothing: missing, blank, or a list or object of such alone at its first level."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | dict) and not value)


def words(name: str) -> str:
    """Return a JSON key as words: ``open_rate`` -> ``open rate``."""
    return " ".join(name.replace("_", " ").split())


def capitalised(name: str) -> str:
    """Return a JSON key as words that begin a line: ``open_rate`` -> ``Open rate``."""
    text = words(name)
    return text[:1].upper() + text[1:]


def inline(value: object, depth: int = 0) -> str:
    """Return ``value`` as text in a line: lists with commas, objects as ``name: value``, nested ones in brackets.

    Raises:
        NestedTooDeeplyError: See there.
    """
    if isinstance(value, str):
        return value.strip()
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
    return str(value)


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


def stamp(value: object) -> str:
    """Return a date as its source wrote it, or "" for what can't be one."""
    if isinstance(value, str):
        text = value.strip()
        return text if len(text) <= _MAX_STAMP else ""
    return label(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def bounded_key(key: str) -> str:
    """Return ``key``, shortened to 512 characters with a hash of the whole where it is longer."""
    if len(key) <= MAX_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{key[: MAX_KEY - len(digest) - 1]}~{digest}"
