"""Which durable store and which cache a brand has."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.cache.sync import CachePlace
from dm_memory.services.protocol import Layer, VectorSource
from dm_memory.services.turso.protocol import DurableStore
from dm_memory.services.turso.service import DurableLayer
from dm_memory.services.turso.sqlite import open_sqlite_store

__all__ = ["cache_place", "durable_layer", "open_durable"]


def open_durable(
    memory_dir: Path, brand: str, *, url: str | None, token: SecretStr | None, timeout: float
) -> DurableStore:
    """Return the store behind ``url``, or the file in the brand's memory folder. Nothing is opened before it is used.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        url: ``TURSO_DATABASE_URL``.
        token: ``TURSO_AUTH_TOKEN``.
        timeout: Seconds for one answer of a remote store.

    Raises:
        ConfigurationError: The URL or the token can't be used.
    """
    if not url:
        return open_sqlite_store(memory_dir, brand)
    from dm_memory.services.turso.hrana import Timeouts  # noqa: PLC0415  # as above
    from dm_memory.services.turso.turso import open_turso_store  # noqa: PLC0415  # only what is configured is imported

    return open_turso_store(url, token, brand, timeouts=Timeouts(read=min(timeout, 15.0), overall=timeout))


def durable_layer(store: DurableStore, url: str | None, vectors: Layer) -> DurableLayer:
    """Return the durable store as a layer that is delivered to after the vector layer, whose vectors it keeps.

    Args:
        store: What ``open_durable`` returned.
        url: ``TURSO_DATABASE_URL``.
        vectors: The vector layer; one that embeds elsewhere hands out no vectors.
    """
    source = vectors if isinstance(vectors, VectorSource) else None
    if not url:
        return DurableLayer(store, "durable", source)
    return DurableLayer(store, f"durable@turso:{_place(url)}", source, batch_items=256, shared=True)


def _place(url: str) -> str:
    """Return host, port and path of a URL: what tells one database from another, without a password in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{host}{parts.path.rstrip('/')}"


def cache_place(memory_dir: Path) -> CachePlace:
    """Return where a brand's cache is: redb where its package is installed, else SQLite."""
    return CachePlace(memory_dir / "cache")
