"""Every service reaches its place as the environment says, and no key goes where it must not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.items import storage_id
from dm_memory.services import http
from dm_memory.services.faults import Faults
from dm_memory.services.http import http_client, is_loopback, proxy_for, ssl_context
from dm_memory.services.pinecone.service import PineconeService
from dm_memory.services.protocol import Health, ServiceBase
from dm_memory.services.qdrant.service import QdrantService
from dm_memory.services.resilience import GuardPolicy, guard
from dm_memory.services.supermemory.service import SupermemoryService
from tests.services.payloads import BRAND
from tests.services.recording import recording, self_signed
from tests.support.embedders import HashEmbedder

pytestmark = pytest.mark.usefixtures("plain_environment")

KEY = "pcsk_topsecret"
FAULTS = Faults("Service", "127.0.0.1", "SERVICE_KEY", "SERVICE_URL")


def qdrant(url: str) -> QdrantService:
    return QdrantService(url, SecretStr(KEY), "dm-memory", BRAND, HashEmbedder(), timeout=5)


def pinecone(url: str) -> PineconeService:
    plan: Any = {"model": "m", "cloud": "aws", "region": "us-east-1", "limit": 1}
    return PineconeService(SecretStr(KEY), "dm-memory", BRAND, host=url, timeout=5, **plan)


def supermemory(url: str) -> SupermemoryService:
    return SupermemoryService(SecretStr(KEY), BRAND, url=url, timeout=5)


SERVICES = [qdrant, pinecone, pytest.param(supermemory, marks=pytest.mark.supermemory)]
Make = Callable[[str], Any]


async def health_of(service: ServiceBase) -> Health:
    guarded: Any = guard(service, GuardPolicy(timeout=5, attempts=1))
    health: Health = await guarded.health()
    await guarded.close()
    return health


# Proxies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://service.example", "http://plain:1"),
        ("https://service.example", "http://secure:2"),
        ("http://localhost:6333", None),
        ("http://localhost.:6333", None),
        ("http://qdrant.localhost", None),
        ("https://127.0.0.1:6333", None),
        ("http://127.9.9.9", None),
        ("https://[::1]:6333", None),
        ("https://localhost.example", "http://secure:2"),
    ],
)
def test_the_proxy_is_the_schemes_and_this_computer_has_none(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: str | None
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://plain:1")
    monkeypatch.setenv("HTTPS_PROXY", "secure:2")
    assert proxy_for(url) == expected


def test_all_proxy_stands_in_for_both_and_lower_case_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all:3")
    assert proxy_for("https://service.example") == proxy_for("http://service.example") == "http://all:3"
    monkeypatch.setenv("HTTPS_PROXY", "http://upper:4")
    assert proxy_for("https://service.example") == "http://upper:4"
    monkeypatch.setenv("https_proxy", "http://lower:5")
    assert proxy_for("https://service.example") == "http://lower:5"


@pytest.mark.parametrize(
    ("listed", "host", "exempt"),
    [
        ("*", "service.example", True),
        ("service.example", "service.example", True),
        ("service.example", "SERVICE.example", True),
        ("Example", "service.example", True),
        (".example", "service.example", True),
        ("*.example", "service.example", True),
        ("vice.example", "service.example", False),
        ("other.example, service.example", "service.example", True),
        ("other.example service.example", "service.example", True),
        ("https://service.example", "service.example", True),
        ("service.example:443", "service.example", True),
        ("service.example:80", "service.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("2.3", "10.1.2.3", False),
        ("fd07::1", "[fd07::1]", True),
        ("[fd07::1]", "[fd07::1]", True),
        ("[fd07::1]:443", "[fd07::1]", True),
        ("[fd07::1]:80", "[fd07::1]", False),
        ("fd07:b51a:cc66:f0::/64", "[fd07:b51a:cc66:f0::5]", True),
        ("fd07:b51a:cc66:f0::/64", "[fd07:b51a:cc66:f1::5]", False),
        ("[fd07::]/16", "[fd07::5]", True),
        ("10.0.0.0/99,[::,:::::,]:[,service.example", "service.example", True),
        ("[::,://,:80,*.", "service.example", False),
    ],
)
def test_no_proxy_lists_names_addresses_and_networks(
    monkeypatch: pytest.MonkeyPatch, listed: str, host: str, exempt: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (proxy_for(f"https://{host}/path") is None) == exempt


@pytest.mark.parametrize("address", ["socks4://proxy:1", "http://", "http://proxy:port", "http://[::1", "ftp://proxy"])
def test_a_proxy_that_can_not_be_used_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    with pytest.raises(ConfigurationError, match="ALL_PROXY names a proxy that can't be used") as caught:
        proxy_for("https://service.example")
    assert "service.example in NO_PROXY" in caught.value.remedy


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_works_where_its_package_is_and_else_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("all_proxy", f"{scheme}://127.0.0.1:9")
    monkeypatch.setattr(http, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"all_proxy is a SOCKS proxy.*socksio") as caught:
        proxy_for("https://service.example")
    assert "the extra socks" in caught.value.remedy
    assert proxy_for("http://127.0.0.1:6333") is None
    monkeypatch.setattr(http, "find_spec", lambda name: ModuleSpec(name, None))
    assert proxy_for("https://service.example") == f"{scheme}://127.0.0.1:9"


@pytest.mark.parametrize("make", SERVICES)
def test_a_service_on_this_computer_is_asked_itself_and_the_proxy_sees_no_key(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    async def act() -> None:
        async with recording() as place, recording() as proxy:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            await health_of(make(place.url))
            assert any(KEY in head for head in place.heads)
            assert proxy.heads == []

    asyncio.run(act())


@pytest.mark.parametrize("make", SERVICES)
def test_a_service_elsewhere_is_asked_through_the_proxy_which_sees_no_key(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    async def act() -> None:
        async with recording(403, b"") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            health = await health_of(make("https://service.example:443"))
            assert proxy.asked == ["CONNECT service.example:443 HTTP/1.1"]
            assert KEY not in "".join(proxy.heads)
            assert health.error is not None
            assert health.error.error_class is ErrorClass.UNAVAILABLE
            assert "through the proxy" in health.detail
            assert "HTTPS_PROXY" in health.error.remedy

    asyncio.run(act())


@pytest.mark.parametrize("make", SERVICES)
def test_a_proxy_that_is_down_is_not_taken_for_the_service(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{taken.getsockname()[1]}")
        health = asyncio.run(health_of(make("https://service.example:443")))
    assert "can't be reached through the proxy" in health.detail


@pytest.mark.parametrize("make", SERVICES)
@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks4://127.0.0.1:9"), ("SSL_CERT_FILE", "/no/such/file"), ("SSL_CERT_DIR", "/no/such/folder")],
)
def test_a_setting_that_can_not_work_is_named_in_the_services_health(
    monkeypatch: pytest.MonkeyPatch, make: Make, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    health = asyncio.run(health_of(make("https://service.example")))
    assert health.error is not None
    assert health.error.code == "configuration"
    assert variable in health.detail


@pytest.mark.parametrize("make", SERVICES)
def test_no_proxy_with_ipv6_keeps_no_service_from_being_asked(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1,[::1],fd07:b51a:cc66:f0::/64")

    async def act() -> None:
        async with recording() as place:
            await health_of(make(place.url))
            assert place.heads

    asyncio.run(act())


# Redirects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", SERVICES)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_with_the_key(make: Make, status: int) -> None:
    async def act() -> None:
        async with recording() as elsewhere, recording(status, b"", location=f"{elsewhere.url}/aliases") as place:
            health = await health_of(make(place.url))
            assert elsewhere.heads == []
            assert health.error is not None
            assert "redirects to another address" in health.detail

    asyncio.run(act())


# No answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", SERVICES)
def test_a_call_to_a_service_that_hangs_can_be_given_up_at_once(make: Make) -> None:
    """What ends a server within its two seconds: neither the call nor closing waits for the service."""

    async def act() -> None:
        reached = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        async with server:
            inner = make(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            service = guard(inner, GuardPolicy(timeout=600))
            call = asyncio.create_task(service.fetch([storage_id(BRAND, "insight/1")]))
            await reached.wait()
            call.cancel()
            async with asyncio.timeout(30):
                await asyncio.gather(call, return_exceptions=True)
                await service.close()
            assert call.cancelled()

    asyncio.run(act())


# Certificates --------------------------------------------------------------------------------------------------------


def test_a_certificate_nobody_vouches_for_is_refused_and_named(tmp_path: Path) -> None:
    async def act() -> ServiceError:
        async with recording(tls=self_signed(tmp_path)) as server, http_client(server.url) as client:
            with pytest.raises(Exception, match="certificate") as caught:
                await client.get(server.url)
            assert server.heads == []
            return FAULTS.of_transport(caught.value)

    error = asyncio.run(act())
    assert (error.error_class, error.code) == (ErrorClass.UNAVAILABLE, "certificate")
    assert "SSL_CERT_FILE" in error.remedy


def test_a_certificate_in_ssl_cert_file_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def act() -> int:
        async with recording(tls=certificate) as server, http_client(server.url) as client:
            return (await client.get(server.url)).status_code

    assert asyncio.run(act()) == 404


@pytest.mark.parametrize("content", [None, b"", b"no certificates at all"])
def test_a_certificate_file_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE does not name a file with certificates"):
        http_client("https://service.example")
    http_client("http://127.0.0.1:6333")  # needs none


def test_folders_of_certificates_are_honoured_if_one_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"/no/such/folder:{tmp_path}")
    assert ssl_context().verify_mode is ssl.CERT_REQUIRED
    monkeypatch.setenv("SSL_CERT_DIR", "/no/such/folder")
    with pytest.raises(ConfigurationError, match="SSL_CERT_DIR does not name a folder"):
        ssl_context()


def test_certificates_are_checked_by_default() -> None:
    context = ssl_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("localhost", True), ("LOCALHOST", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True)),
        *(("0.0.0.0", True), ("[::]", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("host", False)),  # noqa: S104  # names, nothing listens
    ],
)
def test_what_is_this_computer(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


def test_a_blank_proxy_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "   ")
    assert proxy_for("https://service.example") is None
