"""How long facts are valid: as in memory.db, whatever is stored, changed, retired and deleted, in whatever order.

The store is the model: it has tests of its own that state what must be true of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.facts.model import utc_moment
from dm_memory.items import Payload, storage_id
from dm_memory.services.graphiti.service import GraphitiService
from dm_memory.services.protocol import Outcome
from tests.facts.pieces import Memory, SteppingClock, entry, plan, plans, snapshot, snapshots
from tests.facts.sample import SAMPLE, sample_payloads
from tests.services.graphiti.conftest import Graphs

FACTS = "MATCH (s)-[e:RELATES_TO]->(t) RETURN e.uuid, s.uuid, e.name, t.uuid, e.since, toString(e.invalid_at)"
NODES = "MATCH (n) RETURN n.uuid, n.name ORDER BY n.uuid"
EDGES = "MATCH ()-[e]->() RETURN e.uuid, toString(e.valid_at), toString(e.invalid_at), toString(e.expired_at)"

patient = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
brief = settings(patient, max_examples=5)
"""For Neo4j, which takes a second for what takes FalkorDB a tenth; the statements are the same."""
insights = st.builds(
    lambda number, text, day: entry(f"insight/{number}", text, recorded_at=day and f"2026-03-{day}T00:00:00Z"),
    st.integers(1, 3),
    st.sampled_from(["Bread sells.", "Cakes sell.", "The open rate is 5 percent.", 'Größe "zählt" 漢字 \\']),
    st.sampled_from(["01", "02", ""]),
)
payloads = st.one_of(snapshots, plans, insights)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.lists(payloads, min_size=1, max_size=4)),
        st.tuples(st.sampled_from(["delete", "retire"]), st.lists(payloads, min_size=1, max_size=2)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, -2])),
    ),
    max_size=10,
)


class Model:
    """The store, called as a service is."""

    def __init__(self, clock: SteppingClock, brand: str = "acme") -> None:
        self.memory = Memory(brand, clock)

    async def upsert(self, payloads: Sequence[Payload]) -> list[Outcome]:
        """Store entries."""
        self.memory.store(payloads)
        return []

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget entries."""
        sql = "SELECT key FROM entries WHERE id IN (SELECT value FROM json_each(?))"
        found = self.memory.connection.execute(sql, (json.dumps(ids),))
        self.memory.forget([entry(key, "") for (key,) in found])

    async def close(self) -> None:
        """Nothing is open."""


def retired(payload: Payload, clock: SteppingClock) -> Payload:
    return replace(payload, state="retired", retired_at=clock().isoformat())


async def act(services: Sequence[Any], clock: SteppingClock, doings: list[tuple[str, Any]]) -> None:
    """Do the same to every service."""
    current: dict[str, Payload] = {}
    for doing, what in doings:
        payloads = what
        if doing == "wait":
            clock.set((clock() + timedelta(days=what)).isoformat())
            continue
        if doing == "retire":
            payloads = [retired(known, clock) for each in what if (known := current.pop(each.id, None))]
        elif doing == "store":
            current |= {payload.id: payload for payload in what}
        else:
            current = {key: payload for key, payload in current.items() if key not in {each.id for each in what}}
        for service in services:
            if doing == "delete":
                await service.delete([payload.id for payload in payloads])
            else:
                assert all(outcome.error is None for outcome in await service.upsert(payloads))
    for service in services:
        await service.close()


def facts_in(graphs: Graphs) -> set[tuple[str, ...]]:
    return {
        (*ids, name, target, utc_moment(since), utc_moment(until or ""))
        for *ids, name, target, since, until in graphs.rows(FACTS)
    }


def facts_of_model(model: Model) -> set[tuple[str, ...]]:
    return set(
        model.memory.rows(
            "SELECT f.id, s.id, upper(f.relation), o.id, f.valid_at, f.invalid_at FROM facts f"
            " JOIN entities s ON s.seq = f.subject JOIN entities o ON o.seq = f.object"
        )
    )


def check(graphs: Graphs, doings: list[tuple[str, Any]]) -> None:
    graphs.empty()
    clock = SteppingClock()
    model = Model(clock)
    asyncio.run(act([graphs.service(clock=clock), model], clock, doings))
    assert facts_in(graphs) == facts_of_model(model)


@pytest.mark.graphiti
@pytest.mark.falkordb
@patient
@given(doings=steps)
def test_whatever_happens_facts_are_valid_as_long_as_in_the_store(
    falkordb: Graphs, doings: list[tuple[str, Any]]
) -> None:
    check(falkordb, doings)


@pytest.mark.graphiti
@pytest.mark.neo4j
@brief
@given(doings=steps)
def test_in_neo4j_too(neo4j: Graphs, doings: list[tuple[str, Any]]) -> None:
    check(neo4j, doings)


