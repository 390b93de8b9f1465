"""A profile read without trust: each value is taken in the type it should have, or reported and left out."""

from __future__ import annotations

from dataclasses import dataclass

from dm_memory.brand.text import NestedTooDeeplyError, inline, is_empty, label, label_of, labels, words
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
            return Profile(value, self.path, self.findings)
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

    def prose(self, name: str) -> str:
        """Return a text of any shape as one."""
        return self._readable(name, self.values.get(name))[:_MAX_PROSE]

    def statements(self, name: str) -> tuple[str, ...]:
        """Return a readable text per entry of a list or object."""
        value = self.values.get(name)
        if isinstance(value, dict):
            pairs = ((words(key), self._readable(name, entry)) for key, entry in value.items())
            return tuple(f"{key}: {text}" for key, text in pairs if text)
        entries = value if isinstance(value, list) else [value]
        return tuple(text for entry in entries if (text := self._readable(name, entry)))

    def flag(self, name: str) -> bool:
        """Return a yes or no; a missing one is no."""
        value = self.values.get(name)
        word = label(value).lower()
        if word not in _TRUE | _FALSE and not is_empty(value):
            self._dropped(name, "true or false")
        return word in _TRUE

    def _readable(self, name: str, value: object) -> str:
        try:
            return inline(value)
        except NestedTooDeeplyError:
            self._dropped(name, "something less deeply nested")
            return ""

    def _dropped(self, name: str, expected: str, *, partly: bool = False) -> None:
        what = "partly ignored" if partly else "ignored"
        message = f"{self.path}: {name} should be {expected}; it is {what}."
        remedy = f"Correct {name} in {self.path}."
        self.findings.append(Finding("profile-value", Severity.WARNING, message, remedy, path=self.path))
