"""The JSON Schema a client is sent: everything a model reads, nothing it does not.

Pydantic adds a ``title`` per field and spells an optional argument as ``anyOf`` with ``null``. Every session pays for
these words in its context window, so they go; what stays is plain JSON Schema (2020-12).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["argument_words", "clean_schema"]

Schema = dict[str, Any]


def clean_schema(schema: Schema) -> Schema:
    """Return the schema of a tool's arguments without titles, null alternatives and defaults that say nothing.

    ``additionalProperties: false`` is added: an argument nobody knows is refused when the tool is called (a mistyped
    ``dry_run`` must not store), so the schema says so.
    """
    properties = {name: _clean_property(value) for name, value in schema.get("properties", {}).items()}
    cleaned: Schema = {"type": "object", "properties": properties}
    if schema.get("required"):
        cleaned["required"] = schema["required"]
    return cleaned | {"additionalProperties": False}


_SILENT_DEFAULTS: tuple[object, ...] = (None, [], False, "", 0, "markdown", "all", "low")
_NO_MAXIMUM = 100_000
"""A limit that nobody reaches is not worth its words."""

_SILENT = frozenset({"title", "anyOf", "maxLength"})


def _clean_property(prop: Schema) -> Schema:
    rest = {key: value for key, value in prop.items() if key not in _SILENT}
    if "anyOf" in prop:
        some = [choice for choice in prop["anyOf"] if choice.get("type") != "null"]
        rest = (some[0] if len(some) == 1 else {"anyOf": some}) | rest
    if rest.get("default", ...) in _SILENT_DEFAULTS:
        del rest["default"]
    if rest.get("minimum") == 0:
        del rest["minimum"]
    if rest.get("maximum", 0) >= _NO_MAXIMUM:
        del rest["maximum"]
    return rest


_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def argument_words(error: ValidationError, known: Mapping[str, Schema]) -> list[str]:
    """Return a sentence on each argument that can't be used: what it takes instead."""
    names = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"])
    return [f"`{name}` must be {_expectation(known.get(name, {}))}." for name in names]


def _expectation(prop: Schema) -> str:
    """Return in words what an argument takes: ``one of "all", "insights-only"``."""
    if "enum" in prop:
        return "one of " + ", ".join(f'"{value}"' for value in prop["enum"])
    words = _TYPES.get(prop.get("type", ""), "a value as its description says")
    if prop.get("type") == "array":
        words += f" of {_item_words(prop.get('items', {}))}"
    if "minimum" in prop and "maximum" in prop:
        words += f" from {prop['minimum']} to {prop['maximum']}"
    elif "minimum" in prop:
        words += f" of {prop['minimum']} or more"
    if prop.get("minLength"):
        words += " that is not empty"
    return words


def _item_words(items: Schema) -> str:
    if "anyOf" in items:
        keys = ", ".join(next((c["properties"] for c in items["anyOf"] if "properties" in c), {}))
        return f"strings, or objects with the keys {keys} (content is required)"
    return "strings"
