"""A connected service in a dictionary, with faults to order: what a state machine needs and no real one offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.services.protocol import Capabilities, Capacity, Outcome, ServiceBase, StoredRecord

__all__ = ["DictService", "down"]

NOT_THERE = ServiceError("It is not there.", "Store it.", error_class=ErrorClass.VALIDATION)


def down() -> ServiceError:
    """Return what a service that is down raises."""
    return ServiceError("It is down.", "Start it.", error_class=ErrorClass.UNAVAILABLE)


class DictService(ServiceBase):
    """Keeps payloads in ``stored``. ``refuse`` decides for one, ``down`` for all; a liar only confirms."""

    def __init__(self, name: str = "vector@dictionary", *, counts: bool = True, keeps_retired: bool = False) -> None:
        self.name = name
        self.role = name.partition("@")[0]
        self.engine = f"Dictionary ({self.role})"
        self.capabilities = Capabilities(batch_items=256, counts=counts, lists=True, keeps_retired=keeps_retired)
        self.stored: dict[str, Payload] = {}
        self.refuse: Callable[[Payload], Exception | None] = lambda _: None
        self.down: Exception | None = None
        self.lies = False
        self.limit: int | None = None
        self.made_with = "dictionary-1"
        self.upserted: list[str] = []
        self.needless: list[str] = []
        self.fetched: list[str] = []
        self.after_upsert: Callable[[], None] = lambda: None

    async def fingerprint(self) -> str:
        return self.made_with

    async def ping(self) -> str:
        self._check()
        return "It answers."

    async def capacity(self) -> Capacity:
        self._check()
        return Capacity(len(self.stored), self.limit, "entries", len(self.stored))

    async def count(self) -> int | None:
        self._check()
        return len(self.stored) if self.capabilities.counts else None

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self._check()
        for payload in payloads:
            if error := self.refuse(payload):
                raise error
        for payload in payloads if not self.lies else ():
            old = self.stored.get(payload.id)
            if old and (old.content_hash, old.metadata_hash, old.state) == (
                payload.content_hash,
                payload.metadata_hash,
                payload.state,
            ):
                self.needless.append(payload.key)
            self.stored[payload.id] = payload
            self.upserted.append(payload.key)
        self.after_upsert()
        return [Outcome(payload.id) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self._check()
        outcomes = []
        for payload in payloads:
            if payload.id in self.stored:
                self.stored[payload.id] = payload
                outcomes.append(Outcome(payload.id))
            else:
                outcomes.append(Outcome(payload.id, NOT_THERE))
        return outcomes

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        self._check()
        self.fetched += ids
        found = {id_: self.stored[id_] for id_ in ids if id_ in self.stored}
        return {id_: StoredRecord(id_, own.content_hash, own.metadata_hash) for id_, own in found.items()}

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        self._check()
        ids = sorted(id_ for id_ in self.stored if id_ > (after or ""))
        return [self.stored[id_] for id_ in ids[:limit]], ids[limit - 1] if len(ids) > limit else None

    async def delete(self, ids: Sequence[str]) -> None:
        self._check()
        for id_ in ids:
            self.stored.pop(id_, None)

    def _check(self) -> None:
        if self.down is not None:
            raise self.down
