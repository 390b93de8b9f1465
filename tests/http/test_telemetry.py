"""Traces: sent where OpenTelemetry's own variables say, with names of tools and without a word of what was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.http.serving import call, served, token

pytestmark = pytest.mark.otel


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Receive traces on this computer."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_each_call_is_one_span_without_what_it_said(home: Path, client: httpx.Client) -> None:
    secret = token(home, "ada", "acme")
    with collector() as (address, received):
        options = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
        with served(home, "--require-token", **options) as server:
            call(client, server.url, "search_memory", secret=secret, query="capybara posters")
            call(client, server.url, "search_memory", secret=secret, query="x", limit="capybara")
            server.process.terminate()
            assert server.process.wait(30) == 0
        spans = b"".join(received)
    assert spans.count(b"tools/call search_memory") == 2
    assert b"dm-memory" in spans
    assert b"capybara" not in spans
    assert secret.encode() not in spans
    assert "Traceback" not in server.log()
