"""Tokens of an authorization server: only its own, only for this server, only while they last, only by public keys."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from dm_memory_server.http.access import Caller
from dm_memory_server.http.oauth import KeySet, OAuth
from dm_memory_server.http.settings import HttpSettings
from dm_memory_tools.runtime import Access
from tests.http.serving import MODERN, Served, answer, ask, call, headers, message, served, text_of, token
from tests.server.server_homes import write_json

ISSUER = "https://login.example"
AUDIENCE = "https://memory.example/mcp"
SETTINGS = HttpSettings(oauth_issuer=ISSUER, oauth_audience=AUDIENCE, oauth_jwks_url="https://login.example/keys")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def public(key: Any, kid: str) -> dict[str, Any]:
    """Return the public half as a key of a key set."""
    kind = {rsa.RSAPrivateKey: "RSA", ec.EllipticCurvePrivateKey: "EC"}
    name = next((name for each, name in kind.items() if isinstance(key, each)), "OKP")
    algorithm = {
        "RSA": jwt.algorithms.RSAAlgorithm,
        "EC": jwt.algorithms.ECAlgorithm,
        "OKP": jwt.algorithms.OKPAlgorithm,
    }
    return json.loads(algorithm[name].to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}


KEYS = {"keys": [public(RSA, "one"), public(EC, "two"), public(ED, "three")]}


def made(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
    """Return a token that counts, unless ``claims`` or the key say otherwise; a claim that is None is left out."""
    body = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 300,
        "sub": "ada",
        "scope": "openid memory:write",
        "dm_memory_brand": "acme",
    } | claims
    head = {"kid": kid} if kid else {}
    return jwt.encode({name: value for name, value in body.items() if value is not None}, key, algorithm, head)


def verified(secret: str) -> Caller | None:
    async def fetch(_: str) -> Any:
        return KEYS

    return asyncio.run(OAuth(SETTINGS, KeySet("", fetch)).verify(secret))


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA, "RS256", "one"), (RSA, "PS512", "one"), (EC, "ES256", "two"), (ED, "EdDSA", "three")],
)
def test_a_token_says_who_what_and_which_brand(key: Any, algorithm: str, kid: str) -> None:
    found = verified(made(key, algorithm, kid))
    assert found is not None
    assert found.access == Access("ada", "acme", read_only=False)


@pytest.mark.parametrize(
    ("claims", "access", "brands"),
    [
        ({"scope": "memory:read"}, Access("ada", "acme", read_only=True), set()),
        ({"scope": None, "scp": ["memory:read", "memory:write"]}, Access("ada", "acme"), set()),
        ({"dm_memory_brand": ["acme"]}, Access("ada", "acme"), set()),
        ({"dm_memory_brand": "*"}, Access("ada", ""), set()),
        ({"dm_memory_brand": ["acme", "bolt"]}, Access("ada", ""), {"acme", "bolt"}),
        ({"dm_memory_brand": "cafe\u0301"}, Access("ada", "caf\u00e9"), set()),
        ({"sub": "ada\u202e\ud800root"}, Access("ada root", "acme"), set()),
        ({"sub": "ada\nroot" + "x" * 100}, Access(("ada root" + "x" * 100)[:64], "acme"), set()),
    ],
)
def test_scopes_and_claims_are_what_the_token_may_do(claims: dict[str, Any], access: Access, brands: set[str]) -> None:
    found = verified(made(**claims))
    assert found is not None
    assert (found.access, set(found.brands)) == (access, brands)


def _unsigned(algorithm: str) -> str:
    head, body, _ = made().split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "one"}).encode()).decode().rstrip("=")
    return f"{head}.{body}."


def _signed_with_the_public_key() -> str:
    """The old trick: the server's public key, which everybody has, as the secret of an HMAC."""
    import hashlib  # noqa: PLC0415  # beside its only use
    import hmac  # noqa: PLC0415  # as above

    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "one"}).encode()).decode().rstrip("=")
    signed = f"{head}.{made().split('.')[1]}"
    mac = base64.urlsafe_b64encode(hmac.new(pem, signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    return f"{signed}.{mac}"


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(made(iss="https://evil.example"), id="another issuer"),
        pytest.param(made(iss=None), id="no issuer"),
        pytest.param(made(aud="https://other.example/mcp"), id="another audience"),
        pytest.param(made(aud=None), id="no audience"),
        pytest.param(made(exp=int(time.time()) - 3600), id="expired"),
        pytest.param(made(exp=None), id="no end"),
        pytest.param(made(nbf=int(time.time()) + 3600), id="not yet"),
        pytest.param(made(scope="openid"), id="no scope of ours"),
        pytest.param(made(dm_memory_brand=None), id="no brand"),
        pytest.param(made(dm_memory_brand=""), id="an empty brand"),
        pytest.param(made(dm_memory_brand=7), id="a brand that is a number"),
        pytest.param(made(OTHER), id="another key under a known name"),
        pytest.param(made(kid="none"), id="an unknown key"),
        pytest.param(made(kid=None), id="no key among several"),
        pytest.param(made(key="x" * 32, algorithm="HS256"), id="a shared secret"),
        pytest.param(_unsigned("none"), id="unsigned"),
        pytest.param(_unsigned("RS256"), id="an empty signature"),
        pytest.param(_signed_with_the_public_key(), id="the public key as a secret"),
        pytest.param(made()[:-4] + "AAAA", id="another signature"),
        pytest.param(made(padding="x" * 20_000), id="a token of 20 KB"),
        pytest.param("a.b.c", id="no token"),
    ],
)
def test_nothing_else_counts(secret: str) -> None:
    assert verified(secret) is None


