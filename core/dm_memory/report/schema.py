"""The JSON Schema of the reports' data, made by pydantic from the dataclasses that the core returns.

``python -m dm_memory.report.schema`` prints it; ``docs/report.schema.json`` is its output, and a test compares the two.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, reduce
from inspect import getdoc
from operator import or_
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import models_json_schema

from dm_memory.cache.results import StorageSyncResult
from dm_memory.cache.view import CacheView
from dm_memory.errors import ServiceError
from dm_memory.report.data import COMPUTED, NAMES
from dm_memory.results import (
    AllowResult,
    BackupResult,
    Check,
    Contradiction,
    ExportResult,
    Failure,
    ForgetResult,
    HistoryResult,
    ImportResult,
    LastSyncResult,
    MigrateResult,
    PatternLine,
    PatternsResult,
    PrepareResult,
    RecallResult,
    RestoreResult,
    StatusResult,
    SyncResult,
    VerifyResult,
)
from dm_memory.search.results import SearchResult

__all__ = ["report_schema"]

_KINDS: dict[str, type] = {
    "sync": SyncResult,
    "status": StatusResult,
    "prepare": PrepareResult,
    "search": SearchResult,
    "storage-sync": StorageSyncResult,
    "forget": ForgetResult,
    "history": HistoryResult,
    "patterns": PatternsResult,
    "recall": RecallResult,
    "last-sync": LastSyncResult,
    "export": ExportResult,
    "import": ImportResult,
    "backup": BackupResult,
    "restore": RestoreResult,
    "verify": VerifyResult,
    "migrate": MigrateResult,
    "allow": AllowResult,
}

_CLOSED = ConfigDict(extra="forbid")
_CUT = Field(description="By list, how much of it is shown; only if the answer had to be cut.")
_REST = Field(description="How to get what was cut.")


def report_schema() -> dict[str, Any]:
    """Return the schema."""
    models = [*(_report(kind, result) for kind, result in _KINDS.items()), _doctor(), _error()]
    _, schema = models_json_schema([(model, "serialization") for model in models], ref_template="#/$defs/{model}")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dm-memory report data",
        "description": 'What a tool returns under _meta["io.dm-memory/report"], and a command with --json.',
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models],
        "$defs": {name: _tidy(part) for name, part in sorted(schema["$defs"].items())},
    }
    # Two enumerations have one name; pydantic distinguishes them by their modules.
    text = re.sub(
        r"dm_memory__(\w+)__results__Mode", lambda match: f"{match[1].title()}Mode", orjson.dumps(whole).decode()
    )
    named: dict[str, Any] = orjson.loads(text)
    return named


class Cut(BaseModel):
    """How much of a list is shown."""

    model_config = _CLOSED

    shown: int
    of: int


def _report(kind: str, result: type) -> type[BaseModel]:
    extra: dict[str, Any] = {
        "kind": (Literal[kind], ...),
        "cut": (dict[str, Cut] | None, _CUT),
        "rest": (str | None, _REST),
    }
    if kind == "status":
        extra["patterns"] = (list[_model(PatternLine)], Field(description="The most frequent patterns."))  # type: ignore[misc]  # made at run time
        extra["contradictions"] = (list[_model(Contradiction)], Field(description="Sources that do not agree."))  # type: ignore[misc]  # as above
    if kind == "storage-sync":
        extra["next_run_seconds"] = (float | None, Field(description="Until whoever asked runs it again, or should."))
    name = f"{result.__name__.removesuffix('Result')}Report"
    return create_model(name, __config__=_CLOSED, **_members(result), **extra)


def _doctor() -> type[BaseModel]:
    members: dict[str, Any] = {
        "kind": (Literal["doctor"], ...),
        "status": (Literal["ok", "warn", "fail"], ...),
        "checks": (list[_model(Check)], ...),  # type: ignore[misc]  # a model that is made at run time
        "cut": (dict[str, Cut] | None, _CUT),
        "rest": (str | None, _REST),
    }
    return create_model("DoctorReport", __config__=_CLOSED, **members)


def _error() -> type[BaseModel]:
    known = "The brands there are, if none or an unknown one was named."
    detail: dict[str, Any] = {
        "error_class": (str, Field(alias="class")),
        "message": (str, ...),
        "remedy": (str, ...),
        "brands": (list[str] | None, Field(description=known)),
    }
    members: dict[str, Any] = {
        "kind": (Literal["error"], ...),
        "error": (create_model("ErrorDetail", __config__=_CLOSED, **detail), ...),
    }
    return create_model("ErrorReport", __config__=_CLOSED, **members)


@cache
def _model(kind: type) -> type[BaseModel]:
    """Return a model with the fields that ``report.data`` writes of a dataclass."""
    return create_model(kind.__name__, __config__=_CLOSED, __doc__=_summary(kind), **_members(kind))


def _members(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    described = _attributes(kind)
    members: dict[str, Any] = {
        field.name: (
            _json_type(_REAL.get((kind, field.name), hints[field.name])),
            Field(alias=NAMES.get(field.name), description=described.get(field.name)),
        )
        for field in fields(kind)
    }
    for name, function in COMPUTED.get(kind, {}).items():
        members[name] = (get_type_hints(function)["return"], Field(description=_summary(function)))
    return members


_REAL: dict[tuple[type, str], Any] = {(StatusResult, "cache"): CacheView | None}
"""Fields whose type is left open in the core, because start-up imports no cache."""


def _json_type(hint: Any) -> Any:  # noqa: ANN401  # types, and what typing makes of them
    """Return the type of the JSON that stands for a value of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return reduce(or_, (_json_type(part) for part in arguments))
    if hint is ServiceError:
        return _model(Failure)
    if is_dataclass(hint) and isinstance(hint, type):
        return _model(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, _json_type(arguments[1])]  # type: ignore[misc]  # made at run time
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return list[reduce(or_, (_json_type(part) for part in dict.fromkeys(arguments) if part is not ...))]  # type: ignore[misc]  # as above
    return hint


def _summary(thing: type | Callable[..., Any]) -> str:
    return (getdoc(thing) or "").split("\n\n")[0].replace("``", "").replace("\n", " ")


def _attributes(kind: type) -> dict[str, str]:
    """Return what a docstring says of each attribute; ``a / b: ...`` speaks of both."""
    section = (getdoc(kind) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+(?: / \w+)*): (.+(?:\n {8,}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for names, text in entries for name in names.split(" / ")}


def _tidy(part: Any) -> Any:  # noqa: ANN401  # any JSON
    """Drop titles that repeat names; ``cut`` and ``rest`` are there only if something was cut."""
    if isinstance(part, list):
        return [_tidy(each) for each in part]
    if not isinstance(part, dict):
        return part
    tidy = {name: _tidy(each) for name, each in part.items() if not (name == "title" and isinstance(each, str))}
    if "required" in tidy:
        tidy["required"] = [name for name in tidy["required"] if name not in {"cut", "rest", "brands"}]
    return tidy


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(report_schema(), option=orjson.OPT_INDENT_2).decode() + "\n")
