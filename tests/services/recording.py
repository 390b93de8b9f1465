"""Servers on loopback that write down what they are sent: a service's place, a proxy, or one that speaks TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Recorder", "recording", "self_signed"]


@dataclass
class Recorder:
    """What a server was sent: the heads of requests, in order."""

    scheme: str
    port: int = 0
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        """The first line of each request."""
        return [head.split("\r\n")[0] for head in self.heads]


@contextlib.asynccontextmanager
async def recording(
    status: int = 404, body: bytes = b'{"status": {"error": "Not found"}}', tls: Path | None = None, **headers: str
) -> AsyncIterator[Recorder]:
    """Run a server that answers every request alike, and ends the connection.

    Args:
        status: The status of its answers.
        body: Their body.
        tls: A file made by ``self_signed``, for a server that speaks TLS.
        **headers: Their headers; underscores are hyphens.
    """
    recorder = Recorder("https" if tls else "http")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
    if context is not None and tls is not None:
        context.load_cert_chain(tls)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            recorder.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            lines = [f"HTTP/1.1 {status} Any", f"content-length: {len(body)}", "connection: close"]
            lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        recorder.port = server.sockets[0].getsockname()[1]
        yield recorder


def self_signed(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that only itself vouches for into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dm-memory test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    return path
