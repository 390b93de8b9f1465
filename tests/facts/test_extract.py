"""What is read from entries, looked at as a marketer would: on the sample brand, and on what people write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.parsed import SourceFile, SourceKind
from dm_memory.brand.sources.campaigns import parse_campaign
from dm_memory.facts.campaigns import figures_in, more_is_better, quantity
from dm_memory.facts.extract import facts_of, is_living
from dm_memory.facts.model import EntityType, Fact, GraphPiece, Relation, entity_id, make_entity, utc_moment
from dm_memory.items import Kind, Payload
from tests.facts.pieces import BRAND, entry, plan
from tests.facts.sample import SAMPLE, sample_payloads


@pytest.fixture(scope="module")
def sample() -> dict[str, GraphPiece]:
    return {key: facts_of(payload) for key, payload in sample_payloads().items()}


def numbered(entries: Mapping[str, Any], key: str) -> Any:
    """Return what stands at a key; a number at its end is the place in a list, whose entries' keys are hashes."""
    section, _, place = key.rpartition("/")
    if key in entries or not place.isdecimal():
        return entries[key]
    return [entries[found] for found in entries if found.startswith(f"{section}/")][int(place)]


def lines(piece: GraphPiece) -> set[str]:
    return {f"{f.subject.name} {f.relation} {f.object.type}:{f.object.name}" for f in piece.facts}


def texts(piece: GraphPiece, relation: Relation) -> list[str]:
    return [fact.text for fact in piece.facts if fact.relation is relation]


# The sample brand ----------------------------------------------------------------------------------------------------


def test_every_entry_of_the_sample_states_its_own_text_first(sample: dict[str, GraphPiece]) -> None:
    payloads = sample_payloads()
    assert len(sample) == len(payloads) > 50
    for key, piece in sample.items():
        assert piece.facts[0].text == payloads[key].content.strip()
        assert piece.facts[0].slot == f"entry:{payloads[key].id}"
        known = {entity.id for entity in piece.entities}
        assert all(fact.subject.id in known and fact.object.id in known for fact in piece.facts)
        assert all(fact.valid_at for fact in piece.facts)
        assert len({fact.id for fact in piece.facts}) == len(piece.facts)


def test_a_plan_says_whom_a_campaign_targets_with_what_and_to_what_end(sample: dict[str, GraphPiece]) -> None:
    assert lines(sample["campaign/first-harvest-2026#plan"]) == {
        "ember-and-oak decided campaign:First Harvest",
        "ember-and-oak ran campaign:First Harvest",
        "First Harvest used channel:email",
        "First Harvest used channel:instagram",
        "First Harvest used channel:podcast",
        "First Harvest targeted audience:Curious home brewers",
        "First Harvest targeted metric:new subscribers",
        "First Harvest targeted metric:cost per signup",
    }
    gifts = sample["campaign/holiday-gifts-2026#plan"]
    assert texts(gifts, Relation.TARGETED) == [
        "A Harvest for Christmas targeted the audience Gift givers.",
        "A Harvest for Christmas targeted the audience Office managers.",
        "A Harvest for Christmas targeted gift boxes: 2400 (baseline 1650).",
        "A Harvest for Christmas targeted receivers subscribed: 25 percent (baseline 14 percent).",
    ]
    assert "A Harvest for Christmas used channel:paid search" in lines(gifts), "google ads, as insights are tagged"


def test_a_snapshot_says_what_was_achieved_by_which_channel_and_which_did_best(sample: dict[str, GraphPiece]) -> None:
    piece, period = sample["performance/first-harvest-2026-20260531-200000"], "2026-04-06 to 2026-05-31"
    assert texts(piece, Relation.ACHIEVED)[1:] == [
        "first-harvest-2026 achieved visits: 96800 (2026-04-06 to 2026-05-31).",
        "first-harvest-2026 achieved signups: 1046 (2026-04-06 to 2026-05-31).",
        "first-harvest-2026 achieved spend: 17,470 euros (2026-04-06 to 2026-05-31).",
        "first-harvest-2026 achieved signups: 612 (email, 2026-04-06 to 2026-05-31).",
        "first-harvest-2026 achieved signups: 281 (instagram, 2026-04-06 to 2026-05-31).",
        "first-harvest-2026 achieved signups: 153 (podcast, 2026-04-06 to 2026-05-31).",
        f"first-harvest-2026 against its target for new subscribers: 16 percent above the target ({period}).",
        f"first-harvest-2026 against its target for cost per signup: 1.30 euros below the target ({period}).",
    ]
    assert texts(piece, Relation.OUTPERFORMED) == [
        "email outperformed instagram in first-harvest-2026: signups 612 against 281 (2026-04-06 to 2026-05-31).",
        "email outperformed podcast in first-harvest-2026: signups 612 against 153 (2026-04-06 to 2026-05-31).",
    ]
    older = sample["performance/first-harvest-2026-20260430-180000"]
    assert {fact.slot for fact in older.facts[1:]} == {fact.slot for fact in piece.facts[1:]}


