"""``dm-memory token``: tokens for those who use the server over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from dm_memory.errors import InputError
from dm_memory.requests import Progress
from dm_memory_server.commands import AsJson, Home
from dm_memory_server.execute import Options, execute

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report
    from dm_memory_server.http.tokens import TokenFile

__all__ = ["tokens"]

tokens = typer.Typer(
    help="Tokens for those who use the server over HTTP (dm-memory serve --http).", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Who or what uses it: a person, an agent, a computer.")]


def _file(memory: Memory) -> TokenFile:
    from dm_memory_server.http.tokens import TokenFile  # noqa: PLC0415  # the other commands need none

    return TokenFile(memory.home.root)


@tokens.command()
def add(
    name: Name,
    *,
    brand: Annotated[str | None, typer.Option("--brand", help="The one brand it is for.")] = None,
    all_brands: Annotated[bool, typer.Option("--all", help="It is for all brands, present and future.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="It may search and look, and write nothing.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Make a token and print it, once."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import Report  # noqa: PLC0415  # each command imports its own
        from dm_memory.text.timestamps import to_iso, utc_now  # noqa: PLC0415  # as above

        if bool(brand) == all_brands:
            raise InputError("It is not said which brand the token is for.", "Pass --brand BRAND, or --all.")
        slug = await asyncio.to_thread(memory.resolve_brand, brand) if brand else ""
        secret = await asyncio.to_thread(_file(memory).add, name, slug, to_iso(utc_now()), read_only=read_only)
        scope = f"the brand `{slug}`" if slug else "all brands"
        may = " and may only read" if read_only else ""
        text = f"{secret}\n\nThe token “{name}” is for {scope}{may}. Nobody can show it again.\n"
        data = {"kind": "token", "name": name, "brand": slug, "read_only": read_only, "token": secret}
        return Report(text, data)

    return execute(work, Options(home, as_json))


@tokens.command("list")
def list_tokens(*, home: Home = None, as_json: AsJson = False) -> int:
    """List the tokens: names, brands, what they may do; never the secrets."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import Report  # noqa: PLC0415  # each command imports its own

        found = await asyncio.to_thread(_file(memory).all)
        rows = [
            f"- {token.name}: {token.brand or 'all brands'}, {'reads' if token.read_only else 'reads and writes'}, "
            f"made {token.created_at[:10]}"
            for token in found
        ]
        text = "\n".join(rows or ["There is no token. `dm-memory token add NAME --brand BRAND` makes one."])
        return Report(
            text + "\n", {"kind": "tokens", "tokens": [token.model_dump(exclude={"sha256"}) for token in found]}
        )

    return execute(work, Options(home, as_json))


@tokens.command()
def revoke(name: Name, *, home: Home = None, as_json: AsJson = False) -> int:
    """Revoke a token: its next request is refused, and what it is doing is stopped."""

    async def work(memory: Memory, _: Progress) -> Report:
        from dm_memory.report import Report  # noqa: PLC0415  # each command imports its own

        gone = await asyncio.to_thread(_file(memory).revoke, name)
        return Report(f"The token “{gone.name}” counts no more.\n", {"kind": "token-revoked", "name": gone.name})

    return execute(work, Options(home, as_json))
