"""The doctor: every brand, service and setting that can be wrong is named, with a way out and without a key."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.extras import how_to_get_the_model
from dm_memory.operations import doctor
from dm_memory.report import doctor_report
from dm_memory.settings import Settings
from tests.sync.conftest import Bench, bench

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.anyio

KEYS = {"pinecone_api_key": "pc-secret-key", "qdrant_url": "http://127.0.0.1:9", "qdrant_api_key": "qd-secret-key"}


async def examined(bench: Bench, **given: Any) -> Any:
    memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed", **given))
    try:
        return doctor_report(await memory.doctor())
    finally:
        await memory.close()


async def test_a_brand_in_order_has_nothing_to_be_told(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    assert (await examined(bench)).exit_code == 0


async def test_an_sqlite_that_is_too_old_or_has_no_full_text_search_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(_: str) -> Any:
        raise sqlite3.OperationalError

    old = SimpleNamespace(sqlite_version="3.33.0", sqlite_version_info=(3, 33, 0))
    bare = SimpleNamespace(
        sqlite_version="3.34.0", sqlite_version_info=(3, 34, 0), connect=connect, Error=sqlite3.Error
    )
    for there, said in ((old, "SQLite 3.33.0 is too old"), (bare, "SQLite 3.34.0 has no full-text search")):
        monkeypatch.setattr(doctor, "sqlite3", there)
        report = await examined(bench)
        assert said in report.text
        assert "Use a Python whose SQLite is 3.34 or newer" in report.text
        assert report.exit_code == 1


async def test_a_connection_is_proved_by_a_round_trip_and_no_key_is_shown(bench: Bench) -> None:
    given = {"qdrant_url": "http://127.0.0.1:9", "qdrant_api_key": "qd-secret-key", "layer_attempts": 1}
    report = await examined(bench, **given)
    text = report.text + json.dumps(report.data)
    assert "QDRANT_URL" in text
    assert "Check that it runs" in text
    assert "secret" not in text
    assert report.exit_code == 1


async def test_a_configuration_that_can_not_work_is_a_problem_and_no_traceback(bench: Bench) -> None:
    report = await examined(bench, **KEYS)
    assert report.exit_code == 1
    assert "DM_MEMORY_VECTOR_DB" in report.text
    assert "secret" not in report.text


@pytest.mark.parametrize(
    ("variable", "missing"), [("QDRANT_API_KEY", "QDRANT_URL"), ("TURSO_AUTH_TOKEN", "TURSO_DATABASE_URL")]
)
async def test_half_a_configuration_is_told_with_the_half_that_is_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str, missing: str
) -> None:
    monkeypatch.setenv(variable, "secret")
    report = await examined(bench)
    assert f"{variable} is set, but without {missing} it has no effect" in report.text
    assert report.exit_code == 0


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("no database"),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: (path.unlink(), path.mkdir()),
        pipe,
    ],
    ids=["text", "cut", "folder", "pipe"],
)
async def test_a_damaged_memory_is_told_and_left_alone(bench: Bench, damage: Callable[[Path], Any]) -> None:
    bench.insights("one")
    await bench.sync()
    path = bench.memory_dir / "memory.db"
    damage(path)
    names = sorted(each.name for each in bench.memory_dir.iterdir())
    report = await examined(bench)
    assert report.exit_code in {0, 1}
    assert "sync" in report.text.lower()
    assert sorted(each.name for each in bench.memory_dir.iterdir()) == names


async def test_without_a_model_the_remedy_is_the_one_that_works_in_this_installation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dm_memory.api.is_installed", lambda _: False)
    checks = await Memory(Settings(home=bench.home)).doctor()
    (check,) = [each for each in checks if each.name == "Embedding model"]
    assert check.status == "warn"
    assert check.remedy == f"{how_to_get_the_model()} Then sync."
