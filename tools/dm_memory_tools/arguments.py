"""What the tools' arguments are made of: types that are lenient where models err, and one definition for all doors.

An ``Arguments`` class is the only place where an operation's arguments are named and described: the tool's schema, the
command's options and the core's request follow from it. A list may arrive as JSON in a string (the SDK reads that) or
as one bare string; names of choices may differ in case and separators; null, "" and a missing argument are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from dm_memory.items import ContentType, Priority, Source
from dm_memory.requests import AUTO, Scope, SessionLearning

__all__ = [
    "Arguments",
    "ContentTypeName",
    "ContentTypeOrAuto",
    "Entries",
    "Learning",
    "Learnings",
    "Moment",
    "Option",
    "Period",
    "PriorityName",
    "ReportItems",
    "ResponseFormat",
    "ScopeName",
    "SourceName",
    "Tags",
    "choices",
    "given",
    "request_of",
    "spelled",
]

_Request = TypeVar("_Request")

ResponseFormat = Literal["markdown", "json"]


class Option(NamedTuple):
    """How the command line spells an argument: other names than ``--the-argument``, or none, where it stands first."""

    names: tuple[str, ...] = ()
    positional: bool = False
    from_input: Literal["", "text", "lines"] = ""
    """What ``-`` reads from standard input: a whole text, or an entry a line."""


# Lenient types -------------------------------------------------------------------------------------------------------


def _as_list(value: object) -> object:
    """Let one bare string stand for a list of one, or of several split at commas; numbers are tags too."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (str(value),)
    return _without_blanks(value)


def _as_entries(value: object) -> object:
    """Let one learning or one pattern stand for a list of one; commas are part of its text."""
    if value is None:
        return ()
    return _without_blanks((value,) if isinstance(value, str | dict | int | float) else value)


def _without_blanks(value: object) -> object:
    if not isinstance(value, list | tuple | set):
        return value
    parts = (str(part) if isinstance(part, int | float) and not isinstance(part, bool) else part for part in value)
    return tuple(part for part in parts if part is not None and not (isinstance(part, str) and not part.strip()))


def _spelled(names: Iterable[str], value: object) -> object:
    """Return the choice that is meant: ``performance_insight``, ``Performance Insight`` and a list of it are one."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or isinstance(value, StrEnum):
        return value
    name = re.sub(r"[\s_-]+", "-", value.strip().casefold())
    if name not in names:
        raise ValueError("not one of the choices")
    return name


def spelled(choice: type[StrEnum], *more: str) -> BeforeValidator:
    """Return the validator that finds a choice by its name, however it is written."""
    return BeforeValidator(partial(_spelled, frozenset((*(each.value for each in choice), *more))))


def choices(choice: type[StrEnum], *more: str) -> WithJsonSchema:
    """Return the schema of a choice."""
    return WithJsonSchema({"type": "string", "enum": [*(each.value for each in choice), *more]})


def _as_day(value: object) -> object:
    """Let a full timestamp stand for its day, a number for its digits (20260331); words are the core's to read."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return datetime.fromisoformat(text).date().isoformat() if len(text) > len("2026-01-31") else text
    except ValueError:
        return text


class Learning(BaseModel):
    """A session learning with more than its text, under the names that assistants give these fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    content: str = Field(validation_alias=AliasChoices("content", "text", "learning", "insight", "note", "summary"))
    content_type: ContentType | None = Field(None, validation_alias=AliasChoices("content_type", "type", "category"))
    tags: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        (), validation_alias=AliasChoices("tags", "tag")
    )
    context: str = Field("", validation_alias=AliasChoices("context", "source", "evidence", "details", "reason"))

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, str):
            return {"content": value}
        if not isinstance(value, Mapping):
            return value
        # A type that is none (insights have types of their own) says nothing about the content type.
        known = {name: part for name, part in value.items() if part not in (None, "")}
        for name in ("content_type", "type", "category"):
            if isinstance(known.get(name), str):
                try:
                    known[name] = _spelled([each.value for each in ContentType], known[name])
                except ValueError:
                    del known[name]
        return known

    def to_core(self) -> SessionLearning:
        """Return it as the core takes it."""
        return SessionLearning(self.content, self.content_type, self.tags, self.context)


_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_LEARNING = {
    "type": "object",
    "properties": {"content": _TEXT, "content_type": _TEXT, "tags": _TEXTS, "context": _TEXT},
    "required": ["content"],
}

Tags = Annotated[tuple[str, ...], BeforeValidator(_as_list), WithJsonSchema(_TEXTS)]
Entries = Annotated[tuple[str, ...], BeforeValidator(_as_entries), WithJsonSchema(_TEXTS)]
Learnings = Annotated[
    tuple[Learning, ...],
    BeforeValidator(_as_entries),
    WithJsonSchema({"type": "array", "items": {"anyOf": [_TEXT, _LEARNING]}}),
]
Moment = Annotated[str, Field(max_length=100)]
Period = Annotated[str, BeforeValidator(_as_day), Field(max_length=100)]
ScopeName = Annotated[Scope, spelled(Scope), choices(Scope)]
ContentTypeName = Annotated[ContentType, spelled(ContentType), choices(ContentType)]
ContentTypeOrAuto = Annotated[str, spelled(ContentType, AUTO), choices(ContentType, AUTO)]
PriorityName = Annotated[Priority, spelled(Priority), choices(Priority)]
SourceName = Annotated[Source, spelled(Source), choices(Source)]
ReportItems = Annotated[
    int,
    Field(ge=0, le=100_000, description="Lines a list"),
    Option(("--report-items", "--limit")),
]


# The arguments of an operation ---------------------------------------------------------------------------------------


class Arguments(BaseModel):
    """What every operation takes. A subclass adds a field an argument, with its description."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    brand: Annotated[str, Field(description="Default: active")] = ""
    response_format: Annotated[
        ResponseFormat, BeforeValidator(partial(_spelled, ("markdown", "json"))), Field(description="json: data")
    ] = "markdown"


def request_of(kind: Callable[..., _Request], arguments: Arguments, brand: str, **more: Any) -> _Request:  # noqa: ANN401  # fields of the request
    """Return the core's request (a dataclass): the arguments of its fields' names.

    Args:
        kind: The request's class.
        arguments: What was given.
        brand: The slug that was found for it, or "".
        more: Fields that are made of arguments.
    """
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # its requests are dataclasses
    found = {name: getattr(arguments, name) for name in type(arguments).model_fields if name in names}
    return kind(**{**found, "brand": brand or None, **more})


_ABSENT = frozenset({"null", "undefined"})


def given(arguments: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """Return the arguments that say something: an optional one that is null, "" or "null" counts as missing."""
    kept = frozenset(required)
    return {
        name: value
        for name, value in arguments.items()
        if name in kept
        or not (
            value is None or (isinstance(value, str) and (not value.strip() or value.strip().casefold() in _ABSENT))
        )
    }
