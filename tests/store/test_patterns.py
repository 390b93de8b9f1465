"""Patterns follow the entries that state them, with work for what changed alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.facts.patterns import Episode, PatternRow, pattern_id
from dm_memory.items import Payload
from dm_memory.store.patterns import PatternChanges, campaigns_here, read_patterns, update_patterns
from tests.facts.pieces import BRAND, Memory, entry
from tests.support.patterns import find_patterns


class Patterns:
    """A memory whose patterns are kept in step."""

    def __init__(self) -> None:
        self.memory = Memory()
        self._clock = count(1)

    def ticks(self, number: int) -> range:
        first = next(self._clock) * 1000
        return range(first, first + number)

    def update(self, payloads: Iterable[Payload]) -> PatternChanges:
        with self.memory.transaction() as connection:
            return update_patterns(connection, BRAND, self.memory.seqs(payloads), self.ticks)

    def store(self, *payloads: Payload) -> PatternChanges:
        self.memory.store(payloads)
        return self.update(payloads)

    def read(self) -> list[PatternRow]:
        return read_patterns(self.memory.connection)

    def counted_from_scratch(self) -> list[PatternRow]:
        rows = self.memory.rows(
            "SELECT coalesce(o.id, e.id), e.key, e.kind, e.content, e.facts, e.recorded_at FROM entries e"
            " LEFT JOIN entries o ON o.seq = e.duplicate_of WHERE e.state = 'current'"
        )
        return find_patterns(
            BRAND,
            [
                Episode(identity, key, kind, content, json.loads(facts), recorded_at)
                for identity, key, kind, content, facts, recorded_at in rows
            ],
        )


def point(campaign: str, place: int, text: str, section: str = "what_worked", **changes: Any) -> Payload:
    made = entry(
        f"campaign/{campaign}#retrospective/{section}/{place}",
        text,
        kind="campaign",
        facts={"campaign_id": campaign, "channels": ["email"], "section": "retrospective"},
    )
    return replace(made, **changes)


def stamps(patterns: Patterns) -> dict[str, int]:
    return dict(patterns.memory.rows("SELECT id, updated_at FROM patterns"))


def test_only_patterns_that_changed_entries_state_or_stated_are_touched() -> None:
    patterns = Patterns()
    made = patterns.store(point("q1", 0, "Webinars"), point("q2", 0, "webinars."), point("q2", 1, "Posters"))
    assert {row.text for row in made.changed} == {"Webinars", "Posters"}
    before = stamps(patterns)
    changed = patterns.store(point("q2", 1, "Billboards", content_hash="1" * 64))
    assert [row.text for row in changed.changed] == ["Billboards"]
    assert changed.gone == [pattern_id(BRAND, "posters")]
    after = stamps(patterns)
    assert after[pattern_id(BRAND, "webinars")] == before[pattern_id(BRAND, "webinars")]
    assert after[pattern_id(BRAND, "billboards")] > max(before.values())
    assert patterns.read() == patterns.counted_from_scratch()


def test_storing_the_same_again_changes_no_pattern() -> None:
    patterns = Patterns()
    patterns.store(point("q1", 0, "Webinars"), entry("insight/1", "Bread sells."))
    before = patterns.memory.connection.total_changes
    assert patterns.update([point("q1", 0, "Webinars"), entry("insight/1", "Bread sells.")]) == ([], [])
    assert patterns.memory.connection.total_changes == before


def test_a_pattern_that_is_gone_leaves_a_tombstone_until_it_is_back() -> None:
    patterns = Patterns()
    patterns.store(point("q1", 0, "Webinars"))
    patterns.memory.retire([point("q1", 0, "Webinars")])
    assert patterns.update([point("q1", 0, "Webinars")]) == ([], [pattern_id(BRAND, "webinars")])
    tombstones = "SELECT item_table, id, brand FROM tombstones"
    assert patterns.memory.rows(tombstones) == [("patterns", pattern_id(BRAND, "webinars"), BRAND)]
    patterns.store(point("q1", 0, "Webinars"))
    assert patterns.memory.rows(tombstones) == []
    assert [row.text for row in patterns.read()] == ["Webinars"]


def test_a_duplicate_counts_for_its_own_campaign_and_points_at_the_entry_that_stands() -> None:
    patterns = Patterns()
    first, second = point("q1", 0, "Webinars"), point("q2", 0, "Webinars")
    patterns.store(first)
    patterns.store(second)
    patterns.memory.connection.execute("UPDATE entries SET duplicate_of = 1 WHERE seq = 2")
    patterns.update([second])
    (row,) = patterns.read()
    assert json.loads(row.campaigns) == ["q1", "q2"]
    assert json.loads(row.episode_ids) == [first.id]


def test_the_most_frequent_come_first_and_can_be_asked_for_by_id() -> None:
    patterns = Patterns()
    patterns.store(point("q1", 0, "Aaa"), point("q1", 1, "Zzz"), point("q2", 0, "Zzz"))
    assert [row.text for row in patterns.read()] == ["Zzz", "Aaa"]
    connection = patterns.memory.connection
    assert [row.text for row in read_patterns(connection, limit=1)] == ["Zzz"]
    assert [row.text for row in read_patterns(connection, [pattern_id(BRAND, "aaa"), "x"])] == ["Aaa"]


def test_campaigns_of_this_machine_are_those_that_files_here_state() -> None:
    patterns = Patterns()
    assert campaigns_here(patterns.memory.connection) == set()
    names = ("a", "a b", "a!", "a$", "a-b", "é", "z")
    patterns.store(*(point(name, place, f"{name} {place}") for name in names for place in range(3)))
    patterns.memory.connection.execute("UPDATE entries SET origin = '' WHERE key LIKE 'campaign/a!%'")
    patterns.memory.connection.execute("UPDATE entries SET origin = '' WHERE key LIKE 'campaign/z#%/0'")
    assert campaigns_here(patterns.memory.connection) == set(names) - {"a!"}


points = st.builds(
    point,
    st.sampled_from(["q1", "q2", "q3"]),
    st.integers(0, 2),
    st.sampled_from(["Webinars", "webinars.", "Posters", "- Webinars\n- Posters", "…"]),
    st.sampled_from(["what_worked", "what_failed", "next_time"]),
)
steps = st.lists(
    st.tuples(st.sampled_from(["store", "retire", "forget"]), st.lists(points, min_size=1, max_size=3)), max_size=10
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_whatever_changes_the_patterns_are_those_of_the_entries_as_they_are(
    doings: list[tuple[str, list[Payload]]],
) -> None:
    patterns = Patterns()
    for doing, payloads in doings:
        distinct = list({payload.id: payload for payload in payloads}.values())
        if doing == "store":
            patterns.store(*distinct)
            continue
        seqs = patterns.memory.seqs(distinct)
        (patterns.memory.retire if doing == "retire" else patterns.memory.forget)(distinct)
        with patterns.memory.transaction() as connection:
            update_patterns(connection, BRAND, seqs, patterns.ticks)
    assert patterns.read() == patterns.counted_from_scratch()
