"""What a run of a sync needs, is asked and knows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.errors import LayerError
from dm_memory.items import Kind, Payload
from dm_memory.services.protocol import Layer
from dm_memory.sync.delivery import Delivered
from dm_memory.sync.duplicates import planned_from_row
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.outcomes import Outcomes
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import Progress, Scope, SyncRequest
from dm_memory.sync.results import Action
from dm_memory.sync.runs import Run
from dm_memory.sync.worker import Worker
from dm_memory.text.guard import Policy
from dm_memory.text.timestamps import Clock

__all__ = ["KINDS", "PREFIXES", "Call", "Environment", "State", "is_wanted"]

KINDS: dict[Scope, frozenset[str]] = {
    Scope.ALL: frozenset(Kind),
    Scope.INSIGHTS_ONLY: frozenset({Kind.INSIGHT, Kind.SESSION}),
    Scope.CAMPAIGNS_ONLY: frozenset({Kind.CAMPAIGN, Kind.PERFORMANCE, Kind.SESSION}),
}
PREFIXES: dict[Scope, tuple[str, ...]] = {
    Scope.ALL: ("",),
    Scope.INSIGHTS_ONLY: ("insights.json",),
    Scope.CAMPAIGNS_ONLY: ("campaigns/", "performance/"),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run needs besides its request.

    Attributes:
        layers: To store in, the vector layer first.
        vector_db: The vector layer's name in the plugin script's files.
        data_items: Outcomes kept for the report.
        cached_entries: What the local cache of the durable store holds, where the store can't be asked.
    """

    home: Home
    layers: Sequence[Layer]
    policy: Policy
    limits: Limits
    clock: Clock
    lock_timeout: float
    batch_items: int
    data_items: int
    vector_db: str = "qdrant"
    cached_entries: Callable[[Path], list[Payload]] = lambda _: []


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked for, and by whom."""

    environment: Environment
    request: SyncRequest
    brand: str
    progress: Progress
    stop: asyncio.Event
    excluder: Excluder


@dataclass(slots=True)
class State:
    """A run under way: what its stages hand on to each other.

    Attributes:
        broken: Something could not be read, so the checkpoint must not move past it.
        pending_names: The files of ``memory/pending`` that were taken in.
        delivered: What each layer took, by its name.
        down: Layers that did not answer this run already, and how.
    """

    environment: Environment
    request: SyncRequest
    brand: str
    context: BrandContext
    registry: Registry
    run: Run
    outcomes: Outcomes
    worker: Worker
    progress: Progress
    stop: asyncio.Event
    excluder: Excluder
    broken: bool = False
    pending_names: list[str] = field(default_factory=list)
    delivered: dict[str, Delivered] = field(default_factory=dict)
    down: dict[str, LayerError] = field(default_factory=dict)

    @property
    def memory_dir(self) -> Path:
        """Return the brand's ``memory`` folder."""
        return self.environment.home.memory_dir(self.brand)


def is_wanted(kinds: Collection[str], excluder: Excluder, row: sqlite3.Row) -> bool:
    """Tell whether a row of ``items`` is of the run's kinds and not excluded."""
    if row["kind"] not in kinds:
        return False
    prepared = planned_from_row(row, Action.UNCHANGED).prepared
    return not excluder or excluder.match(prepared.item, prepared.content_type, prepared.tags) is None
