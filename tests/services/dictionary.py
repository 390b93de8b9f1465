"""A service in a dictionary: what the guard's tests and others need and no real service offers, faults to order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dm_memory.errors import ServiceError
from dm_memory.items import Payload
from dm_memory.services.faults import NOT_STORED
from dm_memory.services.protocol import Capabilities, Capacity, Outcome, ServiceBase, StoredRecord


class DictService(ServiceBase):
    """Keeps payloads in ``stored``; ``down`` is raised by every call."""

    def __init__(self, name: str = "vector@dictionary") -> None:
        self.name = name
        self.role = name.partition("@")[0]
        self.engine = "dictionary"
        self.capabilities = Capabilities(batch_items=256, counts=True, lists=True)
        self.stored: dict[str, Payload] = {}
        self.down: ServiceError | None = None

    async def fingerprint(self) -> str:
        return "dictionary-1"

    async def ping(self) -> str:
        self._check()
        return "It answers."

    async def capacity(self) -> Capacity:
        self._check()
        return Capacity(len(self.stored), None, "entries", len(self.stored))

    async def count(self) -> int | None:
        self._check()
        return len(self.stored)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self._check()
        self.stored.update({payload.id: payload for payload in payloads})
        return [Outcome(payload.id) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self._check()
        known = {payload.id: payload for payload in payloads if payload.id in self.stored}
        self.stored.update(known)
        return [Outcome(payload.id, None if payload.id in known else NOT_STORED) for payload in payloads]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        self._check()
        found = {id_: self.stored[id_] for id_ in ids if id_ in self.stored}
        return {id_: StoredRecord(id_, entry.content_hash, entry.metadata_hash) for id_, entry in found.items()}

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        self._check()
        ids = sorted(id_ for id_ in self.stored if id_ > (after or ""))
        return [self.stored[id_] for id_ in ids[:limit]], ids[limit - 1] if len(ids) > limit else None

    async def delete(self, ids: Sequence[str]) -> None:
        self._check()
        for id_ in ids:
            self.stored.pop(id_, None)

    def size_of(self, payload: Payload) -> int:
        return len(payload.content)

    def _check(self) -> None:
        if self.down is not None:
            raise self.down
