"""Who a request comes from: a token of the home, or one of an authorization server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from dm_memory_server.http.tokens import TokenFile
from dm_memory_tools.runtime import Access

__all__ = ["Caller", "Callers", "Keeper", "label"]

# Beside control characters: what turns the direction of a line around, and half characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token was verified.

    Attributes:
        access: What they may do, before the address narrows it.
        digest: The hash of a token of the home, by which it can be revoked; "" for others.
        brands: The brands they may choose from by the address; empty if ``access`` says it all.
        issuer: Who made the token; "" for tokens of the home.
        subject: Whom the issuer made it for, in full; names can be alike, and are cut.
    """

    access: Access
    digest: str = ""
    brands: frozenset[str] = frozenset()
    issuer: str = ""
    subject: str = ""


class Keeper(Protocol):
    """Verifies the tokens of an authorization server."""

    async def verify(self, secret: str) -> Caller | None:
        """Return who the token was made for, or None if it does not count here."""


class Callers:
    """Verifies tokens.

    Args:
        tokens: Those of the home.
        oauth: The authorization server, if there is one.
    """

    def __init__(self, tokens: TokenFile, oauth: Keeper | None = None) -> None:
        self._tokens = tokens
        self._oauth = oauth

    async def verify(self, secret: str) -> Caller | None:
        """Return who makes a request with this token, or None. Raises ``HomeError`` if the file can't be read."""
        found = self._tokens.find(secret)
        if found is not None:
            return Caller(Access(found.name, found.brand, found.read_only), found.sha256)
        return await self._oauth.verify(secret) if self._oauth is not None and secret.count(".") == 2 else None  # noqa: PLR2004  # a JWT has three parts

    def live(self) -> frozenset[str]:
        """Return the hashes of the tokens there are. Raises ``HomeError``."""
        return frozenset(token.sha256 for token in self._tokens.all())


def label(name: str) -> str:
    """Return a name as logs and memory can have it: one line, not long."""
    return _CONTROL.sub(" ", name).strip()[:64]
