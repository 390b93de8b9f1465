"""The durable store on Turso Cloud or a self-hosted libsql-server."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from dm_memory.services.turso.hrana import HranaClient, Timeouts
from dm_memory.services.turso.statement import Row, Statement
from dm_memory.services.turso.store import SqlStore

__all__ = ["TursoEngine", "open_turso_store"]


def open_turso_store(url: str, token: SecretStr | None, brand: str, *, timeouts: Timeouts | None = None) -> SqlStore:
    """Return the durable store behind ``TURSO_DATABASE_URL``. Nothing is sent before it is used.

    Raises:
        ConfigurationError: The URL or the token can't be used.
    """
    return SqlStore(TursoEngine(HranaClient(url, token, timeouts)), brand)


class TursoEngine:
    """Statements over Hrana: a read is one request, a write is one guarded transaction in one request."""

    def __init__(self, client: HranaClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        """For people."""
        return f"Turso ({self._client.place})"

    @property
    def remote(self) -> bool:
        """It is."""
        return True

    @property
    def batch_rows(self) -> int:
        """What one request carries without holding the database for long."""
        return 256

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Return each statement's rows."""
        return await self._client.execute(statements)

    async def write(self, statements: Sequence[Statement]) -> None:
        """Commit all statements, or none."""
        await self._client.batch(statements)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
