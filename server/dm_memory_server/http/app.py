"""The application behind the address: who is let in, what they may see, and the MCP server itself.

/mcp                                        every brand the token is for
/mcp/{brand}                                that brand alone
/healthz                                    that the process answers, and nothing else
/.well-known/oauth-protected-resource...    where a client gets a token, if an authorization server is set
"""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.routes import build_resource_metadata_url
from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.auth import ProtectedResourceMetadata
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dm_memory.errors import DmMemoryError
from dm_memory_server.http.access import Caller, Callers
from dm_memory_server.http.hosts import Hosts
from dm_memory_server.http.limits import Buckets
from dm_memory_server.http.log import NOTE, AccessLog, note_call
from dm_memory_server.http.oauth import READ, WRITE, OAuth
from dm_memory_server.http.settings import HttpSettings
from dm_memory_server.http.tokens import TokenFile
from dm_memory_tools.runtime import ACCESS, Access, Runtime

__all__ = ["MOST_BODY_BYTES", "Door", "build_app"]

MOST_BODY_BYTES = 4 * 1024 * 1024

_MOST_CALLS = 64
"""Requests of one token that are answered at the same time."""

_REVOKED_AFTER = 0.5
"""Seconds after which a running call notices that its token is gone; the next request notices it at once."""

_FORWARDED = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
"""What proxies add, beside ``X-Forwarded-...``."""

_NO_SUCH_ADDRESS = "There is nothing at this address for this token."
"""The same for a brand that is another token's and for one that does not exist."""


