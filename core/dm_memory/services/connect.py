"""Which engine stands behind each layer, by the settings: embedded where nothing is configured.

A layer over a network is guarded: deadline, retries, circuit breaker, concurrency limit. Nothing is opened, sent or
imported here that is not configured, and nothing of it before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast

from pydantic import SecretStr

from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ConfigurationError
from dm_memory.services.graphiti.database import GraphDatabase
from dm_memory.services.protocol import Layer
from dm_memory.services.resilience import GuardPolicy, guard
from dm_memory.services.turso.opening import durable_layer, open_durable
from dm_memory.services.turso.protocol import DurableStore
from dm_memory.settings import Settings

__all__ = [
    "Connection",
    "VectorChoice",
    "configured_layers",
    "connections",
    "decided_for",
    "durable_store",
    "script_name",
    "vector_choice",
    "vector_layer",
    "without_effect",
]

_Choice = TypeVar("_Choice", bound=str)
VectorChoice = Literal["embedded", "qdrant", "pinecone"]
GraphChoice = Literal["embedded", "falkordb", "neo4j"]


@dataclass(frozen=True, slots=True)
class Connection:
    """What a layer is connected to, and which variable says so ("" where none does)."""

    role: str
    service: str
    variable: str


def configured_layers(settings: Settings, memory_dir: Path, brand: str, embedder: Embedder) -> tuple[Layer, ...]:
    """Return a brand's layers, the vector layer first.

    Raises:
        ConfigurationError: Two services are configured for one layer, a setting can't work, or an extra is missing.
    """
    vector = _vector(settings, memory_dir, brand, embedder)
    durable = _durable(settings, memory_dir, brand, vector)
    graph = _graph(settings, memory_dir, brand)
    return (vector, durable, graph, *_cross_session(settings, brand))


def connections(settings: Settings) -> Iterator[Connection]:
    """Yield what each layer is connected to. Raises ``ConfigurationError`` as ``configured_layers`` does."""
    vector = vector_choice(settings)
    yield Connection("vector", _SERVICES[vector], _VECTOR_VARIABLES[vector])
    url = settings.turso_database_url
    yield Connection("durable", "Turso" if url else "a SQLite file", "TURSO_DATABASE_URL" if url else "")
    graph = graph_choice(settings)
    yield Connection("graph", _SERVICES[graph] if graph != "embedded" else "a SQLite file", _GRAPH_VARIABLES[graph])
    if settings.supermemory_api_key is not None:
        yield Connection("cross-session", "Supermemory", "SUPERMEMORY_API_KEY")


_SERVICES = {
    "embedded": "Qdrant's engine in this process",
    "qdrant": "a Qdrant server",
    "pinecone": "Pinecone",
    "falkordb": "the FalkorDB behind Graphiti",
    "neo4j": "the Neo4j behind Graphiti",
}
_VECTOR_VARIABLES = {"embedded": "", "qdrant": "QDRANT_URL", "pinecone": "PINECONE_API_KEY"}
_GRAPH_VARIABLES = {"embedded": "", "falkordb": "FALKORDB_URI", "neo4j": "NEO4J_URI"}


def without_effect(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the variables that are set for a service which nothing connects, each with the one that is missing."""
    for missing, (needed, choice, dependent) in _DEPENDENT.items():
        chosen = getattr(settings, choice, "auto") if choice else "auto"
        if chosen == "auto" and not any(getattr(settings, name) is not None for name in needed):
            yield from (
                (variable, missing) for name, variable in dependent.items() if name in settings.model_fields_set
            )


