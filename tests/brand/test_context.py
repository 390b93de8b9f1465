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
from dm_memory.brand.guidelines import parse_restrictions
from dm_memory.brand.home import Home


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
        "channels": ["email"],
        "competitors": [{"name": "North"}],
    }
    (brand / "profile.json").write_text(json.dumps(profile))
    (brand / "competitors.json").write_text('[{"name": "Daily"}, "North"]')
    context = load_context(home, "kopi", Limits())
    assert (context.industry, context.target_markets, context.channels_active) == ("coffee", ("US", "EU"), ("email",))
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


def test_bullets_are_freed_of_marks_and_remarks() -> None:
    text = "# Banned words\n- **cheap** - say fair\n  - because\n- a, b\n"
    text += '## Restricted claims\n- "cures" — never\n# Else\n- x\n'
    restrictions = parse_restrictions(text.encode())
    assert restrictions.banned_words == ("cheap", "a", "b")
    assert restrictions.restricted_claims == ("cures",)


def test_procedures_are_named_by_their_files_where_there_is_no_manifest(home: Home) -> None:
    (home.root / "sops").mkdir()
    (home.root / "sops" / "launch.md").write_text("# Launch")
    assert load_context(home, "kopi", Limits()).sop_names == ("launch",)


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
