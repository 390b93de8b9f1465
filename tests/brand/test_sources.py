"""Items out of the brand's files: keys, texts, facts, and what happens to entries that are none."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.brand.files import BrandFileError, Limits
from dm_memory.brand.home import Home
from dm_memory.brand.parsed import ParsedFile, SourceFile, SourceKind
from dm_memory.brand.sources import list_sources, parse_source, read_source
from dm_memory.items import ContentType
from dm_memory.text.hashing import content_hash

CONTEXT = BrandContext("kopi", "Kopi")
SAMPLE = Home(Path(__file__).parents[2] / "examples" / "home")
FILES = {
    SourceKind.INSIGHTS: "insights.json",
    SourceKind.INTELLIGENCE: "intelligence/active/lrn_1.json",
    SourceKind.CAMPAIGN: "campaigns/spring.json",
    SourceKind.PERFORMANCE: "performance/snap.json",
    SourceKind.COMPETITORS: "competitors.json",
    SourceKind.AUDIENCES: "audiences.json",
    SourceKind.VIOLATIONS: "guideline-violations.json",
    SourceKind.APPROVALS: "approvals/a.json",
    SourceKind.GUIDELINE: "guidelines/voice.md",
    SourceKind.SOP: "sops:/crisis.json",
    SourceKind.ASSET: "content-library/hero.yaml",
    SourceKind.SIGNALS: "signals/s.json",
    SourceKind.GEO: "narrative/landscape.json",
    SourceKind.METRICS: "journeys/j.json",
    SourceKind.PROFILE: "profile.json",
    SourceKind.CONTEXT: "product-marketing-context.md",
}
MORE = [
    "competitors/a/scans.json",
    "competitors/a/pricing.json",
    "competitors/a/ads/x.json",
    "competitors/win-loss/w.json",
]
MORE += ["competitors/sov/s.json", "panels/p/panel.json", "geo/audits/a.json", "growth/g.json", "churn/c.json"]
PATHS = [*FILES.items(), *((SourceKind.COMPETITORS, path) for path in MORE[:5])]
PATHS += [
    (SourceKind.AUDIENCES, MORE[5]),
    (SourceKind.GEO, MORE[6]),
    *((SourceKind.METRICS, path) for path in MORE[7:]),
]


def parse(kind: SourceKind, value: object, limits: Limits | None = None) -> ParsedFile:
    data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return parse_source(SourceFile(FILES[kind], kind), data, CONTEXT, limits or Limits())


def entry(section: str, text: str) -> str:
    """Return the key of a list's entry."""
    return f"campaign/c1#{section}/{content_hash(text)[:12]}"


def texts(parsed: ParsedFile) -> dict[str, str]:
    return {item.key: item.content for item in parsed.items}


def test_an_insight_keeps_its_context_and_its_action() -> None:
    entry = {"recorded_at": " 2026-01-05T10:00:00 ", "type": "benchmark", "source": "agent", "insight": " Opens rose. "}
    [item] = parse(SourceKind.INSIGHTS, [entry | {"context": {"list": "B"}, "actionable": "Repeat it"}]).items
    assert item.key == "insight/2026-01-05T10:00:00"
    assert item.content == "Opens rose.\n\nContext: List: B\nAction: Repeat it"
    assert item.content_type is ContentType.PERFORMANCE_INSIGHT
    assert item.facts == {"insight_type": "benchmark", "insight_source": "agent"}


def test_insights_of_one_moment_share_a_key_and_undated_ones_never_do() -> None:
    dated = [{"recorded_at": "2026-01-05", "insight": text} for text in ("a", "b")]
    undated = [{"insight": "same"}, {"insight": "same", "recorded_at": " "}]
    keys = [item.key for item in parse(SourceKind.INSIGHTS, dated + undated).items]
    assert keys[:2] == ["insight/2026-01-05"] * 2
    assert keys[2].startswith("insight/undated-")
    assert keys[3] == f"{keys[2]}~2"


def test_one_malformed_insight_stops_only_itself() -> None:
    deep: object = "x"
    for _ in range(100):
        deep = [deep]
    parsed = parse(SourceKind.INSIGHTS, [5, {"insight": ""}, {"insight": "kept"}, {"insight": "d", "context": deep}])
    assert [item.content for item in parsed.items] == ["kept"]
    assert [finding.code for finding in parsed.findings] == ["malformed-entry", "empty-text", "malformed-entry"]
    assert parsed.entries == 4


