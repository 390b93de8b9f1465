"""Against a mock server others made of the vendor's description: what we send is as described, and errors."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.protocol import Outcome
from dm_memory.services.supermemory.documents import document_of
from dm_memory.services.supermemory.service import SupermemoryService
from tests.services.payloads import BRAND, payload
from tests.services.supermemory.conftest import DESCRIPTION, SHARED
from tests.services.supermemory.fake_supermemory import KEY

pytestmark = [pytest.mark.npm, pytest.mark.shared, pytest.mark.supermemory, pytest.mark.slow]

LATER = replace(payload(1), version=2)


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prism that refuses what is not as described (``--errors``), on a port of its choice."""
    cache = tmp_path_factory.mktemp("npm")
    command = ["npx", "--yes", "@stoplight/prism-cli@5.16.0", "mock", str(Path(os.environ[SHARED]) / DESCRIPTION)]
    process = subprocess.Popen(
        [*command, "--errors", "-h", "127.0.0.1", "-p", "0"],
        env=os.environ | {"npm_config_cache": str(cache), "npm_config_ignore_scripts": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process:
        try:
            address = _address(process.stdout)
            threading.Thread(target=process.stdout.read, daemon=True).start()  # its log must not fill the pipe
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _address(lines: Iterator[str]) -> str:
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(r"listening on (http://[\d.:]+)", line):
            return found[1]
    raise AssertionError("".join(seen))


@pytest.fixture
def play(prism: str) -> Callable[[Callable[[SupermemoryService], Awaitable[Any]]], Any]:
    """Return a function that plays a scenario on a service in front of Prism."""

    async def act(scenario: Callable[[SupermemoryService], Awaitable[Any]]) -> Any:
        service = SupermemoryService(SecretStr(KEY), BRAND, url=prism)
        try:
            return await scenario(service)
        finally:
            await service.close()

    return lambda scenario: asyncio.run(act(scenario))


Play = Callable[[Callable[[SupermemoryService], Awaitable[Any]]], Any]


def test_what_is_asked_and_sent_is_as_described(play: Play) -> None:
    assert play(lambda service: service.capacity()).used == 0
    assert play(lambda service: service.fetch([payload(number).id for number in range(100)])) == {}
    assert play(lambda service: service.entries(None, 10)) == ([], None)
    assert play(lambda service: service.update_metadata([payload(1)])) == [Outcome(payload(1).id)]
    assert play(lambda service: service.upsert([LATER])) == [Outcome(LATER.id)]


def test_a_mock_that_names_other_ids_is_not_believed(play: Play) -> None:
    (outcome,) = play(lambda service: service.upsert([payload(1)]))
    assert outcome.error.error_class is ErrorClass.MALFORMED_REPLY
    assert outcome.error.code == "no-answer"


ERRORS: list[tuple[int, ErrorClass, Callable[[SupermemoryService], Awaitable[Any]]]] = [
    (400, ErrorClass.VALIDATION, lambda service: service.fetch([payload(1).id])),
    (401, ErrorClass.AUTH, lambda service: service.fetch([payload(1).id])),
    (403, ErrorClass.AUTH, lambda service: service.capacity()),
    (500, ErrorClass.UNAVAILABLE, lambda service: service.entries(None, 1)),
    (402, ErrorClass.QUOTA, lambda service: service._connection.add([{"id": "a", **document_of(payload(1))}])),
    (402, ErrorClass.QUOTA, lambda service: service.update_metadata([payload(1)])),
    (409, ErrorClass.UNAVAILABLE, lambda service: service.update_metadata([payload(1)])),
    (401, ErrorClass.AUTH, lambda service: service.delete([payload(1).id])),
]


@pytest.mark.parametrize(("status", "error_class", "call"), ERRORS)
def test_described_errors_have_their_class(
    play: Play,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    error_class: ErrorClass,
    call: Callable[[SupermemoryService], Awaitable[Any]],
) -> None:
    monkeypatch.setenv("SUPERMEMORY_CUSTOM_HEADERS", f"Prefer: code={status}")
    with pytest.raises(ServiceError) as caught:
        play(call)
    assert (caught.value.error_class, caught.value.code) == (error_class, str(status))


def test_a_document_that_is_not_there_can_not_have_its_metadata_updated(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERMEMORY_CUSTOM_HEADERS", "Prefer: code=404")
    (outcome,) = play(lambda service: service.update_metadata([payload(1)]))
    assert outcome.error.error_class is ErrorClass.VALIDATION
