"""Which brand a call is about: the one it names, the active one, the only one, or the one the user picks."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from mcp.server.mcpserver import (
    AcceptedElicitation,
    CancelledElicitation,
    Context,
    DeclinedElicitation,
    Elicit,
    Resolve,
)
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field, WithJsonSchema, create_model

from dm_memory.errors import BrandNotFoundError, HomeError
from dm_memory_tools.answer import tool_errors
from dm_memory_tools.runtime import resolve_brand, runtime_of

__all__ = ["BrandChoice", "ChosenBrand", "brand_of"]


class BrandChoice(BaseModel):
    """The answer to "which brand?": a slug, or "" if it is not clear."""

    brand: str


async def _choose(brand: str, ctx: Context) -> BrandChoice | Elicit[BrandChoice]:
    """Find the brand, or make the question. Runs again in every round of the newer protocol, so it writes nothing.

    A brand that can't be found is the core's error to raise: it may have something to keep until there is one.
    """
    with tool_errors("looking for the brand"):
        memory = await runtime_of(ctx).memory()
        try:
            return BrandChoice(brand=await asyncio.to_thread(resolve_brand, memory, brand or None))
        except HomeError:
            return BrandChoice(brand=brand)
        except BrandNotFoundError as error:
            if brand or not error.brands or not _can_ask(ctx):
                return BrandChoice(brand=brand)
            return Elicit("No brand is active. Which brand is this about?", _question(error.brands))


def _can_ask(ctx: Context) -> bool:
    """Return whether the client shows forms: a bare ``elicitation: {}`` means so, one with only ``url`` does not."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _question(brands: tuple[str, ...]) -> type[BrandChoice]:
    """Return a form with one field whose values are the brands.

    Another value than these is the core's to refuse, in words: a ``Literal`` would end in the SDK's own message.
    """
    choice: Any = Annotated[str, WithJsonSchema({"type": "string", "enum": list(brands)})]
    return create_model("BrandChoice", __base__=BrandChoice, brand=(choice, Field(description="The brand's slug")))


ChosenBrand = Annotated[AcceptedElicitation[BrandChoice] | DeclinedElicitation | CancelledElicitation, Resolve(_choose)]
"""The type of a tool's ``chosen`` parameter; not an argument that a client sees."""


def brand_of(chosen: AcceptedElicitation[BrandChoice] | DeclinedElicitation | CancelledElicitation) -> str:
    """Return the slug that was found or picked.

    Raises:
        ToolError: The user declined to pick one, or closed the question.
    """
    if isinstance(chosen, AcceptedElicitation):
        return chosen.data.brand
    did = (
        "declined to pick a brand" if isinstance(chosen, DeclinedElicitation) else "closed the question about the brand"
    )
    raise ToolError(f"The user {did}, so nothing was done. Ask which brand they mean and pass its slug as `brand`.")