def test_a_text_beyond_the_limit_is_reported_and_the_rest_kept() -> None:
    parsed = parse(SourceKind.INSIGHTS, [{"insight": "z" * 11}, {"insight": "y"}], Limits(max_content_chars=10))
    assert [item.content for item in parsed.items] == ["y"]
    assert [finding.code for finding in parsed.findings] == ["text-too-long"]


@pytest.mark.parametrize("kind", [SourceKind.INSIGHTS, SourceKind.CAMPAIGN])
def test_a_file_of_the_wrong_shape_is_broken_as_a_whole(kind: SourceKind) -> None:
    with pytest.raises(BrandFileError):
        parse(kind, "5")


def test_a_campaign_gives_an_item_per_lesson() -> None:
    campaign = {
        "campaign_id": "c1",
        "created_at": "2026-01-01",
        "updated_at": "2026-02-02",
        "name": "Spring",
        "status": "active",
        "channels": ["email"],
        "results": {"revenue": 5, "email": {"opens": 3}},
        "retrospective": {
            "what_worked": ["Short videos", {"point": "Sundays", "evidence": "opens"}],
            "next_time": "Earlier",
        },
        "strategy_decisions": [{"date": "2026-01-09", "decision": "Move budget", "rationale": "cost"}, "Stop ads"],
        "learnings": "Trust the data",
        "mood": "calm",
        "roi": 3.2,
    }
    parsed = parse(SourceKind.CAMPAIGN, campaign)
    lists = {
        "Spring, what worked: Short videos": "retrospective/what_worked",
        "Spring, what worked:\nSundays\nEvidence: opens": "retrospective/what_worked",
        "Spring, strategy decision:\nMove budget\nRationale: cost": "strategy_decisions",
        "Spring, strategy decision: Stop ads": "strategy_decisions",
    }
    assert texts(parsed) == {
        "campaign/c1#plan": "Spring, plan:\nStatus: active\nChannels: email\nMood: calm",
        "campaign/c1#figures": "Spring, results: ROI: 3.2",
        "campaign/c1#results/email": "Spring, results, email: Opens: 3",
        "campaign/c1#results": "Spring, results: Revenue: 5",
        "campaign/c1#retrospective/next_time": "Spring, next time: Earlier",
        "campaign/c1#learnings": "Spring, learning: Trust the data",
        **{entry(section, text): text for text, section in lists.items()},
    }
    dates = {item.content: item.recorded_at for item in parsed.items}
    assert dates["Spring, strategy decision:\nMove budget\nRationale: cost"] == "2026-01-09"
    assert set(dates.values()) == {"2026-01-01", "2026-01-09"}
    assert parsed.items[0].facts["channels"] == ["email"]


def test_a_save_that_only_moves_updated_at_changes_no_item() -> None:
    campaign = {"name": "Spring", "learnings": ["Bees like blue"], "updated_at": "2026-01-01"}
    before = parse(SourceKind.CAMPAIGN, campaign).items
    after = parse(SourceKind.CAMPAIGN, campaign | {"updated_at": "2026-02-02"}).items
    assert [replace(item, source_updated_at="") for item in before] == [
        replace(item, source_updated_at="") for item in after
    ]
    assert after[0].source_updated_at == "2026-02-02"


def test_a_campaign_without_an_id_is_known_by_its_file() -> None:
    [item] = parse(SourceKind.CAMPAIGN, {"learnings": ["Bees like blue"]}).items
    assert item.list_key == "campaign/spring#learnings"


def test_a_snapshot_reads_as_text() -> None:
    snapshot = {"campaign_id": "c1", "period": "May", "metrics": {"opens": 3}, "vs_kpi": {"opens": "on target"}}
    assert texts(parse(SourceKind.PERFORMANCE, snapshot)) == {
        "performance/snap@May": "Performance of c1, May\nMetrics: opens: 3\nAgainst the targets: opens: on target"
    }


def test_a_guideline_is_cut_at_its_headings_but_not_inside_code() -> None:
    markdown = "Hello\n\n# A\n\n## Empty\n\n## B\nb\n```\n# no heading\n```\n\n## B\nagain\n"
    assert texts(parse(SourceKind.GUIDELINE, markdown)) == {
        "guideline/voice.md#intro": "Voice\n\nHello",
        "guideline/voice.md#A/B": "Voice > A > B\n\nb\n```\n# no heading\n```",
        "guideline/voice.md#A/B~2": "Voice > A > B\n\nagain",
    }


