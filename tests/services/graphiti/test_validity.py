"""How long facts hold: as in the embedded graph, whatever is stored, changed and deleted, in whatever order.

The embedded graph is the model: it has tests of its own that state what must be true of it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.facts.model import utc_moment
from dm_memory.items import Payload, storage_id
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from dm_memory.services.graphiti.service import ConnectedGraphLayer
from tests.facts.pieces import SteppingClock, entry, plan, plans, rows, sample_payloads, snapshot, snapshots
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
        st.tuples(st.just("delete"), st.lists(payloads, min_size=1, max_size=2)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, -2])),
    ),
    max_size=10,
)


async def act(layers: Sequence[Any], clock: SteppingClock, doings: list[tuple[str, Any]]) -> None:
    """Do the same to every layer."""
    for doing, what in doings:
        for layer in layers:
            if doing == "store":
                assert all(outcome.error is None for outcome in await layer.upsert(what))
            elif doing == "delete":
                await layer.delete([payload.id for payload in what])
        if doing == "wait":
            clock.set((clock() + timedelta(days=what)).isoformat())
    for layer in layers:
        await layer.close()


def facts_in(graphs: Graphs) -> set[tuple[str, ...]]:
    return {
        (*ids, name, target, utc_moment(since), utc_moment(until or ""))
        for *ids, name, target, since, until in graphs.rows(FACTS)
    }


def facts_of_model(folder: Path) -> set[tuple[str, ...]]:
    found = rows(
        folder,
        "SELECT f.id, s.id, upper(f.relation), o.id, f.valid_at, f.invalid_at FROM facts f"
        " JOIN entities s ON s.seq = f.subject JOIN entities o ON o.seq = f.object",
    )
    return set(found)


def check(graphs: Graphs, doings: list[tuple[str, Any]]) -> None:
    graphs.empty()
    clock = SteppingClock()
    with tempfile.TemporaryDirectory() as folder:
        # The model's file exists whatever the steps are.
        doings = [("store", [entry("insight/0", "Bread sells.")]), *doings]
        asyncio.run(
            act([graphs.layer(clock=clock), SqliteGraphLayer(Path(folder), "acme", clock=clock)], clock, doings)
        )
        assert facts_in(graphs) == facts_of_model(Path(folder))


@pytest.mark.graphiti
@pytest.mark.falkordb
@patient
@given(doings=steps)
def test_whatever_happens_facts_hold_as_long_as_in_the_embedded_graph(
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
        asyncio.run(act([falkordb.layer()], SteppingClock(), doings))
        found.append(facts_in(falkordb))
    assert found[0] == found[1]


def scope(identity: str) -> str:
    """Return an id as it is in a group that is not the brand's own."""
    return storage_id("acme", identity)


def test_the_sample_brand_is_the_same_in_both_graphs(graphs: Graphs) -> None:
    brand = "ember-and-oak"
    entries = list(sample_payloads().values())
    with tempfile.TemporaryDirectory() as folder:
        layers = [graphs.layer(brand, "acme"), SqliteGraphLayer(Path(folder), brand)]
        asyncio.run(act(layers, SteppingClock(), [("store", entries)]))
        model = facts_of_model(Path(folder))
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
    asyncio.run(act([graphs.layer(clock=clock)], clock, doings))
    before = sorted(graphs.rows(EDGES), key=str), graphs.rows(NODES)
    again: list[tuple[str, Any]] = [("wait", 9), ("store", [plan("active", "email", "sms"), *doings[0][1][:2]])]
    asyncio.run(act([graphs.layer(clock=clock)], clock, again))
    assert (sorted(graphs.rows(EDGES), key=str), graphs.rows(NODES)) == before


def test_a_changed_value_ends_the_old_one_and_keeps_it(graphs: Graphs) -> None:
    clock = SteppingClock("2026-03-01T00:00:00+00:00")
    doings: list[tuple[str, Any]] = [
        ("store", [plan("planned", "email")]),
        ("wait", 10),
        ("store", [plan("active", "email")]),
    ]
    asyncio.run(act([graphs.layer(clock=clock)], clock, doings))
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
        layers = [graphs.layer(), graphs.layer()]
        writes = [layers[day % 2].upsert([payload]) for day, payload in enumerate(days)]
        outcomes = await asyncio.gather(*writes)
        assert all(outcome.error is None for batch in outcomes for outcome in batch)
        for layer in layers:
            await layer.close()

    asyncio.run(both())
    racing = facts_in(graphs)
    graphs.empty()
    asyncio.run(act([graphs.layer()], SteppingClock(), [("store", days)]))
    assert racing == facts_in(graphs)


def test_what_is_removed_leaves_no_entity_that_nothing_else_is_about(graphs: Graphs) -> None:
    kept, gone = entry("insight/1", "Bread sells."), entry("insight/2", "Posters sell.", tags=("competitor:crumb-co",))

    async def scenario(layer: ConnectedGraphLayer) -> None:
        await layer.upsert([kept, gone])
        await layer.upsert([replace(gone, content="Billboards sell.", content_hash="1" * 64, version=2)])
        await layer.delete([gone.id])

    graphs.play(graphs.layer(), scenario)
    names = {name for _, name in graphs.rows("MATCH (n) WHERE n.uuid IS NOT NULL RETURN n.uuid, n.name")}
    assert names == {"acme", "campaign learning", "insight/1"}
    assert len(graphs.rows(EDGES)) == 3
