"""Commands made of operations: an option an argument, named, described and checked as the tool's argument is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import annotated_types
import typer
from pydantic import WithJsonSchema
from pydantic.fields import FieldInfo

from dm_memory.errors import BrandNotFoundError, HomeError, InputError
from dm_memory.requests import Progress
from dm_memory_server.execute import Options, Work, execute
from dm_memory_server.terminal import read_input
from dm_memory_tools.arguments import Arguments, Option
from dm_memory_tools.operation import Call, Operation
from dm_memory_tools.runtime import resolve_brand

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["AsJson", "Brand", "Home", "Work", "command_of", "work_of"]

Home = Annotated[Path | None, typer.Option("--home", metavar="DIR", help="The folder that contains the brands.")]
Brand = Annotated[str | None, typer.Option("--brand", help="The brand's slug; default: the active brand.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print data instead of the report.")]

_OWN = frozenset({"brand", "response_format"})
"""Arguments that the command line spells its own way."""


def command_of(operation: Operation) -> Callable[..., int]:
    """Return the command of an operation, for typer."""

    def command(*, home: Path | None, as_json: bool, **given: Any) -> int:  # noqa: ANN401  # options of many types
        work, whole = work_of(operation, given)
        return execute(work, Options(home, as_json, whole=whole))

    return with_options(command, operation)


def work_of(operation: Operation, given: dict[str, Any], *, every: float | None = None) -> tuple[Work, bool]:
    """Return the work over the core that a command's options ask for, and whether its data is wanted whole.

    Args:
        operation: The operation.
        given: The options, by the arguments' names.
        every: Seconds between runs, if the command repeats it.

    Raises:
        InputError: An option can't be used.
    """
    arguments = _arguments(operation, given)

    async def work(memory: Memory, progress: Progress) -> Report:
        try:
            brand = resolve_brand(memory, arguments.brand or None)
        except (BrandNotFoundError, HomeError):
            brand = arguments.brand  # the core's error to raise: it may have something to keep until there is one
        call = Call(memory, brand, "terminal", progress, interval_of=lambda _: every)
        return await operation.run(call, arguments)

    return work, bool(getattr(arguments, "report_items", 0))


def _arguments(operation: Operation, given: dict[str, Any]) -> Arguments:
    from pydantic import ValidationError  # noqa: PLC0415  # only if something is validated

    from dm_memory_tools.schema import argument_words  # noqa: PLC0415  # only for an error

    members = operation.arguments.model_fields
    values = {
        name: _read(value, _option(members[name])) for name, value in given.items() if value is not None and value != []
    }
    try:
        return operation.arguments.model_validate(values)
    except ValidationError as error:
        properties = operation.arguments.model_json_schema(by_alias=True)["properties"]
        problem = " ".join(argument_words(error, properties))
        raise InputError(problem, f"See `dm-memory {_name(operation)} --help`.") from None


def _name(operation: Operation) -> str:
    return {"sync_memory": "sync", "get_memory_status": "status", "prepare_store": "prepare"}.get(
        operation.name, operation.name.removesuffix("_memory").replace("_", "-")
    )


def _read(value: Any, option: Option) -> Any:  # noqa: ANN401  # options of many types
    """Return an option's value, with what ``-`` stands for."""
    if option.from_input == "text":
        return read_input() if value == "-" else value
    if option.from_input == "lines":
        return [line for part in value for line in (_lines() if part == "-" else [part])]
    return value


def _lines() -> list[str]:
    return [line.strip() for line in read_input().splitlines() if line.strip()]


# Options -------------------------------------------------------------------------------------------------------------


def with_options(
    command: Callable[..., int], operation: Operation, more: Iterable[inspect.Parameter] = ()
) -> Callable[..., int]:
    """Give a command the options of an operation; typer reads them off its signature."""
    members = operation.arguments.model_fields
    parameters = [_parameter(name, field) for name, field in members.items() if name not in _OWN]
    parameters.sort(key=lambda each: each.kind is inspect.Parameter.KEYWORD_ONLY)
    common = {"home": (Home, None), "brand": (Brand, None), "as_json": (AsJson, False)}
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in common.items()
    ]
    parameters += more
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = operation.help
    return command


def _option(field: FieldInfo) -> Option:
    return next((part for part in field.metadata if isinstance(part, Option)), Option())


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    option = _option(field)
    kind, details = _click_type(field)
    text = f"{field.description or ''}{'; - reads it from standard input' * (option.from_input == 'text')}"
    text += "; - reads one a line from standard input" * (option.from_input == "lines")
    text += "; may be repeated" * (get_origin(kind) is list)
    details["help"] = f"{text}."
    if option.positional:
        first = inspect.Parameter.empty if field.is_required() else ""
        place: Any = Annotated[kind, typer.Argument(**details)]
        return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=first, annotation=place)
    names = option.names or (f"--{name.replace('_', '-')}",)
    default: Any = inspect.Parameter.empty
    if not field.is_required():
        default = field.default if kind is bool else None
        kind = kind if kind is bool else kind | None
    annotation: Any = Annotated[kind, typer.Option(*names, **details)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _click_type(field: FieldInfo) -> tuple[Any, dict[str, Any]]:
    """Return what typer has to know of an argument's type, and the choices or limits it has."""
    schema = next((part.json_schema for part in field.metadata if isinstance(part, WithJsonSchema)), None) or {}
    names = schema.get("enum") or _choices(field.annotation)
    if names:
        return Literal[tuple(names)], {"case_sensitive": False}
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is tuple:
        return list[str], {"metavar": "TEXT"}
    limits = {
        name: getattr(part, attribute)
        for part in field.metadata
        for name, attribute, kind in (("min", "ge", annotated_types.Ge), ("max", "le", annotated_types.Le))
        if isinstance(part, kind)
    }
    return kinds[0], limits


def _choices(kind: Any) -> list[str]:  # noqa: ANN401  # any annotation
    return [each.value for each in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []
