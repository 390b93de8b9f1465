"""Every setting, its environment variable and its default. Read once per process, passed down as a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["PersonalDataPolicy", "Settings"]

PersonalDataPolicy = Literal["mask", "keep"]


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str) and value.strip().startswith("${") and value.strip().endswith("}")


class Settings(BaseSettings):
    """The configuration; each field ``x`` is read from ``DM_MEMORY_X`` unless it names another variable."""

    model_config = SettingsConfigDict(
        env_prefix="DM_MEMORY_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        str_strip_whitespace=True,  # a key that came out of a file ends in a line end, which no header takes
    )

    @model_validator(mode="before")
    @classmethod
    def _without_placeholders(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Leave out what a client passes for a setting that its user left open: the placeholder, unfilled."""
        return {name: value for name, value in values.items() if not _is_placeholder(value)}

    home: Path = Field(
        default_factory=lambda: Path.home() / ".claude-marketing",
        # Not "home": the environment is read without regard to case, and HOME is everybody's.
        validation_alias=AliasChoices("CLAUDE_MARKETING_HOME", "DM_MEMORY_HOME"),
        description="The folder that contains the brands.",
    )
    brand: str | None = Field(
        default=None, description="The brand to use where a call names none, before the active one."
    )
    only_brand: str = Field(
        default="", description="The one brand that is answered for; the others are as if they were not there."
    )
    author: str = Field(
        default="", description="The name that stands in what is handed in here, for a team; by default none."
    )
    context_file: Path | None = Field(
        default=None,
        description="A product-marketing-context.md of other marketing agents, outside of the home, to read as well.",
    )
    embedder: str = Field(
        default="wordllama",
        description="The embedding model: wordllama, fastembed (an extra) or package.module:factory for your own.",
    )
    personal_data: PersonalDataPolicy = Field(
        default="mask",
        description="mask: e-mail addresses, phone and card numbers are masked before storing; keep: they stay.",
    )
    lock_timeout: float = Field(default=120.0, gt=0, description="Seconds to wait for another sync of the same brand.")
    batch_size: int = Field(
        default=256, ge=1, le=1000, description="Entries in one write to a service that embeds here."
    )
    max_file_bytes: int = Field(
        default=64 * 1024 * 1024, gt=0, description="A brand file larger than this many bytes is refused, not parsed."
    )
    max_content_chars: int = Field(
        default=2_000_000, gt=0, description="A text longer than this many characters is refused."
    )
    report_items: int = Field(default=20, ge=1, description="Items a report lists per section before it cuts.")
    data_items: int = Field(default=1000, ge=1, description="Items listed in the machine-readable part of a report.")
    hooks: str = Field(
        default="session-start,pre-compact,session-end",
        description="The plugin's hooks that do something, separated by commas; none turns all off.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="WARNING", description="Logs go to stderr.")

    turso_database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("turso_database_url", "TURSO_DATABASE_URL"),
        description="The durable store on Turso Cloud or a libsql-server; without it memory is this computer's alone.",
    )
    turso_auth_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("turso_auth_token", "TURSO_AUTH_TOKEN")
    )
    storage_timeout: float = Field(
        default=30.0, gt=0, le=600, description="Seconds within which a remote durable store must have answered."
    )
    storage_parallel: int = Field(
        default=8, ge=1, le=64, description="Pages a storage sync fetches from the durable store ahead."
    )
    storage_interval: float = Field(
        default=900.0,
        ge=10,
        description="Seconds between the storage syncs of a server that has a remote durable store.",
    )

    vector_db: Literal["auto", "embedded", "qdrant", "pinecone"] = Field(
        default="auto",
        description="The connected vector database: auto takes the one that is configured, embedded means none.",
    )
    qdrant_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("qdrant_url", "QDRANT_URL"),
        description="A Qdrant server or cloud cluster.",
    )
    qdrant_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("qdrant_api_key", "QDRANT_API_KEY")
    )
    collection_name: str = Field(
        default="dm-memory",
        validation_alias=AliasChoices("collection_name", "COLLECTION_NAME"),
        description="The Qdrant collection; mcp-server-qdrant reads the same variable.",
    )
    qdrant_limit: int | None = Field(
        default=None,
        ge=1,
        description="Points, of all brands, that fit into the Qdrant cluster's plan; it can't say itself.",
    )
    pinecone_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("pinecone_api_key", "PINECONE_API_KEY"),
        description="The Pinecone project's key.",
    )
    pinecone_index: str = Field(
        default="dm-memory",
        validation_alias=AliasChoices("pinecone_index", "PINECONE_INDEX"),
        description="The Pinecone index with integrated embedding; made where it is missing.",
    )
    pinecone_host: str | None = Field(
        default=None,
        validation_alias=AliasChoices("pinecone_host", "PINECONE_CONTROLLER_HOST"),
        description="The address of Pinecone's control plane, if it is not the public one.",
    )
    pinecone_model: str = Field(
        default="multilingual-e5-large", description="The embedding model of an index that dm-memory makes."
    )
    pinecone_cloud: str = Field(default="aws", description="The cloud of an index that dm-memory makes.")
    pinecone_region: str = Field(default="us-east-1", description="The region of an index that dm-memory makes.")
    pinecone_limit: int = Field(
        default=2_000_000_000, ge=1, description="Bytes the Pinecone plan stores; 2 GB is the Starter plan's limit."
    )
    supermemory_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("supermemory_api_key", "SUPERMEMORY_API_KEY"),
        description="Supermemory, for cross-session memory.",
    )
    supermemory_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("supermemory_url", "SUPERMEMORY_BASE_URL"),
        description="The address of Supermemory's interface, if it is not the public one.",
    )
    supermemory_limit: int | None = Field(
        default=None,
        ge=1,
        description="Entries of a brand you allow in Supermemory; its API reports neither usage nor plan.",
    )
    falkordb_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("falkordb_uri", "FALKORDB_URI"),
        description="The FalkorDB behind Graphiti (redis://host:6379).",
    )
    falkordb_username: str | None = Field(
        default=None, validation_alias=AliasChoices("falkordb_username", "FALKORDB_USERNAME")
    )
    falkordb_password: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("falkordb_password", "FALKORDB_PASSWORD")
    )
    neo4j_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("neo4j_uri", "NEO4J_URI"),
        description="The Neo4j behind Graphiti (bolt://host:7687).",
    )
    neo4j_user: str = Field(
        default="neo4j",
        # The second is what Neo4j's own Aura writes into the file with a new database's credentials.
        validation_alias=AliasChoices("neo4j_user", "NEO4J_USER", "NEO4J_USERNAME"),
    )
    neo4j_password: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("neo4j_password", "NEO4J_PASSWORD")
    )
    neo4j_database: str = Field(default="neo4j", validation_alias=AliasChoices("neo4j_database", "NEO4J_DATABASE"))
    graph_db: Literal["auto", "embedded", "falkordb", "neo4j"] = Field(
        default="auto",
        description="The connected graph database: auto takes the one that is configured, embedded means none.",
    )
    graphiti_group_id: str | None = Field(
        default=None,
        validation_alias=AliasChoices("graphiti_group_id", "GRAPHITI_GROUP_ID"),
        description="Graphiti's group for all brands; by default each brand is a group of its own.",
    )

    search_timeout: float = Field(
        default=1.0, gt=0, le=60, description="Seconds a connected vector database has to propose hits to a search."
    )
    layer_timeout: float = Field(
        default=30.0, gt=0, le=600, description="Seconds within which a connected service must have answered a call."
    )
    layer_attempts: int = Field(
        default=4, ge=1, le=10, description="How often a call to a connected service is tried before it counts as down."
    )
    layer_concurrency: int = Field(
        default=4, ge=1, le=32, description="Calls to one connected service at the same time."
    )