def test_keys_are_fetched_when_they_change_and_not_for_every_made_up_name() -> None:
    moments, asked, keys = [0.0], 0, {"keys": [public(RSA, "one")]}

    async def fetch(_: str) -> Any:
        nonlocal asked
        asked += 1
        if moments[0] > 5000:
            raise ValueError("the server is down")
        return keys

    async def look() -> None:
        found = KeySet("", fetch, lambda: moments[0])
        assert await found.find("one") is not None
        for number in range(1000):
            assert await found.find(f"made up {number}") is None
        assert asked == 1
        keys["keys"].append(public(EC, "two"))
        moments[0] += KeySet.REST
        assert await found.find("two") is not None
        assert asked == 2
        moments[0] = 10_000.0
        assert await found.find("one") is not None  # the old keys count while their server is down
        assert await found.find("one") is not None
        assert asked == 3

    asyncio.run(look())


def test_keys_that_never_arrive_whole_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeySet, "PATIENCE", 0.05)

    async def fetch(_: str) -> Any:
        await asyncio.sleep(3600)

    async def look() -> None:
        assert await KeySet("", fetch).find("one") is None

    asyncio.run(asyncio.wait_for(look(), 60))


@contextmanager
def authorization_server() -> Iterator[str]:
    """Publish the keys on this computer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(KEYS).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def served_with_oauth(home: Path, **settings: str) -> Iterator[Served]:
    """Serve a home to those who have a token of an authorization server that runs as well."""
    with authorization_server() as issuer:
        named = {"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "JWKS_URL": f"{issuer}/keys"}
        with served(home, **{f"DM_MEMORY_OAUTH_{name}": value for name, value in named.items()}, **settings) as server:
            yield server


def test_a_client_finds_the_authorization_server_and_comes_back_with_a_token(home: Path, client: httpx.Client) -> None:
    mine = token(home, "ada", "acme")
    with served_with_oauth(home) as server:
        first = ask(client, server.url, "tools/list")
        assert first.status_code == 401
        place = "/.well-known/oauth-protected-resource"
        assert f'resource_metadata="https://memory.example{place}/mcp"' in first.headers["www-authenticate"]
        documents = [client.get(server.url.replace("/mcp", place + end)).json() for end in ("", "/mcp", "/mcp/any")]
        assert documents[0] == documents[1] == documents[2]
        assert documents[0]["resource"] == AUDIENCE
        assert [each.rstrip("/") for each in documents[0]["authorization_servers"]] == [ISSUER]
        for brand, words in (("acme", "acme"), (["acme", "bolt"], "bolt")):
            url = server.url if brand == "acme" else f"{server.url}/bolt"
            status = call(client, url, "get_memory_status", secret=made(dm_memory_brand=brand))
            assert words in text_of(status).lower()
        assert (
            call(client, server.url, "get_memory_status", secret=made(dm_memory_brand=["acme", "bolt"])).status_code
            == 404
        )
        assert call(client, f"{server.url}/bolt", "get_memory_status", secret=made()).status_code == 404
        written = call(client, server.url, "prepare_store", secret=made(scope="memory:read"), content="Blue is calm.")
        assert "may only read" in answer(written)["result"]["content"][0]["text"]
        assert ask(client, server.url, "tools/list", secret=made(OTHER)).status_code == 401
        assert ask(client, server.url, "tools/list", secret=mine).status_code == 200
        server.logged('token="ada" method=tools/call')


def test_two_people_of_one_name_are_two(home: Path, client: httpx.Client) -> None:
    write_json(home / "brands" / "_active-brand.json", {})  # so that the server asks which brand is meant
    with served_with_oauth(home, DM_MEMORY_OAUTH_NAME_CLAIM="name", DM_MEMORY_HTTP_RATE="1") as server:
        one, two = (made(sub=sub, name="Ada", dm_memory_brand="*") for sub in ("one", "two"))
        asked = message(MODERN, "tools/call", {"name": "get_memory_status", "arguments": {}})
        asked["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {"form": {}}}
        sent = headers(MODERN, one, "tools/call", "get_memory_status")
        question = client.post(server.url, json=asked, headers=sent).json()["result"]
        again = {"requestState": question["requestState"], "inputResponses": {}}
        for secret, words in ((one, "inputRequests"), (two, "Invalid or expired requestState")):
            body = asked | {"params": asked["params"] | again}
            sent = headers(MODERN, secret, "tools/call", "get_memory_status")
            assert words in client.post(server.url, json=body, headers=sent).text
        while call(client, server.url, "get_memory_status", secret=one).status_code != 429:
            pass
        assert call(client, server.url, "get_memory_status", secret=two).status_code == 200
