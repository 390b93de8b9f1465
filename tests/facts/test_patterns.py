"""What worked and what failed is counted over campaigns, and merged only where it is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.parsed import SourceFile, SourceKind
from dm_memory.brand.sources.campaigns import parse_campaign
from dm_memory.facts.patterns import (
    Episode,
    PatternRow,
    normalise_point,
    outcome_of,
    pattern_id,
    points_of,
    with_others,
)
from dm_memory.items import Facts, Item, storage_id
from tests.support.patterns import find_patterns

WORKED = "retrospective/what_worked/0"
FAILED = "retrospective/what_failed/0"


def point(campaign: str, path: str, text: str, **changes: Any) -> Episode:
    key = f"campaign/{campaign}#{path}"
    facts: Facts = {"campaign_id": campaign, "campaign_name": campaign.upper(), "channels": ["email"]}
    content = f"{campaign.upper()}, what worked: {text}"
    return replace(Episode(storage_id("acme", key), key, "campaign", content, facts, "2026-03-05"), **changes)


def only(rows: list[PatternRow]) -> PatternRow:
    (row,) = rows
    return row


def test_the_same_point_of_two_campaigns_is_one_pattern() -> None:
    row = only(find_patterns("acme", [point("q1", WORKED, "Short forms."), point("q2", WORKED, "short  FORMS")]))
    assert (row.outcome, row.occurrence_count, row.success_rate) == ("worked", 2, 1.0)
    assert json.loads(row.campaigns) == ["q1", "q2"]
    assert json.loads(row.channels) == ["email"]
    assert len(json.loads(row.episode_ids)) == 2
    assert row.text == "Short forms."


def test_what_worked_here_and_failed_there_has_a_rate() -> None:
    points = [point(campaign, WORKED, "Webinars") for campaign in ("q1", "q2", "q3")]
    row = only(find_patterns("acme", [*points, point("q4", FAILED, "Webinars")]))
    assert (row.outcome, row.worked_count, row.failed_count, row.success_rate) == ("mixed", 3, 1, 0.75)


def test_a_campaign_that_says_it_twice_counts_once() -> None:
    again = point("q1", "retrospective/what_worked/7", "Webinars")
    row = only(find_patterns("acme", [point("q1", WORKED, "Webinars"), again]))
    assert row.occurrence_count == 1
    assert len(json.loads(row.episode_ids)) == 2


def test_a_text_that_says_it_twice_states_it_once() -> None:
    assert [made.text for made in points_of("acme", point("q1", WORKED, "", content="- Webinars\n- webinars."))] == [
        "Webinars"
    ]


def test_different_points_stay_apart() -> None:
    rows = find_patterns("acme", [point("q1", WORKED, "10% off"), point("q2", WORKED, "20% off")])
    assert {row.text for row in rows} == {"10% off", "20% off"}


def test_frequent_patterns_come_first_and_carry_their_dates() -> None:
    rows = find_patterns(
        "acme",
        [
            point("q1", FAILED, "Aaa", recorded_at="2026-01-01"),
            point("q1", WORKED, "Zzz", recorded_at="2026-01-01"),
            point("q2", WORKED, "Zzz", recorded_at="2026-04-01"),
        ],
    )
    assert [row.text for row in rows] == ["Zzz", "Aaa"]
    assert (rows[0].first_seen, rows[0].last_seen) == ("2026-01-01", "2026-04-01")


def test_other_lessons_are_no_patterns() -> None:
    others = [
        point("q1", "learnings/0", "We learned"),
        point("q1", "plan", "We planned"),
        point("q1", "retrospective/next_time", "We will"),
        point("q1", "plan", "Text", key="insight/what_worked#what_worked", kind="insight"),
    ]
    assert find_patterns("acme", others) == []


@pytest.mark.parametrize(
    ("section", "worked"),
    [
        ("retrospective/what_worked", True),
        ("retrospective/what_worked/3", True),
        ("retrospective/what_worked/3f2a90c41b7d", True),
        ("retrospective/what_worked/3f2a90c41b7d~2", True),
        ("What didn't work", False),
        ("results/email", None),
        ("3f2a90c41b7d", None),
    ],
)
def test_a_key_says_whether_its_section_tells_what_worked(section: str, worked: bool | None) -> None:  # data
    assert outcome_of(f"campaign/q1#{section}") is worked


def test_facts_of_other_kinds_cost_details_and_no_pattern() -> None:
    row = only(find_patterns("acme", [point("q1", WORKED, "", facts={"channels": "x"}, content="Webinars")]))
    assert (row.text, row.campaigns, row.channels) == ("Webinars", '["q1"]', "[]")


def episode_of(item: Item) -> Episode:
    return Episode(storage_id("acme", item.key), item.key, item.kind.value, item.content, item.facts, item.recorded_at)


def test_campaign_files_as_they_are_parsed_give_their_points() -> None:
    document = {
        "campaign_id": "spring",
        "name": "Spring: launch",
        "retrospective": {
            "what_worked": ["Short forms", {"point": "Early bird: 3 days", "date": "2026-03-01"}],
            "what_failed": "Radio spots",
        },
        "what_went_well": [
            "A first point that is long enough to stand on a line of its own, which many are",
            "Shorter mails",
        ],
    }
    file = SourceFile("campaigns/spring.json", SourceKind.CAMPAIGN)
    parsed = parse_campaign(file, json.dumps(document).encode(), BrandContext("acme", "acme"), Limits())
    found = {row.text: row.outcome for row in find_patterns("acme", map(episode_of, parsed.items))}
    assert found["Short forms"] == found["Early bird: 3 days"] == found["Shorter mails"] == "worked"
    assert found["Radio spots"] == "failed"
    assert len(found) == 5


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from(["X", "x.", " x ", "Y"]))), st.integers()
)
def test_the_order_of_episodes_does_not_matter(points: list[tuple[str, bool, str]], seed: int) -> None:
    made = [
        point(campaign, f"retrospective/{'what_worked' if worked else 'what_failed'}/{place}", text)
        for place, (campaign, worked, text) in enumerate(points)
    ]
    shuffled = Random(seed).sample(made, len(made))
    assert find_patterns("acme", shuffled) == find_patterns("acme", made)


@given(st.text(max_size=30))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise_point(normalise_point(text)) == normalise_point(text)


def test_ids_belong_to_brand_and_text() -> None:
    assert pattern_id("acme", "x") == pattern_id("acme", "x")
    assert len({pattern_id("acme", "x"), pattern_id("bolt", "x"), pattern_id("acme", "y")}) == 3


def test_a_team_counts_the_campaigns_of_every_machine_once() -> None:
    theirs = {
        row.id: row for row in find_patterns("acme", [point("q1", WORKED, "Bread"), point("q2", FAILED, "Bread")])
    }
    mine = {row.id: row for row in find_patterns("acme", [point("q1", FAILED, "Bread"), point("q3", WORKED, "Bread")])}
    (joined,) = with_others(mine, theirs, {"q1", "q3"})
    assert (json.loads(joined.campaigns), joined.worked_count) == (["q3", "q1", "q2"], 1)
    assert with_others({}, mine, {"q1", "q3"}) == [], "nothing but this machine's campaigns bore it out"
    (rest,) = with_others({}, theirs, {"q1"})
    assert json.loads(rest.campaigns) == ["q2"]