def test_long_keys_are_shortened_and_stay_distinct() -> None:
    keys = [*texts(parse(SourceKind.CAMPAIGN, {"x" * 600 + "a": {"y": "1"}, "x" * 600 + "b": {"y": "2"}}))]
    assert len(set(keys)) == 2
    assert all(len(key) == 512 for key in keys)


def test_a_folder_that_leads_out_of_the_home_is_reported_when_read(home: Home, brand: Path, tmp_path: Path) -> None:
    (brand / "campaigns").symlink_to(tmp_path)
    [file] = list_sources(home, "kopi", "all").files
    with pytest.raises(BrandFileError) as caught:
        read_source(home, "kopi", file, Limits())
    assert caught.value.finding.code == "link-refused"


def test_a_folder_and_a_pipe_with_the_name_of_a_source_are_reported_when_read(home: Home, brand: Path) -> None:
    (brand / "campaigns" / "a.json").mkdir(parents=True)
    os.mkfifo(brand / "campaigns" / "b.json")
    for file in list_sources(home, "kopi", "all").files:
        with pytest.raises(BrandFileError) as caught:
            read_source(home, "kopi", file, Limits())
        assert caught.value.finding.code == "unreadable-file"


def test_a_listing_says_what_is_gone_and_what_was_only_not_looked_for(home: Home, brand: Path) -> None:
    (brand / "campaigns").mkdir()
    (brand / "campaigns" / ".spring.json.icloud").touch()
    everything, insights = (list_sources(home, "kopi", scope) for scope in ("all", "insights-only"))
    gone = ["campaigns/summer.json", "insights.json", "guidelines/email/x.md", "sops:/crisis.md"]
    assert [everything.tells_absence(path) for path in gone] == [True] * 4
    assert [insights.tells_absence(path) for path in gone] == [False, True, False, False]
    for path in ("campaigns/spring.json", "memory/pending/a.json", "", "context:/product-marketing-context.md"):
        assert not everything.tells_absence(path)
    assert everything.is_protected("campaigns/spring.json")
    assert not everything.is_protected("campaigns/summer.json")


def test_the_sample_brand_reads_without_a_finding() -> None:
    slug = SAMPLE.resolve(None)
    context = load_context(SAMPLE, slug, Limits())
    listing = list_sources(SAMPLE, slug, "all")
    data = ((file, read_source(SAMPLE, slug, file, Limits())) for file in listing.files)
    parsed = [parse_source(file, content, context, Limits()) for file, content in data]
    assert not listing.unread
    contents = [item.content for result in parsed for item in result.items]
    assert not context.findings
    assert not [finding for result in parsed for finding in result.findings]
    assert len(contents) - len(set(contents)) == 1, "one insight is there twice, for the demo to find"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800\0"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    "insight",
    "recorded_at",
    "type",
    "source",
    "context",
    "actionable",
    "campaign_id",
    "name",
    "status",
    "channels",
]
NAMES += ["results", "retrospective", "strategy_decisions", "learnings", "created_at", "tags", "notes", "snapshot_id"]
NAMES += ["period", "metrics", "decision", "date", "what_worked"]


NAMES += ["signal", "rule", "competitor", "plans", "segments", "states", "gaps", "currency", "cost_micros", "spend_pct"]
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8)


def test_audiences_in_one_file_may_be_a_list_of_segments() -> None:
    document = {"segments": [{"name": "Anglers", "size": "40 %"}]}
    parsed = parse_source(
        SourceFile("audiences.json", SourceKind.AUDIENCES), json.dumps(document).encode(), CONTEXT, Limits()
    )
    assert [(item.key, item.content) for item in parsed.items] == [
        ("panel/audiences/anglers", "Audience Anglers (Audiences)\nSize: 40 %")
    ]


@given(place=st.sampled_from(PATHS), value=JSON | OBJECTS | st.lists(OBJECTS, max_size=3))
def test_no_value_in_any_place_breaks_a_parser_or_gives_an_item_that_cannot_be_stored(
    place: tuple[SourceKind, str], value: object
) -> None:
    kind, path = place
    try:
        parsed = parse_source(SourceFile(path, kind), json.dumps(value).encode(), CONTEXT, Limits())
    except BrandFileError:
        return
    for item in parsed.items:
        assert item.content.strip()
        assert len(item.key) <= 512
        json.dumps([item.key, item.content, item.recorded_at, dict(item.facts), item.tags], ensure_ascii=False).encode()
    if kind is not SourceKind.INSIGHTS:
        assert len(texts(parsed)) == len(parsed.items)
