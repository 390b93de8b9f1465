"""Entities and facts in memory.db: how long they are valid, what is read of them, and what must always be true."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.errors import InputError
from dm_memory.facts.extract import facts_of
from dm_memory.facts.model import (
    BEGINNING,
    Entity,
    EntityType,
    Fact,
    Relation,
    make_entity,
    make_fact,
)
from dm_memory.items import Payload
from dm_memory.store.facts import Stated, count_facts, entities_named, import_facts, store_facts
from dm_memory.store.history import (
    changes_about,
    facts_about,
    facts_of_entry,
)
from tests.facts.pieces import (
    BRAND,
    Memory,
    SteppingClock,
    entry,
    plan,
    plans,
    snapshot,
    snapshots,
)
from tests.facts.succession import succession

NOW = "2026-06-01T00:00:00Z"


def memory_of(*batches: Sequence[Payload]) -> Memory:
    memory = Memory()
    for batch in batches:
        memory.store(batch)
    return memory


def texts(facts: Sequence[Fact]) -> list[str]:
    return [fact.text for fact in facts]


# Validity ------------------------------------------------------------------------------------------------------------


def test_a_newer_snapshot_ends_what_the_older_one_said() -> None:
    memory = memory_of([snapshot("spring", 10, roas=2.1), snapshot("spring", 20, roas=3.4)])
    (then,) = memory.facts("ROAS", "2026-03-15T00:00:00Z")
    (now,) = memory.facts("roas")
    assert (then.text, then.valid_at, then.invalid_at) == (
        "spring achieved roas: 2.1 (March).",
        "2026-03-10T00:00:00.000Z",
        "2026-03-20T00:00:00.000Z",
    )
    assert (now.text, now.invalid_at) == ("spring achieved roas: 3.4 (March).", "")
    assert memory.history(now.slot) == [then, now]
    assert memory.facts("roas", "2026-03-09T23:59:59Z") == []
    assert texts(memory.facts("roas", "2026-03-20T00:00:00Z")) == [now.text]


def test_a_day_means_its_end() -> None:
    memory = memory_of(
        [snapshot("spring", 10, roas=1), entry("insight/1", "ROAS it is.", recorded_at="2026-03-09T18:00:00Z")]
    )
    assert memory.facts("roas", "2026-03-08") == []
    assert texts(memory.facts("roas", "2026-03-11")) == ["spring achieved roas: 1 (March).", "ROAS it is."]
    assert texts(memory.facts("roas", "2026-03-10")) == ["spring achieved roas: 1 (March).", "ROAS it is."]


@pytest.mark.parametrize("moment", ["yesterday", "", "2026-13-01"])
def test_a_question_about_no_date_is_refused(moment: str) -> None:
    with pytest.raises(InputError, match="is not a date"):
        memory_of([snapshot("spring", 10, roas=1)]).facts("roas", moment)


def test_an_older_snapshot_that_comes_late_takes_its_place_in_between() -> None:
    memory = memory_of(
        [snapshot("spring", 10, roas=1), snapshot("spring", 30, roas=3)], [snapshot("spring", 20, roas=2)]
    )
    (now,) = memory.facts("roas")
    history = memory.history(now.slot)
    assert [(fact.valid_at[8:10], fact.invalid_at[8:10]) for fact in history] == [
        ("10", "20"),
        ("20", "30"),
        ("30", ""),
    ]


def test_a_plan_that_changes_keeps_what_it_said_until_then() -> None:
    clock = SteppingClock("2026-02-02T00:00:00Z")
    memory = Memory(clock=clock)
    memory.store([plan("planned", "email", "podcast")])
    clock.set("2026-03-05T00:00:00Z")
    memory.store([plan("active", "email", "instagram")])
    clock.set("2026-04-01T00:00:00Z")

    def found(relation: Relation, at: str | None = None) -> list[Fact]:
        return [fact for fact in memory.facts("spring", at) if fact.relation is relation]

    assert texts(found(Relation.RAN, "2026-02-20T00:00:00Z")) == ["The campaign Spring of acme is planned."]
    (status,) = found(Relation.RAN)
    assert (status.text, status.valid_at) == ("The campaign Spring of acme is active.", "2026-03-05T00:00:00.000Z")
    assert [fact.invalid_at for fact in memory.history(status.slot)] == ["2026-03-05T00:00:00.000Z", ""]
    for at, channels in (("2026-02-20", {"email", "podcast"}), ("2026-03-20", {"email", "instagram"})):
        assert {fact.object.name for fact in found(Relation.USED, at)} == channels
    (email,) = [fact for fact in memory.facts("email") if fact.relation is Relation.USED]
    assert email.valid_at == "2026-02-01T00:00:00.000Z", "what did not change began when it began"
    memory.assert_sound()


def test_what_was_ended_and_is_stated_again_is_another_stretch_of_time() -> None:
    clock = SteppingClock()
    memory = Memory(clock=clock)
    for month, status in ((3, "active"), (4, "paused"), (5, "active")):
        clock.set(f"2026-{month:02}-01T00:00:00Z")
        memory.store([plan(status, "email")])
    (now,) = [fact for fact in memory.facts("spring") if fact.relation is Relation.RAN]
    history = memory.history(now.slot)
    assert [(fact.text[-7:-1], fact.valid_at[5:7], fact.invalid_at[5:7]) for fact in history] == [
        ("active", "02", "04"),
        ("paused", "04", "05"),
        ("active", "05", ""),
    ]
    assert len({fact.id for fact in history}) == 3


def test_a_corrected_snapshot_is_valid_from_its_own_date_and_not_from_the_correction() -> None:
    memory = memory_of(
        [snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2)], [snapshot("spring", 10, roas=1.5)]
    )
    assert texts(memory.facts("roas", "2026-03-15T00:00:00Z")) == ["spring achieved roas: 1.5 (March)."]
    (now,) = memory.facts("roas")
    assert now.text == "spring achieved roas: 2 (March)."
    (taken_back,) = [fact for fact in memory.history(now.slot) if fact.text.startswith("spring achieved roas: 1 ")]
    assert taken_back.valid_at == taken_back.invalid_at
    memory.assert_sound()


def test_a_guideline_that_is_edited_keeps_the_words_it_had() -> None:
    clock = SteppingClock("2026-03-01T00:00:00Z")
    memory = Memory(clock=clock)
    old = entry("guideline/voice.md#Tone", "Never use exclamation marks.", kind="guideline", facts={"section": "Tone"})
    memory.store([old])
    clock.set("2026-05-01T00:00:00Z")
    memory.store([replace(old, content="One exclamation mark is fine.", content_hash="1" * 64)])
    (line,) = changes_about(memory.connection, BRAND, [make_entity(BRAND, EntityType.TOPIC, "Tone").id], 5)
    assert [(stored.fact.text, stored.fact.valid_at[:7], stored.fact.invalid_at[:7]) for stored in line] == [
        ("Never use exclamation marks.", "2026-03", "2026-05"),
        ("One exclamation mark is fine.", "2026-05", ""),
    ]
    assert {(stored.key, stored.own) for stored in line} == {("guideline/voice.md#Tone", True)}
    assert texts(memory.facts("tone", "2026-04-01")) == ["Never use exclamation marks."]


def test_metadata_alone_can_change_what_an_entry_is_about() -> None:
    old = entry("insight/1", "Short films win.", tags=("channel:tiktok",))
    memory = memory_of([old])
    memory.update_metadata([replace(old, tags=("channel:youtube",), metadata_hash="1" * 64, content="Not taken.")])
    assert memory.facts("tiktok") == []
    assert texts(memory.facts("youtube")) == ["Short films win."]
    assert entities_named(memory.connection, BRAND, "tiktok") == [], "nothing is about it any more"
    memory.assert_sound()


def test_what_is_dated_in_the_future_by_a_clock_that_was_wrong_is_read_all_the_same() -> None:
    memory = memory_of([entry("insight/1", "Bread sells.", tags=("channel:shop",), recorded_at="2999-01-01T00:00:00Z")])
    assert texts(memory.facts("shop")) == ["Bread sells."]
    assert memory.facts("shop", "2998-12-31") == []


def test_a_date_that_was_corrected_moves_the_fact() -> None:
    old = snapshot("spring", 10, roas=1)
    memory = memory_of([old], [replace(old, recorded_at="2026-03-05T00:00:00Z", metadata_hash="2" * 64)])
    assert [fact.valid_at[8:10] for fact in memory.facts("roas")] == ["05"]


def test_undated_entries_count_from_the_moment_memory_met_them() -> None:
    memory = memory_of(
        [entry("session/1", "People like bread.", kind="session", tags=("channel:shop",), recorded_at="")]
    )
    assert texts(memory.facts("shop", "2026-12-01")) == ["People like bread."]
    assert memory.facts("shop", "2026-11-01") == []


def test_storing_the_same_again_writes_nothing_at_all() -> None:
    clock = SteppingClock()
    memory = Memory(clock=clock)
    memory.store([snapshot("spring", day, roas=day, cpa=1) for day in range(1, 9)])
    for status in ("planned", "active"):
        memory.store([plan(status, "email", status), entry("insight/1", f"It is {status}.", tags=("market:peru",))])
        clock.set("2026-07-01T00:00:00Z")
    payloads = [
        *(snapshot("spring", day, roas=day, cpa=1) for day in range(1, 9)),
        *(plan("active", "email", "active"), entry("insight/1", "It is active.", tags=("market:peru",))),
    ]
    before = memory.everything()
    clock.set("2030-01-01T00:00:00Z")
    changed = memory.connection.total_changes
    rows = {key: seq for seq, key in memory.rows("SELECT seq, key FROM entries")}
    with memory.transaction() as connection:
        again = [Stated(rows[payload.key], payload, payload.content) for payload in payloads]
        store_facts(connection, BRAND, again, clock().isoformat())
    assert memory.connection.total_changes == changed
    assert memory.everything() == before
    memory.assert_sound()


# Retired, forgotten, expired -----------------------------------------------------------------------------------------


def test_what_a_retired_entry_stated_has_ended_and_begins_again_when_it_is_current_again() -> None:
    clock = SteppingClock("2026-02-02T00:00:00Z")
    memory = Memory(clock=clock)
    memory.store([plan("active", "email")])
    clock.set("2026-03-01T00:00:00Z")
    memory.retire([plan("active", "email")])
    clock.set("2026-04-01T00:00:00Z")
    assert memory.facts("spring") == []
    assert len(memory.facts("spring", "2026-02-15")) == 3
    memory.store([plan("active", "email")])
    assert {fact.valid_at for fact in memory.facts("spring")} == {"2026-04-01T00:00:00.000Z"}
    assert memory.facts("spring", "2026-03-15") == []
    assert len(memory.facts("spring", "2026-02-15")) == 3
    memory.assert_sound()


def test_an_entry_that_comes_back_with_another_text_leaves_the_old_words_in_the_past() -> None:
    clock = SteppingClock("2026-02-02T00:00:00Z")
    memory = Memory(clock=clock)
    old = entry("insight/1", "Posters sell.", tags=("channel:outdoor",))
    memory.store([old])
    clock.set("2026-04-01T00:00:00Z")
    memory.retire([old])
    clock.set("2026-05-01T00:00:00Z")
    memory.store([replace(old, content="Billboards sell.", content_hash="1" * 64)])
    assert texts(memory.facts("outdoor", "2026-03-15")) == ["Posters sell."]
    assert texts(memory.facts("outdoor")) == ["Billboards sell."]
    memory.assert_sound()


def test_an_entry_that_arrives_retired_states_nothing_at_present() -> None:
    gone = replace(
        entry("insight/1", "Bread.", tags=("channel:shop",)), state="retired", retired_at="2026-05-01T00:00:00Z"
    )
    memory = memory_of([gone])
    assert memory.facts("shop") == []
    assert [fact.invalid_at for fact in memory.facts("shop", "2026-04-01")] == ["2026-05-01T00:00:00.000Z"]


def test_a_retired_snapshot_does_not_give_the_slot_back() -> None:
    memory = memory_of([snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2)])
    memory.retire([snapshot("spring", 20, roas=2)])
    assert memory.facts("roas") == []
    assert texts(memory.facts("roas", "2026-03-15T00:00:00Z")) == ["spring achieved roas: 1 (March)."]


def test_forgetting_an_entry_takes_its_facts_along_and_gives_the_slot_back() -> None:
    first, second = snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2, cpa=9)
    memory = memory_of([first])
    before = memory.everything()
    memory.store([second])
    memory.forget([second])
    assert memory.everything() == before
    assert entities_named(memory.connection, BRAND, "cpa") == []


def test_an_entry_that_has_facts_cant_be_deleted_past_them() -> None:
    memory = memory_of([snapshot("spring", 10, roas=1)])
    with pytest.raises(sqlite3.IntegrityError):
        memory.connection.execute("DELETE FROM entries")


def test_facts_of_expired_entries_are_left_out_at_that_moment() -> None:
    offer = entry("insight/1", "Free shipping.", tags=("channel:shop",), expires_at="2026-05-01T00:00:00Z")
    memory = memory_of([offer])
    assert memory.facts("shop") == []
    assert texts(memory.facts("shop", "2026-04-30")) == ["Free shipping."]


def test_a_transaction_that_is_rolled_back_leaves_no_trace_for_the_next_one() -> None:
    memory = memory_of([snapshot("spring", 10, roas=1)])
    before = memory.everything()

    memory.connection.execute("BEGIN")
    memory._store({each.id: each for each in [snapshot("autumn", 1, cpa=2)]})
    memory.connection.execute("ROLLBACK")
    assert memory.everything() == before
    memory.store([snapshot("autumn", 2, cpa=3), snapshot("spring", 20, roas=2)])
    assert texts(memory.facts("cpa")) == ["autumn achieved cpa: 3 (March)."]
    memory.assert_sound()


# Questions -----------------------------------------------------------------------------------------------------------


def test_a_campaign_is_found_by_its_name_and_by_its_id() -> None:
    memory = memory_of([snapshot("spring-2026", 10, roas=1)], [plan("active", "email", campaign="spring-2026")])
    by_name = memory.facts("How did Spring do?")
    assert len(by_name) == 5
    assert {fact.subject.name for fact in by_name if fact.relation is Relation.ACHIEVED} == {"Spring"}
    assert memory.facts("and SPRING 2026?") == by_name
    assert memory.facts("spring-2026") == by_name


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What about paid search?", ["paid search"]),
        ("What about PAID-SEARCH, and Zürich?", ["paid search", "Zürich"]),
        ("zurich", ["Zürich"]),
        ("Was lief in Zürichs Läden?", []),
        ("the search was paid", []),
        ("春のキャンペーンの結果は?", ["春のキャンペーン"]),
        ("acme", []),
        ("", []),
        ("\x00 '\"(){}[]*?:- \ud800 🎉", []),
    ],
)
def test_entities_are_named_by_whole_words_without_case_or_accents(question: str, found: list[str]) -> None:
    memory = memory_of(
        [
            entry("insight/1", "Brand terms cost half.", tags=("channel:paid-search", "market:zürich")),
            entry(
                "guideline/x#春のキャンペーン", "桜を使う。", kind="guideline", facts={"section": "春のキャンペーン"}
            ),
        ]
    )
    assert [entity.name for entity in entities_named(memory.connection, BRAND, question)] == found


def test_a_long_question_is_no_harder_than_its_first_words() -> None:
    memory = memory_of([entry("insight/1", "Bread.", tags=("channel:email",))])
    assert entities_named(memory.connection, BRAND, "email " + "word " * 100_000)[0].name == "email"


def test_a_market_is_found_by_what_was_learned_there_though_the_fact_is_about_something_else() -> None:
    learned = entry("insight/1", "Reels work in Germany.", tags=("channel:instagram", "market:germany"))
    memory = memory_of([learned, entry("insight/2", "Reels work.", tags=("channel:instagram",))])
    assert texts(memory.facts("Germany")) == ["Reels work in Germany."]
    assert len(memory.facts("Instagram")) == 2
    assert len(memory.facts("Instagram", limit=1)) == 1


def test_a_snapshot_that_mentions_a_channel_gives_its_own_statement_and_not_its_table() -> None:
    made = replace(snapshot("spring", 10, roas=1, cpa=2, signups=3), tags=("channel:email",))
    assert texts(memory_of([made]).facts("email")) == [made.content]


def test_every_fact_names_its_source() -> None:
    memory = memory_of([plan("active", "email")])
    email = make_entity(BRAND, EntityType.CHANNEL, "email").id
    (stored,) = facts_about(memory.connection, BRAND, [email], as_of=None, now=NOW, limit=9)
    assert (stored.key, stored.state, stored.expires_at, stored.own) == ("campaign/spring#plan", "current", "", False)
    found = facts_of_entry(memory.connection, BRAND, stored.entry)
    assert [each.fact for each in found] == list(facts_of(plan("active", "email")).facts)
    assert stored in found


def test_changes_come_latest_first_and_say_what_is_no_longer_stated() -> None:
    clock = SteppingClock("2026-05-01T00:00:00Z")
    memory = Memory(clock=clock)
    memory.store([snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2), plan("active", "email", "sms")])
    memory.store([plan("active", "email")])
    campaign = [entity.id for entity in entities_named(memory.connection, BRAND, "spring")]
    lines = changes_about(memory.connection, BRAND, campaign, 10)
    assert [[stored.fact.text for stored in line] for line in lines if not line[0].own] == [
        ["Spring used the channel sms."],
        ["spring achieved roas: 1 (March).", "spring achieved roas: 2 (March)."],
    ]
    assert changes_about(memory.connection, BRAND, campaign, 1) == lines[:1]


def test_counts_are_known() -> None:
    memory = memory_of([snapshot("spring", 10, roas=1), snapshot("spring", 20, roas=2)])
    assert count_facts(memory.connection) == (3, 4)


def test_what_another_store_kept_is_imported_with_its_past() -> None:
    clock = SteppingClock("2026-02-02T00:00:00Z")
    old = Memory(clock=clock)
    versions = [plan("planned", "email", "sms"), plan("active", "email")]
    for version in versions:
        old.store([version])
        clock.set("2026-03-05T00:00:00Z")
    kept = [
        (1, replace(stored.fact, invalid_at=ended), stored.stated_at)
        for stored, (ended,) in zip(
            facts_of_entry(old.connection, BRAND, 1), old.rows("SELECT ended_at FROM facts ORDER BY seq"), strict=True
        )
    ]
    new = Memory(clock=clock)
    with new.transaction() as connection:
        assert new._write(versions[-1], None) == 1
        import_facts(connection, kept)
        store_facts(connection, BRAND, [Stated(1, versions[-1], versions[-1].content)], clock().isoformat())
    assert facts_of_entry(new.connection, BRAND, 1) == facts_of_entry(old.connection, BRAND, 1)
    new.assert_sound()


# Anything, in any order ----------------------------------------------------------------------------------------------

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

insights = st.builds(
    lambda number, text, day, tag: entry(
        f"insight/{number}", text, recorded_at=day and f"2026-03-{day}T00:00:00Z", tags=tag
    ),
    st.integers(1, 3),
    st.sampled_from(["Bread sells.", "Cakes sell.", "The open rate is 5 percent.", "Größe zählt 漢字"]),
    st.sampled_from(["01", "02", ""]),
    st.sampled_from([(), ("channel:email",), ("channel:sms", "market:peru")]),
)
payloads = st.one_of(snapshots, plans, insights)


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
    memory = memory_of(*batches)
    assert set(memory.rows("SELECT id, valid_at, invalid_at FROM facts")) == expected
    memory.assert_sound()


def fact_at(since: str, text: str, until: str = "") -> Fact:
    subject: Entity = make_entity(BRAND, EntityType.BRAND, BRAND)
    fact = make_fact("entry", subject, Relation.ACHIEVED, subject, text, valid_at=since, slot="slot")
    return replace(fact, invalid_at=until)


moments = st.sampled_from(["", *(f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 6))])
slot_facts = st.builds(
    lambda since, text, end: fact_at(since, text, max(since, end) if end else ""), moments, st.text(max_size=3), moments
)


@given(st.lists(slot_facts, max_size=8, unique_by=lambda fact: fact.id), st.randoms())
def test_the_succession_of_a_slot_is_one_value_at_a_time_in_any_order(given_facts: list[Fact], random: object) -> None:
    ordered = succession(given_facts)
    shuffled = list(given_facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis' random is one
    assert succession(shuffled) == ordered
    valid = [fact for fact in ordered if not fact.invalid_at or fact.valid_at < fact.invalid_at]
    assert all(fact.invalid_at and fact.invalid_at <= (later.valid_at or BEGINNING) for fact, later in pairwise(valid))
    assert {fact.id for fact in ordered} == {fact.id for fact in given_facts}


actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["store", "update"]), st.lists(payloads, min_size=1, max_size=4)),
        st.tuples(st.sampled_from(["forget", "retire"]), st.lists(payloads, min_size=1, max_size=2)),
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
    memory = Memory(clock=clock)
    current: dict[str, Payload] = {}
    for action, argument in steps:
        if isinstance(argument, int):
            clock.set((clock() + timedelta(days=argument)).isoformat())
        elif action == "store":
            memory.store(argument)
            current |= {payload.id: payload for payload in argument}
        elif action == "update":
            stored = [payload for payload in argument if payload.id in current]
            memory.update_metadata(stored)
            for payload in stored:
                known = current[payload.id]
                current[payload.id] = replace(payload, content=known.content, content_hash=known.content_hash)
        else:
            gone = list({payload.id: payload for payload in argument if payload.id in current}.values())
            (memory.forget if action == "forget" else memory.retire)(gone)
            for payload in gone:
                del current[payload.id]
    memory.assert_sound()
    assert_states(memory, current)
    before = memory.everything()
    memory.store(current.values())
    assert memory.everything() == before


def assert_states(memory: Memory, current: dict[str, Payload]) -> None:
    """Assert that the facts that have not ended are those of the entries as they are, and that ends follow the rule."""
    stated = memory.rows(
        "SELECT e.id, coalesce(f.slot, 'entry:' || e.id), coalesce(f.text, e.content)"
        " FROM facts f JOIN entries e ON e.seq = f.entry WHERE f.ended_at = ''"
    )
    assert sorted(stated) == sorted(
        (payload.id, fact.slot, fact.text) for payload in current.values() for fact in facts_of(payload).facts
    )
    slots: dict[str, list[Fact]] = {}
    for slot, key, since, ended in memory.rows("SELECT slot, id, valid_at, ended_at FROM facts WHERE slot > ''"):
        slots.setdefault(slot, []).append(replace(fact_at(since, "", ended), id=key))
    assert memory.validities() == {
        (fact.id, slot, fact.valid_at, fact.invalid_at)
        for slot, facts in slots.items()
        for fact in succession(facts)
        if not fact.invalid_at or fact.valid_at < fact.invalid_at
    }
    assert memory.rows("SELECT count(*), count(*) FROM facts") == memory.rows(
        "SELECT count(*), count(DISTINCT id) FROM facts"
    )


@quick
@given(st.lists(payloads, max_size=10, unique_by=lambda payload: payload.id), st.data())
def test_forgetting_what_was_added_leaves_what_was_there(entries: list[Payload], data: st.DataObject) -> None:
    added = data.draw(st.lists(st.sampled_from(entries), unique_by=lambda payload: payload.id)) if entries else []
    kept = [payload for payload in entries if payload not in added]
    first, second = memory_of(kept), memory_of([*kept, *added])
    second.forget(added)
    assert first.validities() == second.validities()
    names = "SELECT type, words FROM entities ORDER BY 1, 2"
    assert first.rows(names) == second.rows(names)
    second.assert_sound()
