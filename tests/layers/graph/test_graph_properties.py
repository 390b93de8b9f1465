"""What must be true of the embedded graph whatever is stored, changed and deleted, in whatever order."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.facts.extract import facts_of
from dm_memory.facts.model import (
    BEGINNING,
    Entity,
    EntityType,
    Fact,
    Relation,
    make_entity,
    make_fact,
    succession,
)
from dm_memory.items import Payload
from dm_memory.layers.graph_sqlite import SqliteGraphLayer
from tests.facts.pieces import (
    BRAND,
    SteppingClock,
    assert_sound,
    entry,
    everything,
    plans,
    play,
    rows,
    snapshot,
    snapshots,
    store,
    validities,
)

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

insights = st.builds(
    lambda number, text, day: entry(f"insight/{number}", text, recorded_at=day and f"2026-03-{day}T00:00:00Z"),
    st.integers(1, 3),
    st.sampled_from(["Bread sells.", "Cakes sell.", "The open rate is 5 percent.", "Größe zählt 漢字"]),
    st.sampled_from(["01", "02", ""]),
)
payloads = st.one_of(snapshots, plans, insights)


def latest(batch: Sequence[Payload]) -> dict[str, Payload]:
    return {payload.id: payload for payload in batch}


# Order ---------------------------------------------------------------------------------------------------------------


@quick
@given(st.lists(st.one_of(snapshots, insights), max_size=14, unique_by=lambda payload: payload.id), st.data())
def test_the_order_in_which_entries_come_does_not_count(entries: list[Payload], data: st.DataObject) -> None:
    order = data.draw(st.permutations(entries))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(order)), max_size=4)))
    batches = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    slots: dict[str, list[Fact]] = {}
    for payload in entries:
        for fact in facts_of(payload).facts:
            slots.setdefault(fact.slot, []).append(fact)
    expected = {(fact.id, fact.valid_at, fact.invalid_at) for facts in slots.values() for fact in succession(facts)}
    with tempfile.TemporaryDirectory() as folder:
        store(Path(folder), *(batch for batch in batches if batch), [snapshot("other", 1, roas=1)])
        found = set(rows(Path(folder), "SELECT id, valid_at, invalid_at FROM facts"))
        assert (
            found - {(fact.id, fact.valid_at, "") for fact in facts_of(snapshot("other", 1, roas=1)).facts} == expected
        )
        assert_sound(Path(folder))


def fact_at(since: str, text: str, until: str = "") -> Fact:
    subject: Entity = make_entity(BRAND, EntityType.BRAND, BRAND)
    fact = make_fact("entry", subject, Relation.ACHIEVED, subject, text, valid_at=since, slot="slot")
    return replace(fact, invalid_at=until)


moments = st.sampled_from(["", *(f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 6))])
facts = st.builds(
    lambda since, text, end: fact_at(since, text, max(since, end) if end else ""), moments, st.text(max_size=3), moments
)


@given(st.lists(facts, max_size=8, unique_by=lambda fact: fact.id), st.randoms())
def test_the_succession_of_a_slot_is_one_value_at_a_time_in_any_order(given_facts: list[Fact], random: object) -> None:
    ordered = succession(given_facts)
    shuffled = list(given_facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis' random is one
    assert succession(shuffled) == ordered
    held = [fact for fact in ordered if not fact.invalid_at or fact.valid_at < fact.invalid_at]
    assert all(fact.invalid_at and fact.invalid_at <= (later.valid_at or BEGINNING) for fact, later in pairwise(held))
    assert {fact.id for fact in ordered} == {fact.id for fact in given_facts}


# Change --------------------------------------------------------------------------------------------------------------

actions = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.lists(payloads, min_size=1, max_size=4)),
        st.tuples(st.just("update"), st.lists(payloads, min_size=1, max_size=2)),
        st.tuples(st.just("delete"), st.lists(payloads, min_size=1, max_size=2)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 30, -2])),
    ),
    max_size=12,
)


@quick
@given(actions)
def test_whatever_happens_a_slot_has_one_value_and_entries_state_what_they_say_now(
    steps: list[tuple[str, list[Payload] | int]],
) -> None:
    clock = SteppingClock()
    current: dict[str, Payload] = {}

    async def scenario(layer: SqliteGraphLayer) -> None:
        for action, argument in steps:
            if isinstance(argument, int):
                clock.set((clock() + timedelta(days=argument)).isoformat())
            elif action == "store":
                await layer.upsert(argument)
                current.update(latest(argument))
            elif action == "delete":
                await layer.delete([payload.id for payload in argument])
                for payload in argument:
                    current.pop(payload.id, None)
            else:
                await layer.update_metadata(argument)
                for payload in argument:
                    if held := current.get(payload.id):
                        text, digest = held.content, held.content_hash
                        current[payload.id] = replace(payload, content=text, content_hash=digest)
            held_now = await layer.fetch(list(current))
            assert {key: record.content_hash for key, record in held_now.items()} == {
                key: payload.content_hash for key, payload in current.items()
            }

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        play(folder, scenario, clock=clock)
        if not (folder / "graph.db").exists():
            return
        assert_sound(folder)
        assert_states(folder, current)
        before = everything(folder)
        store(folder, list(current.values()), clock=clock)
        assert everything(folder) == before


def assert_states(folder: Path, current: dict[str, Payload]) -> None:
    """Assert that the facts that have not ended are those of the entries as they are, and that ends follow the rule."""
    stated = rows(folder, "SELECT e.id, coalesce(f.slot, 'entry:' || e.id), coalesce(f.text, e.content)"
                          " FROM facts f JOIN entries e ON e.seq = f.entry WHERE f.ended_at = ''")  # fmt: skip
    assert sorted(stated) == sorted(
        (payload.id, fact.slot, fact.text) for payload in current.values() for fact in facts_of(payload).facts
    )
    slots: dict[str, list[Fact]] = {}
    for slot, key, since, ended in rows(folder, "SELECT slot, id, valid_at, ended_at FROM facts WHERE slot > ''"):
        slots.setdefault(slot, []).append(replace(fact_at(since, "", ended), id=key))
    assert validities(folder) == {
        (fact.id, slot, fact.valid_at, fact.invalid_at)
        for slot, facts_in_slot in slots.items()
        for fact in succession(facts_in_slot)
        if not fact.invalid_at or fact.valid_at < fact.invalid_at
    }
    assert rows(folder, "SELECT count(*), count(DISTINCT id) FROM facts")[0][0] == len(
        set(rows(folder, "SELECT id FROM facts"))
    )


@quick
@given(st.lists(payloads, max_size=10, unique_by=lambda payload: payload.id), st.data())
def test_deleting_what_was_added_leaves_what_was_there(entries: list[Payload], data: st.DataObject) -> None:
    added = data.draw(st.lists(st.sampled_from(entries), unique_by=lambda payload: payload.id)) if entries else []
    kept = [payload for payload in entries if payload not in added]
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name) / "first", Path(name) / "second"

        async def scenario(layer: SqliteGraphLayer) -> None:
            await layer.upsert([*kept, *added])
            await layer.delete([payload.id for payload in added])

        store(first, [*kept, snapshot("other", 1, roas=1)])
        store(second, [snapshot("other", 1, roas=1)])
        play(second, scenario)
        assert validities(first) == validities(second)
        names = "SELECT type, normal FROM entities ORDER BY 1, 2"
        assert rows(first, names) == rows(second, names)
        assert_sound(second)
