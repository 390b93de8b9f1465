"""What worked and what failed is counted over campaigns, and merged only where it is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.campaigns import parse_campaign
from dm_memory.brand.files import Limits
from dm_memory.brand.parsed import SourceFile, SourceKind
from dm_memory.facts.patterns import find_patterns, normalise_point, pattern_id
from dm_memory.items import storage_id
from dm_memory.services.turso.rows import EpisodeRow, PatternRow, episode_of
from tests.services.payloads import payload

WORKED = "retrospective/what_worked/0"
FAILED = "retrospective/what_failed/0"


def point(campaign: str, path: str, text: str, **changes: str) -> EpisodeRow:
    key = f"campaign/{campaign}#{path}"
    facts = json.dumps({"campaign_id": campaign, "campaign_name": campaign.upper(), "channels": ["email"]})
    row = replace(episode_of(payload(1)), id=storage_id("acme", key), key=key, kind="campaign", facts=facts)
    return replace(row, **{"content": f"{campaign.upper()}, what worked: {text}"} | changes)  # type: ignore[arg-type]


def only(rows: list[PatternRow]) -> PatternRow:
    (row,) = rows
    return row


def test_the_same_point_of_two_campaigns_is_one_pattern() -> None:
    row = only(find_patterns("acme", [point("q1", WORKED, "Short forms."), point("q2", WORKED, "short  FORMS")]))
    assert (row.outcome, row.occurrence_count, row.success_rate) == ("worked", 2, 1.0)
    assert json.loads(row.campaigns) == ["q1", "q2"]
    assert json.loads(row.channels) == ["email"]
    assert len(json.loads(row.episode_ids)) == 2


def test_what_worked_here_and_failed_there_has_a_rate() -> None:
    points = [point(campaign, WORKED, "Webinars") for campaign in ("q1", "q2", "q3")]
    row = only(find_patterns("acme", [*points, point("q4", FAILED, "Webinars")]))
    assert (row.outcome, row.worked_count, row.failed_count, row.success_rate) == ("mixed", 3, 1, 0.75)


def test_a_campaign_that_says_it_twice_counts_once() -> None:
    again = point("q1", "retrospective/what_worked/7", "Webinars")
    row = only(find_patterns("acme", [point("q1", WORKED, "Webinars"), again]))
    assert row.occurrence_count == 1
    assert len(json.loads(row.episode_ids)) == 2


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
        replace(episode_of(payload(1)), key="insight/what_worked#what_worked"),
    ]
    assert find_patterns("acme", others) == []


def test_damaged_facts_cost_details_and_no_pattern() -> None:
    row = only(find_patterns("acme", [point("q1", WORKED, "Webinars", facts="{half", content="Webinars")]))
    assert (row.text, row.campaigns, row.channels) == ("Webinars", '["q1"]', "[]")


def test_campaign_files_as_they_are_parsed_give_their_points() -> None:
    document = {
        "campaign_id": "spring",
        "name": "Spring: launch",
        "retrospective": {
            "what_worked": ["Short forms", {"point": "Early bird: 3 days", "date": "2026-03-01"}],
            "what_failed": "Radio spots",
        },
        "what_went_well": ["A first point that is long enough to stand on a line of its own, which many are", "Short"],
    }
    parsed = parse_campaign(
        SourceFile("campaigns/spring.json", SourceKind.CAMPAIGN), json.dumps(document).encode(), Limits()
    )
    episodes = [
        replace(
            episode_of(payload(1)),
            id=storage_id("acme", item.key),
            key=item.key,
            kind=item.kind.value,
            content=item.content,
            facts=json.dumps(item.facts),
        )
        for item in parsed.items
    ]
    found = {row.text: row.outcome for row in find_patterns("acme", episodes)}
    assert found["Short forms"] == found["Early bird: 3 days"] == found["Short"] == "worked"
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
