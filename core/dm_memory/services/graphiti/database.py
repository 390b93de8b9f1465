"""The port to a graph database behind Graphiti: what FalkorDB and Neo4j do with the same Cypher."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from urllib.parse import SplitResult, urlsplit

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.extras import how_to_install
from dm_memory.services.faults import Faults

__all__ = [
    "GraphDatabase",
    "Row",
    "Statement",
    "Value",
    "host_and_port",
    "require_driver",
    "split_address",
    "unreachable",
]

_Scalar: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Mapping[str, _Scalar | Sequence[str]]
Value: TypeAlias = _Scalar | Sequence[str] | Sequence[Row] | Row
"""What a parameter can be: a value, texts, or rows to unwind."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One Cypher statement in the words that both databases understand, but for ``moment(``.

    An adapter puts its own function there: what makes of an ISO-8601 text what Graphiti stores in that database.
    """

    cypher: str
    parameters: Mapping[str, Value] = field(default_factory=dict)


class GraphDatabase(Protocol):
    """A graph database with Graphiti's groups.

    Every method but ``close`` raises ``ServiceError``; an exception that the adapter does not know is a bug and passes
    through. Nothing is retried. Calls may come from several tasks of one event loop.

    Attributes:
        kind: ``falkordb`` or ``neo4j``; a part of the service's name.
        place: Where it is, for people and for the service's name; without secrets.
        faults: Its errors.
    """

    @property
    def kind(self) -> str:
        """See above."""

    @property
    def place(self) -> str:
        """See above."""

    @property
    def faults(self) -> Faults:
        """See above."""

    async def load(self) -> None:
        """Import the driver, on a thread."""

    async def prepare(self, group: str) -> None:
        """Make the indexes that writing needs. Idempotent."""

    async def write(self, group: str, statements: Sequence[Statement]) -> None:
        """Run statements in order; the first that fails ends it. Whether those before it stay is the database's way."""

    async def read(self, group: str, statement: Statement) -> list[list[Any]]:
        """Return the rows of a statement that changes nothing; none if the group does not exist."""

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call connects again."""


def require_driver(module: str, service: str) -> None:
    """Check, without importing it, that a database's driver is installed.

    Raises:
        ConfigurationError: It is not; names the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(
            f"{service} is configured, but its driver {module!r} is not installed.",
            how_to_install("graphiti"),
        )


def split_address(uri: str, schemes: Mapping[str, str], setting: str) -> SplitResult:
    """Return the parts of an address whose scheme is one of ``schemes``, in the driver's own scheme.

    Args:
        uri: As the user wrote it.
        schemes: The driver's scheme by the one the user may write.
        setting: The variable it came from, for the message.

    Raises:
        ConfigurationError: It is no such address. The message does not quote it: it can contain a password.
    """
    try:
        parts = urlsplit(uri.strip())
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        known = next(iter(schemes))
        raise ConfigurationError(
            f"{setting} is no address of the form {known}://host:port.", f"Correct {setting} and start again."
        )
    return parts._replace(scheme=schemes[parts.scheme])


def host_and_port(parts: SplitResult, default_port: int) -> str:
    """Return ``host:port`` of an address, without user and password."""
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or default_port}"


def unreachable(faults: Faults, code: str) -> ServiceError:
    """Return the error of a database that no connection can be made to, or whose connection broke."""
    return ServiceError(
        f"{faults.name} ({faults.where}) can't be reached.",
        f"Check that it runs and {faults.url_setting}, then sync again: what is missing is queued.",
        error_class=ErrorClass.UNAVAILABLE,
        code=code,
    )