@pytest.mark.graphiti
@pytest.mark.falkordb
@patient
@given(
    entries=st.lists(st.one_of(snapshots, insights), max_size=12, unique_by=lambda payload: payload.id), data=st.data()
)
def test_the_order_in_which_entries_come_does_not_count(
    falkordb: Graphs, entries: list[Payload], data: st.DataObject
) -> None:
    found = []
    for order in (entries, data.draw(st.permutations(entries))):
        falkordb.empty()
        cut = data.draw(st.integers(0, len(order)))
        doings = [("store", batch) for batch in (order[:cut], order[cut:]) if batch]
        asyncio.run(act([falkordb.service()], SteppingClock(), doings))
        found.append(facts_in(falkordb))
    assert found[0] == found[1]


def scope(identity: str) -> str:
    """Return an id as it is in a group that is not the brand's own."""
    return storage_id("acme", identity)


def test_the_sample_brand_is_the_same_in_both(graphs: Graphs) -> None:
    entries = list(sample_payloads().values())
    clock = SteppingClock()
    stored = Model(clock, SAMPLE)
    asyncio.run(act([graphs.service(SAMPLE, "acme"), stored], clock, [("store", entries)]))
    model = facts_of_model(stored)
    scoped = {
        (scope(fact), scope(subject), relation, scope(thing), *times)
        for fact, subject, relation, thing, *times in model
    }
    assert facts_in(graphs) == scoped
    assert len(scoped) == len(model) > len(entries)


def test_writing_everything_again_changes_nothing(graphs: Graphs) -> None:
    clock = SteppingClock()
    doings: list[tuple[str, Any]] = [
        ("store", [snapshot("spring", 1, roas=2), snapshot("spring", 2, roas=3), plan("planned", "email")]),
        ("wait", 3),
        ("store", [plan("active", "email", "sms")]),
    ]
    asyncio.run(act([graphs.service(clock=clock)], clock, doings))
    before = sorted(graphs.rows(EDGES), key=str), graphs.rows(NODES)
    again: list[tuple[str, Any]] = [("wait", 9), ("store", [plan("active", "email", "sms"), *doings[0][1][:2]])]
    asyncio.run(act([graphs.service(clock=clock)], clock, again))
    assert (sorted(graphs.rows(EDGES), key=str), graphs.rows(NODES)) == before


def test_a_changed_value_ends_the_old_one_and_keeps_it(graphs: Graphs) -> None:
    clock = SteppingClock("2026-03-01T00:00:00+00:00")
    doings: list[tuple[str, Any]] = [
        ("store", [plan("planned", "email")]),
        ("wait", 10),
        ("store", [plan("active", "email")]),
    ]
    asyncio.run(act([graphs.service(clock=clock)], clock, doings))
    status = graphs.rows(
        "MATCH (:Brand)-[e:RELATES_TO {name: 'RAN'}]->(:Campaign)"
        " RETURN e.since, toString(e.invalid_at) ORDER BY e.since"
    )
    assert [(utc_moment(since), utc_moment(until or "")) for since, until in status] == [
        ("2026-02-01T00:00:00.000Z", "2026-03-11T00:00:00.000Z"),
        ("2026-03-11T00:00:00.000Z", ""),
    ]


def test_two_machines_that_write_one_slot_at_once_come_to_one_history(graphs: Graphs) -> None:
    days = [snapshot("spring", day, roas=day) for day in range(1, 21)]

    async def both() -> None:
        services = [graphs.service(), graphs.service()]
        writes = [services[day % 2].upsert([payload]) for day, payload in enumerate(days)]
        outcomes = await asyncio.gather(*writes)
        assert all(outcome.error is None for batch in outcomes for outcome in batch)
        for service in services:
            await service.close()

    asyncio.run(both())
    racing = facts_in(graphs)
    graphs.empty()
    asyncio.run(act([graphs.service()], SteppingClock(), [("store", days)]))
    assert racing == facts_in(graphs)


def test_what_is_removed_leaves_no_entity_that_nothing_else_is_about(graphs: Graphs) -> None:
    kept, gone = entry("insight/1", "Bread sells."), entry("insight/2", "Posters sell.", tags=("competitor:crumb-co",))

    async def scenario(service: GraphitiService) -> None:
        await service.upsert([kept, gone])
        await service.upsert([replace(gone, content="Billboards sell.", content_hash="1" * 64, version=2)])
        await service.delete([gone.id])

    graphs.play(graphs.service(), scenario)
    names = {name for _, name in graphs.rows("MATCH (n) WHERE n.uuid IS NOT NULL RETURN n.uuid, n.name")}
    assert names == {"acme", "campaign learning", "insight/1"}
    assert len(graphs.rows(EDGES)) == 3
