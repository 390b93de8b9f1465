"""The stdio transport: one JSON-RPC message a line, read as clients really send it, and an end that waits for nobody.

The SDK's transport drops a line it can't parse, and the client waits for an answer that never comes. Here every line
that can be attributed is answered: a byte order mark and lone surrogates are repaired, what stays unparsable gets an
error.

Standard input and output belong to the protocol while it serves: descriptor 0 points at nothing and 1 at standard error
meanwhile, so that whatever a library reads or prints does not touch the messages.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

__all__ = ["read_messages", "stdio"]

Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]

_ONE_ID = re.compile(r'"id"\s*:\s*(-?\d{1,18}|"(?:[^"\\]|\\.){0,200}")')


# Lines and messages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error that answers a line which is no message."""

    error: types.JSONRPCError


def read_messages(line: bytes) -> Iterator[types.JSONRPCMessage | Refusal]:
    """Yield what a line says: its message, those of a batch, or what answers it."""
    if not line.strip(b"\xef\xbb\xbf \t\r\n"):
        return
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        if not (isinstance(message, types.JSONRPCNotification) and b'"id"' in line):
            yield message
            return
    except ValidationError:
        pass
    yield from _read_carefully(line)


def _read_carefully(line: bytes) -> Iterator[types.JSONRPCMessage | Refusal]:
    from dm_memory.brand.files import clean_json_text  # noqa: PLC0415  # start-up imports only what tools/list needs

    text = clean_json_text(line)
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        yield _refusal(types.PARSE_ERROR, "The line is no JSON.", _only_id(text))
        return
    for part in value if isinstance(value, list) and value else [value]:
        yield _message(part)


def _message(value: Any) -> types.JSONRPCMessage | Refusal:  # noqa: ANN401  # any JSON
    """Return a message, or what answers something else."""
    number = value.get("id") if isinstance(value, dict) else None
    answers = isinstance(number, str) or (isinstance(number, int) and not isinstance(number, bool))
    try:
        message = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        message = None
    if message is None or (number is not None and not answers):
        return _refusal(types.INVALID_REQUEST, "The line is no JSON-RPC 2.0 message.", number if answers else None)
    return message


def _only_id(text: str) -> int | str | None:
    """Return the id of a message that is no JSON, if there is no doubt about it: another request's must not be used."""
    found = _ONE_ID.findall(text)
    with suppress(ValueError):
        return json.loads(found[0]) if len(found) == 1 and '"method"' in text else None
    return None


def _refusal(code: int, message: str, number: int | str | None) -> Refusal:
    error = types.ErrorData(code=code, message=message)
    return Refusal(types.JSONRPCError(jsonrpc="2.0", id=number, error=error))


# Streams -------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def stdio(at_end: Callable[[], None]) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """Provide the streams of the protocol over standard input and output.

    Args:
        at_end: Called, on any thread, as soon as the client has closed our input or does not read our output any more.
    """
    # Never closed: a thread may still be waiting on it when the transport is left.
    source, sink = os.fdopen(_claimed(0, os.devnull), "rb", closefd=False), _claimed(1, "")
    incoming_send, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, outgoing_receive = anyio.create_memory_object_stream[SessionMessage](0)
    loop = asyncio.get_running_loop()
    reader = _Reader(source, loop, incoming_send, outgoing.clone(), at_end)
    threading.Thread(target=reader.run, name="dm-memory-stdin", daemon=True).start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_write, sink, outgoing_receive, incoming_send, at_end)
        try:
            yield incoming, outgoing
        finally:
            outgoing.close()
            tasks.cancel_scope.cancel()


class _Reader:
    """Reads lines on a thread of its own, which ends with the process: a read can't be interrupted."""

    def __init__(  # its two ends
        self,
        source: IO[bytes],
        loop: asyncio.AbstractEventLoop,
        incoming: MemoryObjectSendStream[SessionMessage | Exception],
        answers: Outgoing,
        at_end: Callable[[], None],
    ) -> None:
        self._source = source
        self._loop = loop
        self._incoming = incoming
        self._answers = answers
        self._at_end = at_end

    def run(self) -> None:
        """Read until the input ends."""
        try:
            for line in self._source:
                for message in read_messages(line):
                    self._on_loop(self._take(message))
        except (OSError, ValueError, RuntimeError):
            pass  # closed under us, or the loop is gone: the end as well
        self._at_end()
        with suppress(RuntimeError):
            self._on_loop(self._close())

    def _on_loop(self, work: Any) -> None:  # noqa: ANN401  # a coroutine
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except RuntimeError:
            work.close()
            raise

    async def _take(self, message: types.JSONRPCMessage | Refusal) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            if isinstance(message, Refusal):
                await self._answers.send(SessionMessage(message.error))
            else:
                await self._incoming.send(SessionMessage(message))

    async def _close(self) -> None:
        self._answers.close()
        self._incoming.close()


async def _write(
    sink: int,
    outgoing: MemoryObjectReceiveStream[SessionMessage],
    incoming: MemoryObjectSendStream[SessionMessage | Exception],
    at_end: Callable[[], None],
) -> None:
    """Write messages until there are no more. A client that does not read any more ends the server, without a word."""
    async with outgoing, incoming:
        async for session_message in outgoing:
            text = session_message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await anyio.to_thread.run_sync(_put, sink, text.encode("utf-8", "replace") + b"\n")
            except (OSError, ValueError):
                at_end()
                return


def _put(sink: int, data: bytes) -> None:
    """Write all of ``data``. Python keeps no buffer, which it would flush at its end to a client that is gone."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sink, rest) :]


def _claimed(descriptor: int, instead: str) -> int:
    """Return a descriptor of our own for a standard stream, whose own one points elsewhere from now on.

    Args:
        descriptor: 0 or 1.
        instead: The file it points at; "" for standard error.
    """
    own = os.dup(descriptor)
    other = os.dup(2) if not instead else os.open(instead, os.O_RDONLY)
    os.dup2(other, descriptor)
    os.close(other)
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  # only there: pipes carry bytes, not lines of text

        msvcrt.setmode(own, os.O_BINARY)
    return own
