"""A profile read without trust: each value is taken in the type it should have, or reported and left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    fields_of,
    inline,
    is_empty,
    label,
    label_of,
    labels,
)
from dm_memory.findings import Finding, Severity

__all__ = ["Profile"]

_TRUE = frozenset({"true", "yes", "y", "1"})
_FALSE = frozenset({"false", "no", "n", "0"})
_MAX_PROSE = 2000
_MAX_TEXTS = 500


@dataclass(frozen=True, slots=True)
class Profile:
    """An object out of a profile; its groups share one list of findings."""

    values: dict[str, object]
    path: str
    findings: list[Finding]

    def group(self, name: str, main: str = "") -> Profile:
        """Return the object ``name``; a value in its place is understood as the group's ``main`` value."""
        value = self.values.get(name)
        if isinstance(value, dict):
            return Profile(fields_of(value), self.path, self.findings)
        if not is_empty(value) and not main:
            self._dropped(name, "an object")
        return Profile({main: value} if main else {}, self.path, self.findings)

    def text(self, name: str) -> str:
        """Return a short text."""
        value = self.values.get(name)
        found = labels(value) if isinstance(value, list | dict) else [label(value)]
        text = found[0] if found else ""
        if not is_empty(value) and not text:
            self._dropped(name, "a text")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of short texts; one text with commas is a list too, objects count by their names."""
        value = self.values.get(name)
        if is_empty(value):
            return ()
        found = labels(value, _MAX_TEXTS)
        entries = value if isinstance(value, list) else [value]
        lost = any(not label_of(entry) for entry in entries if not is_empty(entry) and not isinstance(value, dict))
        if lost or not found:
            self._dropped(name, "a list of texts", partly=bool(found))
        return tuple(found)

    def replacements(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return, for the words of a list that stand for another one, (that word in lower case, what to write).

        ``guests (not customers)``, ``guests instead of customers`` and ``{"use": "guests", "instead_of": "customers"}``
        are read.
        """
        value = self.values.get(name)
        entries = value if isinstance(value, list) else list(value.items()) if isinstance(value, dict) else []
        if not entries:
            self.texts(name)  # it reports a value of another type
        pairs = map(_replacement, entries)
        return tuple({word.casefold(): better for better, instead in pairs for word in instead if better}.items())

    def prose(self, name: str) -> str:
        """Return a text of any shape as one."""
        try:
            return inline(self.values.get(name))[:_MAX_PROSE]
        except NestedTooDeeplyError:
            self._dropped(name, "something less deeply nested")
            return ""

    def flag(self, name: str) -> bool:
        """Return a yes or no; a missing one is no."""
        value = self.values.get(name)
        word = label(value).lower()
        if word not in _TRUE | _FALSE and not is_empty(value):
            self._dropped(name, "true or false")
        return word in _TRUE

    def _dropped(self, name: str, expected: str, *, partly: bool = False) -> None:
        what = "partly ignored" if partly else "ignored"
        message = f"{self.path}: {name} should be {expected}; it is {what}."
        remedy = f"Correct {name} in {self.path}."
        self.findings.append(Finding("profile-value", Severity.WARNING, message, remedy, path=self.path))


_NOT = re.compile(
    r"\s*(?:\(\s*)?(?:,\s*)?(?:\bnot\b|\binstead of\b|\brather than\b|\bstatt\b|\bnicht\b|≠)\s*(.+?)\)?\s*$",
    re.IGNORECASE,
)


def _replacement(entry: object) -> tuple[str, list[str]]:
    """Return a word to prefer and the words it stands for."""
    if isinstance(entry, tuple):  # a member of {"customers": "guests"}
        return (label(entry[1]), [str(entry[0])]) if label(entry[1]) else (str(entry[0]), [])
    if isinstance(entry, dict):
        fields = fields_of(entry)
        better = next(
            (text for key in ("use", "prefer", "say", "word", "this", "better") if (text := label(fields.get(key)))), ""
        )
        keys = ("instead_of", "not", "avoid", "replaces", "over")
        return better or label_of(entry), [word for key in keys for word in labels(fields.get(key))]
    text = label(entry)
    match = _NOT.search(text)
    if match is None:
        return text, []
    return text[: match.start()].strip(" \"'“”"), [word.strip(" \"'“”") for word in re.split(r",|\bor\b", match[1])]