_DEPENDENT: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "QDRANT_URL": (("qdrant_url",), "vector_db", {"qdrant_api_key": "QDRANT_API_KEY"}),
    "PINECONE_API_KEY": (
        ("pinecone_api_key",),
        "vector_db",
        {"pinecone_index": "PINECONE_INDEX", "pinecone_host": "PINECONE_CONTROLLER_HOST"},
    ),
    "TURSO_DATABASE_URL": (("turso_database_url",), "", {"turso_auth_token": "TURSO_AUTH_TOKEN"}),
    "SUPERMEMORY_API_KEY": (("supermemory_api_key",), "", {"supermemory_url": "SUPERMEMORY_BASE_URL"}),
    "FALKORDB_URI": (
        ("falkordb_uri",),
        "graph_db",
        {"falkordb_username": "FALKORDB_USERNAME", "falkordb_password": "FALKORDB_PASSWORD"},
    ),
    "NEO4J_URI": (("neo4j_uri",), "graph_db", {"neo4j_user": "NEO4J_USER", "neo4j_password": "NEO4J_PASSWORD"}),
    "FALKORDB_URI or NEO4J_URI": (
        ("falkordb_uri", "neo4j_uri"),
        "graph_db",
        {"graphiti_group_id": "GRAPHITI_GROUP_ID"},
    ),
}
"""By the variable that is missing: the settings that connect, the one that chooses, and what depends on them."""


def script_name(settings: Settings) -> str:
    """Return the vector database's name as the plugin's own script writes it. Raises ``ConfigurationError``."""
    return "pinecone" if vector_choice(settings) == "pinecone" else "qdrant"


def vector_choice(settings: Settings) -> VectorChoice:
    """Return the vector database that is configured.

    Raises:
        ConfigurationError: Both are, and no setting says which; or the one that was chosen is not configured.
    """
    return _chosen(settings.vector_db, _configured_vectors(settings), _VECTOR_VARIABLES, "DM_MEMORY_VECTOR_DB")


def decided_for(settings: Settings, choice: VectorChoice) -> Settings:
    """Return settings that choose a vector database where they leave the choice between two open, else as they are."""
    is_open = settings.vector_db == "auto" and len(_configured_vectors(settings)) > 1
    return settings.model_copy(update={"vector_db": choice}) if is_open else settings


def _configured_vectors(settings: Settings) -> list[VectorChoice]:
    configured: list[VectorChoice] = []
    configured += ["qdrant"] * (settings.qdrant_url is not None)
    configured += ["pinecone"] * (settings.pinecone_api_key is not None)
    return configured


def graph_choice(settings: Settings) -> GraphChoice:
    """Return the graph database that is configured. Raises as ``vector_choice`` does."""
    configured: list[GraphChoice] = []
    configured += ["falkordb"] * (settings.falkordb_uri is not None)
    configured += ["neo4j"] * (settings.neo4j_uri is not None)
    return _chosen(settings.graph_db, configured, _GRAPH_VARIABLES, "DM_MEMORY_GRAPH_DB")


def _chosen(wanted: str, configured: list[_Choice], variables: dict[str, str], setting: str) -> _Choice:
    if wanted == "auto" and len(configured) > 1:
        both = " and ".join(variables[name] for name in configured)
        raise ConfigurationError(
            f"Both {both} are set, and it is not said which of the two databases is to be used.",
            f"Set {setting} to {' or '.join(configured)}, or to embedded.",
        )
    if wanted == "auto":
        return configured[0] if configured else cast("_Choice", "embedded")
    if wanted != "embedded" and wanted not in configured:
        raise ConfigurationError(
            f"{setting} is {wanted}, but {variables[wanted]} is not set.",
            f"Set {variables[wanted]}, or {setting} to embedded.",
        )
    return cast("_Choice", wanted)


def durable_store(settings: Settings, memory_dir: Path, brand: str) -> DurableStore:
    """Return the durable store: a file in the brand's folder, or what ``TURSO_DATABASE_URL`` names.

    Raises:
        ConfigurationError: The URL or the token can't be used.
    """
    return open_durable(
        memory_dir,
        brand,
        url=settings.turso_database_url,
        token=settings.turso_auth_token,
        timeout=settings.storage_timeout,
    )


def _guarded(settings: Settings, layer: Layer, timeout: float | None = None) -> Layer:
    policy = GuardPolicy(
        timeout=timeout or settings.layer_timeout,
        attempts=settings.layer_attempts,
        concurrency=settings.layer_concurrency,
    )
    return guard(layer, policy)


