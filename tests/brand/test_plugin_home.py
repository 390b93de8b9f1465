"""Everything the plugin writes is read, or on the list of what is no memory, with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dm_memory.brand.home import Home
from dm_memory.brand.sources import NO_MEMORY, list_sources, reason_for
from dm_memory.items import Item
from tests.brand.plugin_home import EXPECTED, FILES, STAMP
from tests.brand.reading import read_all, write

INSIGHTS_ONLY = {"insights.json", "intelligence", "performance/snapshot-1.json"}
CAMPAIGNS_ONLY = {"campaigns", "approvals", "performance/spring-20260601-101010.json"}


@pytest.fixture
def plugin(home: Home, brand: Path) -> Home:
    write(brand, FILES)
    write(home.root / "sops", {"crisis.md": "# Crisis\n1. Pause all ads\n", "_manifest.json": "{}"})
    return home


def items_of(home: Home, scope: str = "all") -> dict[str, Item]:
    return {item.key: item for parsed in read_all(home, scope=scope).values() for item in parsed.items}


def test_every_file_is_read_or_is_no_memory_for_a_reason(plugin: Home) -> None:
    listing = list_sources(plugin, "kopi", "all")
    read = {file.path for file in listing.files}
    assert not listing.unread
    assert not listing.protected
    for path in FILES:
        assert path in read or reason_for(path), f"{path} is neither read nor on the list"
        assert not (path in read and reason_for(path)), f"{path} is read although it is on the list"
    assert all(NO_MEMORY.values())


def test_every_source_gives_its_entry_with_its_content_type(plugin: Home) -> None:
    items = items_of(plugin)
    for key, (content_type, part) in EXPECTED.items():
        assert key in items, f"{key} is missing from {sorted(items)}"
        assert items[key].content_type == content_type, key
        assert part in items[key].content, items[key].content
    assert not any(finding for parsed in read_all(plugin).values() for finding in parsed.findings)


def test_what_is_approved_is_no_entry_and_a_rejection_that_was_approved_later_says_so(
    plugin: Home, brand: Path
) -> None:
    assert "approval/p-2" not in items_of(plugin)
    write(brand, {"approvals/p-1.json": {"approval_id": "p-1", "status": "approved", "rejected_reason": "No claims"}})
    assert "Later approved" in items_of(plugin)["approval/p-1"].content


def test_a_learning_carries_its_conditions_its_agent_and_its_confidence(plugin: Home) -> None:
    item = items_of(plugin)["intelligence/lrn_1"]
    assert item.facts["insight_source"] == "email-specialist"
    assert item.facts["channels"] == ["email"]
    assert item.facts["confidence"] == "0.7"
    assert item.facts["last_validated"] == STAMP
    assert item.tags == ("audience:anglers", "objective:conversion")
    assert item.recorded_at == STAMP


def test_a_procedure_is_tagged_as_one(plugin: Home) -> None:
    assert items_of(plugin)["sop/crisis.md#Crisis"].facts["insight_source"] == "sop"


def test_only_insights_violations_and_periods_leave_their_file_without_having_been_deleted(plugin: Home) -> None:
    rolling = {key.partition("/")[0] for key, item in items_of(plugin).items() if item.rolling}
    assert rolling == {"insight", "violation", "performance"}


def test_several_files_of_one_campaign_state_the_same_keys_with_their_own_age(plugin: Home) -> None:
    parsed = read_all(plugin)
    first = {item.key: item for item in parsed["campaigns/spring-20260501.json"].items}
    second = {item.key: item for item in parsed["campaigns/spring-20260601.json"].items}
    assert set(first) < set(second)
    assert {item.source_updated_at for item in first.values()} == {"2026-05-01"}
    assert {item.source_updated_at for item in second.values()} == {"2026-06-01"}
    assert {item.list_key for item in second.values()} == {"campaign/spring#learnings"}


def test_a_scope_reads_what_its_name_says(plugin: Home) -> None:
    for scope, wanted in (("insights-only", INSIGHTS_ONLY), ("campaigns-only", CAMPAIGNS_ONLY)):
        paths = [file.path for file in list_sources(plugin, "kopi", scope).files]
        assert paths
        assert {path if path in wanted else path.split("/")[0] for path in paths} == wanted


def test_a_record_that_has_no_text_or_no_shape_stops_nothing(plugin: Home, brand: Path) -> None:
    write(brand, {"signals/sig_2.json": {"signal_id": "sig_2"}, "churn/none.json": [], "approvals/p-3.json": [5]})
    findings = [finding.code for parsed in read_all(plugin).values() for finding in parsed.findings]
    assert sorted(findings) == ["empty-text", "empty-text", "malformed-entry"]


@pytest.mark.shared
def test_the_plugins_own_home_is_read_whole() -> None:
    home = Home(Path(os.environ["DM_MEMORY_SHARED"]) / "plugin-home")
    slug = home.resolve(None)
    listing = list_sources(home, slug, "all")
    folder = home.brand_dir(slug)
    read = {file.path for file in listing.files}
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not [path for path in paths if path not in read and not reason_for(path)]
    parsed = read_all(home, slug)
    assert not [finding for result in parsed.values() for finding in result.findings]
    # A profile that is still as the plugin makes it says nothing.
    assert {path for path, result in parsed.items() if not result.items} == {"profile.json"}
