"""The protocol of a connected service: a database or a memory outside of dm-memory that the outbox feeds.

Contract, checked by ``tests/services/contract.py`` for every adapter:

* ``upsert`` is idempotent: the same payload again changes nothing; a batch that failed half-way may be sent again.
* ``upsert`` answers with one outcome per payload, in order. A payload the service refuses is an outcome with an error;
  an error that concerns the whole call is a raised ``ServiceError``, after which any part of the batch may be stored.
* ``fetch`` answers only for ids the service has stored whole; others are absent from the mapping.
* Adapters do not retry, log, or know of brands' files. An exception that is not a ``ServiceError`` is a bug.
* Calls may come from several tasks of one event loop; an adapter serialises where its engine must be.

What a service can do beyond that is data, its ``Capabilities``; ``ServiceBase`` has the plain answers for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.results import Capacity, Health

__all__ = [
    "Capabilities",
    "Capacity",
    "Health",
    "Outcome",
    "Proposal",
    "SearchQuery",
    "Service",
    "ServiceBase",
    "StoredRecord",
    "unexpected",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a service can do, as data.

    Attributes:
        batch_items: Most payloads one ``upsert`` takes.
        batch_bytes: Most bytes of text one ``upsert`` takes, or None.
        counts: ``count`` is exact.
        lists: ``entries`` returns what is stored, page by page.
        proposes: ``search`` returns proposals.
        embeds: Storing costs an embedding: here, where a payload comes without vectors that fit, or in the service.
        shared: Other machines store there too, and what they stored can be read as changes.
        keeps_retired: Retired entries stay, with their state; elsewhere the outbox deletes them.
    """

    batch_items: int
    batch_bytes: int | None = None
    counts: bool = False
    lists: bool = False
    proposes: bool = False
    embeds: bool = False
    shared: bool = False
    keeps_retired: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one payload: stored under ``storage_id``, or not, because of ``error``."""

    storage_id: str
    error: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What a service has stored under an id: enough to compare it with what the outbox wants there.

    ``state``: "" where the service can't say whether the entry is current or retired.
    """

    id: str
    content_hash: str
    metadata_hash: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A question to a service that proposes.

    Attributes:
        text: What is looked for.
        tags: All of them are required.
        from_date: ISO-8601 day, included; None: any.
        to_date: As above.
        limit: Most proposals.
        within: Seconds in which the answer must be there: search does not wait longer for a service.
    """

    text: str
    content_type: str | None = None
    tags: tuple[str, ...] = ()
    from_date: str | None = None
    to_date: str | None = None
    limit: int = 10
    within: float = 1.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry that a service proposes for a query. What is stored here is scored here; the rest serves the others.

    Attributes:
        score: As the service gives it, higher is better; comparable only within one answer.
        content: The text of the chunk that was found.
        recorded_at: ISO-8601, or "".
        brand: The brand under which the service has stored it.
    """

    id: str
    score: float
    content: str
    key: str
    content_type: str
    tags: tuple[str, ...]
    recorded_at: str
    brand: str


