"""Which engine stands behind each layer: by the settings, in the names people have in their environment."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.errors import ConfigurationError
from dm_memory.report import doctor_report
from dm_memory.services.connect import configured_layers, connections, vector_choice, without_effect
from dm_memory.services.resilience import GuardedLayer
from dm_memory.settings import Settings
from tests.support.embedders import HashEmbedder
from tests.sync.conftest import Bench

KEYS = {"pinecone_api_key": "pc-secret-key", "qdrant_url": "http://127.0.0.1:9", "qdrant_api_key": "qd-secret-key"}


def settings(tmp_path: Path, **given: Any) -> Settings:
    return Settings(home=tmp_path, **given)


def layers(tmp_path: Path, **given: Any) -> list[Any]:
    return list(configured_layers(settings(tmp_path, **given), tmp_path, "acme", HashEmbedder()))


def test_without_settings_everything_is_embedded(tmp_path: Path) -> None:
    made = layers(tmp_path)
    assert [(layer.name, layer.role) for layer in made] == [
        ("vector", "vector"),
        ("durable", "durable"),
        ("graph", "graph"),
    ]
    assert not any(isinstance(layer, GuardedLayer) for layer in made)


@pytest.mark.supermemory
@pytest.mark.graphiti
def test_each_variable_connects_its_layer_behind_a_guard(tmp_path: Path) -> None:
    made = layers(
        tmp_path,
        qdrant_url="https://cluster.example:6333",
        turso_database_url="libsql://team.example",
        falkordb_uri="redis://graph.example:6379",
        supermemory_api_key="key",
    )
    assert [layer.name for layer in made] == [
        "vector@qdrant:cluster.example:6333/dm-memory",
        "durable@turso:team.example",
        "graph@falkordb:graph.example:6379/acme",
        "cross-session@supermemory:api.supermemory.ai/acme",
    ]
    assert all(isinstance(layer, GuardedLayer) for layer in made)


def test_both_vector_databases_need_a_word(tmp_path: Path) -> None:
    both = settings(tmp_path, **KEYS)
    with pytest.raises(ConfigurationError) as caught:
        vector_choice(both)
    assert "QDRANT_URL and PINECONE_API_KEY" in caught.value.problem
    assert "DM_MEMORY_VECTOR_DB" in caught.value.remedy
    for choice in ("qdrant", "pinecone", "embedded"):
        assert vector_choice(settings(tmp_path, **KEYS, vector_db=choice)) == choice


def test_a_choice_that_is_not_configured_says_which_variable_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PINECONE_API_KEY is not set"):
        vector_choice(settings(tmp_path, vector_db="pinecone"))
    with pytest.raises(ConfigurationError, match="NEO4J_URI is not set"):
        list(connections(settings(tmp_path, graph_db="neo4j")))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QDRANT_URL", "http://127.0.0.1:9"),
        ("PINECONE_API_KEY", "pc-secret-key"),
        ("TURSO_DATABASE_URL", "http://127.0.0.1:9"),
        ("FALKORDB_URI", "redis://127.0.0.1:9"),
        ("NEO4J_URI", "bolt://127.0.0.1:9"),
        ("SUPERMEMORY_API_KEY", "sm-secret-key"),
    ],
)
def test_the_doctor_names_the_variable_behind_each_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    found = list(connections(Settings(home=bench.home)))
    assert [connection.variable for connection in found if connection.variable] == [variable]


def test_the_doctor_proves_a_connection_with_a_round_trip_and_shows_no_key(bench: Bench) -> None:
    async def act() -> str:
        given = Settings(
            home=bench.home,
            embedder="tests.support.embedders:hashed",
            qdrant_url="http://127.0.0.1:9",
            qdrant_api_key="qd-secret-key",
            layer_attempts=1,
        )
        memory = Memory(given)
        report = doctor_report(await memory.doctor())
        await memory.close()
        return report.text + json.dumps(report.data)

    text = asyncio.run(act())
    assert "a Qdrant server, because QDRANT_URL is set" in text
    assert "can't be reached" in text
    assert "secret" not in text


def test_a_wrong_configuration_is_a_problem_the_doctor_tells_and_no_traceback(bench: Bench) -> None:
    async def act() -> Any:
        memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed", **KEYS))
        report = doctor_report(await memory.doctor())
        await memory.close()
        return report

    report = asyncio.run(act())
    assert report.exit_code == 1
    assert "DM_MEMORY_VECTOR_DB" in report.text


@pytest.mark.parametrize(
    ("variable", "missing"),
    [
        ("QDRANT_API_KEY", "QDRANT_URL"),
        ("PINECONE_INDEX", "PINECONE_API_KEY"),
        ("TURSO_AUTH_TOKEN", "TURSO_DATABASE_URL"),
        ("SUPERMEMORY_BASE_URL", "SUPERMEMORY_API_KEY"),
        ("FALKORDB_PASSWORD", "FALKORDB_URI"),
        ("NEO4J_PASSWORD", "NEO4J_URI"),
        ("GRAPHITI_GROUP_ID", "FALKORDB_URI or NEO4J_URI"),
    ],
)
def test_half_a_configuration_is_told_with_the_half_that_is_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str, missing: str
) -> None:
    monkeypatch.setenv(variable, "secret")

    async def act() -> Any:
        memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed"))
        report = doctor_report(await memory.doctor())
        await memory.close()
        return report

    report = asyncio.run(act())
    assert f"{variable} is set, but without {missing} it has no effect" in report.text
    assert report.exit_code == 0


def test_a_configuration_that_is_whole_or_not_wanted_is_not_called_half(tmp_path: Path) -> None:
    assert list(without_effect(settings(tmp_path))) == []
    assert list(without_effect(settings(tmp_path, **KEYS))) == []
    assert list(without_effect(settings(tmp_path, qdrant_api_key="k", vector_db="embedded"))) == []
    assert list(without_effect(settings(tmp_path, neo4j_uri="bolt://h", neo4j_user="u", graphiti_group_id="g"))) == []


CHOICES = [
    ("qdrant", {"QDRANT_URL": "http://127.0.0.1:9"}),
    ("pinecone", {"PINECONE_API_KEY": "key"}),
    pytest.param("falkordb", {"FALKORDB_URI": "redis://127.0.0.1:9"}, marks=pytest.mark.graphiti),
    pytest.param("neo4j", {"NEO4J_URI": "bolt://127.0.0.1:9"}, marks=pytest.mark.graphiti),
    ("supermemory", {"SUPERMEMORY_API_KEY": "key"}),
    ("fastembed", {"DM_MEMORY_EMBEDDER": "fastembed"}),
]


@pytest.mark.parametrize(("service", "variables"), CHOICES)
def test_making_connected_layers_imports_no_sdk(tmp_path: Path, service: str, variables: dict[str, str]) -> None:
    """Starting with everything configured costs nothing before a layer is used."""
    script = (
        "import sys; from dm_memory.settings import Settings\n"
        "from dm_memory.services.connect import configured_layers\n"
        "from dm_memory.embedding.models import make_embedder\n"
        "settings = Settings()\n"
        "made = configured_layers(settings, settings.home, 'acme', make_embedder(settings.embedder))\n"
        "print(*(layer.name for layer in made), settings.embedder)\n"
        "sdks = {'qdrant_client', 'pinecone', 'supermemory', 'falkordb', 'redis', 'neo4j'}\n"
        "models = {'fastembed', 'onnxruntime', 'wordllama'}\n"
        "print(sorted((sdks | models) & set(sys.modules)))"
    )
    environment = {"PATH": os.environ["PATH"], "DM_MEMORY_HOME": str(tmp_path), **variables}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    made, imported = done.stdout.splitlines()
    assert service in made, done.stderr
    assert imported == "[]"
