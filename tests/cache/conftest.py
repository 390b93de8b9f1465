"""Durable stores on every engine, and the rule by which the tests that need a server are chosen."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dm_memory.services.turso.hrana import HranaClient, TursoEngine
from dm_memory.services.turso.protocol import WritingEngine
from dm_memory.services.turso.schema import Statement
from dm_memory.services.turso.writing import SharedStore
from tests.cache.file_engine import FileEngine
from tests.cache.sqld import Server, running_server


@dataclass(frozen=True)
class Database:
    """An empty database, and ways to it."""

    engine: Callable[[], WritingEngine]

    def store(self, brand: str = "acme", **options: Any) -> SharedStore:
        """Return a store of its own, as another process would have one."""
        return SharedStore(self.engine(), brand, **options)

    async def run(self, script: str) -> None:
        """Run statements as another program would."""
        engine = self.engine()
        await engine.write([Statement(sql) for sql in script.split(";") if sql.strip()])
        await engine.close()


@pytest.fixture
def sqld(tmp_path: Path) -> Iterator[Server]:
    """A libsql-server without a token."""
    with running_server(tmp_path / "sqld") as server:
        yield server


@pytest.fixture
def guarded_sqld(tmp_path: Path) -> Iterator[Server]:
    """A libsql-server that wants a token."""
    with running_server(tmp_path / "sqld", with_token=True) as server:
        yield server


def _turso(server: Server) -> Database:
    return Database(lambda: TursoEngine(HranaClient(server.url, server.token)))


@pytest.fixture(
    params=["sqlite", pytest.param("turso", marks=pytest.mark.sqld), pytest.param("token", marks=pytest.mark.sqld)]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database on each engine: a SQLite file, a libsql-server, one that wants a token."""
    if request.param == "sqlite":
        path = tmp_path / "memory" / "memory.db"
        yield Database(lambda: FileEngine(path))
        if path.exists():
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return
    with running_server(tmp_path / "sqld", with_token=request.param == "token") as server:
        yield _turso(server)
