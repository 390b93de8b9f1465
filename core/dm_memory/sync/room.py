"""Room in a layer whose plan limits what fits: asked for before a batch is sent, so that none is half refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.protocol import Capacity, Layer, SizedLayer
from dm_memory.services.remote import limit_setting
from dm_memory.sync.rows import Due

__all__ = ["Room", "batches_by_bytes"]


@dataclass(slots=True)
class Room:
    """What is left of a layer's capacity in a run.

    Attributes:
        layer: The layer.
        capacity: As it was when the run began to deliver; None where nobody asked.
        taken: What the run has stored since, by the layer's own estimate and in its unit.
    """

    layer: Layer
    capacity: Capacity | None = None
    taken: int = 0

    def fitting(self, batch: Sequence[Due]) -> int:
        """Return how many of a batch fit, from its beginning, and count them as stored.

        A new version of what is held takes the place of the old one and counts for nothing.
        """
        if self.capacity is None or self.capacity.limit is None:
            return len(batch)
        left = self.capacity.limit - self.capacity.used - self.taken
        for number, due in enumerate(batch):
            size = 0 if due.held_content_hash else self._size(due)
            if size > left:
                return number
            left -= size
            self.taken += size
        return len(batch)

    def full(self, waiting: int) -> LayerError:
        """Return why the rest of a batch is not sent."""
        capacity = self.after()
        used, limit, unit = (capacity.used, capacity.limit, capacity.unit) if capacity else (0, 0, "")
        setting = limit_setting(self.layer.name)
        room = f"Make room, or change the plan and set {setting} to what fits." if setting else "Make room."
        return LayerError(
            f"{self.layer.engine} has no room for {waiting} more entries: {used:,} of {limit:,} {unit} are used.",
            f"{room} What does not fit is queued.",
            error_class=ErrorClass.QUOTA,
            code="no-room",
        )

    def after(self, measured: Capacity | None = None) -> Capacity | None:
        """Return the capacity after the run: as measured, but never below what is known to be stored.

        Providers' statistics lag behind what they confirmed.
        """
        if self.capacity is None:
            return measured
        expected = replace(self.capacity, used=self.capacity.used + self.taken)
        return expected if measured is None else replace(measured, used=max(measured.used, expected.used))

    def _size(self, due: Due) -> int:
        return self.layer.size_of(due.payload) if isinstance(self.layer, SizedLayer) else 1


def batches_by_bytes(page: Sequence[Due], most: int | None) -> Iterator[Sequence[Due]]:
    """Cut a page so that no part has more than ``most`` bytes of text; a text that is larger goes alone."""
    if most is None:
        yield page
        return
    start = size = 0
    for number, due in enumerate(page):
        weight = _bytes(due.payload.content)
        if number > start and size + weight > most:
            yield page[start:number]
            start, size = number, 0
        size += weight
    if start < len(page):
        yield page[start:]


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
