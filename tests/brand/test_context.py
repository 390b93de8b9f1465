"""A brand's context is read without trust: what can't be understood is reported, a sync never stops for it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.markdown import sections
from dm_memory.brand.home import Home
from dm_memory.brand.restrictions import Restrictions, read_restrictions
from tests.brand.reading import write


@pytest.mark.parametrize("profile", [None, "", "{", "[]", "5", "[" * 10_000])
def test_a_missing_or_broken_profile_is_reported_and_defaults_are_used(
    home: Home, brand: Path, profile: str | None
) -> None:
    if profile is not None:
        (brand / "profile.json").write_text(profile)
    context = load_context(home, "kopi", Limits())
    assert context.name == "kopi"
    assert [finding.code for finding in context.findings] == ["profile-defaults"]


def test_values_of_another_type_are_understood_where_they_can_be(home: Home, brand: Path) -> None:
    profile = {
        "industry": "coffee",
        "target_markets": "US, EU",
        "competitors": [{"name": "North"}],
    }
    (brand / "profile.json").write_text(json.dumps(profile))
    (brand / "competitors.json").write_text('[{"name": "Daily"}, "North"]')
    context = load_context(home, "kopi", Limits())
    assert (context.industry, context.target_markets) == ("coffee", ("US", "EU"))
    assert context.competitors == ("North", "Daily")
    assert not context.findings


def test_what_a_profile_loses_is_reported(home: Home, brand: Path) -> None:
    (brand / "profile.json").write_text(
        '{"brand_voice": 5, "target_markets": [[1]], "industry": {"regulated": "often"}}'
    )
    messages = [finding.message for finding in load_context(home, "kopi", Limits()).findings]
    assert len(messages) == 3
    assert all("ignored" in message for message in messages)


def test_another_banned_word_changes_the_fingerprint_and_a_second_read_does_not(home: Home, brand: Path) -> None:
    (brand / "guidelines").mkdir()
    before = load_context(home, "kopi", Limits()).fingerprint
    assert load_context(home, "kopi", Limits()).fingerprint == before
    (brand / "guidelines" / "restrictions.md").write_text("# Banned words\n- cheap\n")
    context = load_context(home, "kopi", Limits())
    assert context.banned_words == ("cheap",)
    assert context.fingerprint != before


def restrictions(text: str) -> Restrictions:
    return read_restrictions(sections(text))


def test_bullets_are_freed_of_marks_and_remarks() -> None:
    text = "# Banned words\n- **cheap** - say fair\n  - because\n- a, b\n"
    text += '## Restricted claims\n- "cures" — never\n# Else\n- x\n'
    found = restrictions(text)
    assert found.banned_words == ("cheap", "a", "b")
    assert found.restricted_claims == ("cures",)
    assert found.preferred == (("cheap", "fair"),)


@pytest.mark.parametrize(
    "text",
    [
        "# Banned words\n\n| Word | Say instead |\n|---|---|\n| cheap | fair |\n",
        "# Words\n\n| Instead of | We use |\n|---|---|\n| cheap | fair |\n",
        "# Words\n\n| We use | Instead of |\n|---|---|\n| fair | cheap |\n",
        "# Banned phrases\n\n1. cheap -> fair\n",
        "# Verbotene Begriffe\n\n- cheap → fair\n",
        "# Words we never use\n\n* cheap - use fair\n",
        "# Mots interdits\n\n- cheap — dire fair\n",
        "# 禁止用語\n\n| 言葉 | 代わりに use |\n|---|---|\n| cheap | fair |\n",
    ],
)
def test_banned_words_are_understood_where_people_write_them(text: str) -> None:
    found = restrictions(text)
    assert found.banned_words == ("cheap",)
    assert found.preferred == (("cheap", "fair"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Palabras prohibidas\n\nbarato, ganga, chollo\n", ("barato", "ganga", "chollo")),
        ("# Forbidden words\n\ncheap\nbargain\n", ("cheap", "bargain")),
        ("# Don't say\n\nThese words are not ours. They never were:\n\n- [TBD]\n", ()),
        ("# Tone\n\n- cheap\n", ()),
    ],
)
def test_plain_lists_are_words_and_prose_is_none(text: str, words: tuple[str, ...]) -> None:
    assert restrictions(text).banned_words == words


def test_words_to_avoid_in_other_guidelines_are_found_and_advice_is_not(home: Home, brand: Path) -> None:
    write(
        brand / "guidelines",
        {
            "voice.md": "# Voice\n\n## Words to avoid\n\n- luxury\n\n## Mistakes to avoid\n\n- Shouting\n",
            "restrictions.yaml": "banned_words: [cheap]\nrestricted_claims:\n  - cures colds\n",
        },
    )
    context = load_context(home, "kopi", Limits())
    assert context.avoid_words == ("luxury",)
    assert context.banned_words == ("cheap",)
    assert context.restricted_claims == ("cures colds",)
    assert not [finding for finding in context.findings if finding.code == "restrictions-not-understood"]


def test_a_restrictions_file_from_which_nothing_was_understood_says_so(home: Home, brand: Path) -> None:
    write(brand / "guidelines", {"restrictions.md": "# Our rules\n\nPlease be careful with words.\n"})
    findings = load_context(home, "kopi", Limits()).findings
    [finding] = [finding for finding in findings if finding.code == "restrictions-not-understood"]
    assert finding.path == "guidelines/restrictions.md"
    assert "Banned words" in finding.remedy


def test_the_profile_says_languages_the_order_of_dates_and_what_to_write_instead(home: Home, brand: Path) -> None:
    profile = {
        "brandName": "Kopi",
        "target_markets": ["Germany", "Austria"],
        "brand_voice": {
            "prefer_words": ["guests (not customers)", {"use": "roast date", "instead_of": ["best before"]}, "grower"]
        },
        "language": {
            "primary_language": "Deutsch",
            "secondary_languages": ["en-GB", "Klingon"],
            "content_languages": "fr",
        },
    }
    write(brand, {"profile.json": profile})
    context = load_context(home, "kopi", Limits())
    assert context.name == "Kopi"
    assert context.languages == ("de", "en", "fr")
    assert context.date_order == "dmy"
    assert dict(context.preferred) == {"customers": "guests", "best before": "roast date"}


def test_markets_say_the_languages_and_the_order_of_dates_where_the_profile_does_not(home: Home, brand: Path) -> None:
    for markets, languages, order in (
        (["DACH"], ("de",), "dmy"),
        (["US"], (), "mdy"),
        (["US", "UK"], (), ""),
        ([], (), ""),
    ):
        write(brand, {"profile.json": {"target_markets": markets}})
        context = load_context(home, "kopi", Limits())
        assert (context.languages, context.date_order) == (languages, order)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["brand_name", "industry", "primary", "secondary", "regulated", "target_markets", "brand_voice", "avoid_words"]
KEYS = st.sampled_from([*NAMES, "channels", "competitors", "goals"])


@given(profile=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4)), competitors=JSON)
def test_no_profile_stops_a_sync(profile: dict[str, object], competitors: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        brand = Path(folder) / "brands" / "kopi"
        brand.mkdir(parents=True)
        (brand / "profile.json").write_text(json.dumps(profile))
        (brand / "competitors.json").write_text(json.dumps(competitors))
        assert len(load_context(Home(Path(folder)), "kopi", Limits()).fingerprint) == 64
