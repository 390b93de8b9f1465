"""Traces by OpenTelemetry, if an address for them is configured.

The MCP SDK makes a span of every message, with the tool's name and without its arguments. All that is done here is to
send them somewhere. Whoever starts the server under ``opentelemetry-instrument`` needs nothing of this.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from dm_memory.errors import ConfigurationError
from dm_memory.extras import how_to_install

__all__ = ["traced"]

_ADDRESSES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@contextlib.contextmanager
def traced() -> Iterator[None]:
    """Send traces while the block runs, and what is left at its end.

    Raises:
        ConfigurationError: An address is set, and what sends traces is not installed.
    """
    variable = next((name for name in _ADDRESSES if os.environ.get(name)), None)
    if variable is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield
        return
    try:
        from opentelemetry import trace  # noqa: PLC0415  # only where it is configured
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # as above
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # as above
    except ImportError:
        raise ConfigurationError(
            f"{variable} is set, but what sends traces is not installed.", how_to_install("otel")
        ) from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "dm-memory")})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
