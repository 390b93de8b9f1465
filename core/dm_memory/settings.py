"""Every setting, its environment variable and its default. Read once per process, passed down as a value."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["PersonalDataPolicy", "Settings"]

PersonalDataPolicy = Literal["mask", "keep"]


class Settings(BaseSettings):
    """The configuration; each field ``x`` is read from ``DM_MEMORY_X`` unless it names another variable."""

    model_config = SettingsConfigDict(
        env_prefix="DM_MEMORY_", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    home: Path = Field(
        default_factory=lambda: Path.home() / ".claude-marketing",
        # Not "home": the environment is read without regard to case, and HOME is everybody's.
        validation_alias=AliasChoices("CLAUDE_MARKETING_HOME", "DM_MEMORY_HOME"),
        description="The folder that holds the brands.",
    )
    brand: str | None = Field(
        default=None, description="The brand to use where a call names none, before the active one."
    )
    embedder: str = Field(
        default="wordllama",
        description="The embedding model: wordllama (offline, default) or package.module:factory for one of your own.",
    )
    personal_data: PersonalDataPolicy = Field(
        default="mask",
        description="mask: e-mail addresses, phone and card numbers are masked before storing; keep: they stay.",
    )
    lock_timeout: float = Field(default=120.0, gt=0, description="Seconds to wait for another sync of the same brand.")
    batch_size: int = Field(default=256, ge=1, le=1000, description="Items in one write to an embedded engine.")
    max_file_bytes: int = Field(
        default=64 * 1024 * 1024, gt=0, description="A brand file larger than this many bytes is refused, not parsed."
    )
    max_content_chars: int = Field(
        default=2_000_000, gt=0, description="A text longer than this many characters is refused."
    )
    report_items: int = Field(default=20, ge=1, description="Items a report lists per section before it cuts.")
    data_items: int = Field(default=1000, ge=1, description="Items listed in the machine-readable part of a report.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="WARNING", description="Logs go to stderr.")

    turso_database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("turso_database_url", "TURSO_DATABASE_URL"),
        description="The durable store on Turso Cloud or a libsql-server; default: a file in the brand's folder.",
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

    qdrant_url: str | None = Field(default=None, validation_alias=AliasChoices("qdrant_url", "QDRANT_URL"))
    qdrant_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("qdrant_api_key", "QDRANT_API_KEY")
    )
    pinecone_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("pinecone_api_key", "PINECONE_API_KEY")
    )