def test_results_of_a_channel_are_the_channels(sample: dict[str, GraphPiece]) -> None:
    piece = sample["campaign/first-harvest-2026#results/email"]
    assert texts(piece, Relation.ACHIEVED)[1:] == [
        "First Harvest achieved open rate: 51 percent (email).",
        "First Harvest achieved click rate: 4.8 percent (email).",
        "First Harvest achieved signups: 612 (email).",
    ]
    assert "email" in {entity.name for entity in piece.entities}
    assert len(sample["campaign/referral-autumn-2026#results"].facts) == 1, "prose holds no figure that can be told"


def test_results_do_not_hold_before_anybody_knew_them(sample: dict[str, GraphPiece]) -> None:
    assert {fact.valid_at for fact in sample["campaign/first-harvest-2026#results"].facts} == {
        "2026-11-21T08:00:00.000Z"
    }
    assert {fact.valid_at for fact in sample["campaign/first-harvest-2026#plan"].facts} == {
        utc_moment("2026-03-02T10:12:44.120981")
    }


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("insight/2026-08-11T08:30:00.450117", "ember-and-oak learned competitor:Northbean"),
        ("insight/2026-08-03T09:14:22.318201", "ember-and-oak achieved metric:open rate"),
        ("insight/2026-08-18T10:05:12.661290", "ember-and-oak decided channel:paid search"),
        ("insight/2026-10-27T16:33:40.129576", "ember-and-oak learned market:California"),
        ("insight/2026-08-25T09:59:03.540021", "ember-and-oak learned topic:recommendation"),
        ("campaign/first-harvest-2026#retrospective/what_failed/1", "First Harvest learned topic:what failed"),
        ("campaign/first-harvest-2026#strategy_decisions/0", "First Harvest decided channel:instagram"),
        (
            "campaign/referral-autumn-2026#creative_direction",
            "Bring a Friend to Breakfast decided topic:creative direction",
        ),
        (
            "guideline/voice-and-tone.md#Voice and tone/Headlines",
            "ember-and-oak decided topic:Voice and tone > Headlines",
        ),
    ],
)
def test_a_statement_is_about_the_most_specific_thing_it_names(
    sample: dict[str, GraphPiece], key: str, line: str
) -> None:
    assert lines(numbered(sample, key)) == {line}


def test_a_channel_a_retrospective_names_is_mentioned_and_the_campaigns_others_are_not(
    sample: dict[str, GraphPiece],
) -> None:
    piece = numbered(sample, "campaign/first-harvest-2026#retrospective/what_worked/2")
    assert {entity.name for entity in piece.entities if entity.type is EntityType.CHANNEL} == {"instagram"}


# What people write ---------------------------------------------------------------------------------------------------


def campaign_entries(document: str) -> dict[str, Payload]:
    """Return the entries of a campaign file, as the parser words them."""
    file = SourceFile("campaigns/spring.json", SourceKind.CAMPAIGN)
    items = parse_campaign(file, document.encode(), BrandContext(BRAND, BRAND), Limits()).items
    return {
        item.key.partition("#")[2]: entry(
            item.key, item.content, kind="campaign", facts=item.facts, tags=("channel:email", "channel:sms")
        )
        for item in items
    }


def test_audiences_with_details_and_targets_without_are_understood() -> None:
    plans = campaign_entries(
        '{"name": "Spring", "segments": [{"name": "Keen bakers", "size": 20}, {"name": "Cafés", "size": 3}],'
        ' "kpis": {"roas": 3.5, "signups": {"baseline": 4}}}'
    )
    assert texts(facts_of(plans["plan"]), Relation.TARGETED) == [
        "Spring targeted the audience Keen bakers.",
        "Spring targeted the audience Cafés.",
        "Spring targeted roas: 3.5.",
    ]
    segments = [lines(facts_of(payload)) for key, payload in plans.items() if key.startswith("segments/")]
    assert segments == [{"Spring targeted audience:Keen bakers"}, {"Spring targeted audience:Cafés"}]


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ("Replace SMS by email.", ["email", "sms"]),
        ("Use email instead of SMS for reminders.", ["email", "sms"]),
        ("Move 500 euros from SMS to email.", []),
        ("Replace the SMS provider.", []),
    ],
)
def test_a_channel_replaced_another_only_where_a_decision_says_so(decision: str, expected: list[str]) -> None:
    made = campaign_entries(f'{{"name": "Spring", "strategy_decisions": ["{decision}"]}}')
    facts = facts_of(numbered(made, "strategy_decisions/0")).facts
    found = [fact for fact in facts if fact.relation is Relation.REPLACED]
    assert [name for fact in found for name in (fact.subject.name, fact.object.name)] == expected


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("In March email outperformed sms by 20 percent.", ("email", "sms")),
        ("The short video outperformed the long one on email and sms.", None),
        ("Email and sms outperformed what we had.", None),
    ],
)
def test_an_insight_says_what_outperformed_what_only_where_both_are_channels(
    text: str, ends: tuple[str, str] | None
) -> None:
    fact = facts_of(entry("insight/1", text, tags=("channel:email", "channel:sms"))).facts[0]
    found = (fact.subject.name, fact.object.name) if fact.relation is Relation.OUTPERFORMED else None
    assert found == ends


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ("competitors", "Northbean", "acme learned competitor:Northbean"),
        ("audiences", "Audience Gift givers", "acme learned audience:Gift givers"),
        ("audiences", "Audience Gift givers (Winter panel)", "acme learned audience:Gift givers"),
        ("mail", "Northbean", "acme learned channel:email"),
    ],
)
def test_an_entry_of_a_file_about_competitors_or_audiences_is_about_the_one_it_names(
    source: str, name: str, line: str
) -> None:
    facts = {"insight_source": source, "name": name}
    made = entry("insight/1", "They write e-mails.", facts=facts, tags=("channel:email",))
    assert lines(facts_of(made)) == {line}
    assert is_living(made) is (source != "mail")


