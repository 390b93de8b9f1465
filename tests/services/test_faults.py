"""What is said of a connected service names what is wrong, and only what its user has set."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults, retry_after
from dm_memory.services.http import http_client
from dm_memory.services.protocol import unexpected
from dm_memory.services.supermemory.service import SupermemoryService

pytestmark = pytest.mark.usefixtures("plain_environment")

PUBLIC = SupermemoryService(SecretStr("sm_key"), "acme").faults
ELSEWHERE = Faults("Service", "service.example", "SERVICE_KEY", "SERVICE_URL")


def of_request(url: str, timeout: float = 5.0) -> ServiceError:
    async def act() -> ServiceError:
        async with http_client(url, timeout=timeout) as client:
            with pytest.raises(httpx.TransportError) as caught:
                await client.get(url)
            return ELSEWHERE.of_transport(caught.value)

    return asyncio.run(act())


def test_a_service_at_its_public_address_is_not_blamed_on_a_setting_nobody_set() -> None:
    for error in (PUBLIC.unavailable(), PUBLIC.malformed(), PUBLIC.of_transport(httpx.ConnectError("no"))):
        assert "_URL" not in error.remedy
        assert "  " not in error.remedy


def test_a_service_somewhere_else_is_looked_for_where_the_setting_says() -> None:
    for error in (ELSEWHERE.malformed(), ELSEWHERE.of_transport(httpx.ConnectError("no")), ELSEWHERE.redirected("301")):
        assert "SERVICE_URL" in error.remedy


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "a minute"),
        (0.2, "a minute"),
        (-5, "a minute"),
        (1, "1 second:"),
        (40, "40 seconds:"),
        (150, "3 minutes:"),
        (7200, "2 hours:"),
        (1e15, "24 hours:"),
    ],
)
def test_how_long_a_service_wants_to_be_left_alone_is_said_in_words(seconds: float | None, words: str) -> None:
    error = ELSEWHERE.rate_limited(seconds)
    assert f"in {words}" in error.remedy
    assert error.retry_after is None or 0 <= error.retry_after <= 24 * 3600


def test_a_refused_connection_is_called_one_and_not_a_timeout() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = of_request(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert error.problem == "Service (service.example) refused the connection."
    assert "Check that it runs and SERVICE_URL" in error.remedy


def test_a_host_that_has_no_address_is_called_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    error = of_request("http://service.invalid")
    assert error.problem == "Service (service.example) has a host name that was not found."


def test_a_server_that_hangs_is_a_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error = of_request(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.5)
    assert (error.error_class, error.code) == (ErrorClass.TIMEOUT, "ReadTimeout")


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_a_class_and_its_number_as_code(status: int) -> None:
    error = ELSEWHERE.of_status(status)
    assert error.code == str(status)
    assert error.problem.startswith("Service (service.example) ")


def test_a_wait_may_be_asked_for_as_a_date() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 0 < (retry_after(moment) or 0) <= 3600


@given(st.text() | st.dates().map(str) | st.integers().map(str) | st.floats().map(str) | st.none())
@example("Wed, 21 Oct 2015 07:28:00")
@example("Wed, 21 Oct 2015 07:28:00 GMT")
@example("²")
@example("1_0")
@example("Wed, 99 Oct 99999 07:28:00 GMT")
def test_any_retry_after_is_a_wait_or_none(header: str | None) -> None:
    wait = retry_after(header)
    assert wait is None or wait >= 0


def test_an_unexpected_error_is_called_a_bug_without_its_text() -> None:
    error = unexpected("Qdrant", ValueError("with a secret in it"))
    assert (error.error_class, error.code) == (ErrorClass.UNKNOWN, "ValueError")
    assert "secret" not in str(error)