def vector_layer(settings: Settings, choice: VectorChoice, memory_dir: Path, brand: str, embedder: Embedder) -> Layer:
    """Return a brand's layer in one of the vector databases, whichever the settings would choose.

    Raises:
        ConfigurationError: It is not configured.
    """
    if choice not in {"embedded", *_configured_vectors(settings)}:
        variable = _VECTOR_VARIABLES[choice]
        raise ConfigurationError(
            f"Nothing says how to reach {_SERVICES[choice]}: {variable} is not set.", f"Set {variable}."
        )
    return _vector(settings.model_copy(update={"vector_db": choice}), memory_dir, brand, embedder)


def _vector(settings: Settings, memory_dir: Path, brand: str, embedder: Embedder) -> Layer:
    choice = vector_choice(settings)
    if choice == "qdrant":
        return _guarded(settings, _qdrant(settings, brand, embedder))
    if choice == "pinecone":
        return _guarded(settings, _pinecone(settings, brand))
    from dm_memory.layers.qdrant_edge import QdrantEdgeLayer  # noqa: PLC0415  # only what is configured is imported

    return QdrantEdgeLayer(memory_dir / "vector", brand, embedder, lock_timeout=settings.lock_timeout)


def _qdrant(settings: Settings, brand: str, embedder: Embedder) -> Layer:
    from dm_memory.services.qdrant.server import QdrantServerLayer  # noqa: PLC0415  # only what is configured is imported

    return QdrantServerLayer(
        settings.qdrant_url or "",
        settings.qdrant_api_key,
        settings.collection_name,
        brand,
        embedder,
        limit=settings.qdrant_limit,
        timeout=settings.layer_timeout,
    )


def _pinecone(settings: Settings, brand: str) -> Layer:
    from dm_memory.services.pinecone.service import PineconeLayer  # noqa: PLC0415  # only what is configured is imported

    return PineconeLayer(
        settings.pinecone_api_key or SecretStr(""),
        settings.pinecone_index,
        brand,
        host=settings.pinecone_host,
        model=settings.pinecone_model,
        cloud=settings.pinecone_cloud,
        region=settings.pinecone_region,
        limit=settings.pinecone_limit,
        timeout=settings.layer_timeout,
    )


def _durable(settings: Settings, memory_dir: Path, brand: str, vector: Layer) -> Layer:
    url = settings.turso_database_url
    layer = durable_layer(durable_store(settings, memory_dir, brand), url, vector)
    return _guarded(settings, layer, settings.storage_timeout) if url else layer


def _graph(settings: Settings, memory_dir: Path, brand: str) -> Layer:
    choice = graph_choice(settings)
    if choice == "embedded":
        from dm_memory.layers.graph_sqlite import SqliteGraphLayer  # noqa: PLC0415  # only what is configured

        return SqliteGraphLayer(memory_dir, brand)
    from dm_memory.services.graphiti.service import ConnectedGraphLayer  # noqa: PLC0415  # only what is configured

    database = _falkordb(settings) if choice == "falkordb" else _neo4j(settings)
    return _guarded(settings, ConnectedGraphLayer(database, brand, group_id=settings.graphiti_group_id))


def _cross_session(settings: Settings, brand: str) -> Iterator[Layer]:
    if settings.supermemory_api_key is None:
        return
    from dm_memory.services.supermemory.service import SupermemoryLayer  # noqa: PLC0415  # only what is configured

    layer = SupermemoryLayer(
        settings.supermemory_api_key,
        brand,
        url=settings.supermemory_url,
        limit=settings.supermemory_limit,
        timeout=settings.layer_timeout,
    )
    yield _guarded(settings, layer)


def _falkordb(settings: Settings) -> GraphDatabase:
    from dm_memory.services.graphiti.falkordb import FalkorDatabase  # noqa: PLC0415  # only what is configured is imported

    password = settings.falkordb_password
    return FalkorDatabase(
        settings.falkordb_uri or "",
        username=settings.falkordb_username,
        password=password.get_secret_value() if password else None,
        timeout=settings.layer_timeout,
    )


def _neo4j(settings: Settings) -> GraphDatabase:
    from dm_memory.services.graphiti.neo4j import Neo4jDatabase  # noqa: PLC0415  # only what is configured is imported

    password = settings.neo4j_password
    return Neo4jDatabase(
        settings.neo4j_uri or "",
        username=settings.neo4j_user,
        password=password.get_secret_value() if password else None,
        database=settings.neo4j_database,
        timeout=settings.layer_timeout,
    )
