"""What the connected graph does besides the contract of every service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.services.graphiti.database import Statement
from dm_memory.services.graphiti.service import GraphitiService
from tests.facts.pieces import SteppingClock, entry, plan, snapshot
from tests.services.graphiti.conftest import Graphs
from tests.services.payloads import payload

FACTS = "MATCH (s:Entity)-[e:RELATES_TO]->(t:Entity) RETURN s.name, e.name, t.name, e.fact"
FOREIGN = """
MERGE (a:Entity {uuid: 'a'}) SET a.name = 'theirs', a.group_id = $group
MERGE (b:Episodic {uuid: 'b'}) SET b.name = 'theirs', b.group_id = $group, b.content = 'What Graphiti was told.'
MERGE (b)-[:MENTIONS {uuid: 'm', group_id: $group}]->(a)
WITH a
MATCH (n:Brand)
SET n.summary = 'What Graphiti made of it.'
MERGE (n)-[e:RELATES_TO {uuid: 'e'}]->(a) SET e.name = 'KNOWS', e.fact = 'Theirs.', e.group_id = $group
"""


async def all_entries(service: GraphitiService, limit: int) -> list[Payload]:
    found: list[Payload] = []
    after: str | None = None
    while True:
        page, after = await service.entries(after, limit)
        assert len(page) <= limit
        found += page
        if after is None:
            return found


async def write(graphs: Graphs, statement: str, group: str = "acme") -> None:
    """Write as another program would."""
    database = graphs.connect()
    now = "2026-03-05T10:00:00.000+00:00"
    await database.write(group, [Statement(statement, {"group": group, "now": now})])
    await database.close()


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_everything_that_is_stored_can_be_listed(graphs: Graphs, limit: int) -> None:
    stored = [
        *(payload(number, f'Größe "zählt" \\ {number}\r\n\t') for number in range(4)),
        replace(
            payload(9), related=("insight/1",), expires_at="2030-01-01T00:00:00Z", version=3, updated_from="a" * 64
        ),
        plan("active", "email"),
        snapshot("spring", 3, roas=2.5),
    ]

    async def scenario(service: GraphitiService) -> None:
        assert service.capabilities.lists
        assert await all_entries(service, limit) == []
        await service.upsert(stored)
        told = {told.id: told for told in await all_entries(service, limit)}
        assert told == {payload.id: payload for payload in stored}

    graphs.play(graphs.service(), scenario)


def test_what_graphiti_and_people_added_stays_and_is_not_taken_for_ours(graphs: Graphs) -> None:
    async def scenario(service: GraphitiService) -> None:
        await service.upsert([payload(1)])
        await write(graphs, FOREIGN)
        await service.upsert([payload(1), payload(2)])
        assert await service.count() == 2
        assert {told.key for told in await all_entries(service, 10)} == {"insight/1", "insight/2"}
        await service.delete([payload(1).id, payload(2).id])

    graphs.play(graphs.service(), scenario)
    assert graphs.rows("MATCH (n:Brand) RETURN n.summary") == [["What Graphiti made of it."]]
    assert graphs.rows(FACTS) == [["acme", "KNOWS", "theirs", "Theirs."]]
    assert graphs.rows("MATCH (n:Episodic) RETURN n.content") == [["What Graphiti was told."]]


def test_an_entry_that_was_spoiled_by_others_is_whole_again_when_it_is_stored_again(graphs: Graphs) -> None:
    async def scenario(service: GraphitiService) -> None:
        await service.upsert([payload(1)])
        await write(graphs, "MATCH ()-[e:RELATES_TO]->() REMOVE e.slot, e.since, e.stated_at, e.fact")
        await service.upsert([payload(1)])
        await write(graphs, "MATCH ()-[e]->() DELETE e")
        await service.upsert([payload(1)])
        await write(graphs, "MATCH (n:Episodic) REMOVE n.details")
        with pytest.raises(ServiceError) as caught:
            await service.entries(None, 10)
        assert caught.value.error_class is ErrorClass.MALFORMED_REPLY
        assert await service.fetch([payload(1).id]) == {}
        await service.upsert([payload(1)])
        assert await all_entries(service, 10) == [payload(1)]

    graphs.play(graphs.service(), scenario)
    assert [row[3] for row in graphs.rows(FACTS)] == [payload(1).content]


def test_an_entry_whose_facts_somebody_deleted_is_not_stored_until_it_is_stored_again(graphs: Graphs) -> None:
    stored = [payload(1), plan("active", "email"), snapshot("spring", 3, roas=2.5)]
    ids = [payload.id for payload in stored]

    async def scenario(service: GraphitiService) -> None:
        await service.upsert(stored)
        assert set(await service.fetch(ids)) == set(ids)
        await service.upsert([replace(stored[1], content=f"{stored[1].content} More.", content_hash="e" * 64)])
        assert set(await service.fetch(ids)) == set(ids)
        await write(graphs, "MATCH (:Campaign)-[e:RELATES_TO]->(:Metric) DELETE e")
        assert set(await service.fetch(ids)) == set(ids) - {stored[2].id}
        await service.upsert([stored[2]])
        assert set(await service.fetch(ids)) == set(ids)

    graphs.play(graphs.service(), scenario)


def test_a_tag_that_says_what_an_entry_is_about_moves_its_fact(graphs: Graphs) -> None:
    async def scenario(service: GraphitiService) -> None:
        await service.upsert([entry("insight/1", "Bread sells.")])
        await service.update_metadata([entry("insight/1", "Bread sells.", tags=("channel:podcast",))])

    graphs.play(graphs.service(), scenario)
    assert graphs.rows(FACTS) == [["acme", "LEARNED", "podcast", "Bread sells."]]
    assert graphs.rows("MATCH (:Episodic)-[:MENTIONS]->(n) RETURN n.name ORDER BY n.name") == [["acme"], ["podcast"]]


def test_what_a_retired_entry_stated_is_closed_and_the_entry_stays_with_its_state(graphs: Graphs) -> None:
    current = plan("active", "email")
    gone = replace(current, state="retired", retired_at="2026-05-01T00:00:00Z", metadata_hash="d" * 64, author="ana")

    async def scenario(service: GraphitiService) -> None:
        assert service.capabilities.keeps_retired
        await service.upsert([current, payload(1)])
        for _ in range(2):
            await service.upsert([gone])
            assert await service.count() == 2
            assert (await service.fetch([gone.id]))[gone.id].metadata_hash == gone.metadata_hash
            assert gone in await all_entries(service, 10)

    graphs.play(graphs.service(), scenario)
    ended = graphs.rows(
        "MATCH ()-[e:RELATES_TO]->() WHERE e.invalid_at IS NOT NULL RETURN e.name, toString(e.invalid_at)"
    )
    assert {name for name, _ in ended} == {"DECIDED", "RAN", "USED"}
    assert {until[:10] for _, until in ended} == {"2026-05-01"}

    graphs.play(
        graphs.service(clock=SteppingClock("2026-06-01T00:00:00+00:00")), lambda service: service.upsert([current])
    )
    again = graphs.rows(
        "MATCH (:Campaign)-[e:RELATES_TO {name: 'USED'}]->(:Channel)"
        " RETURN toString(e.valid_at), toString(e.invalid_at) ORDER BY e.since"
    )
    assert [(since[:10], (until or "")[:10]) for since, until in again] == [
        ("2026-02-01", "2026-05-01"),
        ("2026-06-01", ""),
    ]


def test_brands_share_a_group_and_groups_share_a_database_without_touching_each_other(graphs: Graphs) -> None:
    services = [graphs.service("acme"), graphs.service("acme", "everyone"), graphs.service("other", "everyone")]
    entries = [[payload(1)], [payload(1), payload(2)], [replace(payload(3), brand="other")]]

    async def scenario(services: Sequence[GraphitiService]) -> None:
        for service, payloads in zip(services, entries, strict=True):
            await service.upsert(payloads)
        for service, payloads in zip(services, entries, strict=True):
            assert set(await service.fetch([payload(number).id for number in (1, 2, 3)])) == {p.id for p in payloads}
            assert await service.count() == len(payloads)
        await services[1].delete([payload(1).id])
        assert payload(1).id in await services[0].fetch([payload(1).id])
        for service in services:
            await service.close()

    asyncio.run(scenario(services))
    assert len({service.name for service in services}) == 2
    for group, brands in (("acme", {"acme"}), ("everyone", {"acme", "other"})):
        found = graphs.rows(f"MATCH (n:Brand) WHERE n.group_id = '{group}' RETURN n.name", group)
        assert {name for (name,) in found} == brands


def test_looking_at_an_empty_database_writes_nothing(graphs: Graphs) -> None:
    async def scenario(service: GraphitiService) -> None:
        assert (await service.health()).ok
        assert await service.count() == 0
        assert await service.entries(None, 10) == ([], None)
        await service.delete([payload(1).id])

    graphs.play(graphs.service(), scenario)
    if graphs.uri.startswith("redis"):
        from redis import Redis  # noqa: PLC0415  # the extra graphiti may be absent

        with Redis.from_url(graphs.uri) as server:
            assert server.keys() == []
    assert graphs.rows("MATCH (n) RETURN count(n)") in ([], [[0]])


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
values: st.SearchStrategy[Any] = st.one_of(texts, st.integers(-(2**63) + 1, 2**63 - 1), st.none())


@pytest.mark.graphiti
@pytest.mark.falkordb
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"text": texts, "value": values}), max_size=5))
def test_whatever_a_value_holds_is_stored_as_it_is_and_ends_no_statement(
    falkordb: Graphs, rows: list[dict[str, Any]]
) -> None:
    asyncio.run(write(falkordb, "MERGE (:Something)"))
    found = falkordb.rows("UNWIND $rows AS row RETURN row.text, row.value", rows=rows)
    assert found == [[row["text"], row["value"]] for row in rows]
