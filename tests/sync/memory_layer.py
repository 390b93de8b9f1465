"""A layer in a dictionary, with faults to order: what a state machine needs and no real engine offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import Payload
from dm_memory.services.protocol import Capabilities, Capacity, Health, Outcome, StoredRecord


class DictLayer:
    """Keeps payloads in ``held``. ``refuse`` decides per payload, ``down`` for all."""

    def __init__(self, name: str = "vector") -> None:
        self.name = name
        self.role = name.partition("@")[0]
        self.engine = "dictionary"
        self.capabilities = Capabilities(batch_items=256, embeds=True)
        self.held: dict[str, Payload] = {}
        self.refuse: Callable[[Payload], Exception | None] = lambda _: None
        self.down: LayerError | None = None
        self.generation = "dictionary-1"
        self.upserted: list[str] = []
        self.needless: list[str] = []
        self.fetched: list[str] = []
        self.after_upsert: Callable[[], None] = lambda: None

    async def fingerprint(self) -> str:
        return self.generation

    async def health(self) -> Health:
        return Health(ok=self.down is None, engine=self.engine, detail="", error=self.down)

    async def capacity(self) -> Capacity:
        self._check()
        return Capacity(len(self.held), None, "entries", len(self.held))

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self._check()
        for payload in payloads:
            if error := self.refuse(payload):
                raise error
        for payload in payloads:
            if (old := self.held.get(payload.id)) and old.content_hash == payload.content_hash:
                self.needless.append(payload.key)
            self.held[payload.id] = payload
            self.upserted.append(payload.key)
        self.after_upsert()
        return [Outcome(payload.id) for payload in payloads]

    async def update_metadata(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self._check()
        missing = LayerError("It is not there.", "Store it.", error_class=ErrorClass.VALIDATION)
        outcomes = []
        for payload in payloads:
            if payload.id in self.held:
                self.held[payload.id] = payload
                outcomes.append(Outcome(payload.id))
            else:
                outcomes.append(Outcome(payload.id, missing))
        return outcomes

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        self._check()
        self.fetched += ids
        return {
            i: StoredRecord(i, self.held[i].content_hash, self.held[i].metadata_hash) for i in ids if i in self.held
        }

    async def entries(self, after: str | None, limit: int) -> tuple[list[Payload], str | None]:
        self._check()
        ids = sorted(i for i in self.held if i > (after or ""))
        return [self.held[i] for i in ids[:limit]], ids[limit - 1] if len(ids) > limit else None

    async def delete(self, ids: Sequence[str]) -> None:
        self._check()
        for i in ids:
            self.held.pop(i, None)

    async def close(self) -> None:
        return

    def _check(self) -> None:
        if self.down is not None:
            raise self.down
