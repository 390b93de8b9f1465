"""An OAuth resource server: access tokens (JWT) of one authorization server, for this server alone."""

from __future__ import annotations

import asyncio
import logging
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import jwt
import orjson

from dm_memory.services.http import http_client
from dm_memory_server.http.access import Caller, label
from dm_memory_server.http.settings import HttpSettings
from dm_memory_tools.runtime import Access

if TYPE_CHECKING:
    from jwt.api_jwk import PyJWK

__all__ = ["READ", "WRITE", "KeySet", "OAuth", "fetch_json"]

_log = logging.getLogger("dm_memory.http")

READ = "memory:read"
WRITE = "memory:write"
"""The scopes. Who has the second has the first."""

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric ones, fixed here: a token does not choose, and a public key never becomes the key of an HMAC."""

_LEEWAY = 30
_MOST_BYTES = 256 * 1024
_MOST_CHARS = 16 * 1024


async def fetch_json(url: str) -> Any:  # noqa: ANN401  # any JSON
    """Return the document at ``url``. Raises ``ValueError`` or an error of httpx."""
    async with await asyncio.to_thread(http_client, url, timeout=5.0) as client, client.stream("GET", url) as response:
        response.raise_for_status()
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError("the document is too large")
    return orjson.loads(bytes(body))


class KeySet:
    """The public keys of the authorization server.

    An unknown key id is looked up there, but whoever sends tokens with made-up ids does not make us ask more often than
    every ``REST`` seconds. What was fetched counts for ``LIFE`` seconds, and while the server does not answer within
    ``PATIENCE`` seconds, however slowly it drips.

    Args:
        url: Where they are.
        fetch: Returns the JSON document at an address.
        clock: Seconds that only grow.
    """

    PATIENCE = 10.0
    REST = 30.0
    LIFE = 3600.0

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], Awaitable[Any]] = fetch_json,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._fetch, self._clock = url, fetch, clock
        self._keys: dict[str | None, PyJWK] = {}
        self._asked = self._fetched = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, kid: str | None) -> PyJWK | None:
        """Return the key with this id, or the only one if a token names none."""
        if kid not in self._keys or self._clock() - self._fetched > self.LIFE:
            async with self._turn:
                if kid not in self._keys or self._clock() - self._fetched > self.LIFE:
                    await self._refresh()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        now = self._clock()
        if now - self._asked < self.REST:
            return
        self._asked = now
        try:
            async with asyncio.timeout(self.PATIENCE):
                document = await self._fetch(self._url)
            keys = jwt.PyJWKSet.from_dict(document).keys
            found = {key.key_id: key for key in keys if key.public_key_use in {None, "sig"}}
        except Exception as error:  # noqa: BLE001  # a server of somebody else's: whatever it answers, old keys go on
            _log.warning("the authorization server's keys can't be fetched: %s", type(error).__name__)
            return
        self._keys, self._fetched = found, now


class OAuth:
    """Verifies the tokens of the authorization server that the settings name.

    Args:
        settings: Issuer, audience, where the keys are, and which claims say what.
        keys: The public keys.
    """

    def __init__(self, settings: HttpSettings, keys: KeySet | None = None) -> None:
        self._settings = settings
        self._keys = keys or KeySet(settings.oauth_jwks_url)

    async def verify(self, secret: str) -> Caller | None:
        """Return who the token was made for; None if it is not for this server, has expired, or names no brand."""
        if len(secret) > _MOST_CHARS:
            return None
        try:
            head = jwt.get_unverified_header(secret)
            key = await self._keys.find(head.get("kid")) if head.get("alg") in _ALGORITHMS else None
            if key is None:
                return None
            claims = jwt.decode(
                secret,
                key=key.key,  # a key set need not say for which of its algorithms a key is
                algorithms=_ALGORITHMS,
                audience=self._settings.oauth_audience,
                issuer=self._settings.oauth_issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError):
            return None
        return self._caller(claims)

    def _caller(self, claims: Mapping[str, Any]) -> Caller | None:
        scopes = _words(claims.get("scope")) | _words(claims.get("scp"))
        named = _words(claims.get(self._settings.oauth_brand_claim), separated=False)
        brands = frozenset(unicodedata.normalize("NFC", each) for each in named)
        name = label(str(claims.get(self._settings.oauth_name_claim) or claims.get("sub") or "oauth"))
        if not brands or scopes.isdisjoint({READ, WRITE}):
            return None
        everything = "*" in brands
        only = next(iter(brands)) if len(brands) == 1 and not everything else ""
        access = Access(name, only, read_only=WRITE not in scopes)
        several = frozenset() if everything or only else brands
        return Caller(access, brands=several, issuer=self._settings.oauth_issuer, subject=str(claims.get("sub") or ""))


def _words(value: object, *, separated: bool = True) -> frozenset[str]:
    """Return what a claim lists: a list of strings, or one string, whose words may be ``separated`` by spaces."""
    if isinstance(value, str):
        return frozenset(value.split() if separated else [value] if value else [])
    return (
        frozenset(each for each in value if isinstance(each, str) and each) if isinstance(value, list) else frozenset()
    )
