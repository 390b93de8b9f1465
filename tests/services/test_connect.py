"""Which services are connected: by the settings, in the names people have in their environment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.connect import (
    Broken,
    configured_services,
    connections,
    graph_choice,
    script_name,
    vector_choice,
    vector_service,
    without_effect,
)
from dm_memory.services.protocol import Service
from dm_memory.services.resilience import Guarded
from dm_memory.settings import Settings
from tests.services.payloads import payload
from tests.support.embedders import HashEmbedder

KEYS = {"pinecone_api_key": "pc-secret-key", "qdrant_url": "http://127.0.0.1:9", "qdrant_api_key": "qd-secret-key"}


def settings(tmp_path: Path, **given: Any) -> Settings:
    return Settings(home=tmp_path, **given)


def services(tmp_path: Path, **given: Any) -> list[Any]:
    return list(configured_services(settings(tmp_path, **given), "acme", HashEmbedder()))


@pytest.mark.parametrize("chosen", [{}, {"vector_db": "embedded", "graph_db": "embedded"}])
def test_without_settings_there_is_no_service(tmp_path: Path, chosen: dict[str, str]) -> None:
    assert services(tmp_path, **chosen) == []
    assert list(connections(settings(tmp_path, **chosen))) == []


def test_embedded_means_no_such_service_whatever_is_configured(tmp_path: Path) -> None:
    given = {**KEYS, "falkordb_uri": "redis://127.0.0.1:9", "vector_db": "embedded", "graph_db": "embedded"}
    assert services(tmp_path, **given) == []


@pytest.mark.supermemory
@pytest.mark.graphiti
def test_each_variable_connects_its_service_behind_a_guard(tmp_path: Path) -> None:
    made = services(
        tmp_path,
        qdrant_url="https://cluster.example:6333",
        turso_database_url="libsql://team.example",
        falkordb_uri="redis://graph.example:6379",
        supermemory_api_key="key",
    )
    assert [service.name for service in made] == [
        "vector@qdrant:cluster.example:6333/dm-memory",
        "durable@turso:team.example",
        "graph@falkordb:graph.example:6379/acme",
        "cross-session@supermemory:api.supermemory.ai/acme",
    ]
    assert all(isinstance(service, Guarded) for service in made)


def test_the_durable_store_has_the_deadline_that_its_error_names(tmp_path: Path) -> None:
    (made,) = services(tmp_path, turso_database_url="libsql://team.example", storage_timeout=70, layer_timeout=3)
    assert made._policy.timeout == 70
    assert made.inner.store._engine.client._timeouts.overall == 70
    assert "needs a larger DM_MEMORY_STORAGE_TIMEOUT" in made.inner.faults.timeout("storing").remedy


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
        graph_choice(settings(tmp_path, graph_db="neo4j"))


def test_one_of_two_vector_databases_can_be_asked_for(tmp_path: Path) -> None:
    both = settings(tmp_path, **KEYS)
    assert vector_service(both, "pinecone", "acme", None).name.startswith("vector@pinecone:")
    assert vector_service(both, "qdrant", "acme", HashEmbedder()).name.startswith("vector@qdrant:")
    with pytest.raises(ConfigurationError, match="QDRANT_URL is not set"):
        vector_service(settings(tmp_path), "qdrant", "acme", HashEmbedder())


def test_the_plugins_script_gets_a_name_it_knows(tmp_path: Path) -> None:
    assert script_name(settings(tmp_path)) == script_name(settings(tmp_path, **KEYS)) == "qdrant"
    assert script_name(settings(tmp_path, **KEYS, vector_db="pinecone")) == "pinecone"


# A service that can't be constructed ---------------------------------------------------------------------------------

WRONG: list[Any] = [
    ("vector", KEYS, "DM_MEMORY_VECTOR_DB"),
    ("vector", {"qdrant_url": "nonsense"}, "QDRANT_URL"),
    ("durable", {"turso_database_url": "nonsense"}, "TURSO_DATABASE_URL"),
    pytest.param("graph", {"falkordb_uri": "nonsense"}, "FALKORDB_URI", marks=pytest.mark.graphiti),
    ("graph", {"graph_db": "neo4j"}, "NEO4J_URI"),
    ("cross-session", {"supermemory_api_key": "key", "supermemory_url": "nonsense"}, "SUPERMEMORY_BASE_URL"),
]


@pytest.mark.parametrize(("role", "given", "named"), WRONG)
def test_a_service_that_can_not_be_constructed_says_why_and_hides_no_other(
    tmp_path: Path, role: str, given: dict[str, str], named: str
) -> None:
    others = {"supermemory_api_key": "key"} if role != "cross-session" else {"qdrant_url": "http://127.0.0.1:9"}
    made = services(tmp_path, **(others | given))
    assert len(made) == 2
    (broken,) = [service for service in made if service.role == role]

    health = asyncio.run(broken.health())
    assert health.error is not None
    assert health.error.error_class is ErrorClass.CONFIGURATION
    assert named in str(health.error)


def test_every_call_of_a_broken_service_raises_the_reason() -> None:
    broken: Service = Broken("vector", "Vector database", ConfigurationError("QDRANT_URL is wrong.", "Set it."))

    async def scenario() -> None:
        for call in (
            broken.fingerprint(),
            broken.ping(),
            broken.capacity(),
            broken.count(),
            broken.upsert([payload(1)]),
            broken.update_metadata([payload(1)]),
            broken.fetch(["a"]),
            broken.delete(["a"]),
            broken.entries(None, 10),
            broken.begin_rebuild(),
            broken.finish_rebuild(),
        ):
            with pytest.raises(ServiceError, match=r"QDRANT_URL is wrong\. Set it\."):
                await call

    asyncio.run(scenario())
    assert (broken.name, broken.role) == ("vector@unusable", "vector")


def test_a_qdrant_server_without_an_embedding_model_is_named(tmp_path: Path) -> None:
    (broken,) = configured_services(settings(tmp_path, qdrant_url="http://127.0.0.1:9"), "acme", None)
    assert "embedding model" in asyncio.run(broken.health()).detail


# What the doctor reports ---------------------------------------------------------------------------------------------


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
def test_each_connection_comes_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert [connection.variable for connection in connections(Settings(home=tmp_path))] == [variable]


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
def test_half_a_configuration_comes_with_the_half_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, missing: str
) -> None:
    monkeypatch.setenv(variable, "secret")
    assert list(without_effect(Settings(home=tmp_path))) == [(variable, missing)]


def test_a_configuration_that_is_whole_or_not_wanted_is_not_called_half(tmp_path: Path) -> None:
    assert list(without_effect(settings(tmp_path))) == []
    assert list(without_effect(settings(tmp_path, **KEYS))) == []
    assert list(without_effect(settings(tmp_path, qdrant_api_key="k", vector_db="embedded"))) == []
    assert list(without_effect(settings(tmp_path, neo4j_uri="bolt://h", neo4j_user="u", graphiti_group_id="g"))) == []


# Start-up ------------------------------------------------------------------------------------------------------------

CHOICES = [
    ("qdrant", {"QDRANT_URL": "http://127.0.0.1:9"}),
    ("pinecone", {"PINECONE_API_KEY": "key"}),
    ("turso", {"TURSO_DATABASE_URL": "http://127.0.0.1:9"}),
    pytest.param("falkordb", {"FALKORDB_URI": "redis://127.0.0.1:9"}, marks=pytest.mark.graphiti),
    pytest.param("neo4j", {"NEO4J_URI": "bolt://127.0.0.1:9"}, marks=pytest.mark.graphiti),
    ("supermemory", {"SUPERMEMORY_API_KEY": "key"}),
]


@pytest.mark.parametrize(("service", "variables"), CHOICES)
def test_making_services_imports_no_sdk(tmp_path: Path, service: str, variables: dict[str, str]) -> None:
    """Starting with everything configured costs nothing before a service is used."""
    script = (
        "import sys; from dm_memory.settings import Settings\n"
        "from dm_memory.services.connect import configured_services\n"
        "from dm_memory.embedding.models import make_embedder\n"
        "made = configured_services(Settings(), 'acme', make_embedder('wordllama'))\n"
        "print(*(service.name for service in made))\n"
        "sdks = {'qdrant_client', 'pinecone', 'supermemory', 'falkordb', 'redis', 'neo4j', 'httpx'}\n"
        "print(sorted((sdks | {'wordllama', 'numpy'}) & set(sys.modules)))"
    )
    environment = {"PATH": os.environ["PATH"], "DM_MEMORY_HOME": str(tmp_path), **variables}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    made, imported = done.stdout.splitlines()
    assert service in made, done.stderr
    assert imported == "[]"