class _RefusedError(Exception):
    """The response that a request gets instead of an answer."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        # Clients show the message of a JSON-RPC error to their users, and nothing of any other body.
        body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": text}}
        self.response = JSONResponse(body, status, headers)


@dataclass(eq=False, slots=True)
class _Running:
    """A request that is being answered."""

    digest: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Door:
    """Lets requests in, one at a time or many, and cuts those whose token was revoked.

    Args:
        app: What answers them.
        runtime: What the server runs on.
        callers: Verifies tokens; None if nobody has to have one.
        settings: The configuration.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime, callers: Callers | None, settings: HttpSettings) -> None:
        self._app, self._runtime, self._callers = app, runtime, callers
        self._running: set[_Running] = set()
        self._calls: dict[str, int] = {}
        self._rate = Buckets(settings.http_rate, max(20, settings.http_rate / 6))
        self._failures = Buckets(30, 20)
        self._challenge = 'Bearer realm="dm-memory"'
        if settings.has_oauth:
            metadata = build_resource_metadata_url(AnyHttpUrl(settings.oauth_audience))
            self._challenge += f', scope="{READ} {WRITE}", resource_metadata="{metadata}"'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request at ``/mcp`` or ``/mcp/{brand}``."""
        request = Request(scope)
        try:
            caller = await self._caller(request)
            note = NOTE.get()
            if note is not None:
                note.name = caller.access.name
            who = f"{caller.issuer} {caller.subject or caller.access.name}"
            self._take_turn(request, who)
            with self._counted(who):
                access = await self._access(request, caller)
                await self._answer(request, caller, access, receive, send)
        except _RefusedError as refused:
            await refused.response(scope, receive, send)

    async def _caller(self, request: Request) -> Caller:
        """Return who asks; raises ``_RefusedError``."""
        if self._callers is None:
            if any(name in _FORWARDED or name.startswith("x-forwarded-") for name in request.headers):
                text = "Requests that come through a proxy need a token: start the server with --require-token."
                raise _RefusedError(403, text)
            return Caller(Access())
        sent = request.headers.getlist("authorization")
        # Of two, a proxy in front may have looked at the other one.
        scheme, _, secret = (sent[0] if len(sent) == 1 else "").partition(" ")
        try:
            found = await self._callers.verify(secret.strip()) if scheme.lower() == "bearer" and secret else None
        except DmMemoryError:
            text = "The server can't read its tokens: `dm-memory token list`, run there, says why."
            raise _RefusedError(503, text) from None
        if found is None:
            self._refuse_unknown(request, has_token=bool(secret))
        return found

    def _refuse_unknown(self, request: Request, *, has_token: bool) -> NoReturn:
        # Only failures count: whoever has a good token is let in, even from an address that sends bad ones.
        seconds = self._failures.take(request.client.host if request.client else "")
        if seconds:
            # The connection stays: closed before the body is here, it would be reset, and the answer lost with it.
            text = f"Too many requests without a valid token. Try again in {seconds} s."
            raise _RefusedError(429, text, {"retry-after": str(seconds)})
        challenge = f'{self._challenge}, error="invalid_token"' if has_token else self._challenge
        text = "A valid token is needed: Authorization: Bearer TOKEN."
        raise _RefusedError(401, text, {"www-authenticate": challenge})

    async def _access(self, request: Request, caller: Caller) -> Access:
        """Return what the caller may do at this address; raises ``_RefusedError``."""
        access, wanted = caller.access, unicodedata.normalize("NFC", request.path_params.get("brand", ""))
        if caller.brands:
            brand = wanted if wanted in caller.brands else ""
        elif access.brand or not wanted:
            brand = access.brand if wanted in {"", access.brand} else ""
            if not wanted and not access.brand:
                return access
        else:
            brand = wanted if await self._exists(wanted) else ""
        if not brand:
            raise _RefusedError(404, _NO_SUCH_ADDRESS)
        return Access(access.name, brand, access.read_only)

    async def _exists(self, brand: str) -> bool:
        """Return whether there is such a brand; asked only for those who may see all of them."""
        try:
            memory = await self._runtime.memory()
            return brand in await asyncio.to_thread(memory.brands)
        except DmMemoryError:
            return False

    def _take_turn(self, request: Request, who: str) -> None:
        """Count the request against the limits of its token; raises ``_RefusedError``."""
        if request.method != "POST":
            raise _RefusedError(405, "Only POST is answered here: the server keeps no sessions.", {"allow": "POST"})
        if self._callers is None:
            return
        if seconds := self._rate.take(who):
            text = f"This token makes too many requests. Try again in {seconds} s."
            raise _RefusedError(429, text, {"retry-after": str(seconds)})
        if self._calls.get(who, 0) >= _MOST_CALLS:
            text = f"{_MOST_CALLS} requests of this token are being answered. Try again in 1 s."
            raise _RefusedError(429, text, {"retry-after": "1"})

    @contextlib.contextmanager
    def _counted(self, who: str) -> Iterator[None]:
        self._calls[who] = self._calls.get(who, 0) + 1
        try:
            yield
        finally:
            self._calls[who] -= 1
            if not self._calls[who]:
                del self._calls[who]

    async def _answer(self, request: Request, caller: Caller, access: Access, receive: Receive, send: Send) -> None:
        # The SDK binds what it hands out between two rounds of a call to this user.
        whose = {"iss": caller.issuer, "sub": caller.subject or caller.digest}
        token = AccessToken(token="", client_id=access.name, scopes=[], subject=whose["sub"], claims=whose)
        request.scope["user"] = AuthenticatedUser(token)
        running = _Running(caller.digest)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        self._running.add(running)
        before = ACCESS.set(access)
        try:
            with running.scope:
                await self._app(request.scope, receive, sending)
        finally:
            ACCESS.reset(before)
            self._running.discard(running)
        if running.scope.cancelled_caught:
            if not started:
                raise _RefusedError(401, "The token was revoked.", {"www-authenticate": self._challenge})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def watch(self) -> None:
        """Cut running calls whose token is revoked, for as long as the server runs."""
        while True:
            await asyncio.sleep(_REVOKED_AFTER)
            callers = self._callers
            if callers is None or not any(each.digest for each in self._running):
                continue
            try:
                live = callers.live()
            except DmMemoryError:
                live = frozenset()
            for each in self._running:
                if each.digest and each.digest not in live:
                    each.scope.cancel()


def build_app(
    server: MCPServer[Runtime], runtime: Runtime, settings: HttpSettings, tokens: TokenFile | None, *, public: bool
) -> Starlette:
    """Return the application.

    Args:
        server: The one server of all transports.
        runtime: What it runs on.
        settings: The configuration.
        tokens: The home's tokens; None if nobody has to have one.
        public: Whether others than this computer reach it.
    """
    server.middleware.append(note_call)
    manager = StreamableHTTPSessionManager(
        server._lowlevel_server,  # noqa: SLF001  # the SDK's own application has no place for doors
        stateless=True,
        max_request_body_size=MOST_BODY_BYTES,
    )
    callers = Callers(tokens, OAuth(settings) if settings.has_oauth else None) if tokens is not None else None
    door = Door(AuthContextMiddleware(manager.asgi_app), runtime, callers, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            watching = asyncio.create_task(door.watch())
            try:
                yield
            finally:
                watching.cancel()

    hosts = Hosts(settings.http_hosts, settings.http_origins, public=public)
    app = Starlette(
        routes=[
            Route("/healthz", _healthz, methods=["GET"]),
            *_metadata(settings),
            *(Route(path, endpoint=door) for path in ("/mcp", "/mcp/", "/mcp/{brand}")),
        ],
        middleware=[Middleware(AccessLog), Middleware(_HostCheck, hosts=hosts), *_cors(hosts)],
        exception_handlers={404: _nothing_here, 405: _nothing_here},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class _HostCheck:
    """Refuses what was not meant for this server, and what two servers may read as different requests.

    At ``/healthz`` every host is ours: what asks there often knows an address alone.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Request(scope).headers
            if "transfer-encoding" in headers and "content-length" in headers:
                # A proxy may have believed the length: what it took for a body would be a request of its own here.
                text = "A request has either a length or a transfer coding."
                await _RefusedError(400, text, {"connection": "close"}).response(scope, receive, send)
                return
            refusal = self._hosts.refusal(headers) if scope["path"] != "/healthz" else None
            if refusal is not None:
                await _RefusedError(*refusal).response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _cors(hosts: Hosts) -> list[Middleware]:
    if not hosts.origins:
        return []
    return [
        Middleware(
            CORSMiddleware, allow_origins=hosts.origins, allow_methods=["POST"], allow_headers=["*"], max_age=600
        )
    ]


def _metadata(settings: HttpSettings) -> list[Route]:
    """Return where clients look for the authorization server (RFC 9728)."""
    if not settings.has_oauth:
        return []
    document: dict[str, Any] = ProtectedResourceMetadata(
        resource=AnyHttpUrl(settings.oauth_audience),
        authorization_servers=[AnyHttpUrl(settings.oauth_issuer)],
        scopes_supported=[READ, WRITE],
        resource_name="dm-memory",
    ).model_dump(mode="json", exclude_none=True)

    async def metadata(_: Request) -> Response:
        return JSONResponse(document, headers={"cache-control": "max-age=3600", "access-control-allow-origin": "*"})

    root = "/.well-known/oauth-protected-resource"
    return [Route(path, metadata, methods=["GET"]) for path in (root, f"{root}/{{rest:path}}")]


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _nothing_here(_: Request, __: Exception) -> Response:
    return _RefusedError(404, "There is nothing here. The server's address ends in /mcp.").response