def test_the_same_thing_written_otherwise_is_the_same_entity() -> None:
    ids = {
        entity_id(BRAND, EntityType.CHANNEL, name)
        for name in ("Paid Search", "paid-search", " paid_search ", "PAID  search")
    }
    assert len(ids) == 1
    assert make_entity(BRAND, EntityType.MARKET, "email").id not in ids
    assert make_entity("other", EntityType.CHANNEL, "paid search").id not in ids


def test_machines_in_different_time_zones_give_facts_the_same_ids() -> None:
    here, there = (
        entry("insight/1", "Bread sells.", recorded_at=f"2026-03-01T10:00:00{zone}") for zone in ("Z", "+05:00")
    )
    assert [fact.id for fact in facts_of(here).facts] == [fact.id for fact in facts_of(there).facts]


def test_a_table_of_figures_does_not_become_a_graph_of_its_own() -> None:
    figures = ", ".join(f"metric {number}: {number}" for number in range(1000))
    made = entry(
        "performance/1", f"Performance of x\nMetrics: {figures}", kind="performance", facts={"section": "snapshot"}
    )
    assert len(facts_of(made).facts) == 65


# Figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1046", (1046.0, "")),
        ("7,900 euros", (7900.0, "euros")),
        ("6.8 percent", (6.8, "percent")),
        ("6,8 %", (6.8, "%")),
        ("€1,234,567", (1234567.0, "")),
        ("-3.5%", (-3.5, "%")),
        ("on target", None),
        ("1.2.3", None),
        ("", None),
    ],
)
def test_a_quantity_is_read_as_people_write_it(value: str, expected: tuple[float, str] | None) -> None:
    assert quantity(value) == expected


def test_commas_inside_a_value_do_not_cut_it() -> None:
    assert figures_in("visits: 41,200, spend: 7,900 euros, status: good, very good") == [
        ("visits", "41,200"),
        ("spend", "7,900 euros"),
        ("status", "good, very good"),
    ]


def test_only_figures_that_are_better_when_larger_decide_who_outperformed_whom() -> None:
    assert all(map(more_is_better, ("signups", "click rate", "new subscribers", "open_rate", "ROAS")))
    assert not any(
        map(more_is_better, ("cost per signup", "spend", "unsubscribe rate", "bounce rate", "lost sales", "cpa", ""))
    )


# Anything ------------------------------------------------------------------------------------------------------------

anything = st.text(max_size=60)
values = st.one_of(anything, st.integers(), st.floats(), st.booleans(), st.lists(anything, max_size=3))
names = st.sampled_from(
    ["section", "campaign_id", "campaign_name", "channels", "period", "insight_type", "graph_relations"]
)


@given(
    st.sampled_from(list(Kind)),
    anything,
    st.one_of(anything, st.sampled_from(["Metrics: a: 1, b (c: 2)", "X, plan:\nKPIs: a (target: 1\nSegments: ,,;"])),
    st.dictionaries(names, values),
    st.lists(
        st.one_of(anything, st.sampled_from(["channel:", "channel:a", "campaign:b", ":", "market:c"])), max_size=4
    ),
    st.one_of(anything, st.sampled_from(["2026-03-01", "0001-01-01T00:00:00+14:00"])),
)
def test_whatever_an_entry_holds_it_gives_at_least_one_fact(  # as Hypothesis gives them
    kind: Kind, key: str, content: str, facts: dict[str, str], tags: list[str], moment: str
) -> None:
    made = replace(entry("x", content, kind=kind.value, facts=facts, tags=tags, recorded_at=moment), key=key)
    piece = facts_of(made)
    assert piece == facts_of(made)
    assert piece.facts
    fact: Fact
    for fact in piece.facts:
        assert fact.entry_id == made.id
        assert fact.brand == BRAND
        assert fact.valid_at <= "9999-12-31T23:59:59.999Z"


def test_the_sample_is_of_one_brand(sample: dict[str, GraphPiece]) -> None:
    assert {entity.brand for piece in sample.values() for entity in piece.entities} == {SAMPLE}


def test_a_channel_list_without_tags_is_taken_as_it_is_written() -> None:
    bare = replace(plan("active", "Trade fair"), tags=())
    assert "Spring used channel:Trade fair" in lines(facts_of(bare))