class Service(Protocol):
    """One connected service of one brand."""

    @property
    def name(self) -> str:
        """Under which the outbox knows this service: its role, ``@``, and where it is.

        ``vector@qdrant:host:6333/collection``. A service at another place is another service, filled on its own.
        Stable, and without secrets.
        """

    @property
    def role(self) -> str:
        """What it is to the brand: ``vector``, ``graph``, ``cross-session`` or ``durable``."""

    @property
    def engine(self) -> str:
        """What it is called, for people: ``Qdrant (host)``."""

    @property
    def capabilities(self) -> Capabilities:
        """Limits and traits."""

    async def prepare(self) -> None:
        """Import the SDK, and whatever else takes a processor's time before the first request; on a thread.

        No part of a deadline. Idempotent. Raises ``ServiceError``.
        """

    async def fingerprint(self) -> str:
        """Return what stored entries depend on besides their payload (model, dimension, weights, chunking).

        Entries delivered under another fingerprint are due again. Raises ``ServiceError``.
        """

    async def ping(self) -> str:
        """Make one round trip and return a sentence on what answered. Raises ``ServiceError``."""

    async def health(self) -> Health:
        """Return whether it answers. Never raises."""

    async def capacity(self) -> Capacity:
        """Return how full it is. Raises ``ServiceError``."""

    async def count(self) -> int | None:
        """Return the exact number of this brand's entries; None if the service can't count. Raises ``ServiceError``."""

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store payloads, replacing what their ids had. Raises ``ServiceError`` for the whole call."""

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Replace everything but text and vectors; an entry that is not stored with this text is a validation error."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return what is stored under these ids. Raises ``ServiceError``."""

    async def delete(self, ids: Sequence[str]) -> None:
        """Remove entries; ids that are not stored are no error. Raises ``ServiceError``."""

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return at most ``limit`` entries and where to go on; None at the end. Raises ``ServiceError``."""

    async def search(self, query: SearchQuery) -> list[Proposal]:
        """Return at most ``query.limit`` proposals, best first. Raises ``ServiceError``."""

    def size_of(self, payload: Payload) -> int:
        """Return about what storing a payload uses of the capacity, in its unit."""

    def preview(self, payload: Payload) -> Mapping[str, Any]:
        """Return what the service would get for a payload, vectors left out: what a dry run shows."""

    async def begin_rebuild(self) -> None:
        """Direct writes into a collection of the model in use; an interrupted rebuild resumes."""

    async def finish_rebuild(self) -> None:
        """Let the brand's name mean the rebuilt collection."""

    def retry_now(self) -> None:
        """Let the next call try a service that counts as down, unless the service itself asked for a longer pause."""

    async def close(self) -> None:
        """Close connections. Idempotent; a later call opens others."""


class ServiceBase:
    """The plain answers of a service that can no more than store, fetch and delete; see ``Service``."""

    engine: str

    async def prepare(self) -> None:
        """Nothing to import."""

    async def ping(self) -> str:
        """Make one round trip, and return a sentence on what answered. Raises ``ServiceError``."""
        await self.capacity()
        return "It answers."

    async def capacity(self) -> Capacity:
        """Return that nothing is known of how full it is."""
        return Capacity(0, None, "entries")

    async def health(self) -> Health:
        """Return whether it answers; never raises."""
        try:
            return Health(ok=True, engine=self.engine, detail=await self.ping())
        except Exception as error:  # noqa: BLE001  # health answers always; a bug is reported as one
            known = unexpected(self.engine, error)
            return Health(ok=False, engine=self.engine, detail=known.problem, error=known)

    async def count(self) -> int | None:
        """Return None: it can't count."""
        return None

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        """Return nothing: it can't list."""
        del after, limit
        return [], None

    async def search(self, query: SearchQuery) -> list[Proposal]:
        """Return nothing: it does not propose."""
        del query
        return []

    def preview(self, payload: Payload) -> Mapping[str, Any]:
        """Return the payload's own fields."""
        return {
            "id": payload.id,
            "key": payload.key,
            "content": payload.content,
            "content_type": payload.content_type,
            "tags": list(payload.tags),
            "recorded_at": payload.recorded_at,
            "facts": dict(payload.facts),
        }

    def size_of(self, payload: Payload) -> int:
        """Return 1: capacity is in entries."""
        del payload
        return 1

    async def begin_rebuild(self) -> None:
        """Nothing to rebuild: an upsert replaces everything."""

    async def finish_rebuild(self) -> None:
        """See ``begin_rebuild``."""

    def retry_now(self) -> None:
        """Nothing is paused."""

    async def close(self) -> None:
        """Nothing to close."""


def unexpected(engine: str, error: Exception) -> ServiceError:
    """Return a service's error; any other exception is a bug of its adapter, which is not retried."""
    if isinstance(error, ServiceError):
        return error
    return ServiceError(
        f"{engine}: unexpected error {type(error).__name__}.",
        "Sync again; report the code if it happens again.",
        error_class=ErrorClass.UNKNOWN,
        code=type(error).__name__,
    )
