"""A write that is cut off anywhere is resumed by the next one: nothing is returned too early, lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dm_memory.items import Payload
from dm_memory.services.graphiti.database import GraphDatabase, Statement
from dm_memory.services.graphiti.service import GraphitiService
from tests.facts.pieces import SteppingClock, entry, plan, snapshot
from tests.services.graphiti.conftest import Graphs
from tests.services.graphiti.test_validity import EDGES, NODES, act

pytestmark = [pytest.mark.graphiti, pytest.mark.falkordb]
"""FalkorDB only: in Neo4j a write is one transaction."""

STATEMENTS = 12
"""The statements of the write below."""


class CutError(Exception):
    """The process ends here."""


class CutDatabase:
    """A database whose writer is gone after so many statements."""

    def __init__(self, inner: GraphDatabase, left: int) -> None:
        self._inner = inner
        self._left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, group: str, statements: Sequence[Statement]) -> None:
        await self._inner.write(group, statements[: self._left])
        if self._left < len(statements):
            raise CutError


BEFORE = [plan("planned", "email"), snapshot("spring", 1, roas=1, cpa=3), entry("insight/1", "Bread sells.")]
AFTER = [
    plan("active", "email", "sms"),
    snapshot("spring", 1, roas=2),
    replace(BEFORE[2], content="Cakes sell.", content_hash="c" * 64, tags=("channel:podcast",)),
    snapshot("spring", 2, roas=3),
]


def clock_at(day: int) -> SteppingClock:
    return SteppingClock(f"2026-06-{day:02}T00:00:00+00:00")


def state(graphs: Graphs) -> Any:
    """Return everything but when it was written."""
    edges = [row[:3] for row in graphs.rows(EDGES)]
    return sorted(edges, key=str), graphs.rows(NODES)


def cut_service(graphs: Graphs, left: int) -> GraphitiService:
    return GraphitiService(CutDatabase(graphs.connect(), left), "acme", group_id=None, clock=clock_at(2))


async def stored(service: GraphitiService, payloads: Sequence[Payload]) -> dict[str, str]:
    return {found.id: found.content_hash for found in (await service.fetch([p.id for p in payloads])).values()}


@pytest.mark.parametrize("left", range(STATEMENTS))
def test_a_write_that_was_cut_off_is_resumed(falkordb: Graphs, left: int) -> None:
    asyncio.run(act([falkordb.service(clock=clock_at(1))], clock_at(1), [("store", BEFORE)]))
    asyncio.run(act([falkordb.service(clock=clock_at(2))], clock_at(2), [("store", AFTER)]))
    wanted = state(falkordb)
    falkordb.empty()
    asyncio.run(act([falkordb.service(clock=clock_at(1))], clock_at(1), [("store", BEFORE)]))

    async def cut(service: GraphitiService) -> None:
        with pytest.raises(CutError):
            await service.upsert(AFTER)
        assert await stored(service, AFTER) == {payload.id: payload.content_hash for payload in BEFORE}

    falkordb.play(cut_service(falkordb, left), cut)
    asyncio.run(act([falkordb.service(clock=clock_at(2))], clock_at(2), [("store", AFTER)]))
    assert state(falkordb) == wanted


@pytest.mark.parametrize("left", range(4))
def test_a_removal_that_was_cut_off_is_resumed(falkordb: Graphs, left: int) -> None:
    days = [snapshot("spring", day, roas=day) for day in (1, 2, 3)]
    asyncio.run(act([falkordb.service()], clock_at(1), [("store", [days[0], days[2]])]))
    wanted = state(falkordb)
    falkordb.empty()
    asyncio.run(act([falkordb.service()], clock_at(1), [("store", days)]))

    async def cut(service: GraphitiService) -> None:
        with pytest.raises(CutError):
            await service.delete([days[1].id])

    falkordb.play(cut_service(falkordb, left), cut)
    asyncio.run(act([falkordb.service()], clock_at(1), [("delete", [days[1]])]))
    assert state(falkordb) == wanted


@pytest.mark.parametrize("left", range(4))
def test_an_entry_whose_removal_was_cut_off_can_be_stored_again(falkordb: Graphs, left: int) -> None:
    days = [snapshot("spring", day, roas=day) for day in (1, 2, 3)]
    asyncio.run(act([falkordb.service()], clock_at(1), [("store", days)]))
    wanted = state(falkordb)

    async def cut(service: GraphitiService) -> None:
        with pytest.raises(CutError):
            await service.delete([days[1].id])

    falkordb.play(cut_service(falkordb, left), cut)
    asyncio.run(act([falkordb.service()], clock_at(1), [("store", [days[1]])]))
    assert state(falkordb) == wanted
