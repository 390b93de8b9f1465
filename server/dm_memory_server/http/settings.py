"""The settings of the HTTP server: read once, when it starts."""

from __future__ import annotations

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dm_memory.errors import ConfigurationError
from dm_memory.services.http import is_loopback
from dm_memory_tools.runtime import unusable_setting

__all__ = ["HttpSettings", "load_http_settings"]


class HttpSettings(BaseSettings):
    """The configuration; each field ``x`` is read from ``DM_MEMORY_X``."""

    model_config = SettingsConfigDict(
        env_prefix="DM_MEMORY_", env_ignore_empty=True, extra="ignore", frozen=True, str_strip_whitespace=True
    )

    http_hosts: str = Field(
        default="",
        description="Names under which clients reach the HTTP server, separated by commas: memory.example.com.",
    )
    http_origins: str = Field(
        default="",
        description="Web origins that may call the HTTP server, separated by commas: https://app.example.com.",
    )
    http_rate: int = Field(default=600, ge=1, description="Requests a minute of one token over HTTP.")
    http_connections: int = Field(default=500, ge=1, description="Connections to the HTTP server at the same time.")
    oauth_issuer: str = Field(default="", description="The authorization server whose tokens count over HTTP.")
    oauth_audience: str = Field(
        default="", description="This server's public address, which OAuth tokens name: https://memory.example.com/mcp."
    )
    oauth_jwks_url: str = Field(default="", description="Where the authorization server's public keys are.")
    oauth_brand_claim: str = Field(
        default="dm_memory_brand", description="The claim of an OAuth token that names its brand; * stands for all."
    )
    oauth_name_claim: str = Field(default="sub", description="The claim of an OAuth token that names who asks.")

    @field_validator("oauth_issuer", "oauth_audience", "oauth_jwks_url")
    @classmethod
    def _address(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
        if value and (scheme != "https" or not rest) and not (scheme == "http" and is_loopback(host)):
            raise ValueError("an https address is needed")
        return value

    @property
    def has_oauth(self) -> bool:
        """Return whether tokens of an authorization server count."""
        return bool(self.oauth_issuer)


def load_http_settings() -> HttpSettings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: A setting can't be used, or one that belongs to another is missing. Never names its value.
    """
    try:
        settings = HttpSettings()
    except ValidationError as error:
        raise unusable_setting(error, HttpSettings) from None
    needed = ("oauth_issuer", "oauth_audience", "oauth_jwks_url")
    missing = [f"DM_MEMORY_{name.upper()}" for name in needed if not getattr(settings, name)]
    if missing and len(missing) < len(needed):
        raise ConfigurationError(
            f"OAuth is set up in part: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            "Set DM_MEMORY_OAUTH_ISSUER, DM_MEMORY_OAUTH_AUDIENCE and DM_MEMORY_OAUTH_JWKS_URL, or none of them.",
        )
    return settings
