"""What clients really send over standard input, and how the server ends whatever a service does."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dm_memory_server.stdio import Refusal, read_messages
from tests.server.raw_client import RawClient, started

PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}\n'


def answers(line: bytes) -> list[tuple[Any, Any]]:
    """Return what a line says: (id, method) of a message, (id, code) of the error that answers it."""
    found: list[tuple[Any, Any]] = []
    for message in read_messages(line):
        if isinstance(message, Refusal):
            found.append((message.error.id, message.error.error.code))
        else:
            found.append((getattr(message, "id", None), getattr(message, "method", None)))
    return found


@pytest.mark.parametrize(
    "line",
    [
        PING,
        b"\xef\xbb\xbf" + PING,
        b"  " + PING.rstrip() + b"\r\n",
        b"[" + PING.strip() + b"]\n",
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"text":"caf\xe9"}}\n',
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"text":"cut \\ud83d"}}\n',
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"text":"\xed\xa0\xbd"}}\n',
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"text":"a\tb\x01"}}\n',
    ],
)
def test_a_message_is_understood_as_clients_write_it(line: bytes) -> None:
    assert answers(line) == [(7, "ping")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"na\n', (7, -32700)),
        (b'{"jsonrpc":"2.0","id":"a-1","method":"ping"\n', ("a-1", -32700)),
        (b'{"id":1,"method":"x","params":{"id":2}\n', (None, -32700)),
        (b"Content-Length: 52\r\n", (None, -32700)),
        (b"[[[" * 40_000 + b"\n", (None, -32700)),
        (b'{"id":7,"method":"ping"}\n', (7, -32600)),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', (None, -32600)),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}\n', (None, -32600)),
        (b'{"jsonrpc":"1.0","id":7,"method":"ping"}\n', (7, -32600)),
        (b"[]\n", (None, -32600)),
        (b'"text"\n', (None, -32600)),
        (b"null\n", (None, -32600)),
    ],
)
def test_what_is_no_message_is_answered_with_an_error(line: bytes, expected: tuple[Any, Any]) -> None:
    assert answers(line) == [expected]


def test_a_batch_is_answered_part_by_part_and_an_empty_line_not_at_all() -> None:
    assert answers(b"[" + PING.strip() + b',{"id":8}]\n') == [(7, "ping"), (8, -32600)]
    assert answers(b"\n") == answers(b"\xef\xbb\xbf\r\n") == []


def test_a_notification_with_an_id_among_its_parameters_stays_one() -> None:
    line = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"id":"x","requestId":3}}\n'
    assert answers(line) == [(None, "notifications/cancelled")]


def test_every_line_gets_its_answer_over_the_wire(home: Path, environment: dict[str, str]) -> None:
    with started(home, environment) as client:
        assert client.process.stdin is not None
        raw = client.process.stdin.buffer  # type: ignore[attr-defined]  # text goes out over bytes
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        first = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
        raw.write(b"\xef\xbb\xbf" + first.encode() + b"\n")
        raw.flush()
        assert "result" in client.read()
        arguments = b'{"content":"Reels won \\ud83d","content_type":"guideline"}'
        raw.write(
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"prepare_store","arguments":%b}}\n'
            % arguments
        )
        raw.write(b'{"jsonrpc":"2.0","id":2,"method"\n')
        raw.flush()
        heard = {message["id"]: message for message in (client.read(), client.read())}
        assert "Reels won \ufffd" in heard[1]["result"]["content"][0]["text"]
        assert heard[2]["error"]["code"] == -32700


# The end -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a service that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def the_input_ends(client: RawClient) -> None:
    assert client.process.stdin is not None
    client.process.stdin.close()


def a_signal_comes(client: RawClient) -> None:
    client.process.send_signal(signal.SIGTERM)


def nobody_reads_any_more(client: RawClient) -> None:
    assert client.process.stdout is not None
    client.process.stdout.close()
    client.send("ping", number=9)


@pytest.mark.parametrize("end", [the_input_ends, a_signal_comes, nobody_reads_any_more])
def test_a_service_that_never_answers_keeps_no_server_alive(
    home: Path, environment: dict[str, str], silent: str, end: Callable[[RawClient], None]
) -> None:
    """The service has ten minutes to answer; the process is gone long before."""
    slow = environment | {"QDRANT_URL": silent, "DM_MEMORY_LAYER_TIMEOUT": "600", "DM_MEMORY_LOG_LEVEL": "ERROR"}
    with started(home, slow) as client:
        client.shake_hands()
        call = {"name": "sync_memory", "arguments": {}, "_meta": {"progressToken": "p"}}
        client.send("tools/call", call, number=2)
        while "method" not in client.read():
            pass
        end(client)
        assert client.process.wait(timeout=30) == 0
        assert client.process.stderr is not None
        assert client.process.stderr.read() == ""
