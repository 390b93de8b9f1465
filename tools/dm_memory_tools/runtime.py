"""What lives as long as the server: the core's ``Memory``, built when the first call needs it.

Importing and opening the core costs more than ``tools/list`` may, so neither happens before the first call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from dm_memory.errors import ConfigurationError

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from pydantic import ValidationError
    from pydantic_settings import BaseSettings

    from dm_memory.api import Memory
    from dm_memory.settings import Settings

__all__ = [
    "ACCESS",
    "Access",
    "Runtime",
    "load_settings",
    "open_memory",
    "resolve_brand",
    "runtime_of",
    "unusable_setting",
]


@dataclass(frozen=True, slots=True)
class Access:
    """Who makes a request, and what they may do.

    Attributes:
        name: The name of the token; "" over standard input and where no token is asked for.
        brand: The one brand there is for them; "" for all.
        read_only: Whether they may not write.
    """

    name: str = ""
    brand: str = ""
    read_only: bool = False


ACCESS: ContextVar[Access] = ContextVar("ACCESS", default=Access())  # noqa: B039  # it is frozen
"""The access of the request that is answered. A transport sets it; tasks and threads of the request inherit it."""


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; ``overrides`` win, those that are None do not count.

    Raises:
        ConfigurationError: A setting has a value that can't be used. Names the settings, never their values.
    """
    from pydantic import ValidationError  # noqa: PLC0415  # start-up imports only what tools/list needs

    from dm_memory.settings import Settings  # noqa: PLC0415  # as above

    given = cast("dict[str, Any]", {name: value for name, value in overrides.items() if value is not None})
    try:
        return Settings(**given)
    except ValidationError as error:
        raise unusable_setting(error, Settings) from None


def unusable_setting(error: ValidationError, kind: type[BaseSettings]) -> ConfigurationError:
    """Return the error that names the variables of the settings that can't be used, never their values."""
    found = error.errors(include_input=False)
    problems = "; ".join(f"{_variable(kind, item['loc'])}: {item['msg']}" for item in found)
    return ConfigurationError(
        f"A setting can't be used ({problems}).",
        "Correct the environment variable or the option, or remove it; the README lists what each one takes.",
    )


def _variable(kind: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    """Return the environment variable of a setting that pydantic found fault with."""
    name = str(location[0]) if location else ""
    field = kind.model_fields.get(name)
    choices = getattr(field.validation_alias, "choices", ()) if field else ()
    return next((choice for choice in choices if str(choice).isupper()), f"DM_MEMORY_{name.upper()}")


def open_memory(**overrides: object) -> Memory:
    """Import the core and build its front door over the settings; see ``load_settings`` for the errors."""
    from dm_memory.api import Memory  # noqa: PLC0415  # start-up imports only what tools/list needs

    return Memory(load_settings(**overrides))


def resolve_brand(memory: Memory, name: str | None) -> str:
    """Return the brand's slug: the named one, the active one, or the only one there is.

    Raises:
        BrandNotFoundError: There is none such, or several and no way to tell which; carries the slugs.
    """
    return memory.home.resolve_or_only(name, memory.settings.brand)


class Runtime:
    """Builds the core's ``Memory`` once, on the first call, and closes it at the end.

    Args:
        opener: Builds the ``Memory``; runs on a worker thread, because its imports would block the event loop.

    Attributes:
        brand_in_background: The brand whose cache the server itself keeps up to date, once it does.
        in_use: True once a server runs on it, from when on ``closed`` will be set at its end.
        listed: Set once a client has listed the tools.
    """

    def __init__(self, opener: Callable[[], Memory] = open_memory) -> None:
        self._opener = opener
        self._opening: asyncio.Task[Memory] | None = None
        self.in_use = False
        self.closed = asyncio.Event()
        self.brand_in_background = ""
        self.cache_is_stale = asyncio.Event()
        self.listed = asyncio.Event()

    async def memory(self) -> Memory:
        """Return the ``Memory`` as the request may see it, building it if need be.

        Every tool, prompt and resource gets it here and nowhere else. Raises what building raises; the next call tries
        again.
        """
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.create_task(asyncio.to_thread(self._opener))
        memory = await asyncio.shield(self._opening)
        brand = ACCESS.get().brand
        return memory.only(brand) if brand else memory

    async def close(self) -> None:
        """Close the ``Memory``, if it was opened. Idempotent."""
        opening, self._opening = self._opening, None
        try:
            if opening is not None:
                await asyncio.wait({opening})
                if opening.exception() is None:
                    await opening.result().close()
        finally:
            self.closed.set()


def runtime_of(ctx: Context) -> Runtime:
    """Return the runtime that the server's lifespan handed to this request."""
    return cast("Runtime", ctx.request_context.lifespan_context)
