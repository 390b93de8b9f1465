"""A tool as this server registers it: a lean schema, and argument errors a model can act on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations
from pydantic import ValidationError

from dm_memory_tools.schema import clean_schema, expectation

__all__ = ["MemoryTool", "define"]


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
        try:
            return await super().run(arguments, context, convert_result)
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
            return self._argument_words(cause)
        return str(cause) if isinstance(cause, ToolError) else str(error)

    def _argument_words(self, error: ValidationError) -> str:
        known = self.parameters["properties"]
        names = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"])
        wants = [f"`{name}` must be {expectation(known.get(name, {}))}." for name in names]
        return " ".join([f"{self.name} was not run: an argument can't be used.", *wants])


def define(fn: Callable[..., Any], *, title: str, read_only: bool) -> MemoryTool:
    """Make a tool of ``fn``; its docstring is the description and its annotations are the arguments.

    Args:
        fn: The function behind the tool.
        title: For people.
        read_only: True where nothing is written; the others may be repeated without harm.
    """
    tool = MemoryTool.from_function(
        fn,
        title=title,
        description=inspect.getdoc(fn),
        annotations=ToolAnnotations(
            read_only_hint=read_only,
            destructive_hint=None if read_only else False,
            idempotent_hint=None if read_only else True,
            open_world_hint=False,
        ),
        structured_output=False,
    )
    if not isinstance(tool, MemoryTool):
        raise TypeError("Tool.from_function no longer builds the class it is called on")
    return tool.model_copy(update={"parameters": clean_schema(tool.parameters)})
