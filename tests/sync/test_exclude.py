"""Exclude patterns: what they match, what they refuse, and that no pattern runs away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.errors import InputError
from dm_memory.items import Item, Source
from dm_memory.requests import SessionLearning
from dm_memory.sync.exclude import Excluder
from tests.support.sample_items import make_item
from tests.sync.conftest import Bench

FACTS: dict[str, str | int | float | bool | list[str]] = {
    "insight_type": "competitor_insight",
    "insight_source": "Weekly Review",
    "campaign_status": "planned",
    "campaign_name": "Frühling DRAFT",
}


def hit(pattern: str, item: Item | None = None) -> bool:
    item = item or make_item("First line.\nSecond line.", FACTS, key="campaign/spring#plan")
    return Excluder([pattern]).match(item, "campaign-learning", ("channel:email", "launch")) == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "type:competitor_insight", "type:competitor-insight", "TYPE:Competitor Insight", "type:campaign-learning",
        "status:planned", "status: Planned", "source:sync", "source:weekly-review", "tag:launch", "tag:channel:email",
        "*draft*", "*DRAFT", "frühling*", "FRÜHLING ?raft", "*second*", "first*second line.", "campaign/spring#*",
        "draft", "line", "spring", "[fg]irst*", "*[[]*", "campaign:*", "*",
    ],
)  # fmt: skip
def test_a_pattern_hits_what_it_says(pattern: str) -> None:
    item = make_item("First line.\nSecond [line].", FACTS, key="campaign/spring#plan")
    odd = {"first*second line.": make_item("First line.\nSecond line."), "campaign:*": make_item("Campaign: spring")}
    assert hit(pattern, odd.get(pattern, item))


@pytest.mark.parametrize(
    "pattern",
    [
        "type:benchmark",
        "type:competitor",
        "status:active",
        "source:agent",
        "tag:email",
        "*third*",
        "third",
        "summer",
    ],
)
def test_a_pattern_leaves_alone_what_it_does_not_say(pattern: str) -> None:
    assert not hit(pattern)


def test_the_first_pattern_that_hits_is_named_as_it_was_given() -> None:
    excluder = Excluder(["status:active", " *LINE* ", "*"])
    assert excluder.match(make_item("one line"), "guideline", ()) == " *LINE* "


def test_a_payloads_own_source_counts() -> None:
    assert hit("source:session", make_item("x", source=Source.SESSION))


def test_no_patterns_match_nothing() -> None:
    assert not Excluder()
    assert Excluder().match(make_item(), "guideline", ()) is None


@pytest.mark.parametrize("patterns", [[""], ["  "], ["type:"], ["tag: !"], ["x" * 201], ["*a*"] * 51])
def test_a_pattern_that_cannot_work_is_an_error_with_a_way_out(patterns: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Excluder(patterns)
    assert caught.value.remedy


@pytest.mark.parametrize("pattern", ["*" * 200, "*a" * 99 + "b", "*?" * 100, "[a-z]*" * 33 + "1", "[z-a]*", "[", "*[!"])
def test_no_pattern_takes_more_than_linear_steps_per_star(pattern: str) -> None:
    """An exponential one would never come back from this text."""
    text = "a" * 20_000
    expected = pattern in ("*" * 200, "*?" * 100)
    assert hit(pattern, make_item(text, key="k")) == expected


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=100))
def test_any_pattern_either_compiles_or_is_refused(pattern: str, text: str) -> None:
    try:
        excluder = Excluder([pattern])
    except InputError:
        return
    assert excluder.match(make_item(text), "guideline", ()) in (pattern, None)


@pytest.mark.anyio
async def test_a_pattern_that_hits_only_what_was_handed_in_has_hit(bench: Bench) -> None:
    learnings = (SessionLearning("A draft that nobody wants."), SessionLearning("Gift boxes sell."))
    result = await bench.sync(session_learnings=learnings, exclude=("*draft*", "*other*"))
    missed = [finding.message for finding in result.findings if finding.code == "exclude-without-hit"]
    assert (len(missed), "*other*" in missed[0], result.counts.excluded) == (1, True, 1)
    assert list(bench.texts().values()) == ["Gift boxes sell."]
