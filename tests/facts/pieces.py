"""Payloads, layers and looks into the file for the tests of the embedded graph."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

from dm_memory.brand.context import load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.brand.sources import parse_source, source_files
from dm_memory.items import Item, Payload, storage_id
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from dm_memory.sync.payloads import Preparer

BRAND = "acme"
SAMPLE = "ember-and-oak"
MET_AT = "2026-11-21T08:00:00.000Z"

_REPOSITORY = Path(__file__).resolve().parents[2]
_T = TypeVar("_T")


def payload_of(brand: str, preparer: Preparer, item: Item) -> Payload:
    """Return what a layer is given of an item."""
    made = preparer.prepare(item)
    return Payload(
        id=storage_id(brand, item.key),
        brand=brand,
        key=item.key,
        content=made.content,
        content_hash=made.content_hash,
        metadata_hash=made.metadata_hash,
        content_type=made.content_type,
        kind=item.kind.value,
        source=item.source.value,
        tags=made.tags,
        facts=made.facts,
        recorded_at=item.recorded_at,
        created_at=item.created_at or MET_AT,
    )


def sample_payloads() -> dict[str, Payload]:
    """Return the entries of the sample brand by their keys, as a sync makes them."""
    home, limits = Home(_REPOSITORY / "examples" / "home"), Limits()
    context = load_context(home, SAMPLE, limits)
    preparer = Preparer.of(SAMPLE, context, "mask")
    items = [
        item
        for file in source_files(home, SAMPLE, "all")
        for item in parse_source(file, (home.brand_dir(SAMPLE) / file.path).read_bytes(), context, limits).items
    ]
    return {item.key: payload_of(SAMPLE, preparer, item) for item in items}


def entry(key: str, content: str, *, kind: str = "insight", tags: Iterable[str] = (), **fields: Any) -> Payload:
    """Return an entry of the test brand; its hashes follow from what is given."""
    facts = fields.pop("facts", {})
    return Payload(
        id=storage_id(BRAND, key),
        brand=BRAND,
        key=key,
        content=content,
        content_hash=sha256(content.encode()).hexdigest(),
        metadata_hash=sha256(repr((tuple(tags), facts, fields)).encode()).hexdigest(),
        content_type=fields.pop("content_type", "campaign-learning"),
        kind=kind,
        source="sync",
        tags=tuple(tags),
        facts=facts,
        recorded_at=fields.pop("recorded_at", "2026-03-01T00:00:00Z"),
        created_at=fields.pop("created_at", MET_AT),
        **fields,
    )


def snapshot(campaign: str, day: int, **metrics: float) -> Payload:
    """Return the performance snapshot of a campaign on a day of March 2026, UTC."""
    figures = ", ".join(f"{name}: {value}" for name, value in metrics.items())
    content = f"Performance of {campaign}, March\nMetrics: {figures}"
    return entry(
        f"performance/{campaign}-{day:02}",
        content,
        kind="performance",
        facts={"section": "snapshot", "campaign_id": campaign, "period": "March"},
        recorded_at=f"2026-03-{day:02}T00:00:00Z",
        content_type="performance-insight",
    )


def plan(status: str, *channels: str, campaign: str = "spring") -> Payload:
    """Return the plan of a campaign that was begun on 1 February 2026."""
    return entry(
        f"campaign/{campaign}#plan",
        f"Spring, plan:\nStatus: {status}\nChannels: {', '.join(channels)}",
        kind="campaign",
        tags=(f"campaign:{campaign}", *(f"channel:{channel}" for channel in channels)),
        facts={
            "campaign_id": campaign,
            "campaign_name": "Spring",
            "campaign_status": status,
            "channels": list(channels),
            "section": "plan",
        },
        recorded_at="2026-02-01T00:00:00Z",
    )


class SteppingClock:
    """A clock that stands until it is set."""

    def __init__(self, moment: str = "2026-06-01T00:00:00+00:00") -> None:
        self.set(moment)

    def set(self, moment: str) -> None:
        """Set it to an ISO-8601 moment."""
        self._moment = datetime.fromisoformat(moment).astimezone(UTC)

    def __call__(self) -> datetime:
        return self._moment


def play(
    folder: Path,
    scenario: Callable[[SqliteGraphLayer], Awaitable[_T]],
    *,
    brand: str = BRAND,
    clock: Callable[[], datetime] | None = None,
) -> _T:
    """Play a scenario on a layer over ``folder`` and close it."""

    async def act() -> _T:
        layer = SqliteGraphLayer(folder, brand, clock=clock)
        try:
            return await scenario(layer)
        finally:
            await layer.close()

    return asyncio.run(act())


def store(folder: Path, *batches: Sequence[Payload], brand: str = BRAND, clock: Any = None) -> None:
    """Store batches, one after the other, in a layer of their own."""

    async def scenario(layer: SqliteGraphLayer) -> None:
        for batch in batches:
            assert all(outcome.error is None for outcome in await layer.upsert(batch))

    play(folder, scenario, brand=brand, clock=clock)


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds in the file, past the layer."""
    with closing(sqlite3.connect(folder / "graph.db")) as connection:
        return connection.execute(sql).fetchall()


def validities(folder: Path) -> set[tuple[str, str, str, str]]:
    """Return (fact, slot, since, until) of every slotted fact that held for any time."""
    return {
        (fact, slot, since, until)
        for fact, slot, since, until in rows(folder, "SELECT id, slot, valid_at, invalid_at FROM facts WHERE slot > ''")
        if not until or since < until
    }


def everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the whole content of the file."""
    tables = ("entries", "entities", "facts", "mentions")
    return {table: rows(folder, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}  # noqa: S608  # our names


def assert_sound(folder: Path) -> None:
    """Assert that the file and its search index are whole and that no slot has two values at one moment."""
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    with closing(sqlite3.connect(folder / "graph.db")) as connection:
        connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
    by_slot: dict[str, list[tuple[str, str]]] = {}
    for _, slot, since, until in validities(folder):
        by_slot.setdefault(slot, []).append((since, until))
    for intervals in by_slot.values():
        intervals.sort(key=lambda interval: (interval[0], interval[1] or "~"))
        for (_, until), (since, _) in pairwise(intervals):
            assert until, "a fact holds on although a later one took its slot"
            assert until <= since


figures = st.dictionaries(st.sampled_from(["roas", "signups", "cpa"]), st.integers(0, 3), min_size=1)
snapshots = st.builds(
    lambda campaign, day, values: snapshot(campaign, day, **values),
    st.sampled_from(["spring", "autumn"]),
    st.integers(1, 6),
    figures,
)
plans = st.builds(
    lambda status, channels: plan(status, *sorted(channels)),
    st.sampled_from(["planned", "active", "paused"]),
    st.sets(st.sampled_from(["email", "podcast", "sms"]), min_size=1),
)
