"""Which durable store and which cache a brand has."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from dm_memory.storage.durable import DurableStore
from dm_memory.storage.durable_sqlite import open_sqlite_store
from dm_memory.storage.sync import CachePlace

__all__ = ["cache_place", "open_durable"]


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
    from dm_memory.storage.durable_turso import open_turso_store  # noqa: PLC0415  # only what is configured is imported
    from dm_memory.storage.hrana import Timeouts  # noqa: PLC0415  # as above

    return open_turso_store(url, token, brand, timeouts=Timeouts(read=min(timeout, 15.0), overall=timeout))


def cache_place(memory_dir: Path) -> CachePlace:
    """Return where a brand's cache is: redb where its package is installed, else SQLite."""
    return CachePlace(memory_dir / "cache")
