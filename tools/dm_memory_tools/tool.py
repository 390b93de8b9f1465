"""A tool as this server registers it: made from an operation, with a lean schema and errors a model can act on."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import ValidationError

from dm_memory_tools.answer import as_client_shows, to_result, tool_errors
from dm_memory_tools.arguments import given
from dm_memory_tools.brand import ChosenBrand, brand_of
from dm_memory_tools.operation import Call, Operation
from dm_memory_tools.progress import ProgressRelay
from dm_memory_tools.runtime import ACCESS, Runtime, runtime_of
from dm_memory_tools.schema import argument_words, clean_schema

if TYPE_CHECKING:
    from dm_memory.api import Memory

__all__ = ["MemoryTool", "tool_of"]


class MemoryTool(Tool):
    """A tool whose argument errors name the argument and what to pass instead, and never repeat the value.

    The SDK would send pydantic's report, with the rejected value and a link to its manual, and it drops arguments it
    does not know.
    """

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:  # noqa: ANN401  # the SDK's signature
        """Run the tool.

        Raises:
            ToolError: With text for the model: what was wrong and what to do.
        """
        self._refuse_unknown(arguments)
        arguments = given(arguments, self.parameters.get("required", ()))
        try:
            return as_client_shows(await super().run(arguments, context, convert_result), context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            raise ToolError(self._words(error)) from None

    def _refuse_unknown(self, arguments: dict[str, Any]) -> None:
        known = self.parameters["properties"]
        unknown = [name for name in arguments if name not in known]
        if unknown:
            names = ", ".join(f"`{name[:60]}`" for name in unknown[:5])
            raise ToolError(f"{self.name} has no argument {names}. Its arguments are: {', '.join(known)}.")

    def _words(self, error: ToolError) -> str:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            wants = argument_words(cause, self.parameters["properties"])
            return " ".join([f"{self.name} was not run: an argument can't be used.", *wants])
        return str(cause) if isinstance(cause, ToolError) else str(error)


def tool_of(operation: Operation) -> MemoryTool:
    """Make a tool of an operation."""

    async def tool(*, ctx: Context, chosen: ChosenBrand, **values: Any) -> CallToolResult:  # noqa: ANN401  # as validated
        brand = brand_of(chosen)
        with tool_errors(operation.doing, brand):
            if ACCESS.get().read_only and not operation.read_only:
                raise ToolError(f"{operation.name} writes, and this access may only read. Nothing was done.")
            arguments = operation.arguments.model_construct(**values)
            runtime = runtime_of(ctx)
            memory = await runtime.memory()
            call = Call(
                memory=memory,
                brand=brand,
                door="tool",
                progress=ProgressRelay(ctx),
                notice_stale_cache=runtime.cache_is_stale.set,
                interval_of=partial(_interval, runtime, memory),
            )
            report = await operation.run(call, arguments)
            return to_result(report, arguments.response_format, whole=bool(values.get("report_items")))

    # The SDK reads a tool's arguments off its signature.
    parameters = _parameters(operation)
    tool.__signature__ = inspect.Signature(parameters, return_annotation=CallToolResult)  # type: ignore[attr-defined]
    tool.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": CallToolResult}
    made = MemoryTool.from_function(
        tool,
        name=operation.name,
        title=operation.title,
        description=operation.description,
        annotations=ToolAnnotations(
            read_only_hint=operation.read_only,
            destructive_hint=None if operation.read_only else operation.destructive,
            idempotent_hint=None if operation.read_only else True,
            open_world_hint=True,  # each of them asks connected services, or delivers to them
        ),
        structured_output=False,
    )
    if not isinstance(made, MemoryTool):
        raise TypeError("Tool.from_function no longer builds the class it is called on")
    return made.model_copy(update={"parameters": clean_schema(made.parameters)})


def _parameters(operation: Operation) -> list[inspect.Parameter]:
    """Return what a tool takes: the context, the brand, and what the operation's class names."""
    parameter = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    hints = get_type_hints(operation.arguments, include_extras=True)
    named = [
        parameter(
            name, default=inspect.Parameter.empty if field.is_required() else field.default, annotation=hints[name]
        )
        for name, field in operation.arguments.model_fields.items()
    ]
    return [parameter("ctx", annotation=Context), parameter("chosen", annotation=ChosenBrand), *named]


def _interval(runtime: Runtime, memory: Memory, brand: str) -> float | None:
    """Return how often the server itself syncs the cache of a brand; None if it does not."""
    return memory.settings.storage_interval if brand == runtime.brand_in_background else None
