"""Which services are connected, by the settings; none if nothing is configured, or ``embedded`` is chosen.

A service is guarded: deadline, retries, circuit breaker, concurrency limit. Nothing is opened, sent or imported here
that is not configured, and nothing of it before it is used. One that can't be constructed does not hide the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar, cast

from pydantic import SecretStr

from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.protocol import Capabilities, Service, ServiceBase
from dm_memory.services.resilience import GuardPolicy, guard
from dm_memory.settings import Settings

__all__ = [
    "Broken",
    "Connection",
    "VectorChoice",
    "configured_services",
    "connections",
    "graph_choice",
    "script_name",
    "vector_choice",
    "vector_service",
    "without_effect",
]

_Choice = TypeVar("_Choice", bound=str)
VectorChoice = Literal["embedded", "qdrant", "pinecone"]
_GraphChoice = Literal["embedded", "falkordb", "neo4j"]


@dataclass(frozen=True, slots=True)
class Connection:
    """A service that is connected, and which variable says so."""

    role: str
    service: str
    variable: str


class Broken(ServiceBase):
    """A configured service that can't be constructed: every call raises the reason.

    Args:
        role: See ``Service.role``.
        engine: What was to be connected.
        error: Why it can't be.
    """

    capabilities = Capabilities(batch_items=1)

    def __init__(self, role: str, engine: str, error: ConfigurationError) -> None:
        self.name = f"{role}@unusable"
        self.role = role
        self.engine = engine
        self.error = error

    async def _fail(self, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401  # whatever the call takes
        """Raise the ``ServiceError`` that says why there is no such service."""
        raise ServiceError(
            self.error.problem, self.error.remedy, error_class=ErrorClass.CONFIGURATION, code="configuration"
        )

    prepare = fingerprint = ping = capacity = count = upsert = update_metadata = _fail
    fetch = delete = entries = search = begin_rebuild = finish_rebuild = _fail


def configured_services(settings: Settings, brand: str, embedder: Embedder | None) -> tuple[Service, ...]:
    """Return a brand's connected services; a ``Broken`` one for each that can't be constructed.

    Args:
        settings: What is configured.
        brand: The brand's slug.
        embedder: The embedding model; None if it is not installed.
    """
    services = [
        _built("vector", "Vector database", lambda: _vector(settings, brand, embedder)),
        _built("durable", "Turso", lambda: _durable(settings, brand)),
        _built("graph", "Graph database", lambda: _graph(settings, brand)),
        _built("cross-session", "Supermemory", lambda: _cross_session(settings, brand)),
    ]
    return tuple(service for service in services if service is not None)


def _built(role: str, engine: str, make: Callable[[], Service | None]) -> Service | None:
    try:
        return make()
    except ConfigurationError as error:
        return Broken(role, engine, error)


def vector_service(settings: Settings, choice: VectorChoice, brand: str, embedder: Embedder | None) -> Service:
    """Return a brand's service in one of the vector databases, whichever the settings would choose.

    Raises:
        ConfigurationError: It is not configured, or can't be constructed.
    """
    if choice not in _configured_vectors(settings):
        variable = _VECTOR_VARIABLES[choice]
        raise ConfigurationError(
            f"Nothing says how to reach {_SERVICES[choice]}: {variable} is not set.", f"Set {variable}."
        )
    return cast("Service", _vector(settings.model_copy(update={"vector_db": choice}), brand, embedder))


# One of each role ----------------------------------------------------------------------------------------------------


def _guarded(settings: Settings, service: Service, timeout: float | None = None) -> Service:
    policy = GuardPolicy(
        timeout=timeout or settings.layer_timeout,
        attempts=settings.layer_attempts,
        concurrency=settings.layer_concurrency,
    )
    return guard(service, policy)


def _vector(settings: Settings, brand: str, embedder: Embedder | None) -> Service | None:
    choice = vector_choice(settings)
    if choice == "pinecone":
        from dm_memory.services.pinecone.service import PineconeService  # noqa: PLC0415  # only what is configured

        pinecone = PineconeService(
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
        return _guarded(settings, pinecone)
    if choice == "embedded":
        return None
    if embedder is None:
        raise ConfigurationError(
            "A Qdrant server needs an embedding model on this computer, and none is installed.",
            "Install one (see DM_MEMORY_EMBEDDER), or set DM_MEMORY_VECTOR_DB to embedded.",
        )
    from dm_memory.services.qdrant.service import QdrantService  # noqa: PLC0415  # only what is configured

    qdrant = QdrantService(
        settings.qdrant_url or "",
        settings.qdrant_api_key,
        settings.collection_name,
        brand,
        embedder,
        limit=settings.qdrant_limit,
        timeout=settings.layer_timeout,
    )
    return _guarded(settings, qdrant)


def _durable(settings: Settings, brand: str) -> Service | None:
    if not settings.turso_database_url:
        return None
    from dm_memory.services.turso.service import turso_service  # noqa: PLC0415  # only what is configured

    return _guarded(settings, turso_service(settings, brand), settings.storage_timeout)


def _graph(settings: Settings, brand: str) -> Service | None:
    if graph_choice(settings) == "embedded":
        return None
    from dm_memory.services.graphiti.service import graph_service  # noqa: PLC0415  # only what is configured

    return _guarded(settings, graph_service(settings, brand))


def _cross_session(settings: Settings, brand: str) -> Service | None:
    if settings.supermemory_api_key is None:
        return None
    from dm_memory.services.supermemory.service import SupermemoryService  # noqa: PLC0415  # only what is configured

    supermemory = SupermemoryService(
        settings.supermemory_api_key,
        brand,
        url=settings.supermemory_url,
        limit=settings.supermemory_limit,
        timeout=settings.layer_timeout,
    )
    return _guarded(settings, supermemory)


# What the settings say -----------------------------------------------------------------------------------------------


def connections(settings: Settings) -> Iterator[Connection]:
    """Yield the services that are connected; of a role about which the settings contradict themselves nothing."""
    vector = _undisputed(vector_choice, settings)
    if vector != "embedded":
        yield Connection("vector", _SERVICES[vector], _VECTOR_VARIABLES[vector])
    if settings.turso_database_url:
        yield Connection("durable", "Turso", "TURSO_DATABASE_URL")
    graph = _undisputed(graph_choice, settings)
    if graph != "embedded":
        yield Connection("graph", _SERVICES[graph], _GRAPH_VARIABLES[graph])
    if settings.supermemory_api_key is not None:
        yield Connection("cross-session", "Supermemory", "SUPERMEMORY_API_KEY")


def _undisputed(choose: Callable[[Settings], str], settings: Settings) -> str:
    try:
        return choose(settings)
    except ConfigurationError:
        return "embedded"


_SERVICES = {
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
    """Return the vector database's name as the plugin's own script writes it."""
    return "pinecone" if _undisputed(vector_choice, settings) == "pinecone" else "qdrant"


def vector_choice(settings: Settings) -> VectorChoice:
    """Return the vector database that is configured.

    Raises:
        ConfigurationError: Both are, and no setting says which; or the one that was chosen is not configured.
    """
    return _chosen(settings.vector_db, _configured_vectors(settings), _VECTOR_VARIABLES, "DM_MEMORY_VECTOR_DB")


def _configured_vectors(settings: Settings) -> list[VectorChoice]:
    configured: list[VectorChoice] = []
    configured += ["qdrant"] * (settings.qdrant_url is not None)
    configured += ["pinecone"] * (settings.pinecone_api_key is not None)
    return configured


def graph_choice(settings: Settings) -> _GraphChoice:
    """Return the graph database that is configured. Raises as ``vector_choice`` does."""
    configured: list[_GraphChoice] = []
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
